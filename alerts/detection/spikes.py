"""Which windows hold more negative stories than chance and habit explain.

takes  `Window`s of one moment, and rules
gives  one `Spike` a series: its most telling window, with a named verdict
never  remembers anything, and never counts one event several times over the window lengths and detectors

Two limits hold at once, both shared among the series by `Window.budget`: an expected number of false alerts a week, and
a share of false ones among those raised at a time. Both step up in the manner of Benjamini and Hochberg, by weight
(Genovese, Roeder, Wasserman 2006): where k series stir at once each may be k times as likely by chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from alerts.detection.severity import Gravity, Severity, gravity
from alerts.detection.surprise import Floats, considerable, crossings_a_week, rarer, rarer_a_week, tail
from alerts.detection.window import Window
from alerts.rules import Detector, Rules

__all__ = ["Beside", "Considered", "Severity", "Spike", "Verdict", "by_count", "spikes"]


class Verdict(StrEnum):
    """What a series' most telling window says. Only `SURGE` opens an alert."""

    SURGE = "surge"
    LEARNING = "learning"  # too little history to know what is usual
    USUAL = "usual"  # chance brings this more often than the rules allow
    AMONG_MANY = "among_many"  # improbable alone, but so many series are tested that one like it is no surprise
    TOO_FEW = "too_few"  # improbable, but fewer stories than `minimum_negative`
    ONE_PUBLISHER = "one_publisher"  # improbable, but fewer publisher families than `minimum_publishers`
    SMALL_RISE = "small_rise"  # certain, but below `minimum_ratio` times the expected count


@dataclass(frozen=True, slots=True)
class Considered:
    """One window as it was judged: what `squall alerts explain` shows.

    Attributes:
        detector, hours: which test.
        observed, expected, publishers: see `Window`.
        exposure: stories of the market, of the series for tone.
        probability: of so much or more by chance.
        per_week, allowed: how often a week chance would bring it, and may.
        verdict: what this window says by itself.
        carried: probability that usual stories are carried by so many families; 1 where it says nothing.
    """

    detector: Detector
    hours: int
    observed: int
    expected: float
    publishers: int
    exposure: int
    probability: float
    per_week: float
    allowed: float
    verdict: Verdict
    carried: float = 1.0


@dataclass(frozen=True, slots=True)
class Spike:
    """The most telling window of one series.

    Attributes:
        series: what is watched.
        at: the moment it was looked at, aware UTC.
        hours: length of the window.
        observed, expected: negative stories seen, and to be expected; of a breaking story, publisher families.
        p_value: probability of so many or more in a usual window, divided by its part among the tests; at most 1.
        per_week: how often a week chance alone would bring this in this series, at most.
        publishers: publisher families that carry the stories.
        stories: ids of the stories, in order of arrival.
        since: when the first of them turned negative.
        verdict: what it means.
        severity: how grave an alert on it would be.
        smallest_detectable: the smallest count that would be a surge in this window.
        history_days: how much history the expectation rests on.
        detector: which test it is of.
        allowed: how often a week chance may bring it.
        gravity: the parts of the severity score; None where nobody weighed it.
        considered: every window of the series, this one first.
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
    detector: Detector = Detector.VOLUME
    allowed: float = 0.0
    gravity: Gravity | None = None
    considered: tuple[Considered, ...] = ()

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("a spike needs an aware time")
        if not (0 <= self.p_value <= 1 and self.expected > 0):
            raise ValueError("a spike needs a p-value within [0, 1] and an expected count above 0")


@dataclass(frozen=True, slots=True)
class Beside:
    """Further series of the moment, of which nothing is asked but how many others step up with them.

    Attributes:
        per_week, probability: the least of each one's windows, over the window's part.
        budget: share of the false alerts of each.
    """

    per_week: Floats
    probability: Floats
    budget: Floats


def spikes(
    windows: Sequence[Window], rules: Rules, budget: Floats | None = None, beside: Beside | None = None
) -> tuple[Spike, ...]:
    """One spike a series, by series.

    The most telling window is the one that lies furthest within what is allowed among those that meet every other
    condition; when none does, the one that lies furthest within.

    Args:
        windows: of one moment.
        rules: see `alerts.rules`.
        budget: of each window, where it is another than the window's own.
        beside: series that stir, too, and whose windows are not among these.
    """
    if not windows:
        return ()
    part = np.array([rules.part(window.detector) for window in windows])
    if budget is None:
        budget = np.array([window.budget for window in windows])
    probability, per_week = _chances(windows, rules)
    allowed = rules.false_alerts_per_week * budget * part
    p_values = np.minimum(probability / part, 1.0)
    excess = per_week / allowed
    weighted = p_values / budget
    others = np.empty(0), np.empty(0)
    if beside is not None:
        others = beside.per_week / (rules.false_alerts_per_week * beside.budget), beside.probability / beside.budget
    rare = excess <= max(_step_up(windows, excess, others[0], 1.0), 1.0)
    alone = weighted <= _step_up(windows, weighted, others[1], rules.false_discovery_rate)

    by_series: dict[str, list[tuple[bool, float, int]]] = defaultdict(list)
    verdicts = [_verdict(one, bool(rare[at]), bool(alone[at]), rules) for at, one in enumerate(windows)]
    for at, window in enumerate(windows):
        by_series[window.series].append((verdicts[at] is not Verdict.SURGE, float(excess[at]), at))
    found = []
    for _, places in sorted(by_series.items()):
        order = [at for _, _, at in sorted(places)]
        considered = tuple(
            _considered(windows[at], float(probability[at]), float(per_week[at]), float(allowed[at]), verdicts[at])
            for at in order
        )
        found.append(_spike(windows[order[0]], float(p_values[order[0]]), considered, rules))
    return tuple(found)


def by_count(windows: Sequence[Window]) -> tuple[Floats, Floats]:
    """Probability and rate a week of each window by its count, whoever carries its stories; or its detector's own."""
    observed = np.array([window.observed for window in windows], dtype=np.float64)
    expected, dispersion = [window.expected for window in windows], [window.dispersion for window in windows]
    probability = tail(observed, expected, dispersion)
    per_week = crossings_a_week(observed, [window.hours for window in windows], expected, dispersion)
    for at, window in enumerate(windows):
        if window.chance is not None:
            probability[at], per_week[at] = window.chance.probability, window.chance.per_week
    return probability, per_week


