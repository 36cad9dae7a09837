"""Three weeks of invented news: an ordinary ebb and flow, and then a bank run.

takes  a seed, and the hour at which the story ends
gives  `Storyline`: items of six invented publishers, each with its time; the same seed gives the same story
never  tells of anything that happened: companies, countries, people and publishers are made up

Calm weeks have a rhythm (hours, weekends), an earnings wave and one small recall affair, so that the news is livelier
than pure chance without ever surging. Two stories of its calm weeks are never near-identical; copies of one are.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from rapidfuzz import fuzz, process

from monitor.demo.newsbook import Newsbook, Tone, Topic

DAYS = 21
OUTBREAK = timedelta(hours=30)  # before the end
FICTION = "Fiction: invented for the Squall demo, about companies that do not exist."

_HOUR = timedelta(hours=1)
_STORIES_A_DAY = 52.0  # on a weekday, before copies
_WEEKEND = 0.45
# Relative volume by hour of day, UTC: quiet nights, a first peak at the open, a second at the close.
_DAY = (2, 2, 2, 2, 3, 4, 6, 8, 9, 8, 7, 6, 6, 7, 8, 8, 7, 6, 5, 4, 3, 3, 2, 2)
# Cards in a deck of tones: a shuffled deck keeps the share of bad news steady over half a day, as no coin would.
_TONES = {Tone.BAD: 4, Tone.FLAT: 10, Tone.GOOD: 7}
_EARNINGS_WAVE = range(8, 12)  # days
_AFFAIR_DAYS = (12.35, 12.6, 13.3, 13.55, 14.4)
_ACTS = {"doubts": (0, 6), "run": (4, 15), "contagion": (9, 26), "rescue": (19, 29.5)}  # hours after the outbreak
_COPIED, _DUPLICATED = 0.16, 0.15
_MEMORY = timedelta(hours=72)
# Percent by rapidfuzz's token_set_ratio: what two different stories within `_MEMORY` stay below.
UNLIKE = 74.0


class Format(StrEnum):
    """How a publisher serves its items."""

    RSS = "rss"
    ATOM = "atom"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Publisher:
    """An invented publisher family with one feed."""

    id: str
    name: str
    format: Format


PUBLISHERS = (
    Publisher("quillon-wire", "Quillon Wire", Format.RSS),
    Publisher("harbour-ledger", "The Harbour Ledger", Format.RSS),
    Publisher("tidewater-review", "Tidewater Markets Review", Format.ATOM),
    Publisher("copperline-courier", "Copperline Courier", Format.ATOM),
    Publisher("fennimore-dispatch", "Fennimore Dispatch", Format.JSON),
    Publisher("larkspur-business", "Larkspur Business Daily", Format.JSON),
)
WIRE = PUBLISHERS[0]
REPEATER = PUBLISHERS[3]


class Origin(StrEnum):
    """Why an item is there."""

    ORIGINAL = "original"
    COPY = "copy"  # another publisher carries the story
    DUPLICATE = "duplicate"  # the same publisher carries it twice
    ODD = "odd"  # a title that tries a reader's patience


class Act(StrEnum):
    """Which part of the story an item belongs to."""

    CALM = "calm"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of one feed; `story` numbers the invented event, shared by its copies."""

    publisher: str
    number: int
    story: int
    title: str
    at: datetime
    tone: Tone
    topic: str
    act: Act
    origin: Origin

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an item needs an aware time")
        if not self.title:
            raise ValueError("an item needs a title")

    @property
    def guid(self) -> str:
        """Unique within the publisher."""
        return f"urn:squall-demo:{self.publisher}:{self.number}"

    @property
    def link(self) -> str:
        """An address under .example, which never resolves; a duplicate's carries tracking parameters."""
        slug = "-".join(re.findall(r"[a-z0-9]+", self.title.lower())[:8]) or "untitled"
        tracking = "?utm_source=again&utm_medium=feed" if self.origin is Origin.DUPLICATE else ""
        return f"https://www.{self.publisher}.example/{self.at:%Y/%m/%d}/{slug}-{self.number}{tracking}"


