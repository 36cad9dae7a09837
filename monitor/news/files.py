"""Files of headlines, as people have them.

takes  text lines, CSV, JSON lines, Parquet
gives  polars frames; and writes them back with scores
never  guesses a column that is not there
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import polars as pl

from models.score import Score
from monitor.errors import InputUnusable
from monitor.news.utf8 import not_utf8, packed, unread

FORMATS = ("csv", "jsonl", "parquet")
_TITLE_COLUMNS = ("title", "headline", "text")


def read_headlines(source: Path, column: str = "") -> tuple[pl.DataFrame, str]:
    """A frame with one row per headline, and the name of the column that holds it.

    Args:
        source: `-` for lines on standard input; else .csv, .jsonl/.ndjson, .parquet by name, lines otherwise.
        column: the headline's column; else the first of title, headline, text.

    Raises:
        InputUnusable: naming the file and what is wrong with it.
    """
    try:
        frame = _read(source)
    except FileNotFoundError:
        raise InputUnusable(f"there is no file {source}") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputUnusable(f"{source} cannot be read: {unread(source, error)}") from error
    name = column or next((one for one in _TITLE_COLUMNS if one in frame.columns), "")
    if name not in frame.columns:
        wanted = f"the column {column!r}" if column else f"a column named {' or '.join(_TITLE_COLUMNS)}"
        raise InputUnusable(f"{source} lacks {wanted}; it has {', '.join(frame.columns)}; name one with --column")
    if frame.schema[name].is_nested():
        raise InputUnusable(
            f"{source}: the column {name!r} holds {frame.schema[name]}, not text; name one with --column"
        )
    return frame.with_columns(pl.col(name).cast(pl.String).fill_null("")), name


def format_of(out: Path | None) -> str:
    """csv, jsonl or parquet by the name of a file; csv where the name says nothing."""
    suffix = out.suffix.lower().lstrip(".") if out else ""
    return "jsonl" if suffix == "ndjson" else suffix if suffix in FORMATS else "csv"


_OPINIONS = pl.List(
    pl.Struct(
        {
            "name": pl.String,
            "sentiment": pl.String,
            "negative": pl.Float64,
            "neutral": pl.Float64,
            "positive": pl.Float64,
        }
    )
)


def scored_frame(frame: pl.DataFrame, scores: Sequence[Score], *, companies: bool = False) -> pl.DataFrame:
    """The frame with the columns of its scores behind its own; columns of the same name are replaced.

    Args:
        companies: add the column of that name, with the sentiment towards each company that was asked about.
    """
    added = pl.DataFrame(
        {
            "sentiment": [score.sentiment.value for score in scores],
            "negative": [round(score.negative, 4) for score in scores],
            "neutral": [round(score.neutral, 4) for score in scores],
            "positive": [round(score.positive, 4) for score in scores],
            "topics": [[name for name, _ in score.topics] for score in scores],
            "abstention": [score.abstention.value for score in scores],
            "model": [score.model for score in scores],
        },
        schema={
            "sentiment": pl.String,
            "negative": pl.Float64,
            "neutral": pl.Float64,
            "positive": pl.Float64,
            "topics": pl.List(pl.String),
            "abstention": pl.String,
            "model": pl.String,
        },
    )
    if companies:
        added = added.with_columns(pl.Series("companies", [_opinions(score) for score in scores], dtype=_OPINIONS))
    return frame.with_columns(added)


def _opinions(score: Score) -> list[dict[str, str | float]]:
    return [
        {
            "name": one.name,
            "sentiment": one.sentiment.value,
            "negative": round(one.negative, 4),
            "neutral": round(one.neutral, 4),
            "positive": round(one.positive, 4),
        }
        for one in score.companies
    ]


def write_frame(frame: pl.DataFrame, out: Path | None, format_: str) -> None:
    """Write as csv (lists joined by `; `, other nested values as JSON), jsonl or parquet, to a file or standard output.

    Raises:
        BrokenPipeError: when nobody reads standard output any more.
        InputUnusable: when the file cannot be written.
    """
    buffer = BytesIO()
    try:
        if format_ == "parquet":
            frame.write_parquet(buffer)
        elif format_ == "jsonl":
            frame.write_ndjson(buffer)
        else:
            _flat(frame).write_csv(buffer)
        if out is None:
            sys.stdout.buffer.write(buffer.getbuffer())
            sys.stdout.buffer.flush()
        else:
            out.write_bytes(buffer.getbuffer())
    except BrokenPipeError:
        raise
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputUnusable(f"{out or 'standard output'} cannot be written: {error}") from error


def _read(source: Path) -> pl.DataFrame:
    if str(source) == "-":
        return _lines(sys.stdin.buffer.read())
    match source.suffix.lower():
        case ".csv":
            with source.open("rb") as file:
                header = file.readline()
            # polars would read the columns under names that nobody gave them. What is compressed it unpacks.
            if not packed(header) and (reason := not_utf8(header)):
                raise InputUnusable(f"{source} cannot be read: in its header {reason}")
            return pl.read_csv(source, infer_schema=False)
        case ".jsonl" | ".ndjson":
            # All rows are looked at: a column that first appears late is a column too.
            return pl.read_ndjson(source, infer_schema_length=None)
        case ".parquet":
            return pl.read_parquet(source)
        case _:
            body = source.read_bytes()
            if reason := packed(body[:8]):
                raise InputUnusable(f"{source} cannot be read: {reason}")
            return _lines(body)


def _lines(body: bytes) -> pl.DataFrame:
    """One row a line. Only line breaks part lines: str.splitlines would cut headlines at U+2028 or form feeds too."""
    text = body.decode("utf-8-sig", errors="replace")
    lines = text.removesuffix("\n").split("\n") if text else []
    return pl.DataFrame({"text": [line.removesuffix("\r") for line in lines]}, schema={"text": pl.String})


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    columns = []
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.List) and not kind.inner.is_nested():
            columns.append(frame[name].cast(pl.List(pl.String)).list.join("; "))
        elif kind.is_nested():
            columns.append(_as_json(frame[name]))
    return frame.with_columns(columns)


def _as_json(values: pl.Series) -> pl.Series:
    told = [None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values.to_list()]
    return pl.Series(values.name, told, dtype=pl.String)
