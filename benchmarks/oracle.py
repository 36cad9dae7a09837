"""What could be found at all: a detector that knows all that the simulator knows, but for its dice.

takes  a simulated `World`, whose truth is known
gives  a score for each series and hour: the logarithm of how much better an event explains what was seen than none
never  looks ahead, and never knows which story is whose

Known are each series' rate by the hour, how restless its days, hours and tone are, how news clumps, the law of the
events' sizes and delays, and by how many more families their stories are carried. Unknown are what the dice gave: the
day's volume and tone (integrated by Gauss-Laguerre quadrature), when an event began, how large it is, and which stories
are its own (summed out exactly). By Neyman and Pearson a threshold on this ratio, the same for all series, finds the
most for its false alarms. Two things are taken more simply than they are, so it may fall short of the best by a little:
a story that follows another is expected as if any negative one were followed, and families that sleep still count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from newsworld import (
    EVENT_DELAY_HOURS,
    FOLLOWED_HOURS,
    HOURS_A_DAY,
    LARGEST,
    MOST_NEGATIVE,
    PICKED_UP_HOURS,
    SMALLEST,
    TIMES_A_DAY,
    Assumptions,
    World,
)
from scipy import special

Floats = npt.NDArray[np.float64]
# An event is over after 24 hours, and found too late soon after: it may have begun so many hours ago.
_ONSETS = 26
_VOLUMES, _TONES = 8, 5
_LEAST = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one series: negative and other stories by hour, and when further families took up each negative one."""

    negative: npt.NDArray[np.int64]
    other: npt.NDArray[np.int64]
    stories: dict[int, list[tuple[float, list[float]]]]


@dataclass(frozen=True, slots=True)
class Days:
    """What a day may be like, [kinds of days]: factors on volume, shares of negative stories, and how probable."""

    volume: Floats
    share: Floats
    weight: Floats


def oracle(world: World, assumed: Assumptions, first: int) -> Floats:
    """Scores of every series from an hour on, [series, hours].

    Raises:
        ValueError: when the world is a real one.
    """
    if world.truth is None:
        raise ValueError("an oracle needs a simulated world: of a real one nobody knows the truth")
    scores = np.full((len(world.names), world.hours), -np.inf)
    for series, seen in enumerate(_seen(world)):
        truth = world.truth
        days = _days(float(truth.volume[series]), float(truth.part[series]), assumed)
        sizes = _sizes(float(world.rates[series]))
        calm = _calm_hours(seen, truth.mean[series], days, assumed)
        past = np.concatenate([[0], seen.negative.cumsum()])
        for hour in range(first, world.hours):
            if past[hour + 1] - past[hour + 1 - _ONSETS] >= _LEAST:
                scores[series, hour] = _ratio(hour, seen, calm, days, sizes, assumed)
    return scores


def _seen(world: World) -> list[Seen]:
    found = [Seen(np.zeros(world.hours, int), np.zeros(world.hours, int), {}) for _ in world.names]
    told = world.told
    for about, at, negative, carried in zip(told.about, told.at, told.negative, told.carried, strict=True):
        hour = int(at)
        if hour >= world.hours:
            continue
        firsts: dict[int, float] = {}
        for when, family in carried:
            firsts[family] = min(when, firsts.get(family, np.inf))
        for series in about:
            (found[series].negative if negative else found[series].other)[hour] += 1
            if negative:
                found[series].stories.setdefault(hour, []).append((at, sorted(firsts.values())[1:]))
    return found


def _days(volume: float, part: float, assumed: Assumptions) -> Days:
    (volumes, often), (tones, apart) = (
        special.roots_genlaguerre(count, 1 / spread - 1)
        for count, spread in ((_VOLUMES, volume), (_TONES, assumed.tone_by_day))
    )
    share = np.minimum(part * tones * assumed.tone_by_day, MOST_NEGATIVE)
    return Days(
        np.repeat(volumes * volume, _TONES),
        np.tile(share, _VOLUMES),
        np.outer(often / often.sum(), apart / apart.sum()).ravel(),
    )


def _sizes(rate: float) -> Floats:
    """How probable an event of each size is, [sizes from 0]."""
    times = np.linspace(*TIMES_A_DAY, 1001)
    by_rate = np.round(rate * times).astype(int)
    found = np.zeros(max(LARGEST, int(by_rate.max())) + 1)
    for least in range(SMALLEST, LARGEST + 1):
        np.add.at(found, np.maximum(by_rate, least), 1.0)
    return np.asarray(found / found.sum())


