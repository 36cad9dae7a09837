"""Identity: what was seen never comes back nor alerts again, and what was not is kept, whatever a feed does."""

from __future__ import annotations

import runpy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations, count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.feeds.feed import Check, Feed, Outcome, carries_backlog, unseen
from monitor.news.intake import intake
from monitor.news.names import alike
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("identity_scene.py")))
HOUR, NOW, RIVAL, TOP, WIRE = (SCENE[name] for name in ("HOUR", "NOW", "RIVAL", "TOP", "WIRE"))
NamesNone, Newsroom, entries, entry = (SCENE[name] for name in ("NamesNone", "Newsroom", "entries", "entry"))
fresh, room = (SCENE[name] for name in ("fresh", "room"))

# Several feeds of one house


def test_a_story_in_several_feeds_of_a_house_is_one_headline(room: Any) -> None:
    room.takes(entry(1))
    assert room.takes(entry(1, TOP, guid="77"), feed=TOP, now=NOW + HOUR).headlines == ()
    # Another house's headline of the same words is a headline of its own.
    copied = entry(1, RIVAL, guid="8", link="https://rival.example/1")
    assert len(room.takes(copied, feed=RIVAL, now=NOW + HOUR).headlines) == 1


def test_two_feeds_of_a_house_in_one_round(room: Any) -> None:
    checks = [
        Check("wire", NOW, Outcome.NEW, "", 200, 1, 1, (entry(1),), unseen(WIRE, NOW)),
        Check("top", NOW, Outcome.NEW, "", 200, 1, 1, (entry(1, TOP, guid="77"),), unseen(TOP, NOW)),
    ]
    assert len(intake(checks, room.store, NamesNone(), NOW).headlines) == 1


# What never alerts


def test_first_fetch_reenabled_restored_and_archives_never_alert(room: Any) -> None:
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


# Whatever a feed does


# Each example is a feed, a house and a site of its own in one store, so that none knows of another.
SITES = count()
SAID = (
    "Bank fails",
    "Bank fails today",
    "Oil slides",
    "Mine collapses in Chile",
    "Mine collapses in Peru",
    "Yen sinks to new low",
)
PATHS = ("", "/", "/#1", "/#2", "/a", "/b")
ANSWERS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["", "0", "1", "c"]), st.sampled_from(PATHS), st.sampled_from(SAID)), max_size=6
    ),
    min_size=2,
    max_size=4,
)


Told = tuple[str, str, str]  # guid, link without fragment, title


@pytest.fixture(scope="module")
def archive() -> Iterator[Store]:
    with Store.open(":memory:", NOW) as store:
        yield store


def same_guid(one: Told, others: Iterable[Told]) -> bool:
    """Whether the guid is that of a headline that has the same link, or a title that is alike."""
    known = list(others)
    titles = {title for guid, _, title in known if guid and guid == one[0]}
    return any(title in titles and (link == one[1] or alike(title, one[2])) for _, link, title in known)


def of_many(link: str, answers: Iterable[Sequence[Told]]) -> bool:
    """Whether an answer told of headlines on this page that have nothing in common."""
    return bool(link) and any(
        first[1] == second[1] == link and not alike(first[2], second[2]) and (first[0] != second[0] or first[0] == "")
        for answer in answers
        for first, second in combinations(answer, 2)
    )


def must_be_new(one: Told, answer: Sequence[Told], before: Sequence[Sequence[Told]]) -> bool:
    _, link, title = one
    earlier = [each for told in before for each in told]
    others = [*earlier, *(each for each in answer if each is not one)]
    if any(each[2] == title for each in others) or same_guid(one, others):
        return False
    there = [each[2] for each in earlier if each[1] == link]
    return not there or (of_many(link, [*before, answer]) and not any(alike(title, each) for each in there))


@settings(deadline=None, max_examples=100)
@given(ANSWERS)
def test_what_was_seen_never_comes_back_and_what_was_not_is_kept(archive: Store, answers: list[list[Told]]) -> None:
    room, site = Newsroom(archive), f"site-{next(SITES)}"
    feed = Feed(id=site, url=f"https://{site}.example/rss", name=site, publisher=site)
    before: list[list[Told]] = []
    for number, told in enumerate(answers):
        answer = [(guid, path.partition("#")[0], title) for guid, path, title in told]
        made = [
            entry(0, feed, guid=guid, link=path and f"https://{site}.example{path}", title=title, published=NOW)
            for guid, path, title in told
        ]
        came = room.takes(*made, feed=feed, now=NOW + number * HOUR, first=number == 0)
        new = [(one.link.removeprefix(f"https://{site}.example"), one.title) for one in came.headlines]
        assert len(set(new)) == len(new)
        assert set(new).isdisjoint((link, title) for told in before for _, link, title in told)
        assert {one[1:] for one in answer if must_be_new(one, answer, before)} <= set(new)
        before.append(answer)


@given(st.text(), st.text())
def test_likeness_is_symmetric_and_reflexive(one: str, other: str) -> None:
    assert alike(one, one)
    assert alike(one, other) == alike(other, one)


def test_names_are_forgotten_with_time(room: Any) -> None:
    room.takes(entry(1))
    assert room.store.named({one for one, _ in room.takes(entry(2), now=NOW).names})
    room.store.maintain(NOW + timedelta(days=46))
    with room.store.database.reading() as cursor:
        assert cursor.sql("SELECT count(*) FROM names").fetchall() == [(0,)]
