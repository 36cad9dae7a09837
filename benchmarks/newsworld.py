"""A simulator of sparse, restless, seasonal, syndicated news, with events of known size put in.

takes  a seed and `Assumptions`
gives  `World`: stories with the series they are about, when they came, whether they are negative, who carried them
never  knows what detects

What is assumed, and why:

- Series are sparse: 0.1 to 6 negative stories a day, log-uniform. On the replay of the first quarter of 2023 nine in
  ten companies, and half of the themes, lie in or below that range.
- News has hours and weekends: at night a seventh of the day's rate, at weekends 40 percent. Each series has a rhythm of
  its own on top, by up to 30 percent.
- Days are restless: how much is written about a series varies from day to day by 55 to 100 percent of its mean (squared
  coefficient 0.3 for a theme, 1 for a company, as measured on the replay before the crisis), how much of it is negative
  by 45 percent (measured: 0.2 to 0.3 for companies), and within a day by 60 percent from hour to hour (gamma factors).
- News clumps: one negative story in four is followed by another of the same matter within hours.
- Stories are syndicated: beside the first family on average 0.6 others carry one, three hours later in the mean; each
  carrier publishes it 1.3 times. An event's stories are carried by 1.2 others: what matters is picked up.
- Sources come and go: a fifth of the publisher families is silent for weeks at a time, and one in ten begins late.
- History is not clean: half of the series had an event of their own while the detectors were learning.
- An event adds 3 to 9 negative stories, or one to two and a half times a usual day where that is more, within about a
  day, most of them soon (delays are exponential with a mean of eight hours).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
HOURS_A_DAY = 24
# One negative story in five of a series follows another: the share by itself is so much lower.
_TONE = 0.8
MOST_NEGATIVE = 0.95
SMALLEST, LARGEST = 3, 9
TIMES_A_DAY = (1.0, 2.5)
EVENT_DELAY_HOURS = 8.0
PICKED_UP_HOURS = 3.0
FOLLOWED_HOURS = 3.0
# A Monday: `season` begins with one.
BEGUN = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """See the top of the file; rates a day, variations as squared coefficients."""

    series: int = 40
    days: int = 120
    learned_days: int = 60
    families: int = 16
    market_a_day: float = 300.0
    rate_low: float = 0.1
    rate_high: float = 6.0
    volume_by_day: tuple[float, float] = (0.3, 1.0)
    tone_by_day: float = 0.2
    clumps_by_hour: float = 0.36
    followed: float = 0.25
    more_families: float = 0.6
    more_families_event: float = 1.2
    copies: float = 1.3
    restless_sources: bool = True
    past_events: float = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """What was put in: so many negative stories in a series from an hour on."""

    series: int
    hour: int
    size: int


@dataclass(slots=True)
class Told:
    """Stories, one entry each: the series they are about (none: only the market), and (hour, family) of every copy."""

    about: list[tuple[int, ...]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    negative: list[bool] = field(default_factory=list)
    carried: list[list[tuple[float, int]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Truth:
    """What only the simulator knows of its series: for the oracle, and for nobody else.

    Attributes:
        mean: stories expected in each hour, given the market's, before anything restless, [series, hours].
        part: of these, negative ones, [series].
        volume: squared variation of the volume from day to day, [series].
    """

    mean: Floats
    part: Floats
    volume: Floats


@dataclass(frozen=True, slots=True)
class World:
    """A run of the simulator, or a real archive in its form, of which nobody knows the truth."""

    hours: int
    told: Told
    events: tuple[Event, ...]
    rates: Floats
    names: tuple[str, ...]
    begun: datetime
    truth: Truth | None = None

    def counted(self, series: int, *, copies: bool) -> Floats:
        """Negative stories of each hour, [series, hours]: distinct ones, or every copy of them."""
        counts = np.zeros((series, self.hours))
        told = self.told
        for about, at, negative, carried in zip(told.about, told.at, told.negative, told.carried, strict=True):
            if about and negative:
                for hour in [one for one, _ in carried] if copies else [at]:
                    if hour < self.hours:
                        counts[list(about), int(hour)] += 1
        return counts


def season(hours: int) -> Floats:
    """Rate of each hour relative to the mean; the first hour is a Monday's."""
    week = np.arange(hours) % 168
    shape = (1 + 0.75 * np.sin((week % 24 - 8) / 24 * 2 * np.pi)) * np.where(week >= 120, 0.4, 1.0)
    return np.asarray(shape / shape.mean())


