"""A scored archive read in order of time, a slice at a time, however its rows are spread over its files.

takes  a folder of scored Parquet, as `squall score` writes it
gives  `Slice`s of time, and their rows as frames
never  holds more than a slice, and the span of time of each row group
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.archives import manifest
from monitor.archives.dated import published_of
from monitor.archives.opinions import OPINIONS
from monitor.archives.places import Place, files_of, unread
from monitor.archives.reading import TITLES
from monitor.errors import InputUnusable

ROWS = 200_000
_OPTIONAL = ("summary", "link", "guid", "language")
_TEXTS = ("outlet", "title", *_OPTIONAL)
_HOUR = timedelta(hours=1)
_WANTED = "a folder that `squall score PATH --out` filled with scored Parquet"


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows with `since` <= published < `until`; whole hours, aware UTC.

    Raises:
        ValueError: when it ends before it begins.
    """

    since: datetime
    until: datetime
    rows: int

    def __post_init__(self) -> None:
        if self.until <= self.since:
            raise ValueError(f"a slice ends after it begins: {self}")


@dataclass(frozen=True, slots=True)
class _Group:
    """One row group of a file, and the span of time that its rows lie in."""

    path: str
    number: int
    since: datetime
    until: datetime


class Archive:
    """A folder of scored Parquet.

    Attributes:
        rows: in all its files.
        failed: of them, without a score and without a time.
        undated: of them, scored, and without a time that can be understood.
        name: changes when its files do.

    Raises:
        InputUnusable: when it holds no scored Parquet, is not finished, lacks columns, or no row has a time.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        told = manifest.read(Place(folder))
        if told is not None and told["done"] is None:
            raise InputUnusable(f"{folder} is not scored to its end: run `squall score` again, it goes on")
        # What was scored is the headline, and not another column that happens to be called title.
        column = told["order"]["column"] if told is not None else ""
        self._titles: tuple[str, ...] = (column,) if column else TITLES
        files = [file for file in files_of([folder], _WANTED) if file.kind == "parquet"]
        if not files:
            raise InputUnusable(f"{folder} holds no Parquet: give {_WANTED}")
        told_of: list[tuple[str, int, str]] = []
        self.rows = self.failed = self.undated = 0
        self._hours: Counter[datetime] = Counter()
        self._groups: list[_Group] = []
        for file in files:
            try:
                told_of.append((file.path.rpartition("/")[2], file.size, self._look_through(file.path)))
            except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as error:
                raise unread(file.path, error) from error
        self.name = manifest.fingerprint(told_of)
        if not self._hours:
            lack = "time that can be understood: published must be ISO 8601" if self.undated else "score"
            raise InputUnusable(f"{folder}: none of {self.rows} rows has a {lack}")

    @property
    def since(self) -> datetime:
        """The hour of its first row."""
        return min(self._hours)

    def slices(self, rows: int = ROWS, after: datetime | None = None) -> list[Slice]:
        """All of it from `after` on, cut into stretches of at least so many rows (the last may have fewer), by time.

        Args:
            after: a full hour.
        """
        found: list[Slice] = []
        since, held = None, 0
        for hour in sorted(each for each in self._hours if after is None or each >= after):
            since = since or hour
            held += self._hours[hour]
            if held >= rows:
                found.append(Slice(since, hour + _HOUR, held))
                since, held = None, 0
        if since is not None:
            found.append(Slice(since, max(self._hours) + _HOUR, held))
        return found

    def read(self, part: Slice) -> pl.DataFrame:
        """The rows of a slice in order of time, `published` as instants.

        Raises:
            InputUnusable: when a file cannot be read any more.
        """
        frames = [
            self._group(group).filter(pl.col("published").is_between(part.since, part.until, closed="left"))
            for group in self._groups
            if group.since < part.until and group.until >= part.since
        ]
        return pl.concat(frames, how="diagonal_relaxed").sort("published", maintain_order=True)

    def _group(self, group: _Group) -> pl.DataFrame:
        try:
            with Place(group.path).opened() as opened, pq.ParquetFile(opened) as file:
                wanted = self._wanted(file.schema_arrow.names)
                frame = pl.DataFrame(pl.from_arrow(file.read_row_group(group.number, columns=list(wanted.values()))))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise unread(group.path, error) from error
        # Each file has columns of its own kinds, which have nothing in common before they are text.
        return frame.select(
            published_of(frame.schema["published"]).alias("published"),
            *(_text(frame[own]).alias(name) for name, own in wanted.items() if name in _TEXTS),
            *OPINIONS,
        )

    def _wanted(self, names: Sequence[str]) -> dict[str, str]:
        """Columns that are read of these: by the name that they go by here, the name that they have there."""
        title = next((name for name in self._titles if name in names), "title")
        told = {name: name for name in ("published", "outlet", "title", *OPINIONS)} | {"title": title}
        return told | {name: name for name in _OPTIONAL if name in names}

    def _look_through(self, path: str) -> str:
        """Learn where the hours of a file are; a digest of what its footer says of its columns."""
        with Place(path).opened() as opened, pq.ParquetFile(opened) as file:
            names = file.schema_arrow.names
            wanted = self._wanted(names)
            lacking = [name for name in wanted.values() if name not in names]
            there = [name for name in ("published", "sentiment") if name in names]
            _demand_text(path, file.schema_arrow, [own for name, own in wanted.items() if name in _TEXTS])
            for number in range(file.metadata.num_row_groups):
                frame = pl.DataFrame(pl.from_arrow(file.read_row_group(number, columns=there)))
                self.rows += frame.height
                # A part of which no row can be read has none of its file's columns: that is no reason to refuse it.
                if lacking and "sentiment" in names and frame["sentiment"].is_null().all():
                    self.failed += frame.height
                    continue
                if lacking:
                    raise InputUnusable(
                        f"{path} lacks the column {', '.join(lacking)}: score files with published, outlet and title"
                    )
                at = frame.select(published_of(frame.schema["published"]).alias("at"))["at"]
                lost = frame["sentiment"].filter(at.is_null())
                self.failed += lost.null_count()
                self.undated += len(lost) - lost.null_count()
                at = at.drop_nulls()
                if len(at):
                    self._groups.append(_Group(path, number, *_span(at)))
                    hours = at.dt.truncate("1h").value_counts()
                    self._hours.update(dict(hours.iter_rows()))
            # Its length and a mark of four bytes each follow it. The least and greatest of every column stand in it:
            # two archives may well have files of one name and size.
            footer = file.metadata.serialized_size
            return hashlib.blake2b(opened.read_at(footer, opened.size() - 8 - footer), digest_size=8).hexdigest()


def _demand_text(path: str, schema: pa.Schema, names: Sequence[str]) -> None:
    """Refuse columns of lists and records, which are no text, before anything is taken in."""
    for name in names:
        if name in schema.names and pa.types.is_nested(kind := schema.field(name).type):
            raise InputUnusable(f"{path}: the column {name} holds {kind}, not text: score files where it is text")


def _text(column: pl.Series) -> pl.Series:
    """As text whatever its kind."""
    if column.dtype != pl.Binary():
        return column.cast(pl.String)
    return pl.Series(column.name, [None if told is None else _decoded(told) for told in column.to_list()], pl.String)


def _decoded(told: bytes) -> str:
    """Bytes that are no text, such as those of a UUID, as hexadecimal digits."""
    try:
        return told.decode("utf-8")
    except UnicodeDecodeError:
        return told.hex()


def _span(at: pl.Series) -> tuple[datetime, datetime]:
    first, last = at.min(), at.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise TypeError("instants have a first and a last")
    return first, last