def _chances(windows: Sequence[Window], rules: Rules) -> tuple[Floats, Floats]:
    """The same, by the laws of volume and breadth together where there are enough stories to alert."""
    probability, per_week = by_count(windows)
    least = considerable([window.expected for window in windows], rules)
    enough = [at for at, one in enumerate(windows) if one.chance is None and one.observed >= least[at]]
    if enough:
        chosen = [windows[at] for at in enough]
        carried, least = np.array([window.carried for window in chosen]), least[enough]
        expected, dispersion = [window.expected for window in chosen], [window.dispersion for window in chosen]
        hours = [window.hours for window in chosen]
        per_week[enough] = rarer_a_week(per_week[enough] * carried, hours, expected, dispersion, least)
        probability[enough] = rarer(probability[enough] * carried, tail(least, expected, dispersion))
    return probability, per_week


def _step_up(windows: Sequence[Window], values: Floats, others: Floats, level: float) -> float:
    """The largest value that Benjamini-Hochberg accepts; each series steps with its smallest.

    Series without a window have p = 1 and need not be listed: the weights already count them.
    """
    best: dict[str, float] = {}
    for window, value in zip(windows, values, strict=True):
        best[window.series] = min(float(value), best.get(window.series, float("inf")))
    every = np.sort(np.concatenate([np.array(list(best.values())), others]))
    steps = level * np.arange(1, len(every) + 1)
    accepted = np.flatnonzero(every <= steps)
    return float(steps[accepted[-1]]) if accepted.size else 0.0


def _verdict(window: Window, rare: bool, alone: bool, rules: Rules) -> Verdict:
    fewest, carriers, ratio = _needs(window.detector, rules)
    refusals: Iterable[tuple[bool, Verdict]] = (
        (window.history_days < rules.learning_days, Verdict.LEARNING),
        (not rare, Verdict.USUAL),
        (not alone, Verdict.AMONG_MANY),
        (window.observed < fewest, Verdict.TOO_FEW),
        (window.publishers < carriers, Verdict.ONE_PUBLISHER),
        (window.observed < ratio * window.expected, Verdict.SMALL_RISE),
    )
    return next((verdict for holds, verdict in refusals if holds), Verdict.SURGE)


def _needs(detector: Detector, rules: Rules) -> tuple[int, int, float]:
    """The smallest count that may alert, by the fewest publisher families, and how many times the expected one.

    Of a breaking story families are what is counted.
    """
    if detector is not Detector.BREAKING:
        return rules.minimum_negative, rules.minimum_publishers, rules.minimum_ratio
    families = max(rules.breaking_publishers, rules.minimum_publishers)
    return families, families, 1.0


def _considered(window: Window, probability: float, per_week: float, allowed: float, verdict: Verdict) -> Considered:
    return Considered(
        detector=window.detector,
        hours=window.hours,
        observed=window.observed,
        expected=window.expected,
        publishers=window.publishers,
        exposure=window.exposure,
        probability=probability,
        per_week=per_week,
        allowed=allowed,
        verdict=verdict,
        carried=window.carried,
    )


def _spike(window: Window, p_value: float, considered: tuple[Considered, ...], rules: Rules) -> Spike:
    told = considered[0]
    fewest, carriers, ratio = _needs(window.detector, rules)
    weighed = gravity(
        allowed=told.allowed,
        per_week=told.per_week,
        observed=window.observed,
        needed=max(fewest, ratio * window.expected),
        publishers=window.publishers,
        carriers=carriers,
        weight=window.weight,
    )
    return Spike(
        series=window.series,
        at=window.end,
        hours=window.hours,
        observed=window.observed,
        expected=window.expected,
        p_value=p_value,
        per_week=told.per_week,
        publishers=window.publishers,
        stories=window.stories,
        since=window.since,
        verdict=told.verdict,
        severity=weighed.severity(rules),
        smallest_detectable=window.smallest_detectable,
        history_days=window.history_days,
        detector=window.detector,
        allowed=told.allowed,
        gravity=weighed,
        considered=considered,
    )
