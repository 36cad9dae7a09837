"""One series in one stretch of time, as one detector looks at it.

takes  numbers
gives  `Window`, `Chance`
never  computes any of them
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.rules import Detector


@dataclass(frozen=True, slots=True)
class Chance:
    """How often chance alone brings what a window holds.

    Attributes:
        probability: of so much or more in a usual window, 0 to 1.
        per_week: how often a week, at most; 0 or more.
    """

    probability: float
    per_week: float

    def __post_init__(self) -> None:
        if not (0 <= self.probability <= 1 and self.per_week >= 0):
            raise ValueError("a probability lies within [0, 1], and a rate is not below 0")


@dataclass(frozen=True, slots=True)
class Window:
    """One series in one stretch of time.

    Attributes:
        series: what is watched.
        hours: length in hour buckets; the last bucket is the hour that `end` lies in.
        start, end: from the start of the first bucket to now, aware UTC.
        observed: distinct fresh negative stories; of a breaking story the publisher families that carry it.
        exposure: distinct stories of the whole market in the same buckets; for tone, the series' own stories.
        expected: what was to be expected of the same, above 0.
        dispersion: variance = expected + dispersion * expected^2; above 0.
        publishers: publisher families that carry the stories, those without history left out.
        stories: ids of the stories, in order of arrival.
        since: when the first of them turned negative; None when there is none.
        history_days: how much history the expectation rests on, in days.
        budget: this series' share of the false alerts that all series together may raise, above 0; what others leave
            over included.
        smallest_detectable: the smallest count that would be a surge of volume here and now.
        detector: what it is tested for.
        chance: of a detector whose law is not the negative binomial of `expected` and `dispersion`.
        weight: of the series in the settings.
        carried: probability that usual stories, as many, are carried by so many families or more; 1 where they are not
            carried by more than usual, or nobody asked.

    Raises:
        ValueError: on a naive or reversed stretch, or a count that does not match the stories.
    """

    series: str
    hours: int
    start: datetime
    end: datetime
    observed: int
    exposure: int
    expected: float
    dispersion: float
    publishers: int
    stories: tuple[int, ...]
    since: datetime | None
    history_days: float
    budget: float
    smallest_detectable: int
    detector: Detector = Detector.VOLUME
    chance: Chance | None = None
    weight: float = 1.0
    carried: float = 1.0

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None or self.start > self.end:
            raise ValueError("a window needs an aware start that is not after its end")
        counted = len(self.stories) if self.detector is not Detector.BREAKING else self.observed
        if self.observed != counted or (self.since is None) != (self.observed == 0):
            raise ValueError("a window counts its stories, and knows since when")
        if not 0 <= self.carried <= 1:
            raise ValueError("how far a window's stories are carried is a probability within [0, 1]")
        if not (self.expected > 0 and self.dispersion > 0 and self.budget > 0 and self.weight > 0):
            raise ValueError("a window needs an expected count, a dispersion, a budget and a weight above 0")
