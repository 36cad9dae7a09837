"""Titles that a headline was given after it came: what a publisher said at first is what was scored, and is shown.

takes  a `Moment`, and stories by their ids and times
gives  the later titles of each headline, and a line for each
never  shows a title as anything but text
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import streamlit as st

from dashboard import frame, texts

_MOST, _MOST_SHOWN, _LONGEST = 1000, 3, 200
# Headlines of one story lie within this of each other; an alert names a story by one of them.
_AROUND = timedelta(days=4)

Later = Mapping[tuple[int, str], Sequence[tuple[datetime, str]]]


def later(moment: frame.Moment, stories: Iterable[tuple[int, datetime]]) -> Later:
    """The later titles, oldest first, by the story and the first title of their headline."""
    by_id = dict(stories)
    if not by_id:
        return {}
    found = moment.reader.query(
        "retitled",
        stories=",".join(str(one) for one in by_id),
        since=min(by_id.values()) - _AROUND,
        until=max(by_id.values()) + _AROUND,
        limit=_MOST,
    )
    told: dict[tuple[int, str], list[tuple[datetime, str]]] = {}
    for row in found.iter_rows(named=True):
        told.setdefault((row["story"], row["first_title"]), []).append((row["at"], row["title"]))
    return told


def draw(moment: frame.Moment, titles: Sequence[tuple[datetime, str]]) -> None:
    """A line for each of the latest titles; nothing where the title is as it was."""
    if not titles:
        return
    earlier = len(titles) - _MOST_SHOWN
    lines = [f"{texts.count(earlier, 'other title')} before that"] if earlier > 0 else []
    for at, title in titles[-_MOST_SHOWN:]:
        lines.append(f"From {moment.zone.clock(at)} titled: {texts.literal(texts.shortened(title, _LONGEST))}")
    st.caption("  \n".join(f":material/edit: {line}" for line in lines))
