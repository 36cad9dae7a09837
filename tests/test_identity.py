"""Identity: renamed, duplicated, edited, copied and moved headlines are recognised, and never alert again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds.feed import Check, Entry, Feed, Guids, Outcome, carries_backlog, unseen
from monitor.news.headlines import Headline, Standing
from monitor.news.identity import alike
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


# Guids that do not last


def test_a_feed_that_renames_all_its_guids_is_quarantined_and_matched_by_link(room: Newsroom) -> None:
    assert len(room.takes(*entries()).headlines) == len(TITLES)
    assert room.guids() == Guids.LASTING.value
    assert room.takes(*renamed(entries(), "b"), now=NOW + HOUR).headlines == ()
    assert room.guids() == Guids.CHURNING.value
    assert room.takes(*renamed(entries(), "c"), now=NOW + 2 * HOUR).headlines == ()
    assert sorted(room.titles()) == sorted(TITLES)


def test_links_that_change_with_the_guids_are_matched_by_title(room: Newsroom) -> None:
    room.takes(*entries())
    assert room.takes(*renamed(entries(), "b", links=True), now=NOW + HOUR).headlines == ()


def test_what_cannot_be_matched_in_quarantine_does_not_alert(room: Newsroom) -> None:
    room.takes(*entries()[:-1])
    came = room.takes(*renamed(entries(), "b"), now=NOW + HOUR)
    assert [one.title for one in came.headlines] == [TITLES[-1]]
    assert fresh(came) == []


def test_a_feed_that_always_renames_still_brings_its_news(room: Newsroom) -> None:
    room.takes(*entries()[1:])
    room.takes(*renamed(entries()[1:], "b"), now=NOW + HOUR)
    came = room.takes(*renamed(entries(), "c"), now=NOW + 2 * HOUR)
    assert [one.title for one in fresh(came)] == [TITLES[0]]


def test_the_quarantine_ends_when_guids_last_again(room: Newsroom) -> None:
    room.takes(*entries())
    room.takes(*renamed(entries(), "b"), now=NOW + HOUR)
    room.takes(*renamed(entries(), "b"), now=NOW + 2 * HOUR)
    assert room.guids() == Guids.LASTING.value


def test_an_ordinary_new_batch_is_no_churn(room: Newsroom) -> None:
    room.takes(*entries()[:1])
    came = room.takes(*entries(), now=NOW + HOUR)
    assert len(came.headlines) == len(TITLES) - 1
    assert room.guids() == Guids.LASTING.value


# Guids that are shared


def test_entries_that_share_a_guid_are_all_kept_once(room: Newsroom) -> None:
    shared = [replace(one, guid="same") for one in entries()]
    assert len(room.takes(*shared).headlines) == len(TITLES)
    assert room.takes(*shared, now=NOW + HOUR).headlines == ()
    # The last of them stands alone later; its guid identifies it now, and it is known all the same.
    assert room.takes(shared[-1], now=NOW + 2 * HOUR).headlines == ()


def test_the_same_entry_twice_in_one_answer_is_one_headline(room: Newsroom) -> None:
    assert len(room.takes(entry(1), entry(1)).headlines) == 1


# Variants of links


@pytest.mark.parametrize(
    "link",
    [
        "http://wire.example/story/1",
        "https://wire.example/story/1?utm_source=rss&utm_medium=feed",
        "https://WIRE.example:443/story/1#comments",
        "http://wire.example/story/1?fbclid=abc",
    ],
)
@pytest.mark.parametrize("guid", ["", "another"])
def test_variants_of_a_link_are_one_headline(room: Newsroom, link: str, guid: str) -> None:
    room.takes(entry(1, guid=""))
    assert room.takes(entry(1, guid=guid, link=link), now=NOW + HOUR).headlines == ()


def test_pages_that_many_entries_link_to_identify_none_of_them(room: Newsroom) -> None:
    home = [replace(one, guid="", link="https://wire.example/") for one in entries()]
    guided = [replace(one, link="https://wire.example/") for one in entries()]
    assert len(room.takes(*guided).headlines) == len(TITLES)
    assert len(room.takes(*home, feed=RIVAL).headlines) >= 1


def test_another_article_at_the_same_address_is_new(room: Newsroom) -> None:
    room.takes(entry(1, link="https://wire.example/live"))
    came = room.takes(entry(2, link="https://wire.example/live"), now=NOW + HOUR)
    assert [one.title for one in came.headlines] == [TITLES[2]]


# Edited titles


def test_an_edited_title_is_a_revision_and_no_headline(room: Newsroom) -> None:
    room.takes(entry(1))
    edited = entry(1, title="Corvane auditors resign over hidden debt, shares halted")
    came = room.takes(edited, now=NOW + HOUR)
    assert (came.headlines, [one.title for one in came.revisions]) == ((), [edited.title])
    assert room.takes(edited, now=NOW + 2 * HOUR).revisions == ()
    again = room.takes(entry(1, title="Corvane: what we know"), now=NOW + 3 * HOUR)
    assert [one.title for one in again.revisions] == ["Corvane: what we know"]
    assert (room.titles(), len(room.revisions())) == ([TITLES[1]], 2)


def test_an_edit_under_a_new_guid_is_recognised_by_its_address(room: Newsroom) -> None:
    room.takes(entry(1))
    came = room.takes(entry(1, guid="new", title=f"Update: {TITLES[1]}"), now=NOW + HOUR)
    assert (came.headlines, len(came.revisions)) == ((), 1)


# Several feeds of one house


def test_a_story_in_several_feeds_of_a_house_is_one_headline(room: Newsroom) -> None:
    room.takes(entry(1))
    assert room.takes(entry(1, TOP, guid="77"), feed=TOP, now=NOW + HOUR).headlines == ()
    # Another house's headline of the same words is a headline of its own.
    copied = entry(1, RIVAL, guid="8", link="https://rival.example/1")
    assert len(room.takes(copied, feed=RIVAL, now=NOW + HOUR).headlines) == 1


def test_two_feeds_of_a_house_in_one_round(room: Newsroom) -> None:
    checks = [
        Check("wire", NOW, Outcome.NEW, "", 200, 1, 1, (entry(1),), unseen(WIRE, NOW)),
        Check("top", NOW, Outcome.NEW, "", 200, 1, 1, (entry(1, TOP, guid="77"),), unseen(TOP, NOW)),
    ]
    assert len(intake(checks, room.store, NamesNone(), NOW).headlines) == 1


# What never alerts


def test_first_fetch_reenabled_restored_and_archives_never_alert(room: Newsroom) -> None:
    state = unseen(WIRE, NOW)
    assert carries_backlog(WIRE, state, NOW)
    watched = replace(state, first_success_at=NOW - 90 * HOUR, last_success_at=NOW - HOUR)
    assert not carries_backlog(WIRE, watched, NOW)
    assert carries_backlog(WIRE, replace(watched, paused_at=NOW - HOUR), NOW), "re-enabled"
    assert carries_backlog(WIRE, replace(watched, last_success_at=NOW - 7 * HOUR), NOW), "restored, or off for a night"
    slow = WIRE.model_copy(update={"every_minutes": 720})
    assert not carries_backlog(slow, replace(watched, last_success_at=NOW - 13 * HOUR), NOW)
    assert fresh(room.takes(*entries(), first=True)) == []
    archive = [entry(n, guid=f"old-{n}", link="", published=NOW - timedelta(days=9)) for n in range(3)]
    assert fresh(room.takes(*archive, now=NOW + HOUR)) == []


@given(st.text(), st.text())
def test_likeness_is_symmetric_and_reflexive(one: str, other: str) -> None:
    assert alike(one, one)
    assert alike(one, other) == alike(other, one)


def test_names_are_forgotten_with_time(room: Newsroom) -> None:
    room.takes(entry(1))
    assert room.store.named({one for one, _ in room.takes(entry(2), now=NOW).names})
    room.store.maintain(NOW + timedelta(days=46))
    with room.store.database.reading() as cursor:
        assert cursor.sql("SELECT count(*) FROM names").fetchall() == [(0,)]
