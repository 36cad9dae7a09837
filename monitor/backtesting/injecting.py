"""Events of known size put into a real history: what would have been found of them, and how soon?

takes  entries of a history, series to disturb, sizes, a seed
gives  `Planted`: entries that tell of invented events, with the scores that a model would give them
never  touches the headlines that are there, and never plants two events near each other in one series

An event of size n is n distinct negative stories about one series, each from a house of the history, within about a
day: delays are exponential with a mean of eight hours. Their titles are the history's own words in another order, so
that no two tell one story.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from models.score import Score
from monitor.backtesting.report import Report, Trial
from monitor.feeds.feed import Entry
from monitor.series import MARKET, Kind, Scored, parted

_MEAN_DELAY_HOURS = 8.0
_LONGEST_DELAY_HOURS = 23.0
_APART = timedelta(days=6)
_WORDS_A_TITLE = 9
_FAR = datetime.max.replace(tzinfo=UTC)
_WORD = re.compile(r"[A-Za-z][a-z]{3,}")


@dataclass(frozen=True, slots=True)
class PlantedEvent:
    """One invented event.

    Attributes:
        series: what it is about.
        size: how many negative stories it has.
        begins: when the first of them is published, aware UTC.
    """

    series: str
    size: int
    begins: datetime


@dataclass(frozen=True, slots=True)
class Planted:
    """Invented events, the entries that tell of them, and the scores of those by title."""

    events: tuple[PlantedEvent, ...]
    entries: tuple[Entry, ...]
    scored: dict[str, Scored]


def plant(
    entries: Sequence[Entry],
    series: Sequence[str],
    size: int,
    since: datetime,
    until: datetime,
    seed: int,
    called: Callable[[str], str],
) -> Planted:
    """Plant one event after the other in these series, from `since` to `until`.

    Args:
        entries: the history, in order of time.
        series: what to disturb; companies, themes and topics.
        size: negative stories of each event.
        since, until: aware UTC.
        seed: the same seed plants the same events, whatever their size.
        called: the name under which a company is recognised in a title, by ticker.
    """
    # Two streams, so that sizes do not move events.
    when, chance = (random.Random(seed + number) for number in range(2))  # noqa: S311 - repeatable, and no secret
    words = sorted({word for entry in entries for word in _WORD.findall(entry.title) if word.islower()})
    houses = sorted({(entry.feed, entry.publisher) for entry in entries})
    scored: dict[str, Scored] = {}
    events, told = [], []
    for name in series:
        at = since + when.random() * _APART
        while at + timedelta(days=1) < until:
            made = [_story(name, at, words, houses, chance, called) for _ in range(size)]
            events.append(PlantedEvent(name, size, min(entry.fetched for entry, _ in made)))
            told += [entry for entry, _ in made]
            scored |= {entry.title: score for entry, score in made}
            at += _APART + when.random() * _APART
    return Planted(tuple(events), tuple(told), scored)


def plantable(series: Sequence[str]) -> list[str]:
    """Those of these series that a headline can be about by itself: no market, sector or single story."""
    return [name for name in series if parted(name)[0] in {Kind.COMPANY, Kind.THEME, Kind.TOPIC}]


def _story(
    series: str,
    begins: datetime,
    words: Sequence[str],
    houses: Sequence[tuple[str, str]],
    chance: random.Random,
    called: Callable[[str], str],
) -> tuple[Entry, Scored]:
    kind, name = parted(series)
    text = " ".join(chance.sample(words, min(_WORDS_A_TITLE, len(words))))
    title = f"{called(name)} {text}" if kind is Kind.COMPANY else text.capitalize()
    delay = min(chance.expovariate(1 / _MEAN_DELAY_HOURS), _LONGEST_DELAY_HOURS)
    at = begins + timedelta(hours=delay)
    feed, publisher = chance.choice(houses)
    topics = ((name, 0.9),) if kind is Kind.TOPIC else ()
    scored = Scored(Score(0.9, 0.07, 0.03, topics, MARKET), (name,) if kind is Kind.THEME else ())
    return Entry(feed, publisher, "en", "", "", title, "", at, at), scored


def trial_of(size: int, planted: Planted, plain: Report, report: Report) -> Trial:
    """Judge the alerts of a run with planted events against those of the run without."""
    known = {(alert.series, alert.opened_at) for alert in plain.alerts}
    fired = [alert for alert in report.alerts if (alert.series, alert.opened_at) not in known]
    titles = set(planted.scored)
    belonging: set[int] = set()
    delays, judged = [], 0
    for event in planted.events:
        if any(
            a.series == event.series and a.opened_at <= event.begins < (a.resolved_at or _FAR) for a in plain.alerts
        ):
            continue
        judged += 1
        within = [
            place
            for place, alert in enumerate(fired)
            if event.begins <= alert.opened_at <= event.begins + timedelta(days=1)
            and (alert.series == event.series or any(story.title in titles for story in alert.stories))
        ]
        belonging.update(within)
        own = [fired[place].opened_at for place in within if fired[place].series == event.series]
        if own:
            delays.append((min(own) - event.begins) / timedelta(hours=1))
    false = sum(
        place not in belonging and not any(story.title in titles for story in alert.stories)
        for place, alert in enumerate(fired)
    )
    return Trial(size, judged, len(delays), median(delays) if delays else None, false)
