"""How rare a word is: in finance headlines at large, and in those of the last two days.

takes  the stems of the titles that are remembered
gives  a rarity for any stem, from 0 to `RAREST`
never  learns more than what is remembered: after a restart it says the same

A word that is rare at large tells much about a story, unless half of today's headlines hold it.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

# A word that the counts do not hold is rare; how rare cannot be known, and is bounded.
RAREST = 8.5
# Texts that word_counts.csv was counted over, and what a stem that it leaves out is taken to have had.
_TEXTS = 34_085
_LEFT_OUT = 3
# The headlines at large weigh as much as this many of the last two days.
_PRIOR = 200


class Rarities:
    """Counts of stems among what is remembered, over the shipped counts of finance headlines at large."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._texts = 0

    def __call__(self, stem: str) -> float:
        """The logarithm of one in how many headlines holds the stem, at most `RAREST`."""
        at_large = _PRIOR * _counts().get(stem, _LEFT_OUT) / _TEXTS
        return min(RAREST, math.log((_PRIOR + self._texts) / (at_large + self._held.get(stem, 0))))

    def add(self, stems: Iterable[str]) -> None:
        """Count one more text with these stems, each once."""
        self._held.update(stems)
        self._texts += 1

    def drop(self, stems: Iterable[str]) -> None:
        """Count one text with these stems less; it must have been added."""
        for stem in stems:
            self._held[stem] -= 1
            if not self._held[stem]:
                del self._held[stem]
        self._texts -= 1


class Memo(dict[str, float]):
    """What `rarity` said of each stem, while one title is compared with many."""

    def __init__(self, rarity: Rarities) -> None:
        self._rarity = rarity

    def __missing__(self, stem: str) -> float:
        known = self[stem] = self._rarity(stem)
        return known


def rarity_at_large(stem: str) -> float:
    """The same, by the shipped counts alone."""
    return min(RAREST, math.log(_TEXTS / _counts().get(stem, _LEFT_OUT)))


@cache
def _counts() -> dict[str, int]:
    lines = files("monitor.news").joinpath("word_counts.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row["stem"]: int(row["texts"]) for row in rows}
