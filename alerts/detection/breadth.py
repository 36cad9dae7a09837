"""How many publisher families usually carry a story, and how improbable it is that so many carry one.

takes  how many publisher families carry each story of the last days
gives  `Breadth`
never  looks at what stories say

Families less one are taken as negative binomial, the sum over n stories likewise.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from alerts.detection.surprise import Floats, tail

# Stories are still being picked up while they are this young: they say too little about how far stories spread.
_GROWN = timedelta(hours=48)

# Before it has shown otherwise one negative story in five has a second family; that weighs as much as twenty stories.
_PRIOR_MORE, _PRIOR_STORIES = 0.2, 20.0
_PRIOR_DISPERSION = 1.0
_LEAST_DISPERSION = 0.1


@dataclass(frozen=True, slots=True)
class Breadth:
    """How many families beside the first usually carry a negative story.

    Attributes:
        mean: above 0.
        dispersion: variance = mean + dispersion * mean^2; above 0.
    """

    mean: float
    dispersion: float

    def __post_init__(self) -> None:
        if not (self.mean > 0 and self.dispersion > 0):
            raise ValueError("a breadth needs a mean and a dispersion above 0")

    @classmethod
    def of(cls, families: Sequence[int]) -> Breadth:
        """Of stories that are old enough to have been picked up."""
        more = np.asarray(families, dtype=np.float64) - 1
        mean = (more.sum() + _PRIOR_MORE * _PRIOR_STORIES) / (len(more) + _PRIOR_STORIES)
        excess = ((more - mean) ** 2 - mean).sum() + _PRIOR_STORIES * _PRIOR_DISPERSION * mean**2
        return cls(float(mean), max(float(excess / ((len(more) + _PRIOR_STORIES) * mean**2)), _LEAST_DISPERSION))

    @classmethod
    def grown(cls, families: Sequence[int], times: Sequence[datetime], now: datetime) -> Breadth:
        """Of stories in order of time, those that are old enough."""
        return cls.of(families[: bisect_right(times, now - _GROWN)])

    def probabilities(self, stories: npt.ArrayLike, more: npt.ArrayLike) -> Floats:
        """P(so many further families or more) over so many stories together; 1 where there are no more than usual.

        Args:
            stories: how many, 1 or more.
            more: families beside the first of each, added up.
        """
        count, beside = np.asarray(stories, dtype=np.float64), np.asarray(more, dtype=np.float64)
        usual = count * self.mean
        return np.where(beside > usual, tail(beside, usual, self.dispersion / count), 1.0)

    def probability(self, families: Sequence[int]) -> float:
        """P(so many families or more) of so many stories; 1 for none, and where there are no more than usual."""
        count = len(families)
        return float(self.probabilities(count, sum(families) - count)) if count else 1.0
