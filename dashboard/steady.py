"""Lists that stay under the pointer: rows keep their places until whoever looks asks for the newer ones.

takes  a list as it is now, best first, and what it was asked for
gives  the rows to draw, and a button that says how many newer ones there are
never  moves a row by itself while it is looked at, nor hides that there is something newer
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import streamlit as st

from dashboard import frame, texts

Row = TypeVar("Row")

# Who has not looked for so long has no pointer on the list.
_AWAY = 3 * frame.REFRESH


@dataclass(frozen=True, slots=True)
class Kind(Generic[Row]):
    """What a list of these rows has to know of a row.

    Attributes:
        name: tells it from others; stays the same while it changes.
        at: its latest news.
        renewed: a drawn row (first) with what may change in place of the row as it is now (second).
    """

    name: Callable[[Row], Hashable]
    at: Callable[[Row], datetime]
    renewed: Callable[[Row, Row], Row] = lambda drawn, _: drawn


@dataclass(frozen=True, slots=True)
class Shown(Generic[Row]):
    """The rows to draw; how many stand in the list by now that are not drawn, and how many no longer do."""

    rows: tuple[Row, ...]
    newer: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class _Kept:
    """A list as it was drawn: for what, which rows, the latest news of all that were known, and when last."""

    asked: Hashable
    rows: tuple[Any, ...]
    known: dict[Hashable, datetime]
    drawn_at: datetime


def hold(key: str, asked: Hashable, now: datetime, newest: Sequence[Row], most: int, kind: Kind[Row]) -> Shown[Row]:
    """The rows to draw: those drawn last, where the same is asked for and somebody looks; else the first of `newest`.

    Args:
        key: of the list in this visit.
        asked: what the list is of: when it changes, so do the rows.
        now: aware UTC.
        newest: the list as it is now, best first.
        most: so many are drawn.
    """
    kept = st.session_state.get(key)
    fresh = {kind.name(row): row for row in newest}
    if kept is None or not kept.rows or kept.asked != asked or now - kept.drawn_at > _AWAY:
        rows = tuple(newest[:most])
        st.session_state[key] = _Kept(asked, rows, {name: kind.at(row) for name, row in fresh.items()}, now)
        return Shown(rows)
    drawn = {kind.name(row): row for row in kept.rows}
    rows = tuple(kind.renewed(row, fresh[name]) if name in fresh else row for name, row in drawn.items())
    first = ((kind.name(row), kind.at(row)) for row in newest[:most])
    newer = sum(name not in drawn and kept.known.get(name) != at for name, at in first)
    st.session_state[key] = _Kept(asked, rows, kept.known, now)
    return Shown(rows, newer, sum(name not in fresh for name in drawn))


def button(moment: frame.Moment, shown: Shown[Row], key: str) -> None:
    """What lets the newer ones in. It always stands while the monitor runs: to come and go would move the list."""
    waiting = bool(shown.newer or shown.gone)
    if not shown.rows or not (moment.live or waiting):
        return
    if shown.newer:
        words = f"Show {texts.count(shown.newer, 'newer story', 'newer stories')}"
    else:
        words = "Show the list as it is now" if shown.gone else "No newer story"
    st.button(
        words,
        key=f"{key}_newer",
        on_click=_release,
        args=(key,),
        disabled=not waiting,
        type="tertiary",
        icon=":material/arrow_upward:",
        help="Rows keep their places while you look.",
    )


def _release(key: str) -> None:
    st.session_state.pop(key, None)
