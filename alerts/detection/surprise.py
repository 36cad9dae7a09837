"""How improbable a count is, and how often chance alone would bring it.

takes  counts, expected counts, dispersions (numpy arrays that broadcast)
gives  upper-tail probabilities, false alerts a week, the smallest count that would be a surge
never  looks at stories, publishers or clocks

The law of a count is negative binomial with mean m and variance m + dispersion * m^2. Formulas and their sources are
in docs/detection.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from alerts.rules import Detector, Rules

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

HOURS_A_WEEK = 168
_LARGEST_COUNT = 1 << 40
# Beneath this nothing is told apart any more.
_LOWEST_RATE = 1e-290


def tail(observed: npt.ArrayLike, expected: npt.ArrayLike, dispersion: npt.ArrayLike) -> Floats:
    """P(N >= observed), exact and not mid-p: a discrete count then errs on the side of silence.

    Args:
        observed: counts, 0 or more.
        expected: means, 0 or more.
        dispersion: above 0; variance = mean + dispersion * mean^2.
    """
    # Loaded where it is used: settings and helpers know these modules and compute nothing with them.
    from scipy import special

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


def crossings_a_week(
    observed: npt.ArrayLike, hours: npt.ArrayLike, expected: npt.ArrayLike, dispersion: npt.ArrayLike
) -> Floats:
    """How often a week chance lifts a sliding window from below this count to it: the same rate, not its bound.

    Above the mean it only falls as the count grows; up to the mean the bound stands in, so it never falls behind it.
    """
    from scipy import special

    count, mean, spread = np.broadcast_arrays(
        *(np.asarray(one, dtype=np.float64) for one in (observed, expected, dispersion))
    )
    size = 1 / spread
    logs = (
        special.gammaln(count + size)
        - special.gammaln(size)
        - special.gammaln(count + 1)
        + size * np.log(size / (mean + size))
        + special.xlogy(count, mean / (mean + size))
    )
    probability = np.where(count > mean, np.exp(logs), tail(count, mean, spread))
    return false_alerts_a_week(count, hours, probability)


def rarer_a_week(
    rate: npt.ArrayLike,
    hours: npt.ArrayLike,
    expected: npt.ArrayLike,
    dispersion: npt.ArrayLike,
    least: npt.ArrayLike,
) -> Floats:
    """How often a week chance brings anything as rare: a count from `least` on, with a second mark that is independent.

    Where each count y comes r(y) times a week, and its second mark has a p-value q, all with r(y) * q <= rate come
    at most sum over y of min(r(y), rate) times a week: Fisher's product of two p-values, for a rate and exact in y.

    Args:
        rate: r(y) * q of what was seen, [...].
        hours, expected, dispersion: of the counts.
        least: the smallest count that is considered; above the mean.
    """
    level, length, mean, spread, low = (
        np.array(one) for one in np.broadcast_arrays(rate, hours, expected, dispersion, least)
    )
    low = low.astype(np.int64)
    first = smallest_count(mean, spread, length, np.maximum(level, _LOWEST_RATE), low)
    return _at_least_as_rare(level, first, length, mean, spread, low)


def _at_least_as_rare(
    level: Floats, first: Counts, hours: npt.ArrayLike, mean: Floats, spread: Floats, low: Counts
) -> Floats:
    """The sum of `rarer_a_week`, `first` being the first count from `low` on that comes at most at that level."""
    # y P(N = y) is m P(M = y - 1), where M is the negative binomial weighed by its size: so the sum has a closed form.
    beyond = tail(first - 1, mean * (1 + spread), spread / (1 + spread))
    crossings = HOURS_A_WEEK / np.asarray(hours, dtype=np.float64) * mean
    return np.asarray((first - low) * level + crossings * beyond)


def rarer(probability: npt.ArrayLike, least: npt.ArrayLike) -> Floats:
    """P(p * q <= probability and p <= least) of two independent p-values: Fisher's product, from `least` downwards.

    Args:
        probability: p * q of what was seen.
        least: p of the smallest count that is considered; not below `probability`.
    """
    product, most = np.maximum(probability, _LOWEST_RATE), np.asarray(least, dtype=np.float64)
    return np.asarray(np.minimum(product * (1 + np.maximum(np.log(np.maximum(most, product) / product), 0.0)), 1.0))


def considerable(expected: npt.ArrayLike, rules: Rules) -> Counts:
    """The smallest counts that may alert at all: `minimum_negative`, and `minimum_ratio` times what is expected."""
    times = np.ceil(rules.minimum_ratio * np.asarray(expected, dtype=np.float64) - 1e-9)
    return np.maximum(rules.minimum_negative, times).astype(np.int64)


def smallest_count(
    expected: Floats, dispersion: Floats, hours: npt.ArrayLike, allowed: Floats, least: Counts
) -> Counts:
    """The first count from `least` on that chance brings no more often than allowed.

    Args:
        expected, dispersion: of the counts.
        hours: length of the window.
        allowed: false alerts a week; above 0.
        least: where to begin: at or above the mean the rate only falls as the count grows, so bisection finds it.
    """

    def enough(count: Counts) -> npt.NDArray[np.bool_]:
        return np.asarray(crossings_a_week(count, hours, expected, dispersion) <= allowed)

    return _first(enough, least)


def _first(enough: Callable[[Counts], npt.NDArray[np.bool_]], least: Counts) -> Counts:
    """The smallest counts from `least` on that are enough, where all that follow are: by doubling, then bisection."""
    low = least.copy()
    high = low.copy()
    while not (done := enough(high)).all() and high.max() < _LARGEST_COUNT:
        high = np.where(done, high, high * 2)
    while (low < high).any():
        middle = (low + high) // 2
        done = enough(middle)
        high = np.where(done, middle, high)
        low = np.where(done, low, np.minimum(middle + 1, high))
    return high


def smallest_surge(expected: Floats, dispersion: Floats, hours: int, budget: Floats, rules: Rules) -> Counts:
    """The smallest count of each window that would be a surge of volume, were its series the only one that stirs."""
    least = considerable(expected, rules)
    if Detector.VOLUME not in rules.detectors:
        return np.full_like(least, _LARGEST_COUNT)
    part = rules.part(Detector.VOLUME)
    # Of the limit on the rate and the one on the share of false ones the stricter counts; both are rates here.
    # Nothing is known of who carries them: as many families as usual.
    allowed = rules.false_alerts_per_week * budget * part
    alone = rules.false_discovery_rate * budget * part
    most = tail(least, expected, dispersion)

    def enough(count: Counts) -> npt.NDArray[np.bool_]:
        # Above the mean each count is rarer than the one before it: the first that is as rare as a count is itself.
        rate = crossings_a_week(count, hours, expected, dispersion)
        per_week = _at_least_as_rare(rate, count, hours, expected, dispersion, least)
        return np.asarray((per_week <= allowed) & (rarer(tail(count, expected, dispersion), most) <= alone))

    return _first(enough, least)
