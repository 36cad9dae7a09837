"""What is usual for a series: its rate, its seasons, and how restless it is.

takes  hourly counts of negative stories and of the other stories of the market, and which hours may be learned from
gives  `Baseline`: rate and seasonal factors, dispersion and certainty for any window length
never  sees the hours that are being judged, and never lets one series change another's baseline

Arrays have one row a series and one column an hour. The formulas and their sources are in docs/detection.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from alerts.detection.surprise import HOURS_A_WEEK, Floats, tail

Mask = npt.NDArray[np.bool_]
Slots = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]

HOURS_A_DAY = 24
_WEEKEND = 5 * HOURS_A_DAY
# A cell of the week needs this many expected stories to be believed half: its own share is then known to about 20 %.
_SEASON_STRENGTH = 25.0
# Before it has shown otherwise a series is taken to vary from day to day by about two thirds of its mean
# (0.5 = 0.7^2); that belief weighs as much as ten windows of one expected story.
PRIOR_DISPERSION = 0.5
_PRIOR_STRENGTH = 10.0
# Jeffreys' prior of a Poisson rate: half a story that was never seen.
PRIOR_STORIES = 0.5
# One day in five may be an event: a crisis of a week in a month is still seen as one.
_SUSPECT_DAYS = 5
# A past day less probable than this was an event, not the norm (the reweighting of Noufaily et al. 2013).
_EVENT_PROBABILITY = 0.005


@dataclass(frozen=True)
class Told:
    """The counts that are learned from, with their running sums: every fit and window length asks for those.

    Attributes:
        negative, others: stories, [series, hours].
    """

    negative: Floats
    others: Floats

    @cached_property
    def negatives(self) -> Floats:
        """Running sums of the negative ones, [series, hours + 1]."""
        return running(self.negative)

    @cached_property
    def exposures(self) -> Floats:
        """Running sums of the others, [series, hours + 1]."""
        return running(self.others)

    def rows(self, which: Rows) -> Told:
        """Those of some series."""
        told = Told(self.negative[which], self.others[which])
        for name in ("negatives", "exposures"):
            if name in self.__dict__:
                told.__dict__[name] = self.__dict__[name][which]
        return told


@dataclass(frozen=True)
class Baseline:
    """What was learned; arrays have one row a series.

    Attributes:
        rate: negative stories per other story of the market, [series].
        factors: seasonal factor of every hour of the grid, [series, hours]; about 1 on average.
        stories: negative stories that the rate rests on, down-weighted ones counted by weight, [series].
        told: the counts learned from.
        weights: how far each hour is believed, 0 to 1; 0 outside the baseline, [series, hours].
    """

    rate: Floats
    factors: Floats
    stories: Floats
    told: Told
    weights: Floats

    @property
    def others(self) -> Floats:
        """Other stories of the market, [series, hours]."""
        return self.told.others

    @cached_property
    def _weights(self) -> Floats:
        return running(self.weights)

    @cached_property
    def _weighed(self) -> Floats:
        return running(self.others * self.factors)

    def rows(self, which: Rows) -> Baseline:
        """That of some series: no series has a say in another's."""
        return Baseline(
            self.rate[which], self.factors[which], self.stories[which], self.told.rows(which), self.weights[which]
        )

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
        uncertain = self.uncertainty(restless, hours)
        return np.asarray(restless + uncertain * (1 + restless) + 1 / (self.others[:, -hours:].sum(axis=1) + 1))

    def uncertainty(self, restless: Floats, hours: int) -> Floats:
        """How far the learned rate may be off, as a squared coefficient of variation, [series]."""
        spans = np.maximum((self.weights > 0).sum(axis=1) / hours, 1.0)
        return np.asarray(1 / (self.stories + PRIOR_STORIES) + restless / spans)

    def restlessness(self, hours: int) -> Floats:
        """Dispersion between past windows of that length, by moments, drawn towards the prior when data is thin."""
        mean = self.rate[:, None] * self.weighed(hours)
        excess = (sliding(self.told.negatives, hours) - mean) ** 2 - mean
        excess -= mean**2 / (sliding(self.told.exposures, hours) + 1)
        return drawn(excess, mean**2, self.believed(hours), hours, PRIOR_DISPERSION)

    def weighed(self, hours: int) -> Floats:
        """Exposure of every window of that length by the season, plus one, [series, columns - hours + 1]."""
        return sliding(self._weighed, hours) + 1

    def believed(self, hours: int) -> Floats:
        """How far every window of that length is believed, 0 to 1, [series, columns - hours + 1]."""
        # A window is believed as little as the least believed day in it: half an event is none of the usual.
        first, last = self.weights[:, : -hours + 1 or None], self.weights[:, hours - 1 :]
        return np.asarray(np.minimum(np.minimum(first, last), sliding(self._weights, hours) / hours))


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
    told = Told(negative, others)
    fit = _fit(told, usable.astype(np.float64), slots)
    days = _daily(usable * negative)
    # Where no day holds an event no day is left out or doubted, and each further fit would be the first again.
    eventful = np.flatnonzero((days >= minimum_event).any(axis=1))
    if not eventful.size:
        return fit
    if eventful.size == len(negative):
        return _doubting(fit, days, usable, slots, minimum_event)
    part = _doubting(fit.rows(eventful), days[eventful], usable[eventful], slots, minimum_event)
    for whole, some in ((fit.rate, part.rate), (fit.stories, part.stories), (fit.factors, part.factors)):
        whole[eventful] = some
    fit.weights[eventful] = part.weights
    return fit


