"""Single stories that many publishers carry at once.

takes  fresh negative stories of the market with the publisher families that carry them, and now
gives  a `Window` for each young story that more than one family carries, in a series of its own: `story:0123...`
never  takes copies for stories, nor several outlets of one house for several families

How many families usually carry a negative story is learned from the stories of the last days: families less one are
taken as negative binomial. So where everything is syndicated, more families are needed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import numpy as np

from alerts.detection.breadth import Breadth
from alerts.detection.surprise import HOURS_A_WEEK, tail
from alerts.detection.window import Chance, Window
from alerts.rules import Detector, Rules

STORY = "story"
# A story of one family is nobody's breaking story.
_FEWEST_FAMILIES = 2


def story_series(story: int) -> str:
    """The name of a story's series."""
    return f"{STORY}:{story:016x}"


def story_of(series: str) -> int | None:
    """The story that a series of this kind is about; None for another kind."""
    kind, _, name = series.partition(":")
    return int(name, 16) if kind == STORY else None


def breaking(
    stories: Sequence[int],
    times: Sequence[datetime],
    carried: Sequence[Collection[str]],
    now: datetime,
    history_days: float,
    budget: float,
    rules: Rules,
) -> tuple[Window, ...]:
    """Windows of the stories that turned negative in the last `breaking_hours`, in order of arrival.

    Args:
        stories, times, carried: fresh negative stories of the market of the last days, in order of arrival: id, when
            each turned negative, and the families that carry it, each once, those without history left out.
        now: aware UTC.
        history_days: of the market.
        budget: share of all such stories together.
    """
    families = [len(one) for one in carried]
    usual = Breadth.grown(families, times, now)
    days = min(max(history_days, 1.0), rules.lookback / timedelta(days=1))
    weekly = len(stories) / days * HOURS_A_WEEK / 24
    least = _smallest(usual, weekly, budget, rules)
    found = []
    for place in range(bisect_right(times, now - timedelta(hours=rules.breaking_hours)), len(stories)):
        count = families[place]
        if count < _FEWEST_FAMILIES:
            continue
        probability = usual.probability([count])
        found.append(
            Window(
                series=story_series(stories[place]),
                hours=rules.breaking_hours,
                start=times[place],
                end=now,
                observed=count,
                exposure=len(stories),
                expected=1 + usual.mean,
                dispersion=usual.dispersion,
                publishers=count,
                stories=(stories[place],),
                since=times[place],
                history_days=history_days,
                budget=budget,
                smallest_detectable=least,
                detector=Detector.BREAKING,
                chance=Chance(probability, weekly * probability),
            )
        )
    return tuple(found)


def _smallest(usual: Breadth, weekly: float, budget: float, rules: Rules) -> int:
    counts = np.arange(max(rules.breaking_publishers, rules.minimum_publishers), 200)
    allowed = rules.false_alerts_per_week * budget
    rare = weekly * tail(counts - 1, usual.mean, usual.dispersion) <= allowed
    return int(counts[np.argmax(rare)]) if rare.any() else int(counts[-1])
