"""Seven stories of an invented house for tests, and a room that takes its answers into a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.feeds.feed import Check, Entry, Feed, Outcome, unseen
from monitor.news.headlines import Headline, Standing
from monitor.news.intake import Intake, intake
from monitor.storage.store import Batch, Store

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WIRE = Feed(id="wire", url="https://wire.example/rss", name="Wire", publisher="house")
TOP = Feed(id="top", url="https://wire.example/top", name="Wire top", publisher="house")
RIVAL = Feed(id="rival", url="https://rival.example/rss", name="Rival", publisher="other")
TITLES = (
    "Halvern bank queues form outside Lisbon branches",
    "Corvane auditors resign over hidden debt",
    "Ostrel property empire crumbles under its loans",
    "Pellam chief executive arrested at Oslo airport",
    "Dunmere farm credit turns sour in the north",
    "Varrick crypto deposits vanish overnight",
    "Lothian pension funds demand their money back",
)
HOME = "https://wire.example/"
ANOTHER = ("Copper", "Wheat", "Sterling", "Lithium", "Freight")


class NamesNone:
    def match(self, title: str) -> tuple[str, ...]:
        return ()


class Newsroom:
    """A store, and checks that are taken into it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def takes(self, *entries: Entry, feed: Feed = WIRE, now: datetime = NOW, first: bool = False) -> Intake:
        state = self.store.feed_states().get(feed.id) or unseen(feed, now)
        check = Check(feed.id, now, Outcome.NEW, "", 200, 1, 1, entries, state, first_fetch=first)
        came = intake([check], self.store, NamesNone(), now)
        self.store.append(Batch(came.checks, came.headlines, {}, came.names, came.revisions), now)
        return came

    def titles(self) -> list[str]:
        with self.store.database.reading() as cursor:
            return [row[0] for row in cursor.sql("SELECT title FROM headlines ORDER BY effective, id").fetchall()]

    def revisions(self) -> list[str]:
        with self.store.database.reading() as cursor:
            return [row[0] for row in cursor.sql('SELECT title FROM revisions ORDER BY "at"').fetchall()]

    def guids(self, feed: str = "wire") -> str | None:
        return self.store.feed_states()[feed].guids


@pytest.fixture
def room() -> Iterator[Newsroom]:
    with Store.open(":memory:", NOW) as store:
        yield Newsroom(store)


def entry(number: int, feed: Feed = WIRE, **changes: object) -> Entry:
    plain = Entry(
        feed=feed.id,
        publisher=feed.publisher,
        language="en",
        guid=f"guid-{number}",
        link=f"https://wire.example/story/{number}",
        title=TITLES[number],
        summary="",
        published=NOW - number * HOUR,
        fetched=NOW,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # field values as the tests name them


def entries(feed: Feed = WIRE, **changes: object) -> list[Entry]:
    return [entry(number, feed, **changes) for number in range(len(TITLES))]


def renamed(old: Sequence[Entry], suffix: str, *, links: bool = False) -> list[Entry]:
    return [
        replace(
            one,
            guid=f"{one.guid}-{suffix}",
            link=one.link.replace("/story/", f"/{suffix}/") if links else one.link,
        )
        for one in old
    ]


def fresh(came: Intake) -> list[Headline]:
    return [one for one in came.headlines if one.standing is Standing.FRESH]


def titles_of(came: Intake) -> set[str]:
    assert len({one.title for one in came.headlines}) == len(came.headlines)
    return {one.title for one in came.headlines}
