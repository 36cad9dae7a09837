"""Stories of an archive by the wording of titles alone: what a hundred million headlines can be told by.

takes  headlines in order of time
gives  the story of each: that of the first headline within 48 hours that says the same words
never  joins titles that differ in more than case, punctuation and blanks; the daemon joins more (docs/scale.md)
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import polars as pl

from monitor.news.stories import WINDOW


class Copies:
    """Stories by copies, slice after slice; what is older than the window is forgotten."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[datetime, int]] = {}

    def __len__(self) -> int:
        return len(self._first)

    def restore(self, rows: Iterable[tuple[int, str, datetime]]) -> None:
        """Remember what was assigned before: (story, title, effective) of headlines."""
        told = sorted(rows, key=lambda row: (row[2], row[0]))
        frame = pl.DataFrame({"title": [row[1] for row in told]}, schema={"title": pl.String})
        for (story, _, at), words in zip(told, _words(frame["title"]), strict=True):
            if words is not None and (words not in self._first or at - self._first[words][0] > WINDOW):
                self._first[words] = (at, story)

    def assign(self, headlines: pl.DataFrame) -> pl.DataFrame:
        """The same headlines with their stories.

        Args:
            headlines: columns of table `headlines`, in order of `effective`, then id; later than those before.
        """
        stories = []
        for words, at, own in zip(
            _words(headlines["title"]), headlines["effective"].to_list(), headlines["id"].to_list(), strict=True
        ):
            first = self._first.get(words) if words is not None else None
            if first is not None and abs(at - first[0]) <= WINDOW:
                stories.append(first[1])
                continue
            stories.append(own)
            if words is not None:
                self._first[words] = (at, own)
        if headlines.height:
            self._forget(headlines["effective"].to_list()[-1])
        return headlines.with_columns(pl.Series("story", stories, pl.UInt64))

    def _forget(self, now: datetime) -> None:
        self._first = {words: first for words, first in self._first.items() if now - first[0] <= WINDOW}


def _words(titles: pl.Series) -> list[int | None]:
    """A number for the words of each title; None where it has none. In this process alone does it stay the same."""
    words = titles.str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}%$€£]+", " ").str.strip_chars()
    numbers = words.hash()
    return pl.select(pl.when(words != "").then(numbers)).to_series().to_list()
