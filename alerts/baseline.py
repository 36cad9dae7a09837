"""What is usual for a series: its rate, its seasons, and how restless it is.

takes  hourly counts of negative stories and of the other stories of the market, and which hours may be learned from
gives  `Baseline`: rate and seasonal factors, dispersion and certainty for any window length
never  sees the hours that are being judged, and never lets one series change another's baseline

Arrays have one row a series and one column an hour. The formulas and their sources are in docs/detection.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alerts.surprise import HOURS_A_WEEK, Floats, tail

Mask = npt.NDArray[np.bool_]
Slots = npt.NDArray[np.int64]

HOURS_A_DAY = 24
# A cell of the week needs this many expected stories to be believed half: its own share is then known to about 20 %.
_SEASON_STRENGTH = 25.0
# Before it has shown otherwise a series is taken to vary from day to day by about two thirds of its mean
# (0.5 = 0.7^2); that belief weighs as much as ten windows of one expected story.
_PRIOR_DISPERSION = 0.5
_PRIOR_STRENGTH = 10.0
# Jeffreys' prior of a Poisson rate: half a story that was never seen.
_PRIOR_STORIES = 0.5
# One day in five may be an event: a crisis of a week in a month is still seen as one.
_SUSPECT_DAYS = 5
# A past day less probable than this was an event, not the norm (the reweighting of Noufaily et al. 2013).
_EVENT_PROBABILITY = 0.005


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was learned; arrays have one row a series.

    Attributes:
        rate: negative stories per other story of the market, [series].
        factors: seasonal factor of every hour of the grid, [series, hours]; about 1 on average.
        stories: negative stories that the rate rests on, down-weighted ones counted by weight, [series].
        negative, others: the counts learned from, [series, hours].
        weights: how far each hour is believed, 0 to 1; 0 outside the baseline, [series, hours].
    """

    rate: Floats
    factors: Floats
    stories: Floats
    negative: Floats
    others: Floats
    weights: Floats

    def expected(self, hours: int) -> Floats:
        """Expected negative stories in the last `hours` columns of the grid, [series]."""
        return self.rate * exposure(self.others[:, -hours:], self.factors[:, -hours:])

    def expected_by_day(self, days: int) -> Floats:
        """Expected negative stories in each of the last stretches of 24 columns, oldest first, [series, days]."""
        columns = days * HOURS_A_DAY
        weighed = self.others[:, -columns:] * self.factors[:, -columns:]
        return np.asarray(self.rate[:, None] * (weighed.reshape(len(weighed), days, HOURS_A_DAY).sum(axis=2) + 1))

    def dispersion(self, hours: int) -> Floats:
        """Dispersion of what the last `hours` columns would hold on a usual day, [series].

        The sum of three sources: restlessness of the series between windows of that length, uncertainty of its rate,
        and chance in the exposure itself.
        """
        restless = self.restlessness(hours)
        spans = np.maximum((self.weights > 0).sum(axis=1) / hours, 1.0)
        uncertain = 1 / (self.stories + _PRIOR_STORIES) + restless / spans
        return np.asarray(restless + uncertain * (1 + restless) + 1 / (self.others[:, -hours:].sum(axis=1) + 1))

    def restlessness(self, hours: int) -> Floats:
        """Dispersion between past windows of that length, by moments, drawn towards the prior when data is thin."""
        # A window is believed as little as the least believed day in it: half an event is none of the usual.
        first, last = self.weights[:, : -hours + 1 or None], self.weights[:, hours - 1 :]
        weight = np.minimum(np.minimum(first, last), sliding(self.weights, hours) / hours)
        others = sliding(self.others, hours) + 1
        mean = self.rate[:, None] * (sliding(self.others * self.factors, hours) + 1)
        excess = (sliding(self.negative, hours) - mean) ** 2 - mean - mean**2 / others
        # Windows that overlap tell the same thing again: `hours` of them weigh as one.
        seen = (weight * excess).sum(axis=1) / hours
        information = (weight * mean**2).sum(axis=1) / hours
        estimate = (seen + _PRIOR_STRENGTH * _PRIOR_DISPERSION) / (information + _PRIOR_STRENGTH)
        return np.asarray(np.maximum(estimate, 0.0))


def learn(negative: Floats, others: Floats, usable: Mask, slots: Slots, minimum_event: int) -> Baseline:
    """Learn rates and seasons, believing past events little.

    The start leaves out the days furthest above the mean, lest an event hide itself in the rate and the restlessness
    that it raises. Then each day is believed as far as the fit finds it probable, twice: the second time with what
    is restless but no event back in.

    Args:
        negative: distinct negative stories, [series, hours].
        others: stories of the market that are not among them, [series, hours].
        usable: which hours may be learned from, [series, hours].
        slots: hour of the week of every column, 0 (Monday, 0 h UTC) to 167, [hours].
        minimum_event: fewest stories in a day that can be an event; a sparse series' only story is no outlier.
    """
    fit = _fit(negative, others, usable.astype(np.float64), slots)
    suspects = _suspects(fit, usable, minimum_event)
    fit = _fit(negative, others, (usable & ~suspects).astype(np.float64), slots)
    for _ in range(2):
        fit = _fit(negative, others, usable * _beliefs(fit, usable, minimum_event), slots)
    return fit


