"""Whether a series has more negative stories than all that is written about it explains.

takes  what was learned of a series, and its hourly stories that are not negative
gives  `Tone`: negative stories to be expected of each window length given those, and how far they vary about that
never  takes a day on which much is written for a bad one

How much is written about a series varies from day to day: earnings, a launch, a trial. The other stories of the same
window tell how busy it is. Busyness is taken as a gamma factor with mean 1 on Poisson counts; the other stories seen
leave it a gamma factor again, with another mean and less doubt (conjugacy), and what it does to them it does to the
negative ones. What is left is how far the tone itself varies between windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from alerts.detection.baseline import PRIOR_DISPERSION, PRIOR_STORIES, Baseline, Rows, drawn, running, sliding
from alerts.detection.surprise import Floats

# Before it has shown otherwise the tone of a series varies by about half of its mean (0.3 = 0.55^2).
_PRIOR_TONE = 0.3
# However steady a series was, forty stories of its own can double what is expected of it.
_LEAST_BUSYNESS = 0.05


@dataclass(frozen=True, slots=True)
class Tone:
    """What is usual given how much is written about a series; one row a series, one column a window length.

    Attributes:
        expected: negative stories, above 0.
        dispersion: variance = expected + dispersion * expected^2; above 0.
    """

    expected: Floats
    dispersion: Floats

    @classmethod
    def unasked(cls, series: int, windows: int) -> Self:
        """Where nobody tests for tone."""
        return cls(np.ones((series, windows)), np.ones((series, windows)))

    def rows(self, which: Rows) -> Tone:
        """That of some series."""
        return Tone(self.expected[which], self.dispersion[which])

    def joined(self, other: Tone) -> Tone:
        """That of these series and of others."""
        return Tone(
            np.concatenate([self.expected, other.expected]), np.concatenate([self.dispersion, other.dispersion])
        )


def learn_tone(baseline: Baseline, quiet: Floats, windows: tuple[int, ...]) -> Tone:
    """What to expect of windows that end with the last column.

    Args:
        baseline: of the same series and hours.
        quiet: stories of each series that are not negative, [series, hours].
        windows: lengths in hours.
    """
    exposed = (baseline.weights * baseline.others).sum(axis=1) + 1
    rate = ((baseline.weights * quiet).sum(axis=1) + PRIOR_STORIES) / exposed
    sums = running(quiet)
    learned = [_of_length(baseline, sums, rate, hours) for hours in windows]
    return Tone(np.stack([mean for mean, _ in learned], axis=1), np.stack([spread for _, spread in learned], axis=1))


def _of_length(baseline: Baseline, quiet: Floats, rate: Floats, hours: int) -> tuple[Floats, Floats]:
    """Expected count and dispersion of the last window of one length, [series] each; all windows before teach it."""
    believed, exposure = baseline.believed(hours), sliding(baseline.told.exposures, hours) + 1
    seen, usual = sliding(quiet, hours), rate[:, None] * exposure
    excess = (seen - usual) ** 2 - usual - usual**2 / exposure
    busyness = drawn(excess, usual**2, believed, hours, PRIOR_DISPERSION)
    strength = 1 / np.maximum(busyness, _LEAST_BUSYNESS)[:, None]
    busy, doubt = (strength + seen) / (strength + usual), 1 / (strength + seen) + 1 / exposure
    negative, weighed = sliding(baseline.told.negatives, hours), baseline.weighed(hours) * busy
    # Busy windows were busy with the market, too, so the rate by itself would expect too much of them.
    own = ((believed * negative).sum(axis=1) / hours + PRIOR_STORIES) / ((believed * weighed).sum(axis=1) / hours + 1)
    mean = own[:, None] * weighed
    excess = (negative - mean) ** 2 - mean - mean**2 * doubt
    restless = drawn(excess, mean**2 * (1 + doubt), believed, hours, _PRIOR_TONE)
    spread = (1 + restless) * (1 + baseline.uncertainty(restless, hours)) * (1 + doubt[:, -1]) - 1
    return mean[:, -1], spread
