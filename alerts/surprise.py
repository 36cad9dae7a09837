"""How improbable a count is, and how often chance alone would bring it.

takes  counts, expected counts, dispersions (numpy arrays that broadcast)
gives  upper-tail probabilities, false alerts a week, the smallest count that would be a surge
never  looks at stories, publishers or clocks

The law of a count is negative binomial with mean m and variance m + dispersion * m^2. Formulas and their sources are
in docs/detection.md.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from alerts.rules import Rules

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

HOURS_A_WEEK = 168
_LARGEST_COUNT = 1 << 40


def tail(observed: npt.ArrayLike, expected: npt.ArrayLike, dispersion: npt.ArrayLike) -> Floats:
    """P(N >= observed), exact and not mid-p: a discrete count then errs on the side of silence.

    Args:
        observed: counts, 0 or more.
        expected: means, 0 or more.
        dispersion: above 0; variance = mean + dispersion * mean^2.
    """
    count, mean, size = np.broadcast_arrays(
        np.asarray(observed, dtype=np.float64),
        np.asarray(expected, dtype=np.float64),
        1 / np.asarray(dispersion, dtype=np.float64),
    )
    # The survival function of the negative binomial is a regularised incomplete beta function.
    probability: Floats = special.betainc(np.maximum(count, 1), size, mean / (mean + size))
    return np.where(count < 1, 1.0, probability)


def false_alerts_a_week(observed: npt.ArrayLike, hours: npt.ArrayLike, probability: npt.ArrayLike) -> Floats:
    """How often a week chance alone lifts a sliding window up to this count, at most.

    A window that slides for a week is not 168 / hours independent tests, nor as many as there are ticks. It can start
    an alert only when its count steps up to `observed`, and for mixed Poisson arrivals that happens
    observed * P(N = observed) times per window length (Rice's upcrossing rate; Alm 1983 for scan statistics).
    P(N = observed) <= P(N >= observed) bounds it.
    """
    steps = np.maximum(np.asarray(observed, dtype=np.float64), 1)
    crossings = HOURS_A_WEEK / np.asarray(hours, dtype=np.float64) * steps
    return np.asarray(crossings * np.asarray(probability, dtype=np.float64), dtype=np.float64)


def is_improbable(
    observed: Floats, probability: Floats, hours: Floats | float, budget: Floats, rules: Rules
) -> npt.NDArray[np.bool_]:
    """Whether chance would bring the count less often than the series' share of the false alerts a week allows.

    Every length gets an equal part of that share (Bonferroni), so testing several lengths counts nothing twice.
    """
    allowed = rules.false_alerts_per_week * budget / len(rules.windows)
    return np.asarray(false_alerts_a_week(observed, hours, probability) <= allowed)


def smallest_surge(expected: Floats, dispersion: Floats, hours: Floats | float, budget: Floats, rules: Rules) -> Counts:
    """The smallest count of each window that would be a surge, were its series the only one that stirs."""

    def enough(count: Counts) -> npt.NDArray[np.bool_]:
        observed = count.astype(np.float64)
        probability = tail(observed, expected, dispersion)
        alone = probability * len(rules.windows) <= rules.false_discovery_rate * budget
        return np.asarray(is_improbable(observed, probability, hours, budget, rules) & alone)

    # Above twice the mean both conditions only get easier as the count grows, so bisection finds the first.
    low = np.maximum(rules.minimum_negative, np.ceil(rules.minimum_ratio * expected - 1e-9)).astype(np.int64)
    high = low.copy()
    while not (done := enough(high)).all() and high.max() < _LARGEST_COUNT:
        high = np.where(done, high, high * 2)
    while (low < high).any():
        middle = (low + high) // 2
        done = enough(middle)
        high = np.where(done, middle, high)
        low = np.where(done, low, np.minimum(middle + 1, high))
    return high
