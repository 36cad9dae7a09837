"""Real headlines in the form of a simulated world, so that the same detectors can be asked, with and without events.

takes  a history that was scored
gives  `World`s: the calm part as it was, and with events put in
never  judges: whether a calm week was calm is for its reader to say

Series are those with ten stories or more in the calm part. Events are as in newsworld.py; each of their stories is
carried by one house of the history, and by another in one of nine: as the replay's own crisis was.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
from newsworld import Assumptions, Carriers, Told, World, planted_events

from monitor.backtesting.backtest import History

_LEAST_STORIES = 10
# Of the replay's 54 negative stories of bank stress between 9 and 20 March 2023 each was carried by 1.11 of its four
# houses, and by 1.05 headlines of each of these.
_MORE_FAMILIES, _COPIES = 0.11, 1.05
_HOUR = timedelta(hours=1)


def replayed(
    history: History, until: datetime, learned_days: int, events_a_series: int, seed: int, without: str | None = None
) -> tuple[World, World, Assumptions]:
    """The calm world, the one with events, and what the events assume.

    Args:
        history: scored headlines.
        until: where the calm part ends, aware UTC.
        learned_days: how long detectors learn before events begin.
        events_a_series: how many of them each series has.
        seed: of the events.
        without: stories with a title in which this regular expression is found are taken out, so that what is known to
            have happened is not held against whoever tells it.
    """
    heard = [(one, scored) for one, scored in history.told() if one.effective < until]
    if without is not None:
        known = {one.story for one, _ in heard if re.search(without, one.title, re.IGNORECASE)}
        heard = [(one, scored) for one, scored in heard if one.story not in known]
    begun = heard[0][0].effective.replace(hour=0, minute=0, second=0, microsecond=0)
    houses = sorted({one.publisher for one, _ in heard})
    stories: dict[int, tuple[set[str], float, bool, list[tuple[float, int]]]] = {}
    for one, scored in heard:
        hour = (one.effective - begun) / _HOUR
        about, at, negative, carried = stories.get(one.story, (set(), hour, False, []))
        about.update(history.series(one, scored))
        carried.append((hour, houses.index(one.publisher)))
        stories[one.story] = (about, min(at, hour), negative or scored.score.counts_as_negative, carried)
    counted = Counter(name for about, *_ in stories.values() for name in about)
    names = tuple(sorted(name for name, count in counted.items() if count >= _LEAST_STORIES and name != "market"))
    rows = {name: row for row, name in enumerate(names)}
    told = Told()
    for about, at, negative, carried in sorted(stories.values(), key=lambda one: one[1]):
        told.about.append(tuple(rows[name] for name in sorted(about) if name in rows))
        told.at.append(at)
        told.negative.append(negative)
        told.carried.append(carried)
    days = (until - begun).days
    negatives = Counter(row for about, bad in zip(told.about, told.negative, strict=True) if bad for row in about)
    rates = np.array([max(negatives[row] / days, 0.02) for row in range(len(names))])
    assumed = Assumptions(
        series=len(names),
        days=days,
        learned_days=learned_days,
        families=len(houses),
        copies=_COPIES,
        more_families_event=_MORE_FAMILIES,
    )
    calm = World(days * 24, told, (), rates, names, begun)
    random = np.random.default_rng(seed)
    events = planted_events(random, assumed, rates, events_a_series)
    spoke = Counter(house for *_, carried in stories.values() for _, house in carried)
    share = np.array([spoke[house] for house in range(len(houses))], dtype=np.float64)
    carry = Carriers(random, assumed, np.ones((len(houses), days * 24)), share / share.sum())
    loud = Told(list(told.about), list(told.at), list(told.negative), list(told.carried))
    for event in events:
        for _ in range(event.size):
            at = event.hour + min(random.exponential(8.0), 23.9)
            if at < days * 24:
                carry.tell(loud, (event.series,), at, True, assumed.more_families_event)
    return calm, replace(calm, told=loud, events=events), assumed
