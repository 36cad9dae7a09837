"""Whether two titles tell one story, and how likely.

takes  two `Told` titles, and how rare each word is today
gives  a named difference that keeps them apart, or the log-odds that they tell one story; and that one belongs to many
never  remembers anything, and never embeds: `monitor.news.stories` does

`benchmarks/stories.py --fit` fits the weights on the tuning half of the judged pairs; docs/stories.md shows what they
reach on the half that was held out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rapidfuzz import fuzz

from monitor.news.manner import manner
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

# A title joins a story by the title of it that it is most alike to, and the mean over all of them weighs a quarter:
# what is like one title alone is often the next step. A title that was not compared counts as unlike.
_ALL_OF_THEM = 0.25
_UNLIKE = -2.0
# The weight of a title of four rare words, near enough: it brings such sums to the size of the other features.
_MUCH = 20.0
# The log-odds of a copy: above what any features can reach, so that copies are preferred.
COPIED = 20.0


# In the order of `features`; then the nearness of meaning, where there is one; then the intercept.
_BY_MEANING = (
    *(-0.148, 4.898, -1.104, -1.504, 5.523, 4.193, -6.664, -0.909, 0.886, 1.108, -0.409, -1.200, 0.857, -1.156, -1.507),
    *(2.019, 9.036, -10.287),
)
_BY_WORDS = (
    *(-0.137, 4.196, -0.990, -1.616, 5.759, 4.141, -1.930, -0.684, 0.488, 1.248, -0.345, -1.062, 1.260, -1.050, -1.444),
    *(1.763, -5.619),
)


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
    """What the log-odds weigh beside the nearness of meaning, in the order of the weights.

    Hours apart; the rarest word of both titles; whether only one of them explains; whether one house tells both; which
    part of a title the other's title and summary hold, for the less and for the more covered one; which part of the
    longer title is shared; the rarest word that the other side lacks; how much the title with less of its own says
    alone; whether both begin with one word; whether only one follows on an event; and of speaking of markets and
    about an event, whether only one title does and whether both do; whether the later title is a column's: columns
    sum up what was told before, and seldom tell the next step first.
    """
    mine, theirs = frozenset(one.stems), frozenset(other.stems)
    whole, their_whole = frozenset(one.body), frozenset(other.body)
    shared = mine & theirs
    weight, their_weight, in_both = (_weight(stems, rarity) for stems in (mine, theirs, shared))
    covered = (
        _part(_weight(mine & their_whole, rarity), weight),
        _part(_weight(theirs & whole, rarity), their_weight),
    )
    mine_manner, theirs_manner = manner(one.text), manner(other.text)
    lacking = (_rarest(mine - their_whole, rarity), _rarest(theirs - whole, rarity))
    return (
        abs((one.at - other.at).total_seconds()) / 3600,
        _rarest(shared, rarity),
        float(one.explains != other.explains),
        float(one.publisher == other.publisher),
        min(covered),
        max(covered),
        _part(in_both, max(weight, their_weight)),
        max(lacking),
        (min(weight, their_weight) - in_both) / _MUCH,
        float(one.opening == other.opening and one.opening != ""),
        float(mine_manner.follows != theirs_manner.follows),
        float(mine_manner.markets != theirs_manner.markets),
        float(mine_manner.markets and theirs_manner.markets),
        float(mine_manner.about != theirs_manner.about),
        float(mine_manner.about and theirs_manner.about),
        float(any(title.column for title in (one, other) if title.at == max(one.at, other.at))),
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


def belonging(odds: Sequence[float], titles: int) -> float:
    """Log-odds that a title belongs to a story.

    Args:
        odds: that it tells the same as one of the story's titles, for each that it was compared with; at least one.
        titles: how many titles the story has; what exceeds `odds` was not compared.
    """
    unlike = max(0, titles - len(odds))
    mean = math.fsum([*odds, _UNLIKE * unlike]) / (len(odds) + unlike)
    return (1.0 - _ALL_OF_THEM) * max(odds) + _ALL_OF_THEM * mean


def _odds(weights: tuple[float, ...], seen: tuple[float, ...]) -> float:
    return math.fsum(weight * value for weight, value in zip(weights, (*seen, 1.0), strict=True))


def _weight(stems: frozenset[str], rarity: Rarity) -> float:
    return math.fsum([rarity[stem] for stem in stems])


def _part(some: float, all_of_it: float) -> float:
    return some / all_of_it if all_of_it else 0.0


def _rarest(stems: frozenset[str], rarity: Rarity) -> float:
    """From 0 to 1; 0 where there is no word."""
    return max([rarity[stem] for stem in stems], default=0.0) / RAREST


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
