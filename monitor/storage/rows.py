"""The store's tables as frames: which columns they have, and how a value becomes a row and back.

takes  headlines, scores, feed states
gives  polars frames in the types of the tables, and `Headline`s out of rows
never  talks to the database

What is read back equals what was written, save that probabilities are kept in single precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import polars as pl
import pyarrow as pa

from monitor.news.counting import ARRIVALS
from monitor.news.headlines import Headline, Standing
from monitor.series import Scored, counts, series_of

Schema = Mapping[str, pl.DataType]

_INSTANT = pl.Datetime("us", "UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXT = pl.String()
_TEXTS = pl.List(pl.String())

FEEDS: Schema = {
    "feed": _TEXT,
    "url": _TEXT,
    "name": _TEXT,
    "publisher": _TEXT,
    "etag": _TEXT,
    "last_modified": _TEXT,
    "added_at": _INSTANT,
    "first_success_at": _INSTANT,
    "last_check_at": _INSTANT,
    "last_success_at": _INSTANT,
    "last_entry_at": _INSTANT,
    "next_check_at": _INSTANT,
    "failures": pl.Int32(),
    "outcome": _TEXT,
    "reason": _TEXT,
    "body": pl.UInt64(),
    "millis": pl.Int32(),
    "ttl_seconds": pl.Int64(),
    "pace": _TEXT,
    "dates": _TEXT,
    "newest_at": _INSTANT,
    "gap_seconds": pl.Float64(),
    "longest_gap_seconds": pl.Float64(),
    "guids": _TEXT,
    "moved_to": _TEXT,
    "moved_since": _INSTANT,
    "moved_seen": pl.Int32(),
    "retry_at": _INSTANT,
    "muted_at": _INSTANT,
    "paused_at": _INSTANT,
}

CHECKS: Schema = {
    "feed": _TEXT,
    "at": _INSTANT,
    "outcome": _TEXT,
    "reason": _TEXT,
    "status": pl.Int32(),
    "entries": pl.Int32(),
    "fresh": pl.Int32(),
    "bytes": pl.Int64(),
    "millis": pl.Int32(),
}

REVISIONS: Schema = {"headline": pl.UInt64(), "at": _INSTANT, "feed": _TEXT, "title": _TEXT}

HEADLINES: Schema = {
    "id": pl.UInt64(),
    "feed": _TEXT,
    "publisher": _TEXT,
    "title": _TEXT,
    "summary": _TEXT,
    "link": _TEXT,
    "language": _TEXT,
    "published": _INSTANT,
    "fetched": _INSTANT,
    "effective": _INSTANT,
    "standing": _TEXT,
    "story": pl.UInt64(),
    "companies": _TEXTS,
}

SCORES: Schema = {
    "headline": pl.UInt64(),
    "effective": _INSTANT,
    "model": _TEXT,
    "negative": pl.Float32(),
    "neutral": pl.Float32(),
    "positive": pl.Float32(),
    "sentiment": _TEXT,
    "abstention": _TEXT,
    "topics": _TEXTS,
    "topic_probabilities": pl.List(pl.Float32()),
    "themes": _TEXTS,
    "series": _TEXTS,
    "towards": _TEXTS,
    "towards_negative": pl.List(pl.Float32()),
    "towards_positive": pl.List(pl.Float32()),
    "series_negative": pl.List(pl.Boolean()),
    "series_tone": pl.List(pl.Float32()),
}


def frame_of(values: Sequence[object], schema: Schema) -> pl.DataFrame:
    """A frame of objects whose attributes bear the names of the columns."""
    return framed({name: [getattr(each, name) for each in values] for name in schema}, schema)


def framed(columns: Mapping[str, Sequence[Any]], schema: Schema) -> pl.DataFrame:
    """A frame of columns, in the order of the schema."""
    return pl.DataFrame([_column(name, columns[name], kind) for name, kind in schema.items()])


def headline_of(row: Mapping[str, Any]) -> Headline:
    """The headline of a row of table `headlines`."""
    return Headline(**{**row, "standing": Standing(row["standing"]), "companies": tuple(row["companies"])})


def score_frame(headlines: Iterable[Headline], scores: Mapping[int, Scored]) -> pl.DataFrame:
    """Rows of table `scores` for these headlines, each of which must have one in `scores`."""
    rows: dict[str, list[Any]] = {name: [] for name in SCORES}
    for headline in headlines:
        scored = scores[headline.id]
        score, series = scored.score, series_of(headline, scored)
        values = (
            headline.id,
            headline.effective,
            score.model,
            score.negative,
            score.neutral,
            score.positive,
            score.sentiment.value,
            score.abstention.value,
            [topic for topic, _ in score.topics],
            [probability for _, probability in score.topics],
            scored.themes,
            series,
            [ticker for ticker, _ in scored.towards],
            [opinion.negative for _, opinion in scored.towards],
            [opinion.positive for _, opinion in scored.towards],
            [scored.counts_as_negative_in(each) for each in series],
            [scored.tone_in(each) for each in series],
        )
        for column, value in zip(rows.values(), values, strict=True):
            column.append(value)
    return framed(rows, SCORES)


def arrival_frame(headlines: Sequence[Headline], scores: pl.DataFrame) -> pl.DataFrame:
    """Rows of `ARRIVALS`: these headlines once in each of their series, without those that no hour can count.

    Args:
        headlines: each of them has a row in `scores`.
        scores: columns of `SCORES`. Tone is computed from them rather than from the model's full precision, so that
            a recount of what is stored gives the same sums.
    """
    counted = [headline for headline in headlines if counts(headline.standing)]
    said = scores.select(
        "headline", "series", negative="series_negative", tone=pl.col("series_tone").cast(pl.List(pl.Float64()))
    )
    came = pl.DataFrame(
        {
            "headline": [headline.id for headline in counted],
            "story": [headline.story for headline in counted],
            "publisher": [headline.publisher for headline in counted],
            "at": [headline.effective for headline in counted],
            "fetched": [headline.fetched for headline in counted],
            "fresh": [headline.standing is Standing.FRESH for headline in counted],
        },
        schema={name: kind for name, kind in ARRIVALS.items() if name not in {"series", "negative", "tone"}},
    )
    return came.join(said, on="headline").explode("series", "negative", "tone").select(*ARRIVALS)


class _Handed:
    """An Arrow array by its C interface alone: `pl.from_arrow` would load Arrow's functions (5 MiB) to look at it."""

    def __init__(self, array: pa.Array[Any]) -> None:
        self._array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """As https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html has it."""
        handed: tuple[object, object] = self._array.__arrow_c_array__(requested_schema)
        return handed


