"""Whether two titles tell one story, and how likely.

takes  two `Told` titles, and how rare each word is today
gives  a named difference that keeps them apart, or the log-odds that they tell one story
never  remembers anything, and never embeds: `monitor.news.stories` does

`benchmarks/stories.py --fit` fits the weights on the tuning half of the judged pairs; docs/stories.md shows what they
reach on the half that was held out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rapidfuzz import fuzz

from monitor.news.rarity import RAREST, rarity_at_large
from monitor.news.wording import Told

# Of every stem, how rare it is today.
Rarity = Mapping[str, float]

# Titles whose sorted words agree to this percent are copies with a slip or an edit; short ones are mostly template.
_COPY = 88.0
_SHORT = 5
_COPY_SHORT = 92.0
# A word this rare at large, which the other side lacks, is taken for a name.
_TELLING = 6.5

# The log-odds of a copy: above what any features can reach, so that copies are preferred.
COPIED = 20.0


# Log of hours apart, hours apart, rarest shared word, shared part of the titles by rarity, only one explains, one
# house, shared part of titles and summaries, part of the less covered title that the other's title and summary hold,
# nearness of meaning; then the intercept.
_BY_MEANING = (-0.470, -0.048, 2.719, 1.136, -1.574, -1.200, 6.896, 0.920, 6.672, -6.637)
_BY_WORDS = (-0.441, -0.047, 2.621, 4.066, -1.385, -1.372, 8.267, 2.260, -3.591)


class Difference(StrEnum):
    """What keeps two titles apart, however alike they sound."""

    NONE = "none"
    WORDLESS = "wordless"  # one of them has no telling word
    NUMBER = "number"  # a percentage, sum or count that the other contradicts
    PERIOD = "period"  # another month, quarter or weekday
    COMPANY = "company"
    CENTRAL_BANK = "central_bank"
    DIRECTION = "direction"  # one rises, the other falls
    NAME = "name"  # the same said of another: "Acme shares fall", "Foobar shares fall"


@dataclass(frozen=True, slots=True)
class Likeness:
    """Log-odds that two titles tell one story.

    Attributes:
        by_words: as far as words say.
        at_best: if both meant the very same; no nearness of meaning makes it more.
        per_nearness: what is lost of it for each unit of cosine below one; 0 where meaning has no say.
    """

    by_words: float
    at_best: float
    per_nearness: float

    def given(self, near: float | None) -> float:
        """The log-odds given the cosine of both meanings, from -1 to 1; None where no model said so."""
        return self.by_words if near is None else self.at_best - self.per_nearness * (1.0 - near)


def difference(one: Told, other: Told) -> Difference:
    """The first thing in which the titles contradict each other.

    Of two sets (numbers of a kind, companies ...) neither contradicts where one holds all of the other: a title may
    leave out what another says.
    """
    if not one.stems or not other.stems:
        return Difference.WORDLESS
    for kind in ("percent", "money", "count"):
        if _contradict(_of_kind(one, kind), _of_kind(other, kind)):
            return Difference.NUMBER
    if _contradict(one.periods, other.periods):
        return Difference.PERIOD
    if _contradict(one.companies, other.companies):
        return Difference.COMPANY
    if _contradict(one.central_banks, other.central_banks):
        return Difference.CENTRAL_BANK
    if one.upward != other.upward and one.downward != other.downward and one.upward == other.downward:
        return Difference.DIRECTION
    if _same_of_another(one, other):
        return Difference.NAME
    return Difference.NONE


def features(one: Told, other: Told, rarity: Rarity) -> tuple[float, ...]:
    """What the log-odds weigh beside the nearness of meaning, in the order of the weights."""
    hours = abs((one.at - other.at).total_seconds()) / 3600
    mine, theirs = frozenset(one.stems), frozenset(other.stems)
    whole, their_whole = frozenset(one.body), frozenset(other.body)
    shared = mine & theirs
    return (
        math.log1p(hours),
        hours,
        max((rarity[stem] for stem in shared), default=0.0) / RAREST,
        _part(shared, mine | theirs, rarity),
        float(one.explains != other.explains),
        float(one.publisher == other.publisher),
        _part(whole & their_whole, whole | their_whole, rarity),
        min(_part(mine & their_whole, mine, rarity), _part(theirs & whole, theirs, rarity)),
    )


def copied(one: Told, other: Told) -> bool:
    """Whether one title is the other with at most a slip or an edit."""
    short = min(one.line.count(" "), other.line.count(" ")) < _SHORT
    if not fuzz.ratio(one.line, other.line, score_cutoff=_COPY_SHORT if short else _COPY):
        return False
    return not (_keeps_a_name(one, other) and _keeps_a_name(other, one))


def likeness(one: Told, other: Told, rarity: Rarity) -> Likeness:
    """How likely the titles tell one story, if no `difference` keeps them apart."""
    if copied(one, other):
        return Likeness(COPIED, COPIED, 0.0)
    if one.foreign or other.foreign:
        return Likeness(-COPIED, -COPIED, 0.0)
    seen = features(one, other, rarity)
    return Likeness(_odds(_BY_WORDS, seen), _odds(_BY_MEANING, (*seen, 1.0)), _BY_MEANING[-2])


def _odds(weights: tuple[float, ...], seen: tuple[float, ...]) -> float:
    return math.fsum(weight * value for weight, value in zip(weights, (*seen, 1.0), strict=True))


def _part(of: frozenset[str], whole: frozenset[str], rarity: Rarity) -> float:
    if not of:
        return 0.0
    return math.fsum([rarity[stem] for stem in of]) / math.fsum([rarity[stem] for stem in whole])


def _of_kind(title: Told, kind: str) -> frozenset[str]:
    return frozenset(number for of, number in title.amounts if of == kind)


def _contradict(one: frozenset[str], other: frozenset[str]) -> bool:
    return not (one <= other or other <= one)


def _same_of_another(one: Told, other: Told) -> bool:
    """Whether the titles begin with a rare word each, and differ in rare words alone."""
    mine, theirs = set(one.stems) - set(other.stems), set(other.stems) - set(one.stems)
    if one.opening not in mine or other.opening not in theirs:
        return False
    return all(rarity_at_large(stem) >= _TELLING for stem in mine | theirs)


def _keeps_a_name(one: Told, other: Told) -> bool:
    return any(rarity_at_large(stem) >= _TELLING for stem in one.stems if stem not in other.stems)
