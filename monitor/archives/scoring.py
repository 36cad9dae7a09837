"""One part scored and written: the step that every engine repeats, on this machine or another.

takes  a `Part`, a judge of headlines, the folder of the results
gives  `Receipt`; and on disk the part's rows with their scores, beside it the rows that failed
never  leaves a part half written, and never writes another thing when it is done a second time

Each part is two files: `part-000000.parquet`, one row a row of the input, in its order; and, where rows failed,
`failed/part-000000.jsonl` with their place and the reason. The first is written last: where it is, the part is done.
"""

from __future__ import annotations

import gc
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import polars as pl

from monitor.archives.judging import Failure, Judge, judged_or_failed
from monitor.archives.opinions import OPINIONS, opinion_frame
from monitor.archives.parts import Part
from monitor.archives.places import Place
from monitor.archives.reading import Rows, rows_of

# Of a row that cannot be understood, so much is shown.
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Receipt:
    """A part is done.

    Attributes:
        part: its number.
        rows, failed: in its file, and how many of them have no score.
        seconds: that it took.
    """

    part: int
    rows: int
    failed: int
    seconds: float

    @classmethod
    def of(cls, row: dict[str, float]) -> Self:
        """From its attributes by name."""
        return cls(int(row["part"]), int(row["rows"]), int(row["failed"]), float(row["seconds"]))


def score_part(
    part: Part, judge: Judge, out: Place, column: str = "", progress: Callable[[int], None] | None = None
) -> Receipt:
    """Read, score and write one part.

    Args:
        column: the headline's; else the first of title, headline, text.
        progress: called with the number of rows just scored.

    Raises:
        InputUnusable: see `rows_of`.
        ModelError: see `judged_or_failed`.
        OSError: when the results cannot be written.
    """
    began = time.monotonic()
    with _collector_at_rest():
        rows, failed = _scored(part, judge, out, column, progress)
    return Receipt(part.number, rows, failed, time.monotonic() - began)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Python's cycle collector walks over all scores again and again, 7 % of the time; a part's scores have no cycles.

    Between two parts it does what is due.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _scored(
    part: Part, judge: Judge, out: Place, column: str, progress: Callable[[int], None] | None
) -> tuple[int, int]:
    rows = rows_of(part, column)
    sound = [place for place in range(len(rows.texts)) if place not in rows.broken]
    judged = judged_or_failed(judge, [rows.texts[place] for place in sound], progress)
    told = dict(zip(sound, judged, strict=True))
    failed = {place: reason for place, (reason, _) in rows.broken.items()}
    failed |= {place: one.reason for place, one in told.items() if isinstance(one, Failure)}
    opinions = [None if place in failed else told[place] for place in range(len(rows.texts))]
    frame = opinion_frame(
        [None if one is None or isinstance(one, Failure) else one.scored for one in opinions],
        [{} if one is None or isinstance(one, Failure) else one.named for one in opinions],
    )
    beside = out.under(f"failed/{part.name}.jsonl")
    if failed:
        beside.write(_told(part, rows, failed).encode())
    else:
        # A run that was killed between the two files may have left one, of a failure that did not come again.
        beside.remove()
    out.under(f"{part.name}.parquet").write(_parquet(rows.frame.drop(list(OPINIONS), strict=False), frame))
    return len(rows.texts), len(failed)


def _told(part: Part, rows: Rows, failed: dict[int, str]) -> str:
    lines = []
    for place in sorted(failed):
        text = rows.broken[place][1] if place in rows.broken else rows.texts[place]
        shown = text.encode("utf-8", "replace").decode("utf-8")[:_SHOWN]
        told = {"source": part.source, "row": part.first + place, "reason": failed[place], "text": shown}
        lines.append(json.dumps(told, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def _parquet(own: pl.DataFrame, opinions: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    pl.concat([own, opinions], how="horizontal").write_parquet(buffer)
    return buffer.getvalue()
