"""How headlines become counts: a story counts once in each series.

takes  scored headlines that arrive, and what was known of their stories
gives  `Counted`: what is known now, and what changes in the hourly rollups
never  touches the store, and never depends on the order in which headlines arrive

In every series a story counts in `stories` and `tone` in the hour of its earliest headline, and in `negative` in the
hour of its earliest negative one; `headlines` counts every copy. When an earlier copy turns up late, the count moves
to its hour. Beside the stories, headlines are counted by publisher. `rebuild` says the same in SQL over everything
that is stored: the two must agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from monitor.series import MARKET

_INSTANT = pl.Datetime("us", "UTC")

# One row per series and headline that arrives. `at` is when it counts, `fetched` when it came.
ARRIVALS: dict[str, pl.DataType] = {
    "series": pl.String(),
    "story": pl.UInt64(),
    "headline": pl.UInt64(),
    "publisher": pl.String(),
    "at": _INSTANT,
    "fetched": _INSTANT,
    "fresh": pl.Boolean(),
    "negative": pl.Boolean(),
    "tone": pl.Float64(),
}

# One row per series and story, as table `sightings` keeps it, less the time of the last change.
KNOWN: dict[str, pl.DataType] = {
    "series": pl.String(),
    "story": pl.UInt64(),
    "at": _INSTANT,
    "headline": pl.UInt64(),
    "tone": pl.Float64(),
    "negative_at": _INSTANT,
    "fresh": pl.Boolean(),
    "publishers": pl.List(pl.String()),
}

_KEY = ["series", "story"]
_NUMBERS = ("headlines", "stories", "negative", "tone")


@dataclass(frozen=True, slots=True)
class Counted:
    """What a batch of arrivals changes.

    Attributes:
        known: columns of `KNOWN`: every (series, story) of the arrivals as it is now.
        changes: (series, hour, headlines, stories, negative, tone) to add to the rollups; numbers may be below zero.
        sources: (publisher, hour, headlines, negative) to add: every copy counts, for the publisher is who speaks.
        affinities: (series, publisher, day, negative) to add; likewise.
    """

    known: pl.DataFrame
    changes: pl.DataFrame
    sources: pl.DataFrame
    affinities: pl.DataFrame


def count(arrivals: pl.DataFrame, known: pl.DataFrame) -> Counted:
    """Fold arrivals into what is known.

    Args:
        arrivals: columns of `ARRIVALS`, each (series, headline) once and never counted before.
        known: columns of `KNOWN`: at least the (series, story) pairs that occur in the arrivals.
    """
    came = _by_story(arrivals).join(known, on=_KEY, how="left", suffix="_before", maintain_order="left")
    # Ties are broken by id, so that the hour's tone does not hang on the order of arrival.
    first = (
        pl.col("at_before").is_null()
        | (pl.col("at") < pl.col("at_before"))
        | ((pl.col("at") == pl.col("at_before")) & (pl.col("headline") < pl.col("headline_before")))
    )
    first_negative = pl.col("negative_at").is_not_null() & (
        pl.col("negative_at_before").is_null() | (pl.col("negative_at") < pl.col("negative_at_before"))
    )
    came = came.with_columns(first=first, first_negative=first_negative)
    after = came.select(
        *_KEY,
        *(
            pl.when("first").then(name).otherwise(f"{name}_before").cast(KNOWN[name]).alias(name)
            for name in ("at", "headline", "tone")
        ),
        negative_at=pl.min_horizontal("negative_at", "negative_at_before"),
        fresh=pl.col("fresh") | pl.col("fresh_before").fill_null(value=False),
        publishers=pl.concat_list(pl.col("publishers_before").fill_null([]), "publishers").list.unique(
            maintain_order=True
        ),
    )
    return Counted(after.select(*KNOWN), _changes(arrivals, came), _sources(arrivals), _affinities(arrivals))


def _by_story(arrivals: pl.DataFrame) -> pl.DataFrame:
    firsts = (
        arrivals.sort("at", "headline")
        .group_by(_KEY, maintain_order=True)
        .agg(
            pl.col("at", "headline", "tone").first(),
            negative_at=pl.col("at").filter("negative").min(),
            fresh=pl.col("fresh").any(),
        )
    )
    carriers = (
        arrivals.sort("fetched", "at", "headline")
        .group_by(_KEY)
        .agg(publishers=pl.col("publisher").unique(maintain_order=True))
    )
    return firsts.join(carriers, on=_KEY, maintain_order="left")


def _changes(arrivals: pl.DataFrame, came: pl.DataFrame) -> pl.DataFrame:
    moved = pl.col("first") & pl.col("at_before").is_not_null()
    moved_negative = pl.col("first_negative") & pl.col("negative_at_before").is_not_null()
    parts = [
        _part(arrivals, "at", headlines=pl.lit(1)),
        _part(came.filter("first"), "at", stories=pl.lit(1), tone=pl.col("tone")),
        _part(came.filter(moved), "at_before", stories=pl.lit(-1), tone=-pl.col("tone_before")),
        _part(came.filter("first_negative"), "negative_at", negative=pl.lit(1)),
        _part(came.filter(moved_negative), "negative_at_before", negative=pl.lit(-1)),
    ]
    summed = pl.concat(parts).group_by("series", "hour").agg(pl.col(*_NUMBERS).sum())
    return summed.filter(pl.any_horizontal(pl.col(*_NUMBERS) != 0)).sort("hour", "series")


def _sources(arrivals: pl.DataFrame) -> pl.DataFrame:
    return (
        arrivals.filter(pl.col("series") == MARKET)
        .group_by("publisher", hour=pl.col("at").dt.truncate("1h"))
        .agg(headlines=pl.len().cast(pl.Int32), negative=pl.col("negative").sum().cast(pl.Int32))
        .sort("hour", "publisher")
    )


def _affinities(arrivals: pl.DataFrame) -> pl.DataFrame:
    return (
        arrivals.filter("negative")
        .group_by("series", "publisher", day=pl.col("at").dt.truncate("1d"))
        .agg(negative=pl.len().cast(pl.Int32))
        .sort("day", "series", "publisher")
    )


def _part(rows: pl.DataFrame, at: str, **numbers: pl.Expr) -> pl.DataFrame:
    return rows.select(
        "series",
        pl.col(at).dt.truncate("1h").alias("hour"),
        *(
            numbers.get(name, pl.lit(0)).cast(pl.Float64 if name == "tone" else pl.Int64).alias(name)
            for name in _NUMBERS
        ),
    )
