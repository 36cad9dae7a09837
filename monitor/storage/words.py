"""The index of words: which headlines hold a word, found without reading ten million titles.

takes  new headlines, in the transaction that stores them; words that somebody looks for
gives  rows of `recent_words` and `words`; `Wanted`, the parameters of a search
never  misses a stored headline: a title's words are written with it

Rows are not changed, so upkeep is one thing only: `recent_words` is moved over to `words` in sorted runs. A word of
three letters or more is looked for as the beginning of a word, a shorter one as a whole word; in quotation marks words
are looked for as they stand, side by side. Where nobody parts words by blanks (Chinese, Japanese), a run of characters
is one word.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import duckdb
import polars as pl

from monitor.storage.database import lent

SLOTS = 4
_LONGEST_WORD = 40
_LEAST_PREFIX = 3
_RUN = 2_000_000
# Behind every letter, and before every letter and digit: ends of a range of beginnings, and of one whole word.
_LAST, _WHOLE = "\U0010ffff", "!"
_NO_WORD = re.compile(r"[\W_]+")
_QUOTED = re.compile(r'"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search looks for.

    Attributes:
        ranges: (first, end) of the words that must occur, end left out; the rarest to look for first, `SLOTS` at most.
        phrase: what the title must contain, in small letters; empty when nothing was quoted.
    """

    ranges: tuple[tuple[str, str], ...]
    phrase: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing is looked for: no word of the text can be found by."""
        return not self.ranges

    def params(self) -> dict[str, object]:
        """Parameters of the query `search`."""
        slots = [*self.ranges, *[("", "")] * (SLOTS - len(self.ranges))]
        named: dict[str, object] = {"slots": len(self.ranges), "phrase": self.phrase}
        for number, (first, end) in enumerate(slots, 1):
            named[f"word_{number}"], named[f"end_{number}"] = first, end
        return named


def wanted(text: str) -> Wanted:
    """What a typed text looks for: `bank dep` words that begin so, `"credit suisse"` a phrase, `$jpm` a company."""
    phrases = [" ".join(one.lower().split()) for one in _QUOTED.findall(text)]
    whole = [word for phrase in phrases for word in words_of(phrase)]
    typed = [word for part in _QUOTED.sub(" ", text).split() for word in _typed(part)]
    ranges = [(word, word + _WHOLE) for word in whole]
    ranges += [(word, word + (_LAST if len(word) >= _LEAST_PREFIX and word[0] != "$" else _WHOLE)) for word in typed]
    # Long words are rare ones, as a rule; what is a beginning of another word is found by that already.
    longest = sorted(dict.fromkeys(ranges), key=lambda one: (-len(one[0]), one[0]))
    return Wanted(tuple(longest[:SLOTS]), max(phrases, key=len, default=""))


def words_of(title: str) -> list[str]:
    """Words of a title, each once, as the macro of the same name in the store has them."""
    bare = "".join(one for one in unicodedata.normalize("NFD", title) if not unicodedata.combining(one)).lower()
    return list(dict.fromkeys(word[:_LONGEST_WORD] for word in _NO_WORD.split(bare) if word))


def keep_words(connection: duckdb.DuckDBPyConnection, headlines: set[int]) -> None:
    """Write what these headlines are found by; in the transaction that stores them, where `arrived` holds them."""
    if not headlines:
        return
    with lent(connection, fresh=pl.DataFrame({"id": list(headlines)}, schema={"id": pl.UInt64})):
        connection.execute(
            "INSERT INTO recent_words SELECT unnest(findable(title, companies)), effective, id "
            "FROM arrived SEMI JOIN fresh USING (id)"
        )


def fold_words(connection: duckdb.DuckDBPyConnection, least: int = _RUN) -> bool:
    """Move recent words over as one sorted run, once there are `least` of them; whether they were."""
    (rows,) = connection.execute("SELECT count(*) FROM recent_words").fetchone() or (0,)
    if rows < max(1, least):
        return False
    connection.execute("INSERT INTO words SELECT * FROM recent_words ORDER BY word, effective, headline")
    connection.execute("DELETE FROM recent_words")
    return True


def _typed(part: str) -> list[str]:
    if part.startswith("$") and len(part) > 1:
        return [part.lower()]
    return words_of(part)