def simulate(seed: int, assumed: Assumptions, events_a_series: int = 0) -> World:
    """One world; with the same seed the calm news is the same whatever events are put in."""
    calm, other = np.random.default_rng(seed), np.random.default_rng(seed + 10_000)
    hours = assumed.days * HOURS_A_DAY
    active = _active(calm, assumed, hours)
    weight = 1 / np.arange(1, assumed.families + 1)
    level = (active * weight[:, None]).sum(axis=0) / weight.sum()
    market = calm.poisson(assumed.market_a_day / 24 * season(hours) * level)
    rates = np.exp(calm.uniform(np.log(assumed.rate_low), np.log(assumed.rate_high), assumed.series))
    part = calm.uniform(0.1, 0.5, assumed.series)
    told = Told()
    carry = Carriers(calm, assumed, active, weight)
    about_anything = np.zeros(hours)
    mean, volume = np.zeros((assumed.series, hours)), np.zeros(assumed.series)
    for series in range(assumed.series):
        share = float(rates[series]) / float(part[series]) / assumed.market_a_day
        tilt = 1 + calm.uniform(0, 0.3) * np.sin((np.arange(hours) % 24 - calm.uniform(0, 24)) / 24 * 2 * np.pi)
        volume[series] = calm.uniform(*assumed.volume_by_day)
        mean[series] = market * share * tilt
        stories, negative = _calm(calm, assumed, mean[series], float(volume[series]), float(part[series]))
        about_anything += stories
        for hour in np.flatnonzero(stories):
            for number in range(int(stories[hour])):
                carry.tell(told, (series,), hour + calm.random(), number < negative[hour], assumed.more_families)
    for hour in range(hours):
        for _ in range(max(int(market[hour] - about_anything[hour]), 0)):
            carry.tell(told, (), hour + calm.random(), calm.random() < 0.12, assumed.more_families)
    events = planted_events(other, assumed, rates, events_a_series)
    loud = Carriers(other, assumed, active, weight)
    for event in [*_past(other, assumed, rates), *events]:
        for _ in range(event.size):
            at = event.hour + min(other.exponential(EVENT_DELAY_HOURS), 23.9) + other.random() * 0.1
            if at < hours:
                loud.tell(told, (event.series,), at, True, assumed.more_families_event)
    names = tuple(f"company:{one}" for one in range(assumed.series))
    return World(hours, told, events, rates, names, BEGUN, Truth(mean, part * _TONE, volume))


def _active(random: np.random.Generator, assumed: Assumptions, hours: int) -> Floats:
    active = np.ones((assumed.families, hours))
    if not assumed.restless_sources:
        return active
    for family in range(1, assumed.families):
        if random.random() < 0.1:
            active[family, : int(random.uniform(0.3, 0.8) * hours)] = 0
        elif random.random() < 0.4:
            begin = int(random.uniform(0.2, 0.9) * hours)
            active[family, begin : begin + int(random.uniform(7, 28) * 24)] = 0
    return active


def _calm(
    random: np.random.Generator, assumed: Assumptions, mean: Floats, volume: float, part: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    hours = len(mean)

    def restless(spread: float, length: int) -> Floats:
        return np.repeat(random.gamma(1 / spread, spread, -(-hours // length)), length)[:hours]

    mean = mean * restless(volume, 24) * restless(assumed.clumps_by_hour, 1)
    stories = random.poisson(mean)
    negative = random.binomial(stories, np.minimum(part * restless(assumed.tone_by_day, 24) * _TONE, MOST_NEGATIVE))
    for hour in np.flatnonzero(negative):
        for _ in range(int(random.binomial(int(negative[hour]), assumed.followed))):
            later = hour + int(random.exponential(FOLLOWED_HOURS))
            if later < hours:
                stories[later] += 1
                negative[later] += 1
    return stories, negative


class Carriers:
    """Who carries a story, and when."""

    def __init__(self, random: np.random.Generator, assumed: Assumptions, active: Floats, weight: Floats) -> None:
        self._random, self._assumed, self._active, self._weight = random, assumed, active, weight

    def tell(self, told: Told, about: tuple[int, ...], at: float, negative: bool, more: float) -> None:
        random = self._random
        awake = self._active[:, int(at)] * self._weight
        families = min(1 + int(random.negative_binomial(1, 1 / (1 + more))), int((awake > 0).sum()))
        chosen = random.choice(len(awake), families, replace=False, p=awake / awake.sum())
        carried: list[tuple[float, int]] = []
        for place, family in enumerate(chosen):
            first = at if place == 0 else at + random.exponential(PICKED_UP_HOURS)
            carried.append((first, int(family)))
            again = int(random.geometric(1 / self._assumed.copies)) - 1
            carried += [(first + random.exponential(2.0), int(family)) for _ in range(again)]
        told.about.append(about)
        told.at.append(float(at))
        told.negative.append(bool(negative))
        told.carried.append(carried)


def planted_events(random: np.random.Generator, assumed: Assumptions, rates: Floats, each: int) -> tuple[Event, ...]:
    """Events while detectors are live, at least eight days apart in a series."""
    found = []
    room = (assumed.days - assumed.learned_days - 2) // max(each, 1)
    for series, rate in enumerate(rates):
        for number in range(each):
            day = assumed.learned_days + number * room + random.uniform(0, max(room - 8, 0.5))
            found.append(Event(series, int(day * 24), _size(random, float(rate))))
    return tuple(found)


def _past(random: np.random.Generator, assumed: Assumptions, rates: Floats) -> list[Event]:
    days = random.uniform(10, assumed.learned_days - 10, len(rates))
    had = random.random(len(rates)) < assumed.past_events
    return [
        Event(series, int(days[series] * 24), _size(random, float(rate)))
        for series, rate in enumerate(rates)
        if had[series]
    ]


def _size(random: np.random.Generator, rate: float) -> int:
    return int(max(random.integers(SMALLEST, LARGEST + 1), round(rate * random.uniform(*TIMES_A_DAY))))
