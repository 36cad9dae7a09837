"""Lists on a telephone: lines that read from top to bottom, where a table would have to be pushed sideways.

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

from dashboard import texts

# Streamlit puts columns under each other at this width, too.
_NARROW = 640
# Around a container lies another, which keeps its place in a column of elements.
_STYLE = "".join(
    f"@media ({bound}) {{ [class*='st-key-{kind}_'], [data-testid='stLayoutWrapper']:has(> [class*='st-key-{kind}_']) "
    "{ display: none } } "
    for bound, kind in ((f"max-width: {_NARROW}px", "wide"), (f"min-width: {_NARROW + 0.02}px", "narrow"))
)
# A link to a page keeps to one line, and would be cut off.
_LINKS = "[class*='st-key-narrow_'] [data-testid='stPageLink'] * { white-space: normal; height: auto }"
# Words of charts are grey in both themes (3.7 to 1 on white), and a chosen segment bears the colour of buttons.
_LEGIBLE = (
    "[data-testid='stVegaLiteChart'] svg text { fill: currentColor; fill-opacity: 0.75 } "
    "button[data-variant='segmented_control'][data-selected='true'] { color: inherit !important }"
)
# A telephone's page of more is not read, and everybody's browser gets it.
MOST = 50


def style() -> None:
    """What tells browsers which of the two to show, and makes words legible that Streamlit pales; once a page."""
    st.html(f"<style>{_STYLE}{_LINKS}{_LEGIBLE}</style>")


def wide(key: str) -> AbstractContextManager[object]:
    """What is drawn in it is seen in wide windows only."""
    return st.container(key=f"wide_{key}")


def narrow(key: str) -> AbstractContextManager[object]:
    """What is drawn in it is seen in narrow windows only."""
    return st.container(key=f"narrow_{key}", gap="small")


def lines(key: str, rows: Sequence[str], more: int = 0) -> None:
    """Rows for narrow windows, each in Markdown of its own.

    Args:
        more: how many the table has beyond them.
    """
    with narrow(key):
        st.markdown("\n\n".join(rows))
        if more > 0:
            st.caption(f"And {more:,} more, which a wider window lists.")


def table(key: str, shown: pl.DataFrame, words: pl.DataFrame | None = None, **looks: Any) -> None:
    """A plain table; in narrow windows its first column bold, and beneath it the others with their names.

    Args:
        words: the same rows where what is shown is not words and numbers.
        looks: of the table.
    """
    with wide(key):
        st.dataframe(shown, hide_index=True, **looks)
    lines(key, rows((shown if words is None else words).head(MOST)), shown.height - MOST)


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
