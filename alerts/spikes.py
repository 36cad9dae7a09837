"""Which windows hold more negative stories than chance and habit explain.

takes  `Window`s of one moment, and rules
gives  one `Spike` a series: its most telling window, with a named verdict
never  remembers anything, and never counts one event several times over the window lengths

Two limits hold at once, both shared among the series by `Window.budget`: an expected number of false alerts a week,
and a share of false ones among those raised at a time (weighted Benjamini-Hochberg; Genovese, Roeder, Wasserman 2006).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from alerts.rules import Rules
from alerts.surprise import Floats, false_alerts_a_week, is_improbable, tail
from alerts.windows import Window


class Verdict(StrEnum):
    """What a series' most telling window says. Only `SURGE` opens an alert."""

    SURGE = "surge"
    LEARNING = "learning"  # too little history to know what is usual
    USUAL = "usual"  # chance brings this more often than the rules allow
    AMONG_MANY = "among_many"  # improbable alone, but so many series are tested that one like it is no surprise
    TOO_FEW = "too_few"  # improbable, but fewer stories than `minimum_negative`
    ONE_PUBLISHER = "one_publisher"  # improbable, but fewer publisher families than `minimum_publishers`
    SMALL_RISE = "small_rise"  # certain, but below `minimum_ratio` times the expected count


class Severity(StrEnum):
    """How grave, in ascending order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least grave."""
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Spike:
    """The most telling window of one series.

    Attributes:
        series: what is watched.
        at: the moment it was looked at, aware UTC.
        hours: length of the window.
        observed, expected: negative stories seen, and to be expected.
        p_value: probability of so many or more in a usual window, times the number of lengths tried; at most 1.
        per_week: how often a week chance alone would bring this in this series, at most.
        publishers: publisher families that carry the stories.
        stories: ids of the stories, in order of arrival.
        since: when the first of them turned negative.
        verdict: what it means.
        severity: how grave an alert on it would be.
        smallest_detectable: the smallest count that would be a surge in this window.
        history_days: how much history the expectation rests on.
    """

    series: str
    at: datetime
    hours: int
    observed: int
    expected: float
    p_value: float
    per_week: float
    publishers: int
    stories: tuple[int, ...]
    since: datetime | None
    verdict: Verdict
    severity: Severity
    smallest_detectable: int
    history_days: float

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("a spike needs an aware time")
        if not (0 <= self.p_value <= 1 and self.expected > 0):
            raise ValueError("a spike needs a p-value within [0, 1] and an expected count above 0")


def spikes(windows: Sequence[Window], rules: Rules) -> tuple[Spike, ...]:
    """One spike a series, by series.

    The most telling window is the one that chance brings least often among those that meet every other condition;
    when none does, the one that chance brings least often.
    """
    if not windows:
        return ()
    observed = np.array([window.observed for window in windows], dtype=np.float64)
    hours = np.array([window.hours for window in windows], dtype=np.float64)
    budget = np.array([window.budget for window in windows])
    probability = tail(observed, [w.expected for w in windows], [w.dispersion for w in windows])
    p_values = np.minimum(probability * len(rules.windows), 1.0)
    per_week = false_alerts_a_week(observed, hours, probability) * len(rules.windows)
    improbable = is_improbable(observed, probability, hours, budget, rules)
    alone = p_values / budget <= _step_up(windows, p_values / budget, rules)

    by_series: dict[str, list[tuple[bool, float, Spike]]] = defaultdict(list)
    for position, window in enumerate(windows):
        verdict = _verdict(window, bool(improbable[position]), bool(alone[position]), rules)
        spike = _spike(window, float(p_values[position]), float(per_week[position]), verdict, rules)
        by_series[window.series].append((verdict is not Verdict.SURGE, spike.per_week, spike))
    return tuple(min(found, key=lambda one: one[:2])[2] for _, found in sorted(by_series.items()))


def _step_up(windows: Sequence[Window], weighted: Floats, rules: Rules) -> float:
    """The largest weighted p-value that Benjamini-Hochberg accepts; each series steps with its smallest.

    Series without a window have p = 1 and need not be listed: the weights already count them.
    """
    best: dict[str, float] = {}
    for window, value in zip(windows, weighted, strict=True):
        best[window.series] = min(float(value), best.get(window.series, math.inf))
    steps = rules.false_discovery_rate * np.arange(1, len(best) + 1)
    accepted = np.flatnonzero(np.sort(np.array(list(best.values()))) <= steps)
    return float(steps[accepted[-1]]) if accepted.size else 0.0


def _verdict(window: Window, improbable: bool, alone: bool, rules: Rules) -> Verdict:
    refusals = (
        (window.history_days < rules.learning_days, Verdict.LEARNING),
        (not improbable, Verdict.USUAL),
        (not alone, Verdict.AMONG_MANY),
        (window.observed < rules.minimum_negative, Verdict.TOO_FEW),
        (window.publishers < rules.minimum_publishers, Verdict.ONE_PUBLISHER),
        (window.observed < rules.minimum_ratio * window.expected, Verdict.SMALL_RISE),
    )
    return next((verdict for holds, verdict in refusals if holds), Verdict.SURGE)


def _spike(window: Window, p_value: float, per_week: float, verdict: Verdict, rules: Rules) -> Spike:
    return Spike(
        series=window.series,
        at=window.end,
        hours=window.hours,
        observed=window.observed,
        expected=window.expected,
        p_value=p_value,
        per_week=per_week,
        publishers=window.publishers,
        stories=window.stories,
        since=window.since,
        verdict=verdict,
        severity=_severity(window, per_week, rules),
        smallest_detectable=window.smallest_detectable,
        history_days=window.history_days,
    )


def _severity(window: Window, per_week: float, rules: Rules) -> Severity:
    """How far beyond the rules a window is: in rarity, in size, in publishers."""
    allowed = rules.false_alerts_per_week * window.budget
    rarity = allowed / per_week if per_week > 0 else math.inf
    size = min(window.observed / (window.expected * rules.minimum_ratio), window.observed / rules.minimum_negative)
    if rarity >= rules.critical_rarity and size >= rules.critical_size and window.publishers > rules.minimum_publishers:
        return Severity.CRITICAL
    if rarity >= rules.warning_rarity and size >= rules.warning_size:
        return Severity.WARNING
    return Severity.INFO
