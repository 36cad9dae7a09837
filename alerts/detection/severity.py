"""How grave a surge is, and why: a score that people can check by hand.

takes  how improbable, how large, how widely carried, and how much the series matters to the desk
gives  `Gravity`: the score, its four parts, and the `Severity` that follows
never  decides whether something is a surge

    score = rarity + size + breadth + weight

    rarity   half the decades by which chance is rarer than the rules ask, at most 3
    size     log2 of how many times the smallest count that may alert was reached, at most 3
    breadth  log2 of publisher families over the fewest that must carry it, at most 2
    weight   log2 of the weight that the settings give the series, at most 3

Each part is 0 for a surge that just meets the rules; one point is a doubling, or two decades of improbability. Of a
breaking story publisher families are what is counted: size and breadth are measured against the fewest that make one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from alerts.rules import Rules

_MOST_RARITY = 3.0
_MOST_SIZE = 3.0
_MOST_BREADTH = 2.0
_MOST_WEIGHT = 3.0


class Severity(StrEnum):
    """How grave, in ascending order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least grave."""
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Gravity:
    """The parts of a severity score; see the top of the file.

    Raises:
        ValueError: when a part is not finite.
    """

    rarity: float
    size: float
    breadth: float
    weight: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(part) for part in (self.rarity, self.size, self.breadth, self.weight)):
            raise ValueError("the parts of a severity score must be finite")

    @property
    def score(self) -> float:
        """The sum of the parts."""
        return self.rarity + self.size + self.breadth + self.weight

    def severity(self, rules: Rules) -> Severity:
        """What the score means under these rules."""
        if self.score >= rules.critical_score:
            return Severity.CRITICAL
        return Severity.WARNING if self.score >= rules.warning_score else Severity.INFO

    @property
    def words(self) -> str:
        """The formula with its numbers: "score 4.2 = rarity 2.0 + size 1.6 + publishers 0.6 + weight 0.0"."""
        return (
            f"score {self.score:.1f} = rarity {self.rarity:.1f} + size {self.size:.1f} "
            f"+ publishers {self.breadth:.1f} + weight {self.weight:.1f}"
        )


def gravity(
    *, allowed: float, per_week: float, observed: int, needed: float, publishers: int, carriers: int, weight: float
) -> Gravity:
    """Weigh one window.

    Args:
        allowed, per_week: how often a week chance may, and would, bring this in this series; above 0, and 0 or more.
        observed, needed: what was seen, and the least that may alert: stories, or families of a breaking one; above 0.
        publishers, carriers: publisher families that carry it, and the fewest that must; above 0.
        weight: of the series in the settings; above 0.
    """
    rarity = _MOST_RARITY if per_week <= 0 else 0.5 * math.log10(allowed / per_week)
    return Gravity(
        rarity=_within(rarity, _MOST_RARITY),
        size=_within(math.log2(max(observed, 1) / needed), _MOST_SIZE),
        breadth=_within(math.log2(max(publishers, 1) / carriers), _MOST_BREADTH),
        weight=max(-_MOST_WEIGHT, min(math.log2(weight), _MOST_WEIGHT)),
    )


def _within(part: float, most: float) -> float:
    return min(max(part, 0.0), most)