@dataclass(frozen=True, slots=True)
class Storyline:
    """The whole story: [starts, ends), with the bank run from `breaks` on; items in order of time."""

    seed: int
    starts: datetime
    breaks: datetime
    ends: datetime
    items: tuple[Item, ...]

    @property
    def stories(self) -> int:
        """Distinct invented events."""
        return len({item.story for item in self.items})

    def ticks(self) -> Iterator[datetime]:
        """Every full hour after the start, the end included."""
        now = self.starts
        while now < self.ends:
            now += _HOUR
            yield now


def storyline(seed: int, ends: datetime) -> Storyline:
    """Write the story of a seed.

    Args:
        seed: any integer.
        ends: aware UTC; rounded down to the hour. Weekday rhythm follows the calendar before it.

    Raises:
        ValueError: when `ends` has no zone.
    """
    if ends.tzinfo is None:
        raise ValueError("the end of the story needs an aware time")
    ends = ends.replace(minute=0, second=0, microsecond=0)
    starts = ends - timedelta(days=DAYS)
    writer = _Writer(Newsbook.load(), Random(seed), starts)  # noqa: S311 - fiction needs no cryptographic randomness
    events = sorted(
        [*writer.calm(ends), *writer.affair(), *writer.odd(), *writer.run(ends - OUTBREAK)], key=lambda e: e.at
    )
    spread = [copy for item in _numbered(events) for copy in writer.spread(item) if copy.at < ends]
    items = sorted(spread, key=lambda item: (item.at, item.story, item.publisher))
    return Storyline(
        seed, starts, ends - OUTBREAK, ends, tuple(replace(item, number=n) for n, item in enumerate(items, 1))
    )


def _numbered(events: Sequence[Item]) -> list[Item]:
    return [replace(item, story=number) for number, item in enumerate(events, 1)]


