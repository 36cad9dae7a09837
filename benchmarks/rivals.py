"""The usual ways to find surges in counts, as people use them, to be compared with Squall's decision.

takes  negative counts by hour, [series, hours]
gives  a score for each series and hour: the higher, the more of a surge; a threshold on it makes a detector
never  looks ahead: a score uses that hour and those before

Each rival comes in several settings (window lengths, constants): the benchmark gives each the one that serves it best.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
WEEK = 168
BASELINE = 28 * 24
LENGTHS = (3, 12, 24)


def rolled(counts: Floats, hours: int) -> Floats:
    """Sum of the last `hours` hours at each hour; fewer at the beginning."""
    sums = np.concatenate([np.zeros((len(counts), 1)), counts.cumsum(axis=1)], axis=1)
    ends = np.arange(1, counts.shape[1] + 1)
    return np.asarray(sums[:, ends] - sums[:, np.maximum(ends - hours, 0)])


def before(values: Floats, hours: int) -> Floats:
    """The value so many hours ago; the first one before that."""
    return np.asarray(values[:, np.maximum(np.arange(values.shape[1]) - hours, 0)])


def rivals(counts: Floats) -> Iterator[tuple[str, str, Floats]]:
    """Name, setting and scores of every rival in every setting."""
    for hours in LENGTHS:
        now = rolled(counts, hours)
        past = before(now, hours)
        span = np.minimum(np.arange(counts.shape[1]) + 1, BASELINE)
        mean = rolled(past, BASELINE) / span
        deviation = np.sqrt(np.maximum(rolled(past**2, BASELINE) / span - mean**2, 0))
        yield "previous window ratio", f"{hours} h", (now + 0.5) / (past + 0.5)
        yield "ratio to 7-day mean", f"{hours} h", (now + 0.1) / (rolled(past, WEEK) / np.minimum(span, WEEK) + 0.1)
        yield "mean + k sigma", f"{hours} h", (now - mean) / np.maximum(deviation, 0.3)
        yield "median/MAD z", f"{hours} h", _median_z(now, hours)
        usual = _seasonal(counts, hours)
        yield "seasonal Poisson", f"{hours} h", -_log_poisson_tail(now, usual)
    for keep in (0.05, 0.1, 0.3):
        yield "EWMA z", f"lambda {keep}", _ewma(counts, keep)
    for rise in (2.0, 4.0, 8.0):
        yield "NB-CUSUM", f"rise {rise:g}", _cusum(counts, rise)
    for hazard in (1 / (60 * 24), 1 / (7 * 24)):
        yield "Bayesian online change point", f"hazard 1/{round(1 / hazard)} h", _change_point(counts, hazard)


def _median_z(now: Floats, hours: int) -> Floats:
    """Against the same window at the last 28 days' ends at this hour."""
    days = np.stack([before(now, hours + 24 * day) for day in range(28)])
    middle = np.median(days, axis=0)
    spread = 1.4826 * np.median(np.abs(days - middle), axis=0)
    return np.asarray((now - middle) / np.maximum(spread, 0.5))


def _seasonal(counts: Floats, hours: int) -> Floats:
    """Expected count of the last `hours` hours: the mean of 28 days by hour of day, and of the weekday class."""
    level = before(rolled(counts, BASELINE) / np.minimum(np.arange(counts.shape[1]) + 1, BASELINE), hours)
    hour = np.arange(counts.shape[1])
    cell = hour % 24 + 24 * (hour % WEEK >= 120)
    # The rhythm of all series together, and of the whole run: more than a rival could know, and to its advantage.
    pooled = counts.sum(axis=0)
    shape = np.array([pooled[cell == one].mean() for one in range(48)]) / max(pooled.mean(), 1e-9)
    return np.asarray(level * rolled(np.broadcast_to(shape[cell], counts.shape).copy(), hours) + 0.02)


def _log_poisson_tail(count: Floats, mean: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(special.gammainc(np.maximum(count, 1e-9), mean), 1e-300)))


def _ewma(counts: Floats, keep: float) -> Floats:
    span = np.minimum(np.arange(counts.shape[1]) + 1, BASELINE)
    mean = before(rolled(counts, BASELINE) / span, 24)
    deviation = np.sqrt(np.maximum(before(rolled(counts**2, BASELINE) / span, 24) - mean**2, 0))
    level = np.zeros(len(counts))
    scores = np.zeros_like(counts)
    for hour in range(counts.shape[1]):
        level = keep * counts[:, hour] + (1 - keep) * level
        scores[:, hour] = level
    return np.asarray((scores - mean) / np.maximum(deviation * np.sqrt(keep / (2 - keep)), 0.02))


def _cusum(counts: Floats, rise: float) -> Floats:
    mean = _seasonal(counts, 1)
    past = before(rolled((counts - mean) ** 2 - mean, BASELINE) / np.maximum(rolled(mean**2, BASELINE), 1e-9), 24)
    spread = np.clip(past, 0.1, 5.0)
    ratio = counts * np.log(rise) - (1 / spread + counts) * (np.log1p(spread * rise * mean) - np.log1p(spread * mean))
    total = np.zeros(len(counts))
    scores = np.zeros_like(counts)
    for hour in range(counts.shape[1]):
        # Held at twice a usual threshold, so that one event does not sound for a week.
        total = np.clip(total + ratio[:, hour], 0.0, 12.0)
        scores[:, hour] = total
    return scores


def _change_point(counts: Floats, hazard: float, longest: int = 14 * 24) -> Floats:
    """Adams and MacKay 2007 with a gamma-Poisson model: log odds that the rate rose within the last day."""
    series, hours = counts.shape
    prior_shape = np.full(series, 0.5)
    weights = np.zeros((series, longest + 1))
    weights[:, 0] = 1
    shape, rate = np.full((series, longest + 1), 0.5), np.full((series, longest + 1), 24.0)
    scores = np.zeros_like(counts)
    level = before(rolled(counts, BASELINE) / np.minimum(np.arange(hours) + 1, BASELINE), 24)
    for hour in range(hours):
        seen = counts[:, hour : hour + 1]
        # Predictive law of a gamma-Poisson count is negative binomial.
        log = (
            special.gammaln(seen + shape)
            - special.gammaln(shape)
            - special.gammaln(seen + 1)
            + shape * np.log(rate / (rate + 1))
            - seen * np.log(rate + 1)
        )
        grown = weights * np.exp(log)
        fresh = (grown * hazard).sum(axis=1)
        grown = grown * (1 - hazard)
        weights[:, 1:] = grown[:, :-1]
        weights[:, -1] += grown[:, -1]
        weights[:, 0] = fresh
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
        shape[:, 1:], rate[:, 1:] = shape[:, :-1] + seen, rate[:, :-1] + 1
        shape[:, 0], rate[:, 0] = prior_shape, 24.0
        higher = shape[:, :25] / rate[:, :25] > 2 * level[:, hour : hour + 1]
        risen = np.clip((weights[:, :25] * higher).sum(axis=1), 1e-12, 1 - 1e-12)
        scores[:, hour] = np.log(risen / (1 - risen))
    return scores