def exposure(others: Floats, factors: Floats) -> Floats:
    """Seasonally weighted number of other stories, plus one, [series].

    Plus one: the negative stories seen before the (n + 1)th other story have mean (n + 1) * odds. So an hour in which
    *every* story is negative still has an exposure, and a surge never inflates its own.
    """
    return np.asarray((others * factors).sum(axis=1) + factors.mean(axis=1))


def sliding(values: Floats, hours: int) -> Floats:
    """Sums over `hours` consecutive columns, [series, columns - hours + 1]."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return np.asarray(sums[:, hours:] - sums[:, :-hours])


def _fit(negative: Floats, others: Floats, weights: Floats, slots: Slots) -> Baseline:
    stories = (weights * negative).sum(axis=1)
    rate = (stories + _PRIOR_STORIES) / ((weights * others).sum(axis=1) + 1)
    factors = _seasons(weights * negative, weights * others * rate[:, None], slots)
    return Baseline(rate, factors, stories, negative, others, weights)


def _seasons(seen: Floats, expected: Floats, slots: Slots) -> Floats:
    """Seasonal factor of every column: overall, then hour of day by weekday or weekend, then hour of week.

    Each level is drawn towards the coarser one, by a Gamma prior, as far as its cells are thin.
    """
    seen, expected = _by_slot(seen, slots), _by_slot(expected, slots)
    hour_of_week = np.arange(HOURS_A_WEEK)
    coarse = hour_of_week % HOURS_A_DAY + HOURS_A_DAY * (hour_of_week >= 5 * HOURS_A_DAY)
    member = (coarse[:, None] == np.arange(2 * HOURS_A_DAY)).astype(np.float64)
    daily = _drawn(seen @ member, expected @ member)[:, coarse]
    weekly = daily * _drawn(seen, expected * daily)
    return np.asarray(weekly[:, slots])


def _drawn(seen: Floats, expected: Floats) -> Floats:
    return (seen + _SEASON_STRENGTH) / (expected + _SEASON_STRENGTH)


def _by_slot(values: Floats, slots: Slots) -> Floats:
    """Sums over the hours of the week, [series, 168]: columns are consecutive hours, so weeks stack."""
    lead = int(slots[0])
    padded = np.pad(values, ((0, 0), (lead, -(lead + values.shape[1]) % HOURS_A_WEEK)))
    return np.asarray(padded.reshape(len(values), -1, HOURS_A_WEEK).sum(axis=1))


def _suspects(fit: Baseline, usable: Mask, minimum_event: int) -> Mask:
    """The hours of the days furthest above the mean, one day in `_SUSPECT_DAYS`, [series, hours]."""
    seen, mean, _ = _days(fit, usable)
    excess = np.where(seen >= minimum_event, seen - mean, -np.inf)
    allowed = (_daily(usable) > 0).sum(axis=1) // _SUSPECT_DAYS
    rank = np.argsort(np.argsort(-excess, axis=1, kind="stable"), axis=1, kind="stable")
    suspect = (rank < allowed[:, None]) & (excess > 0)
    return np.asarray(_hourly(suspect, usable.shape[1]))


def _beliefs(fit: Baseline, usable: Mask, minimum_event: int) -> Floats:
    """How far each hour is believed, [series, hours]: the root of how improbable its day is, where that is an event."""
    seen, mean, others = _days(fit, usable)
    restless = np.maximum(fit.restlessness(HOURS_A_DAY), _PRIOR_DISPERSION)[:, None]
    probability = tail(seen, mean, restless + 1 / (others + 1))
    event = (seen >= minimum_event) & (probability < _EVENT_PROBABILITY)
    return _hourly(np.where(event, np.sqrt(probability / _EVENT_PROBABILITY), 1.0), usable.shape[1])


def _days(fit: Baseline, usable: Mask) -> tuple[Floats, Floats, Floats]:
    """Negative stories seen and expected, and other stories, of each day, [series, days]."""
    mean = fit.rate[:, None] * (_daily(usable * fit.others * fit.factors) + 1)
    return _daily(usable * fit.negative), mean, _daily(usable * fit.others)


def _daily(values: npt.NDArray[Any]) -> Floats:
    """Sums over 24 columns, counted back from the last, [series, days]."""
    padded = np.pad(values, ((0, 0), (-values.shape[1] % HOURS_A_DAY, 0)))
    return np.asarray(padded.reshape(len(values), -1, HOURS_A_DAY).sum(axis=2, dtype=np.float64))


def _hourly(days: npt.NDArray[Any], columns: int) -> npt.NDArray[Any]:
    """Each day's value in all of its hours, [series, columns]."""
    return np.asarray(np.repeat(days, HOURS_A_DAY, axis=1)[:, -columns:])