class _Writer:
    """Invents events, with what it wrote lately in mind."""

    def __init__(self, newsbook: Newsbook, chance: Random, starts: datetime) -> None:
        self._book = newsbook
        self._chance = chance
        self._starts = starts
        self._recent: deque[tuple[datetime, str, str]] = deque()  # time, template, title
        self._decks: dict[bool, list[Topic]] = {False: [], True: []}
        self._tones: list[Tone] = []

    def calm(self, ends: datetime) -> Iterator[Item]:
        """Ordinary news of every hour: near-even counts, so that no hour surges by chance alone."""
        owed = self._chance.random()
        for hour in range(int((ends - self._starts) / _HOUR)):
            at = self._starts + hour * _HOUR
            wave = hour // 24 in _EARNINGS_WAVE
            if hour % 24 == 0:
                mood, volume = self._chance.uniform(-0.8, 0.8), self._chance.uniform(0.9, 1.1)
            weight = _WEEKEND if at.weekday() >= 5 else 1.0
            owed += _STORIES_A_DAY * weight * volume * (1.12 if wave else 1.0) * _DAY[at.hour] / sum(_DAY)
            for minute in sorted(self._chance.sample(range(60), int(owed))):
                yield self._event(at + timedelta(minutes=minute, seconds=self._chance.randrange(60)), mood, wave)
            owed -= int(owed)

    def affair(self) -> Iterator[Item]:
        """The small recall affair: a handful of bad stories over two days."""
        for day, template in zip(_AFFAIR_DAYS, self._book.book.affair.titles, strict=True):
            at = self._starts + timedelta(days=day, minutes=self._chance.randrange(90))
            yield self._item(at, self._book.fill(template, self._chance), Tone.BAD, "affair", Act.CALM)

    def odd(self) -> Iterator[Item]:
        """Odd titles, one every other day."""
        for number, title in enumerate(self._book.book.odd.titles):
            at = self._starts + timedelta(days=1 + 2 * number, hours=self._chance.uniform(8, 18))
            yield replace(self._item(at, title, Tone.FLAT, "odd", Act.CALM), origin=Origin.ODD)

    def run(self, breaks: datetime) -> Iterator[Item]:
        """The bank run: four acts that overlap, each spread evenly over its hours."""
        for act, (first, last) in _ACTS.items():
            templates = list(getattr(self._book.book.run, act))
            opening, rest = templates[:1], templates[1:]
            self._chance.shuffle(rest)
            step = (last - first) / len(templates)
            for number, template in enumerate(opening + rest):
                at = breaks + timedelta(hours=first + (number + self._chance.uniform(0.1, 0.9)) * step)
                yield self._item(at, self._book.fill(template, self._chance), Tone.BAD, "run", Act.RUN)

    def spread(self, item: Item) -> list[Item]:
        """The item, its copies at other publishers, and its duplicate where the publisher is careless."""
        if item.origin is Origin.ODD:
            return [item]
        others = [publisher for publisher in PUBLISHERS if publisher.id != item.publisher]
        copies = 0
        if item.act is Act.RUN:
            copies = self._chance.choice((1, 1, 2, 3))
        elif self._chance.random() < _COPIED:
            copies = self._chance.choice((1, 1, 2))
        carried = [item]
        for publisher in self._chance.sample(others, copies):
            at = item.at + timedelta(minutes=self._chance.randint(6, 110))
            title = self._reworded(item.title)
            carried.append(replace(item, publisher=publisher.id, title=title, at=at, origin=Origin.COPY))
        if item.publisher == REPEATER.id and self._chance.random() < _DUPLICATED:
            at = item.at + timedelta(minutes=self._chance.randint(5, 40))
            carried.append(replace(item, at=at, origin=Origin.DUPLICATE))
        return carried

    def _event(self, at: datetime, mood: float, wave: bool) -> Item:
        topic, tone = self._topic(wave), self._tone(mood)
        while True:
            for template in self._shuffled(topic.templates(tone)):
                title = self._book.fill(template, self._chance)
                if self._is_new(at, template, title):
                    self._recent.append((at, template, title))
                    return self._item(at, title, tone, topic.name, Act.CALM)
            # This topic has said all that it can for now: another has something to say.
            topic = self._chance.choice(self._book.book.topic)

    def _topic(self, wave: bool) -> Topic:
        """From a shuffled deck, so that topics come round evenly; in the earnings wave that topic has more cards."""
        deck = self._decks[wave]
        if not deck:
            for topic in self._book.book.topic:
                deck.extend([topic] * (topic.weight * (2 if wave and topic.name == "earnings" else 1)))
            self._chance.shuffle(deck)
        return deck.pop()

    def _tone(self, mood: float) -> Tone:
        """From a shuffled deck that holds one card of bad news more, or fewer, on a dark or a bright day."""
        if not self._tones:
            extra = self._chance.random() < abs(mood)
            cards = {**_TONES, Tone.BAD: _TONES[Tone.BAD] + (int(math.copysign(1, mood)) if extra else 0)}
            self._tones = [tone for tone, count in cards.items() for _ in range(count)]
            self._chance.shuffle(self._tones)
        return self._tones.pop()

    def _is_new(self, at: datetime, template: str, title: str) -> bool:
        while self._recent and self._recent[0][0] < at - _MEMORY:
            self._recent.popleft()
        # A template may return in a day, by when its companies and figures are others.
        if any(used == template and when > at - _MEMORY / 3 for when, used, _ in self._recent):
            return False
        titles = [recent for _, _, recent in self._recent]
        return process.extractOne(title, titles, scorer=fuzz.token_set_ratio, score_cutoff=UNLIKE) is None

    def _item(self, at: datetime, title: str, tone: Tone, topic: str, act: Act) -> Item:
        # The wire carries most; the others share the rest evenly.
        publisher = self._chance.choices(PUBLISHERS, (2.0, 1.2, 1.0, 1.0, 1.0, 1.0))[0]
        whole = at.replace(microsecond=0)  # feeds tell seconds
        return Item(publisher.id, 0, 0, title, whole, tone, topic, act, Origin.ORIGINAL)

    def _reworded(self, title: str) -> str:
        """As a second desk prints a wire story: almost the same."""
        way = self._chance.randrange(4)
        if way == 0:
            return f"UPDATE: {title}"
        if way == 1:
            return f"{title} - {WIRE.name}"
        if way == 2:
            return " ".join(word[:1].upper() + word[1:] for word in title.split(" "))
        return title

    def _shuffled(self, templates: Sequence[str]) -> list[str]:
        return self._chance.sample(templates, len(templates))