def exposure(others: Floats, factors: Floats) -> Floats:
    """Seasonally weighted number of other stories, plus one, [series].

    Plus one: the negative stories seen before the (n + 1)th other story have mean (n + 1) * odds. So an hour in which
    *every* story is negative still has an exposure, and a surge never inflates its own.
    """
    # One after the other, so that the sum does not hang on how the array lies in memory.
    mean = np.cumsum(factors, axis=1)[:, -1] / factors.shape[1]
    return np.asarray((others * factors).sum(axis=1) + mean)


def drawn(excess: Floats, information: Floats, weight: Floats, hours: int, prior: float) -> Floats:
    """A dispersion by moments, drawn towards a prior where there is little to tell it by, [series]; 0 or more.

    Args:
        excess: of each past window, by how much its squared error exceeds what is explained, [series, windows].
        information: by how much it would for a dispersion of one, in the same shape.
        weight: how far each window is believed, 0 to 1, in the same shape.
        hours: of a window. Those that overlap tell the same thing again: so many weigh as one.
        prior: what is believed of a series without news.
    """
    seen, known = (weight * excess).sum(axis=1) / hours, (weight * information).sum(axis=1) / hours
    return np.asarray(np.maximum((seen + _PRIOR_STRENGTH * prior) / (known + _PRIOR_STRENGTH), 0.0))


