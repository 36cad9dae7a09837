"""How much of the news is written in words that the model's encoder does not know.

takes  a reader of the store, the encoder's tokeniser, a range of days
gives  by day the share of words that are unknown to its vocabulary or fall into many pieces, of a fixed draw of titles
never  reads every title: a few hundred a day say it to within a point
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import polars as pl

from models.text import readable

_TITLES_A_DAY = 200
_WORD = re.compile(r"[^\W\d_]{2,}")


class Asked(Protocol):
    """Whoever answers named queries."""

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """The answer to one."""


class Tokeniser(Protocol):
    """What tells words that it does not know; `models.running.tokens.Tokens` does."""

    def strange(self, words: Sequence[str]) -> list[bool]:
        """Of each word whether it is strange."""


def odd_words(
    reader: Asked, tokens: Tokeniser, since: datetime, until: datetime, zone: str = "UTC"
) -> dict[datetime, float]:
    """The share of odd words by day of a zone, told by the midnight, UTC, of its date; days without a headline lack.

    Args:
        since, until: aware, `until` left out.
        zone: by its IANA name.
    """
    titles = reader.query("titles_by_day", since=since, until=until, zone=zone, most=_TITLES_A_DAY)
    counts: dict[datetime, Counter[str]] = defaultdict(Counter)
    for day, title in titles.iter_rows():
        counts[day].update(_WORD.findall(readable(title)))
    # Most words come again and again: each is asked about once.
    every = sorted({word for words in counts.values() for word in words})
    strange = {word for word, odd in zip(every, tokens.strange(every), strict=True) if odd}
    return {
        day: sum(times for word, times in words.items() if word in strange) / words.total()
        for day, words in sorted(counts.items())
        if words
    }