def _column(name: str, values: Sequence[Any], kind: pl.DataType) -> pl.Series:
    try:
        return _series(name, values, kind)
    except UnicodeEncodeError:
        # Half a character (a lone surrogate) cannot be stored; one hostile title must not cost the whole batch.
        return _series(name, [_whole(value) for value in values], kind)


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return [_whole(each) for each in value] if isinstance(value, list | tuple) else value


def _series(name: str, values: Sequence[Any], kind: pl.DataType) -> pl.Series:
    if isinstance(kind, pl.List):
        # polars builds a series of its own for every list: through Arrow it takes a tenth of the time. Not by
        # `pyarrow.array`, which loads pandas (45 MiB) to see whether it was given some of that.
        ends = pl.Series([0, *accumulate(len(each) for each in values)], dtype=pl.Int32)
        flat = pl.Series([one for each in values for one in each], dtype=kind.inner)
        lists: pa.Array[Any] = pa.ListArray.from_arrays(ends.to_arrow(), flat.to_arrow())  # type: ignore[call-overload]  # polars does not say of which type its arrays are
        return pl.Series(name, _Handed(lists), dtype=kind).alias(name)
    if kind == _INSTANT:
        # Handed over as they are, each costs polars seven times as much.
        since = [None if value is None else (value - _EPOCH) // _MICROSECOND for value in values]
        return pl.Series(name, since, dtype=pl.Int64).cast(kind)
    return pl.Series(name, values, dtype=kind)
