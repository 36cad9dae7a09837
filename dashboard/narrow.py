"""Lists in narrow windows: lines that read from top to bottom, where a table would have to be pushed sideways.

takes  a table as it is shown on a desk, and its rows in words
gives  both, of which the browser shows the one that fits its window
never  asks how wide the window is: only the browser knows, and it may be turned
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import polars as pl
import streamlit as st

from dashboard import styles, texts

# A telephone's page of more is not read, and everybody's browser gets it.
MOST = 50


def wide(key: str, *, many: bool = False) -> AbstractContextManager[object]:
    """What is drawn in it is seen in wide windows only.

    Args:
        many: for tables of many columns, which a tablet cannot show whole either.
    """
    return st.container(key=f"{styles.BROAD if many else styles.WIDE}{key}")


def narrow(key: str, *, many: bool = False) -> AbstractContextManager[object]:
    """What is drawn in it is seen where `wide` of the same `many` is not."""
    return st.container(key=f"{styles.SLIM if many else styles.NARROW}{key}", gap="small")


def lines(key: str, rows: Sequence[str], more: int = 0, *, many: bool = False) -> None:
    """Rows for narrow windows, each in Markdown of its own.

    Args:
        more: how many the table has beyond them.
        many: as in `wide`.
    """
    with narrow(key, many=many):
        st.markdown("\n\n".join(rows))
        if more > 0:
            st.caption(f"And {more:,} more, which a wider window lists.")


def table(
    key: str, shown: pl.DataFrame, words: pl.DataFrame | None = None, *, many: bool = False, **looks: Any
) -> None:
    """A plain table; in narrow windows its first column bold, and beneath it the others with their names.

    Args:
        words: the same rows where what is shown is not words and numbers.
        many: as in `wide`.
        looks: of the table.
    """
    with wide(key, many=many):
        st.dataframe(shown, hide_index=True, **looks)
    lines(key, rows((shown if words is None else words).head(MOST)), shown.height - MOST, many=many)


def rows(shown: pl.DataFrame) -> list[str]:
    """Each row in Markdown; what is empty is left out."""
    told = []
    for row in shown.iter_rows(named=True):
        (_, first), *others = row.items()
        parts = [f"{texts.literal(name)}: {_word(value)}" for name, value in others if _word(value)]
        told.append(f"**{_word(first)}**" + (f"  \n:small[{' · '.join(parts)}]" if parts else ""))
    return told


def _word(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, list):
        return texts.literal(", ".join(str(one) for one in value))
    if isinstance(value, float):
        return texts.literal(f"{value:,.3f}".rstrip("0").rstrip("."))
    return texts.literal(f"{value:,}" if isinstance(value, int) else str(value))
