"""Links: their variants are one headline, a page that many entries link to hides none, and neither does having none."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.news.names import title_name
from monitor.storage.store import Batch

SCENE = runpy.run_path(str(Path(__file__).with_name("identity_scene.py")))
HOME, HOUR, NOW, RIVAL, TITLES = (SCENE[name] for name in ("HOME", "HOUR", "NOW", "RIVAL", "TITLES"))
entries, entry, fresh, room = (SCENE[name] for name in ("entries", "entry", "fresh", "room"))
titles_of = SCENE["titles_of"]


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
def test_variants_of_a_link_are_one_headline(room: Any, link: str, guid: str) -> None:
    room.takes(entry(1, guid=""))
    assert room.takes(entry(1, guid=guid, link=link), now=NOW + HOUR).headlines == ()


def test_pages_that_many_entries_link_to_identify_none_of_them(room: Any) -> None:
    home = [replace(one, guid="", link=HOME) for one in entries()]
    guided = [replace(one, link=HOME) for one in entries()]
    assert len(room.takes(*guided).headlines) == len(TITLES)
    assert room.takes(*home, now=NOW + HOUR).headlines == ()
    # To another house it is another's page.
    rivals = [replace(one, feed=RIVAL.id, publisher=RIVAL.publisher, link="https://rival.example/") for one in home]
    assert len(room.takes(*rivals, feed=RIVAL).headlines) == len(TITLES)


def test_without_guids_a_page_for_all_hides_no_headline(room: Any) -> None:
    home = [entry(number, guid="", link=HOME) for number in range(len(TITLES))]
    assert titles_of(room.takes(*home[:3])) == set(TITLES[:3])
    assert titles_of(room.takes(*home[2:5], now=NOW + HOUR)) == set(TITLES[3:5])
    assert titles_of(room.takes(home[5], now=NOW + 2 * HOUR)) == {TITLES[5]}, "alone, on a page known for many"
    assert room.takes(*home[:6], now=NOW + 3 * HOUR).headlines == ()
    assert room.revisions() == []


def test_a_page_that_is_shared_later_brings_nothing_back(room: Any) -> None:
    home = [entry(number, guid="", link=HOME) for number in range(len(TITLES))]
    assert fresh(room.takes(home[0], first=True)) == []
    assert titles_of(room.takes(*home[:2], now=NOW + HOUR)) == {TITLES[1]}
    assert room.takes(home[0], now=NOW + 2 * HOUR).headlines == ()


def test_titles_that_were_kept_under_one_headline_of_their_page_stay_old(room: Any) -> None:
    home = [entry(number, guid="", link=HOME) for number in range(4)]
    (first,) = room.takes(home[0], first=True).headlines
    old = [(title_name(first.publisher, title), first.id) for title in TITLES[1:3]]
    room.store.append(Batch((), (), {}, old), NOW)
    assert titles_of(room.takes(*home, now=NOW + HOUR)) == {TITLES[3]}


def test_places_on_one_page_tell_entries_apart(room: Any) -> None:
    placed = [entry(number, guid="", link=f"https://wire.example/news.html#{number}") for number in range(len(TITLES))]
    assert titles_of(room.takes(placed[0])) == {TITLES[0]}
    assert titles_of(room.takes(*placed[:5], now=NOW + HOUR)) == set(TITLES[1:5])
    edited = [replace(one, title=f"{one.title}, sources say") for one in placed]
    came = room.takes(*edited[:6], now=NOW + 2 * HOUR)
    assert titles_of(came) == {edited[5].title}
    assert {one.title for one in came.revisions} == {one.title for one in edited[:5]}
    came = room.takes(replace(placed[6], link=placed[0].link), now=NOW + 3 * HOUR)
    assert titles_of(came) == {TITLES[6]}, "a place that went over to another headline"


def test_another_article_at_the_same_address_is_new(room: Any) -> None:
    room.takes(entry(1, link="https://wire.example/live"))
    came = room.takes(entry(2, link="https://wire.example/live"), now=NOW + HOUR)
    assert [one.title for one in came.headlines] == [TITLES[2]]


def test_a_column_without_a_link_that_bears_one_title_every_day_is_new_each_day(room: Any) -> None:
    column = entry(1, guid="", link="", published=NOW)
    assert len(room.takes(column).headlines) == 1
    assert room.takes(column, now=NOW + HOUR).headlines == ()
    tomorrow = replace(column, published=NOW + 24 * HOUR)
    assert len(room.takes(tomorrow, now=NOW + 24 * HOUR).headlines) == 1
