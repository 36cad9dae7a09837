"""The frames that detection reads.

takes  nothing
gives  their columns; `Past`; a check of frames that are handed in
never  reads a value
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from alerts.detection.sources import AFFINITIES, SOURCES, empty_affinities, empty_sources
from alerts.errors import FrameUnusable

MARKET = "market"
_INSTANT = pl.Datetime("us", "UTC")

# Hourly rollups of all counted headlines, sparse: distinct stories, and the negative ones among them.
HISTORY: Mapping[str, pl.DataType] = {
    "series": pl.String(),
    "hour": _INSTANT,
    "stories": pl.Int64(),
    "negative": pl.Int64(),
}
# Fresh negative stories of the last `Rules.lookback`: one row per series and story.
SIGHTINGS: Mapping[str, pl.DataType] = {
    "series": pl.String(),
    "story": pl.UInt64(),
    "negative_at": _INSTANT,
    "publishers": pl.List(pl.String()),
}
# What is watched, and since when: hours before that say nothing about the series.
WATCHED: Mapping[str, pl.DataType] = {"series": pl.String(), "since": _INSTANT}


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of publishers, and how much series matter: all of it may be left out.

    Attributes:
        sources: columns of `SOURCES`; empty: the market's stories are the exposure of every series.
        affinities: columns of `AFFINITIES`; empty: every publisher counts alike.
        weights: of series, from the settings; above 0, and 1 where none is given.
    """

    sources: pl.DataFrame = field(default_factory=empty_sources)
    affinities: pl.DataFrame = field(default_factory=empty_affinities)
    weights: Mapping[str, float] = field(default_factory=dict)


def check_frames(history: pl.DataFrame, sightings: pl.DataFrame, watched: pl.DataFrame, past: Past) -> None:
    """Refuse frames that lack a declared column or have it in another type.

    Raises:
        FrameUnusable: naming the frame and the column.
    """
    for name, frame, columns in (
        ("history", history, HISTORY),
        ("sightings", sightings, SIGHTINGS),
        ("watched", watched, WATCHED),
        ("sources", past.sources, SOURCES),
        ("affinities", past.affinities, AFFINITIES),
    ):
        _check(name, frame, columns)


def _check(name: str, frame: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> None:
    for column, kind in columns.items():
        if column not in frame.columns:
            raise FrameUnusable(f"the {name} frame lacks the column {column!r} ({kind})")
        if frame.schema[column] != kind:
            raise FrameUnusable(f"the {name} frame has {column!r} as {frame.schema[column]}, not {kind}")
