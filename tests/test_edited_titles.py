"""Edited titles are revisions of their headline, never headlines of their own."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.news.headlines import Standing

SCENE = runpy.run_path(str(Path(__file__).with_name("identity_scene.py")))
HOUR, NOW, TITLES, entry = (SCENE[name] for name in ("HOUR", "NOW", "TITLES", "entry"))
room, titles_of = (SCENE[name] for name in ("room", "titles_of"))


def test_an_edited_title_is_a_revision_and_no_headline(room: Any) -> None:
    room.takes(entry(1))
    edited = entry(1, title="Corvane auditors resign over hidden debt, shares halted")
    came = room.takes(edited, now=NOW + HOUR)
    assert (came.headlines, [one.title for one in came.revisions]) == ((), [edited.title])
    assert room.takes(edited, now=NOW + 2 * HOUR).revisions == ()
    again = room.takes(entry(1, title="Corvane: what we know"), now=NOW + 3 * HOUR)
    assert [one.title for one in again.revisions] == ["Corvane: what we know"]
    assert (room.titles(), len(room.revisions())) == ([TITLES[1]], 2)


def test_an_edit_under_a_new_guid_is_recognised_by_its_address(room: Any) -> None:
    room.takes(entry(1))
    came = room.takes(entry(1, guid="new", title=f"Update: {TITLES[1]}"), now=NOW + HOUR)
    assert (came.headlines, len(came.revisions)) == ((), 1)


def test_an_edit_beside_the_original_is_its_revision(room: Any) -> None:
    original = entry(1)
    edited = replace(original, title="Auditors of Corvane, a retailer, walk out")
    room.takes(original, first=True)
    came = room.takes(edited, original, now=NOW + HOUR)
    assert (came.headlines, [one.title for one in came.revisions]) == ((), [edited.title])
    came = room.takes(edited, now=NOW + 2 * HOUR)
    assert (came.headlines, came.revisions) == ((), ())


@pytest.mark.parametrize("guid", ["", "guid-1"])
def test_a_title_that_grew_is_a_revision_beside_the_original_with_or_without_a_guid(room: Any, guid: str) -> None:
    original = entry(1, guid=guid)
    room.takes(original, first=True)
    edited = replace(original, title=f"{TITLES[1]}, shares halted")
    came = room.takes(edited, original, now=NOW + HOUR)
    assert (came.headlines, len(came.revisions)) == ((), 1)


def test_a_backlog_without_links_stays_known_when_its_guid_is_shared(room: Any) -> None:
    old, new = entry(1, guid="same", link=""), entry(2, guid="same", link="")
    room.takes(old, first=True)
    assert titles_of(room.takes(old, new, now=NOW + HOUR)) == {TITLES[2]}
    assert room.takes(old, now=NOW + 2 * HOUR).headlines == ()


@pytest.mark.parametrize("newest_first", [True, False])
def test_of_two_versions_the_first_published_is_the_headline(room: Any, newest_first: bool) -> None:
    first = entry(1, published=NOW - 60 * HOUR)
    second = replace(first, title="Auditors of Corvane, a retailer, walk out", published=NOW)
    came = room.takes(*((second, first) if newest_first else (first, second)))
    assert [(one.title, one.standing) for one in came.headlines] == [(first.title, Standing.ARCHIVE)]
    assert [one.title for one in came.revisions] == [second.title]
