"""Guids that do not last, are shared, or go over to other headlines hide no headline and bring none twice."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.feeds.feed import Entry, Guids

SCENE = runpy.run_path(str(Path(__file__).with_name("identity_scene.py")))
ANOTHER, HOME, HOUR, NOW, TITLES = (SCENE[name] for name in ("ANOTHER", "HOME", "HOUR", "NOW", "TITLES"))
WIRE, entries, entry, fresh = (SCENE[name] for name in ("WIRE", "entries", "entry", "fresh"))
renamed, room, titles_of = (SCENE[name] for name in ("renamed", "room", "titles_of"))

# Guids that do not last


def test_a_feed_that_renames_all_its_guids_is_quarantined_and_matched_by_link(room: Any) -> None:
    assert len(room.takes(*entries()).headlines) == len(TITLES)
    assert room.guids() == Guids.LASTING.value
    assert room.takes(*renamed(entries(), "b"), now=NOW + HOUR).headlines == ()
    assert room.guids() == Guids.CHURNING.value
    assert room.takes(*renamed(entries(), "c"), now=NOW + 2 * HOUR).headlines == ()
    assert sorted(room.titles()) == sorted(TITLES)


def test_links_that_change_with_the_guids_are_matched_by_title(room: Any) -> None:
    room.takes(*entries())
    assert room.takes(*renamed(entries(), "b", links=True), now=NOW + HOUR).headlines == ()


def test_what_cannot_be_matched_in_quarantine_does_not_alert(room: Any) -> None:
    room.takes(*entries()[:-1])
    came = room.takes(*renamed(entries(), "b"), now=NOW + HOUR)
    assert [one.title for one in came.headlines] == [TITLES[-1]]
    assert fresh(came) == []


def test_a_feed_that_always_renames_still_brings_its_news(room: Any) -> None:
    room.takes(*entries()[1:])
    room.takes(*renamed(entries()[1:], "b"), now=NOW + HOUR)
    came = room.takes(*renamed(entries(), "c"), now=NOW + 2 * HOUR)
    assert [one.title for one in fresh(came)] == [TITLES[0]]


def test_the_quarantine_ends_when_guids_last_again(room: Any) -> None:
    room.takes(*entries())
    room.takes(*renamed(entries(), "b"), now=NOW + HOUR)
    room.takes(*renamed(entries(), "b"), now=NOW + 2 * HOUR)
    assert room.guids() == Guids.LASTING.value


def test_an_ordinary_new_batch_is_no_churn(room: Any) -> None:
    room.takes(*entries()[:1])
    came = room.takes(*entries(), now=NOW + HOUR)
    assert len(came.headlines) == len(TITLES) - 1
    assert room.guids() == Guids.LASTING.value


# Guids that are shared


def test_entries_that_share_a_guid_are_all_kept_once(room: Any) -> None:
    shared = [replace(one, guid="same") for one in entries()]
    assert len(room.takes(*shared).headlines) == len(TITLES)
    assert room.takes(*shared, now=NOW + HOUR).headlines == ()
    # The last of them stands alone later; its guid identifies it now, and it is known all the same.
    assert room.takes(shared[-1], now=NOW + 2 * HOUR).headlines == ()


def test_the_same_entry_twice_in_one_answer_is_one_headline(room: Any) -> None:
    assert len(room.takes(entry(1), entry(1)).headlines) == 1


def test_one_title_at_two_links_under_one_guid_is_one_headline(room: Any) -> None:
    twice = [entry(1), entry(1, link="https://wire.example/markets/1")]
    assert len(room.takes(*twice).headlines) == 1
    came = room.takes(*(replace(one, title="What we know so far") for one in twice), now=NOW + HOUR)
    assert (came.headlines, len(came.revisions)) == ((), 1)


def test_a_guid_that_was_shared_tells_nothing_later_either(room: Any) -> None:
    room.takes(*(replace(one, guid="same") for one in entries()[:3]))
    for number in (3, 4, 5):
        came = room.takes(entry(number, guid="same"), now=NOW + number * HOUR)
        assert [one.title for one in fresh(came)] == [TITLES[number]]


def test_a_feed_that_gives_its_home_page_as_guid_and_link_loses_no_headline(room: Any) -> None:
    home = [replace(one, guid=HOME, link=HOME) for one in entries()]
    assert titles_of(room.takes(*home[:4])) == set(TITLES[:4])
    assert titles_of(room.takes(*home[2:6], now=NOW + HOUR)) == set(TITLES[4:6])
    assert titles_of(room.takes(home[6], now=NOW + 2 * HOUR)) == {TITLES[6]}
    assert room.takes(*home, now=NOW + 3 * HOUR).headlines == ()


# Guids that go over to other headlines


def numbered(first: int, size: int = 5, **changes: object) -> list[Entry]:
    """An answer whose guids are places in the list, the newest first."""
    return [
        entry(number, WIRE, guid=str(place), **changes) for place, number in enumerate(range(first, first - size, -1))
    ]


def test_guids_by_position_hide_no_headline(room: Any) -> None:
    assert len(room.takes(*numbered(4)).headlines) == 5
    came = room.takes(*numbered(5), now=NOW + HOUR)
    assert (titles_of(came), len(fresh(came)), came.revisions) == ({TITLES[5]}, 1, ())
    assert room.guids() == Guids.CHURNING.value
    assert room.takes(*numbered(5), now=NOW + 2 * HOUR).headlines == ()
    came = room.takes(*numbered(6), now=NOW + 3 * HOUR)
    assert (titles_of(came), len(fresh(came)), came.revisions) == ({TITLES[6]}, 1, ())
    assert room.guids() == Guids.CHURNING.value


def test_guids_by_position_are_seen_where_all_links_are_the_home_page(room: Any) -> None:
    assert len(room.takes(*numbered(4, link=HOME)).headlines) == 5
    came = room.takes(*numbered(5, link=HOME), now=NOW + HOUR)
    assert (titles_of(came), came.revisions) == ({TITLES[5]}, ())


def test_guids_that_all_go_over_to_new_headlines_at_once_are_distrusted(room: Any) -> None:
    first = [entry(number, guid=str(number)) for number in range(5)]
    room.takes(*first)
    second = [replace(one, link=f"{one.link}/next", title=f"{ANOTHER[n]} {n}") for n, one in enumerate(first)]
    came = room.takes(*second, now=NOW + HOUR)
    assert len(fresh(came)) == 5
    assert room.guids() == Guids.CHURNING.value
    # Its guids last again once the feed gives them by headline.
    proper = [replace(one, guid=f"id-{one.title}") for one in second]
    room.takes(*proper, now=NOW + 2 * HOUR)
    assert room.takes(*proper, now=NOW + 3 * HOUR).headlines == ()
    assert room.guids() == Guids.LASTING.value


def test_one_guid_for_whatever_is_the_latest_hides_no_headline(room: Any) -> None:
    for number in range(4):
        came = room.takes(entry(number, guid="latest"), now=NOW + number * HOUR)
        assert [one.title for one in fresh(came)] == [TITLES[number]]
        assert room.takes(entry(number, guid="latest"), now=NOW + number * HOUR).headlines == ()
    assert room.takes(entry(1, guid="latest"), now=NOW + 5 * HOUR).headlines == ()


def test_one_guid_that_goes_over_says_nothing_of_the_others(room: Any) -> None:
    room.takes(*entries()[:6])
    came = room.takes(*entries()[:5], entry(6, guid="guid-5"), now=NOW + HOUR)
    assert titles_of(came) == {TITLES[6]}
    assert room.guids() == Guids.LASTING.value


def test_edits_of_a_headline_whose_guid_was_another_s_are_revisions(room: Any) -> None:
    room.takes(entry(0, guid="latest"))
    room.takes(entry(1, guid="latest"), now=NOW + HOUR)
    rewritten = entry(1, guid="latest", title="Corvane: what we know")
    came = room.takes(rewritten, now=NOW + 2 * HOUR)
    assert (came.headlines, [one.title for one in came.revisions]) == ((), [rewritten.title])
    moved = entry(1, guid="latest", link="https://wire.example/moved/1")
    assert room.takes(moved, now=NOW + 3 * HOUR).headlines == ()


def test_a_guid_stays_believed_through_an_edit_of_title_or_link(room: Any) -> None:
    room.takes(entry(1))
    moved = entry(1, link="https://wire.example/moved/1")
    assert room.takes(moved, now=NOW + HOUR).headlines == ()
    rewritten = replace(moved, title="What we know of the rumours")
    came = room.takes(rewritten, now=NOW + 2 * HOUR)
    assert (came.headlines, len(came.revisions)) == ((), 1)
