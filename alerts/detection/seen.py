"""Fresh negative stories by series, in order of arrival.

takes  a frame of sightings, now, rules, and publishers without history
gives  `Seen` by series
never  lets a story in that only new publishers carry
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from alerts.rules import Rules

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """The fresh negative stories of one series, in order of arrival, as lists: they are cut hundreds of times."""

    stories: list[int]
    times: list[datetime]
    publishers: list[list[str]]

    def further(self, latest: int) -> int:
        """Families that carry the latest so many stories, beside the first of each."""
        return sum(max(len(families or ()) - 1, 0) for families in self.publishers[len(self.publishers) - latest :])


def seen_of(
    sightings: pl.DataFrame, now: datetime, bucket: datetime, new: frozenset[str], rules: Rules
) -> dict[str, Seen]:
    """Stories of the lookback by series, each once; what only new publishers carry is not there."""
    kept = sightings.lazy().filter(pl.col("negative_at").is_between(bucket - rules.lookback + _HOUR, now))
    kept = kept.with_columns(pl.col("publishers").fill_null([]))
    if new:
        known = pl.col("publishers").list.set_difference(pl.lit(sorted(new), dtype=pl.List(pl.String)))
        kept = kept.with_columns(known).filter(pl.col("publishers").list.len() > 0)
    rows = (
        kept.unique(["series", "story"], keep="first", maintain_order=True)
        .sort("negative_at", "story")
        .group_by("series", maintain_order=True)
        .agg("story", "negative_at", "publishers")
        .collect()
    )
    return {str(row[0]): Seen(*row[1:]) for row in rows.iter_rows()}
