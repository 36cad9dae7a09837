"""The rows of one part.

takes  a `Part`
gives  `Rows`: its own columns, the headline of every row, and the rows that cannot be understood, with the reason
never  drops a row: one that cannot be understood is there too, with empty columns
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.archives.parts import Part
from monitor.archives.places import Place, unread
from monitor.errors import InputUnusable
from monitor.news.utf8 import not_utf8

# Where a headline stands, unless another column is named: the first of these that is there.
TITLES = ("title", "headline", "text")
_OFFSET = re.compile(r"[+-]\d\d:?\d\d")


@dataclass(frozen=True, slots=True)
class Rows:
    """What stands in a part.

    Attributes:
        frame: the rows' own columns; of CSV and JSON lines all of them text.
        texts: the headline of every row, as it stands there; empty where there is none.
        broken: by place in the part, from 0: why the row cannot be understood, and its beginning as it stands there.

    Raises:
        ValueError: when there are not as many texts as rows.
    """

    frame: pl.DataFrame
    texts: list[str]
    broken: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.frame.height != len(self.texts):
            raise ValueError(f"{self.frame.height} rows came with {len(self.texts)} texts")


def rows_of(part: Part, column: str = "") -> Rows:
    """Read a part.

    Args:
        column: the headline's; else the first of title, headline, text.

    Raises:
        InputUnusable: when the file is gone, is no such file, or no row of the part has such a column.
    """
    try:
        frame, broken = _READ[part.kind](part)
    except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise unread(part.source, error) from error
    if len(broken) == frame.height:
        return Rows(frame, [""] * frame.height, broken)
    name = column or next((one for one in TITLES if one in frame.columns), "")
    texts = _texts(frame[name], broken) if name in frame.columns else None
    if texts is None:
        wanted = f"text in the column {column!r}" if column else f"a column of text named {' or '.join(TITLES)}"
        raise InputUnusable(f"{part.source} lacks {wanted}; it has {', '.join(frame.columns)}; name one with --column")
    return Rows(frame, texts, broken)


def _texts(column: pl.Series, broken: dict[int, tuple[str, str]]) -> list[str] | None:
    """A column as text; None where it is of a kind that is none. What is no UTF-8 among bytes goes to the broken."""
    if column.dtype == pl.Binary():
        told = [value or b"" for value in column.to_list()]
        broken |= {
            place: (reason, one.decode("utf-8", "replace"))
            for place, one in enumerate(told)
            if (reason := not_utf8(one))
        }
        return [one.decode("utf-8", "replace") for one in told]
    try:
        return None if column.dtype.is_nested() else column.cast(pl.String).fill_null("").to_list()
    except pl.exceptions.PolarsError:
        return None


_Read = tuple[pl.DataFrame, dict[int, tuple[str, str]]]


def _parquet(part: Part) -> _Read:
    with Place(part.source).opened() as opened, pq.ParquetFile(opened) as file:
        groups: list[int] = []
        first = at = 0
        for group in range(file.metadata.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if at < part.end and at + size > part.begin:
                if not groups:
                    first = at
                groups.append(group)
            at += size
        # Of a large row group only a portion at a time is held.
        kept, at = [], first
        for batch in file.iter_batches(part.rows, row_groups=groups):
            begin, end = max(part.begin - at, 0), min(part.end - at, batch.num_rows)
            if begin < end:
                kept.append(batch.slice(begin, end - begin))
            at += batch.num_rows
            if at >= part.end:
                break
        table = pa.Table.from_batches(kept, kept[0].schema) if kept else file.schema_arrow.empty_table()
    frame = pl.from_arrow(_in_zones(table))
    if not isinstance(frame, pl.DataFrame) or frame.height != part.rows:
        raise InputUnusable(f"{part.source} has changed since it was looked through: begin again")
    return frame, {}


def _in_zones(table: pa.Table) -> pa.Table:
    """The same instants, with UTC for a zone where that is an offset such as +05:30, which polars does not know."""
    for place, one in enumerate(table.schema):
        if pa.types.is_timestamp(one.type) and _OFFSET.fullmatch(one.type.tz or ""):
            kind = pa.timestamp(one.type.unit, "UTC")
            table = table.set_column(place, one.with_type(kind), table.column(place).cast(kind))
    return table


def _csv(part: Part) -> _Read:
    body = _body(part)
    try:
        frame = pl.read_csv(body, has_header=False, new_columns=list(part.columns), infer_schema=False)
    except pl.exceptions.PolarsError:
        return _csv_by_row(part, body)
    if frame.shape != (part.rows, len(part.columns)):
        return _csv_by_row(part, body)
    return frame, {}


def _csv_by_row(part: Part, body: bytes) -> _Read:
    """Where something is wrong somewhere in the part: row by row, which is slower, and tells which row it is."""
    csv.field_size_limit(sys.maxsize)
    width = len(part.columns)
    kept: list[list[str | None]] = []
    broken: dict[int, tuple[str, str]] = {}
    for line in _lines(body):
        told = [row for row in csv.reader(io.StringIO(line.decode("utf-8", "surrogateescape"), newline="")) if row]
        row = told[0] if told else []
        own = ",".join(row).encode("utf-8", "surrogateescape") if len(told) == 1 else line.strip()
        reason = f"{len(row)} fields, where the header names {width}" if len(row) > width else ""
        if len(told) != 1:
            reason = (
                f"it reads as {len(told)} rows, for a quotation mark or carriage return in a field that is not quoted: "
                "quote that field, and double the mark"
            )
        if reason := reason or not_utf8(own):
            broken[len(kept)] = (reason, own.decode("utf-8", "replace"))
            kept.append([None] * width)
        else:
            # Fields that are missing at a row's end are empty, as where all rows of a part are read at once.
            kept.append([value or None for value in row] + [None] * (width - len(row)))
    if len(kept) != part.rows:
        raise InputUnusable(f"{part.source} has changed since it was looked through: begin again")
    return pl.DataFrame(kept, schema=dict.fromkeys(part.columns, pl.String), orient="row"), broken


def _lines(body: bytes) -> Iterator[bytes]:
    """Where the part was cut, with the same eyes: a newline between an odd and an even quotation mark is text."""
    held: list[bytes] = []
    quotes = 0
    for line in io.BytesIO(body):
        held.append(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            whole = b"".join(held)
            held = []
            if whole.strip(b"\r\n"):
                yield whole


def _jsonl(part: Part) -> _Read:
    kept: list[dict[str, str | None]] = []
    broken: dict[int, tuple[str, str]] = {}
    columns: dict[str, None] = {}
    for line in _body(part).split(b"\n"):
        if not line.strip(b"\r"):
            continue
        told, reason = _object(line)
        if reason:
            broken[len(kept)] = (reason, line.decode("utf-8", "replace"))
        kept.append({_name(name): _text(value) for name, value in told.items()})
        columns.update(dict.fromkeys(kept[-1]))
    if len(kept) != part.rows:
        raise InputUnusable(f"{part.source} has changed since it was looked through: begin again")
    frame = pl.DataFrame(
        {name: [row.get(name) for row in kept] for name in columns}, schema=dict.fromkeys(columns, pl.String)
    )
    return (frame if columns else pl.DataFrame({"text": [None] * len(kept)}, schema={"text": pl.String})), broken


def _object(line: bytes) -> tuple[dict[str, Any], str]:
    """What stands in a line; or nothing, and why."""
    if reason := not_utf8(line):
        return {}, reason
    try:
        told = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return {}, f"no JSON: {error}"
    return (told, "") if isinstance(told, dict) else ({}, "no JSON object")


def _name(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")


def _text(value: Any) -> str | None:
    """Text as it is, and anything else as JSON; half a character, which no file can hold, as a question mark."""
    if value is None:
        return None
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _name(told)


def _body(part: Part) -> bytes:
    with Place(part.source).opened() as opened:
        body = bytes(opened.read_at(part.end - part.begin, part.begin))
    if len(body) != part.end - part.begin:
        raise InputUnusable(f"{part.source} has changed since it was looked through: begin again")
    return body


_READ = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