def _calm_hours(seen: Seen, mean: Floats, days: Days, assumed: Assumptions) -> list[Floats]:
    """Of each hour: probability of 0, 1, ... calm negative stories beside the others seen, [kinds of days, counts]."""
    followed = assumed.followed * np.exp(-1 / FOLLOWED_HOURS) ** np.arange(48) * (1 - np.exp(-1 / FOLLOWED_HOURS))
    behind = np.convolve(seen.negative, np.concatenate([[0], followed[1:]]))[: len(mean)]
    size = 1 / assumed.clumps_by_hour
    return [
        _calm_hour(int(seen.negative[hour]), int(seen.other[hour]), mean[hour], behind[hour], followed[0], size, days)
        for hour in range(len(mean))
    ]


def _calm_hour(
    negative: int, other: int, mean: float, behind: float, at_once: float, size: float, days: Days
) -> Floats:
    own = np.arange(negative + 1)
    level, share = np.maximum(mean * days.volume, 1e-12)[:, None], days.share[:, None]
    logs = (
        special.gammaln(own + other + size)
        - special.gammaln(size)
        - special.gammaln(own + 1)
        - special.gammaln(other + 1)
        + size * np.log(size / (size + level))
        + (own + other) * np.log(level / (size + level))
        + own * np.log(share)
        + other * np.log1p(-share)
    )
    # Some are followed within the hour; others follow what was told before.
    more = np.subtract.outer(own, own)  # [all, own]
    within = special.binom(own[None, :], np.maximum(more, 0)) * at_once ** np.maximum(more, 0)
    within = np.where(more >= 0, within * (1 - at_once) ** np.maximum(own[None, :] - more, 0), 0.0)
    late = np.where(more >= 0, special.xlogy(np.maximum(more, 0), behind) - special.gammaln(np.maximum(more, 0) + 1), 0)
    late = np.where(more >= 0, np.exp(late - behind), 0.0)
    return np.asarray(np.exp(logs) @ within.T @ late.T)


def _ratio(hour: int, seen: Seen, calm: list[Floats], days: Days, sizes: Floats, assumed: Assumptions) -> float:
    """log of the sum over onsets of P(seen | event) / P(seen | none)."""
    start = (hour - _ONSETS + 1) // HOURS_A_DAY * HOURS_A_DAY
    # The last row is the calm: an event that never begins.
    onsets = np.append(np.arange(hour - _ONSETS + 1, hour + 1), hour + HOURS_A_DAY)
    state = np.zeros((len(onsets), len(days.weight), len(sizes)))
    state[:, :, 0] = days.weight
    for now in range(start, hour + 1):
        if now % HOURS_A_DAY == 0 and now > start:
            state = state.sum(axis=1, keepdims=True) * days.weight[:, None]
            state /= state[-1].sum()
        table = calm[now]
        negative = table.shape[1] - 1
        if not negative:
            state *= table[:, :1]
            continue
        begun = _told_by(now + 1 - onsets) - _told_by(now - onsets)
        picked = _picked(_marks(seen.stories[now], hour + 1, assumed))
        grown = state * table[:, negative:]
        for own in range(1, min(negative, len(sizes) - 1) + 1):
            weight = begun**own / special.factorial(own) * picked[own] / special.binom(negative, own)
            part = state[:, :, :-own] * weight[:, None, None]
            grown[:, :, own:] += part * table[:, negative - own, None]
        state = grown
    paths = state.sum(axis=1)
    left = 1 - _told_by(hour + 1 - onsets)
    size, told = np.arange(len(sizes))[:, None], np.arange(len(sizes))[None, :]
    orders = np.exp(special.gammaln(size + 1) - special.gammaln(np.maximum(size - told, 0) + 1))
    waiting = np.where(size >= told, left[:, None, None] ** np.maximum(size - told, 0), 0.0)
    likely = (paths[:, None, :] * waiting * (orders * (size >= told))).sum(axis=2) @ sizes
    return float(np.log(likely[:-1].sum() / likely[-1]))


def _told_by(age: npt.NDArray[np.int64]) -> Floats:
    """Which part of an event's stories is out after so many hours."""
    return np.asarray(np.where(age >= HOURS_A_DAY, 1.0, 1 - np.exp(-np.maximum(age, 0) / EVENT_DELAY_HOURS)))


def _marks(stories: list[tuple[float, list[float]]], until: float, assumed: Assumptions) -> list[float]:
    """By how much the families that carry each story so far speak for an event."""
    found = []
    for at, more in stories:
        out = 1 - np.exp(-(until - at) / PICKED_UP_HOURS)
        count = sum(when <= until for when in more)
        calm, event = assumed.more_families * out, assumed.more_families_event * out
        found.append(float((event / calm) ** count * ((1 + calm) / (1 + event)) ** (count + 1)))
    return found


def _picked(marks: list[float]) -> list[float]:
    """Elementary symmetric sums: over all ways to pick 0, 1, 2, ... of these stories, the product of their marks."""
    sums = [1.0] + [0.0] * len(marks)
    for mark in marks:
        for count in range(len(marks), 0, -1):
            sums[count] += mark * sums[count - 1]
    return sums
