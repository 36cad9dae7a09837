"""Whether a series has had somewhat more negative stories than usual, day after day.

takes  negative stories of the last days, what was to be expected of each, and how restless the series is
gives  `Slow`: the sum of evidence for a lasting rise, and over how many days it was gathered
never  is moved by one day alone, however bad: that is the volume's business

Page's CUSUM (1954) of the log likelihood ratio of a negative binomial count with `rise` times the expected mean against
the expected one (Hoehle and Paul 2008 for counts of diseases). For such a sum S the mean time between false
alarms is at least exp(S) days (Lorden 1971), which is what `false_a_week` rests on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alerts.detection.surprise import Floats

_DAYS_A_WEEK = 7
# A day's evidence is cut here: with the default rules a rise must last three days at least.
_MOST_A_DAY = 3.0


@dataclass(frozen=True, slots=True)
class Slow:
    """Evidence for a lasting rise; one number a series each.

    Attributes:
        evidence: sum of log likelihood ratios since it last was 0; 0 or more.
        days: over how many days; 0 when there is none.
    """

    evidence: Floats
    days: Floats


def slow_rise(seen: Floats, expected: Floats, dispersion: Floats, rise: float) -> Slow:
    """Add up the days, oldest first.

    Args:
        seen, expected: negative stories of each day and what was usual, [series, days]; expected above 0.
        dispersion: variance = mean + dispersion * mean^2, [series]; above 0.
        rise: the lasting rise that is looked for, as a multiple of the expected count; above 1.
    """
    spread = dispersion[:, None]
    risen, usual = np.log1p(spread * rise * expected), np.log1p(spread * expected)
    ratio = seen * np.log(rise) - (1 / spread + seen) * (risen - usual)
    ratio = np.minimum(ratio, _MOST_A_DAY)
    evidence, days = np.zeros(len(seen)), np.zeros(len(seen))
    for day in range(seen.shape[1]):
        evidence = np.maximum(evidence + ratio[:, day], 0.0)
        days = np.where(evidence > 0, days + 1, 0.0)
    return Slow(evidence, days)


def false_a_week(evidence: Floats) -> Floats:
    """How often a week chance alone would gather so much, at most."""
    return np.asarray(_DAYS_A_WEEK * np.exp(-evidence))