def running(values: Floats) -> Floats:
    """Sums from the first column on, 0 before it, [series, columns + 1]."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def sliding(sums: Floats, hours: int) -> Floats:
    """Sums over `hours` consecutive columns, of running sums, [series, columns - hours + 1]."""
    return np.asarray(sums[:, hours:] - sums[:, :-hours])


def _doubting(fit: Baseline, days: Floats, usable: Mask, slots: Slots, minimum_event: int) -> Baseline:
    """The fits after the first: without the suspects, then with each day as far as it is believed."""
    others = _daily(usable * fit.others)
    suspects = _suspects(fit, days, usable, minimum_event)
    fit = _fit(fit.told, (usable & ~suspects).astype(np.float64), slots)
    for _ in range(2):
        fit = _fit(fit.told, usable * _beliefs(fit, days, others, usable, minimum_event), slots)
    return fit


def _fit(told: Told, weights: Floats, slots: Slots) -> Baseline:
    seen, exposed = weights * told.negative, weights * told.others
    stories = seen.sum(axis=1)
    rate = (stories + PRIOR_STORIES) / (exposed.sum(axis=1) + 1)
    factors = _seasons(seen, np.multiply(exposed, rate[:, None], out=exposed), slots)
    return Baseline(rate, factors, stories, told, weights)


def _seasons(seen: Floats, expected: Floats, slots: Slots) -> Floats:
    """Seasonal factor of every column: overall, then hour of day by weekday or weekend, then hour of week.

    Each level is drawn towards the coarser one, by a Gamma prior, as far as its cells are thin.
    """
    seen, expected = _by_slot(seen, slots), _by_slot(expected, slots)
    hour_of_week = np.arange(HOURS_A_WEEK)
    coarse = hour_of_week % HOURS_A_DAY + HOURS_A_DAY * (hour_of_week >= _WEEKEND)
    daily = _drawn(_by_kind_of_day(seen), _by_kind_of_day(expected))[:, coarse]
    weekly = daily * _drawn(seen, expected * daily)
    return np.asarray(np.take(weekly, slots, axis=1))


def _by_kind_of_day(values: Floats) -> Floats:
    """Of sums over the hours of the week, sums over the hours of a weekday, then of a day at the weekend."""
    kinds = (values[:, :_WEEKEND], values[:, _WEEKEND:])
    return np.concatenate([one.reshape(len(one), -1, HOURS_A_DAY).sum(axis=1) for one in kinds], axis=1)


def _drawn(seen: Floats, expected: Floats) -> Floats:
    return (seen + _SEASON_STRENGTH) / (expected + _SEASON_STRENGTH)


def _by_slot(values: Floats, slots: Slots) -> Floats:
    """Sums over the hours of the week, [series, 168]: columns are consecutive hours, so weeks stack."""
    sums = np.zeros((len(values), HOURS_A_WEEK))
    begin, lead = 0, int(slots[0])
    while begin < values.shape[1]:
        week = values[:, begin : begin + HOURS_A_WEEK - lead]
        sums[:, lead : lead + week.shape[1]] += week
        begin, lead = begin + week.shape[1], 0
    return sums


def _suspects(fit: Baseline, days: Floats, usable: Mask, minimum_event: int) -> Mask:
    """The hours of the days furthest above the mean, one day in `_SUSPECT_DAYS`, [series, hours]."""
    excess = np.where(days >= minimum_event, days - _usual(fit, usable), -np.inf)
    allowed = (_daily(usable) > 0).sum(axis=1) // _SUSPECT_DAYS
    rank = np.argsort(np.argsort(-excess, axis=1, kind="stable"), axis=1, kind="stable")
    suspect = (rank < allowed[:, None]) & (excess > 0)
    return np.asarray(_hourly(suspect, usable.shape[1]))


def _beliefs(fit: Baseline, days: Floats, others: Floats, usable: Mask, minimum_event: int) -> Floats:
    """How far each hour is believed, [series, hours]: the root of how improbable its day is, where that is an event."""
    restless = np.maximum(fit.restlessness(HOURS_A_DAY), PRIOR_DISPERSION)[:, None]
    probability = tail(days, _usual(fit, usable), restless + 1 / (others + 1))
    event = (days >= minimum_event) & (probability < _EVENT_PROBABILITY)
    return _hourly(np.where(event, np.sqrt(probability / _EVENT_PROBABILITY), 1.0), usable.shape[1])


def _usual(fit: Baseline, usable: Mask) -> Floats:
    """Negative stories expected of each day, [series, days]."""
    return np.asarray(fit.rate[:, None] * (_daily(usable * fit.others * fit.factors) + 1))


def _daily(values: npt.NDArray[Any]) -> Floats:
    """Sums over 24 columns, counted back from the last, [series, days]."""
    rest = values.shape[1] % HOURS_A_DAY
    whole = values[:, rest:].reshape(len(values), -1, HOURS_A_DAY).sum(axis=2, dtype=np.float64)
    if not rest:
        return np.asarray(whole)
    # Padded as a whole day is, so that its hours are added up in the same order.
    first = np.pad(values[:, :rest], ((0, 0), (HOURS_A_DAY - rest, 0)))
    return np.concatenate([first.sum(axis=1, dtype=np.float64)[:, None], whole], axis=1)


def _hourly(days: npt.NDArray[Any], columns: int) -> npt.NDArray[Any]:
    """Each day's value in all of its hours, [series, columns]."""
    return np.asarray(np.repeat(days, HOURS_A_DAY, axis=1)[:, -columns:])
