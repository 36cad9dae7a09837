"""An archive cut into parts that are scored one by one, wherever and in whatever order.

takes  files, and how many rows a part may have
gives  `Part`s: every row of every file in exactly one of them, the same ones at every call
never  parses a row, and never holds a file: a CSV or JSON lines file is looked through once for where rows end
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monitor.archives.places import File, Place, unread
from monitor.errors import InputUnusable
from monitor.news.utf8 import not_utf8, packed

ROWS = 20_000
# Looked through at a time.
_CHUNK = 16 << 20
# Kept off a header's end: a first line longer than this is no header.
_LONGEST_HEADER = 1 << 20
_NEWLINE, _RETURN, _QUOTE = 0x0A, 0x0D, 0x22
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one file that are scored together.

    Attributes:
        number: from 0; it names the files of the part.
        source, kind: the file, as `File` has it.
        first: number of its first row in the file, from 0.
        rows: how many; lines that are empty are no rows.
        begin, end: bytes of the file, for CSV and JSON lines; rows of it, for Parquet.
        columns: names, for CSV, whose parts have no header.

    Raises:
        ValueError: when it holds no rows.
    """

    number: int
    source: str
    kind: str
    first: int
    rows: int
    begin: int
    end: int
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rows < 1 or self.end <= self.begin or self.begin < 0:
            raise ValueError(f"a part holds rows: {self}")

    @property
    def name(self) -> str:
        """What its files are called, without their endings."""
        return f"part-{self.number:06d}"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Part:
        """From `plain`."""
        return cls(**{**plain, "columns": tuple(plain["columns"])})


def parts_of(files: Iterable[File], rows: int = ROWS) -> list[Part]:
    """Cut files into parts of so many rows at most.

    Raises:
        InputUnusable: when a file cannot be read, or a quoted field of a CSV never ends.
    """
    found: list[Part] = []
    for file in files:
        try:
            cut = list(_parquet(file, rows) if file.kind == "parquet" else _lines(file, rows))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise unread(file.path, error) from error
        found += [replace(part, number=len(found) + number) for number, part in enumerate(cut)]
    return found


def _parquet(file: File, rows: int) -> Iterator[Part]:
    with Place(file.path).opened() as opened, pq.ParquetFile(opened) as told:
        total = told.metadata.num_rows
    for begin in range(0, total, rows):
        end = min(begin + rows, total)
        yield Part(0, file.path, file.kind, begin, end - begin, begin, end)


def _lines(file: File, rows: int) -> Iterator[Part]:
    if not file.size:
        return
    with Place(file.path).opened() as opened:
        if reason := packed(bytes(opened.read_at(min(8, file.size), 0))):
            raise InputUnusable(f"{file.path} cannot be read: {reason}")
        begin, columns = _header(file, opened) if file.kind == "csv" else (_marked(opened), ())
        begun, done, held = begin, 0, 0
        for ends in _ends(file, opened, begin):
            # What was held from the chunk before and all but the last rows of this one.
            for place in range(rows - held - 1, len(ends), rows):
                yield Part(0, file.path, file.kind, done, rows, begun, int(ends[place]), columns)
                begun, done = int(ends[place]), done + rows
            held = (held + len(ends)) % rows
        if held:
            yield Part(0, file.path, file.kind, done, held, begun, file.size, columns)


def _marked(opened: Any) -> int:
    return len(_MARK) if opened.read_at(len(_MARK), 0) == _MARK else 0


def _header(file: File, opened: Any) -> tuple[int, tuple[str, ...]]:
    """Where the rows begin, and the names of the columns."""
    begin = _marked(opened)
    # As far as quotes go, the header is a row like any other.
    head = bytes(opened.read_at(_LONGEST_HEADER, begin))
    quoted = np.cumsum(np.frombuffer(head, dtype=np.uint8) == _QUOTE) % 2
    ends = np.flatnonzero((np.frombuffer(head, dtype=np.uint8) == _NEWLINE) & (quoted == 0))
    size = int(ends[0]) + 1 if len(ends) else len(head)
    if reason := not_utf8(head[:size]):
        raise InputUnusable(f"{file.path} cannot be read as CSV: in its header {reason}")
    if b"\r" in np.frombuffer(head[:size], dtype=np.uint8)[quoted[:size] == 0].tobytes().rstrip(b"\r\n"):
        # All of the file would be its header.
        raise InputUnusable(
            f"{file.path} cannot be read as CSV: its lines end with carriage returns alone; "
            "convert it with tr '\\r' '\\n'"
        )
    names = next(csv.reader(head[:size].decode("utf-8").splitlines(keepends=True)), [])
    if not any(names) or (not len(ends) and size == _LONGEST_HEADER):
        raise InputUnusable(f"{file.path} cannot be read as CSV: it begins with no names of columns")
    return begin + size, _distinct(names)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Each name once: a second `title` is called `title_2`."""
    found: list[str] = []
    for place, name in enumerate(names, 1):
        name = name or f"column_{place}"
        number, told = 1, name
        while told in found:
            number += 1
            told = f"{name}_{number}"
        found.append(told)
    return tuple(found)


def _ends(file: File, opened: Any, begin: int) -> Iterator[NDArray[np.int64]]:
    """Where rows end (one past their newline), chunk by chunk; the last row need not have a newline.

    In CSV a newline between quotes is text; a quote in a quoted field is written twice, which leaves the count even.
    """
    quotes, last, blank = 0, begin, True
    at = begin
    while at < file.size:
        chunk = np.frombuffer(opened.read_at(_CHUNK, at), dtype=np.uint8)
        if not len(chunk):
            break
        newlines = np.flatnonzero(chunk == _NEWLINE)
        if file.kind == "csv":
            marks = np.flatnonzero(chunk == _QUOTE)
            newlines = newlines[(np.searchsorted(marks, newlines) + quotes) % 2 == 0]
            quotes += len(marks)
        inked = np.flatnonzero((chunk != _NEWLINE) & (chunk != _RETURN))
        # A line is a row when something stands between its newline and the one before.
        seen = np.searchsorted(inked, newlines)
        before = np.concatenate([[0], seen[:-1]]) if len(seen) else seen
        full = seen > before
        if len(full):
            full[0] |= not blank
            blank = len(inked) == seen[-1]
        else:
            blank = blank and not len(inked)
        yield (newlines[full] + at + 1).astype(np.int64)
        last = int(newlines[-1]) + at + 1 if len(newlines) else last
        at += len(chunk)
    if file.kind == "csv" and quotes % 2:
        raise InputUnusable(f"{file.path}: a quoted field never ends; look for an odd quotation mark, or double it")
    if last < file.size and not blank:
        yield np.array([file.size], dtype=np.int64)
