"""The index of words: which headlines hold a word, found without reading ten million titles.

takes  new headlines, in the transaction that stores them; words that somebody looks for
gives  rows of `recent_words` and `words`; `Wanted`, the parameters of a search
never  misses a stored headline: a title's words are written with it

Rows are not changed, so upkeep is one thing only: `recent_words` is moved over to `words` in sorted runs. A word of
three letters or more is looked for as the beginning of a word, a shorter one as a whole word; in quotation marks words
are looked for as they stand, side by side. Where nobody parts words by blanks (Chinese, Japanese), a run of characters
is one word. A few words are looked up; whatever else is asked for is held against the titles that hold those.
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
# What telephones and word processors make of quotation marks.
_MARKS = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))
_AROUND = "()[]{}<>,;:!?.'…"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search looks for.

    Attributes:
        ranges: (first, end) of the words that must occur, end left out; those that are looked up, `SLOTS` at most.
        further: what `told` of the title must contain as well: phrases, and words for which there is no slot.
    """

    ranges: tuple[tuple[str, str], ...]
    further: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is looked for: no word of the text can be found by."""
        return not self.ranges

    def params(self) -> dict[str, object]:
        """Parameters of the query `search`."""
        slots = [*self.ranges, *[("", "")] * (SLOTS - len(self.ranges))]
        named: dict[str, object] = {"slots": len(self.ranges), "further": "\n".join(self.further)}
        for number, (first, end) in enumerate(slots, 1):
            named[f"word_{number}"], named[f"end_{number}"] = first, end
        return named


def wanted(text: str) -> Wanted:
    """What a typed text looks for: `bank dep` words that begin so, `"credit suisse"` a phrase, `$jpm` a company."""
    plain = text.translate(_MARKS)
    phrases = [words for one in _QUOTED.findall(plain) if (words := _parted(one))]
    typed = [word for part in _QUOTED.sub(" ", plain).split() for word in _typed(part)]
    asked = [(word, True) for phrase in phrases for word in phrase]
    asked += [(word, len(word) < _LEAST_PREFIX or word[0] == "$") for word in typed]
    # Companies first: a series of one is found by its sign alone. Long words are rare ones, as a rule.
    sought = sorted(dict.fromkeys(asked), key=lambda one: (one[0][0] != "$", -len(one[0]), one))
    ranges = tuple((cut := word[:_LONGEST_WORD], cut + (_WHOLE if whole else _LAST)) for word, whole in sought[:SLOTS])
    rest = [f" {word} " if whole else f" {word}" for word, whole in sought[SLOTS:]]
    beside = [f" {' '.join(phrase)} " for phrase in phrases if len(phrase) > 1]
    return Wanted(ranges, tuple(dict.fromkeys([*beside, *rest])))


def words_of(title: str) -> list[str]:
    """Words of a title, each once, as the macro of the same name in the store has them."""
    return list(dict.fromkeys(word[:_LONGEST_WORD] for word in _parted(title)))


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


def _parted(text: str) -> list[str]:
    """Words in their order, whole, in small letters without accents."""
    bare = "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one)).lower()
    return [word for word in _NO_WORD.split(bare) if word]


def _typed(part: str) -> list[str]:
    sign = part.strip(_AROUND)
    if sign.startswith("$") and len(sign) > 1:
        return [sign.lower()]
    return _parted(part)
