"""Which series may surge at a moment of past weeks: those with enough stories, against what is usual.

takes  stories and counts of the weeks, laid out; a moment; rules
gives  `Lasting`, and its `suspects` under any rules that learn alike
never  leaves out a series that can surge: counts are as high as they can be
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from alerts.detection.baseline import HOURS_A_DAY, Baseline
from alerts.detection.grid import Grid
from alerts.detection.surprise import Floats
from alerts.rules import Detector, Rules
from monitor.backtesting.ground import Ground
from monitor.backtesting.heard import Heard, Whole, hour_of

_HOUR = timedelta(hours=1)
# Sums that are made in another order may differ in their last bits.
SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Lasting:
    """What series that have enough stories have at a moment, and what is usual; one row each.

    Attributes:
        names: of the series; the market is the first.
        counts, expected: of every length of the rules' windows, [series, windows].
        tone: negative stories that are usual given the other stories seen, [series, windows].
        days, expected_days: over the last 1, 2, ... days, [series, days].
        stirring: how many series have a story, at most.
        market_days: of history behind the market.
    """

    names: list[str]
    counts: Whole
    expected: Floats
    tone: Floats
    days: Whole
    expected_days: Floats
    stirring: int
    market_days: float

    def suspects(self, rules: Rules) -> list[str]:
        """The series with enough stories, against any of what is usual."""
        enough = self.counts >= rules.minimum_negative
        ratio = rules.minimum_ratio * (1 - SLACK)
        risen = enough & (self.counts >= ratio * np.minimum(self.expected, self.tone))
        slow = self.days >= np.maximum(rules.minimum_negative, ratio * self.expected_days)
        if Detector.SLOW not in rules.detectors:
            slow = np.zeros_like(slow)
        either = np.concatenate([risen, slow], axis=1).any(axis=1)
        return [self.names[row] for row in np.flatnonzero(either)]


def lasting(
    heard: Heard, ground: Ground, now: datetime, rules: Rules, weights: Mapping[str, float]
) -> tuple[Lasting, Grid, Baseline]:
    """What the series with enough stories have, with what was learned of them to find it.

    Args:
        heard, ground: of the weeks that `now` lies in.
        now: aware UTC.
        rules, weights: from the settings.
    """
    bucket = hour_of(now)
    slow_days = min(rules.slow_days, rules.baseline_days)
    lengths = [*rules.windows, *(HOURS_A_DAY * day for day in range(1, slow_days + 1))]
    split = len(rules.windows)
    counts = heard.counts(now, [bucket - (hours - 1) * _HOUR for hours in lengths])
    stirs = counts[:, split - 1] > 0
    counts[~stirs] = 0  # what does not stir has no window
    enough = counts.max(axis=1) >= rules.minimum_negative
    enough[0] = True
    counts, names = counts[enough], [heard.names[row] for row in np.flatnonzero(enough)]
    grid = ground.grid(names, now, rules, weights)
    baseline = grid.baseline(rules)
    expected = np.stack([baseline.expected(hours) for hours in rules.windows], axis=1)
    tone = grid.tone(rules, baseline).expected if Detector.TONE in rules.detectors else expected
    by_day = baseline.expected_by_day(slow_days)[:, ::-1].cumsum(axis=1)
    stirring, days = int(np.count_nonzero(stirs)), float(grid.days[0])
    found = Lasting(names, counts[:, :split], expected, tone, counts[:, split:], by_day, stirring, days)
    return found, grid, baseline
