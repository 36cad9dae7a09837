"""What leaves the store when it is old: headlines and scores, month by month, into Parquet files.

takes  a held store, the folder of the archive, now, and how long headlines are kept
gives  `headlines-2026-01.parquet` and the like; a store without what is in them
never  forgets a count, and never deletes a row that it has not read back from the archive

A story leaves as a whole: what is counted again later has all of it, or nothing. Rollups, alerts and everything else
stay for ever.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import structlog

from monitor.errors import StoreUnavailable
from monitor.storage.database import MEMORY, Database, lent
from monitor.storage.forecast import keep_size

# Headlines from here on are all in the store: a recount begins here. A key of the store's notes.
RAW_SINCE = "raw_since"

_log = structlog.get_logger(__name__)

# A month's files: headlines-2026-01.parquet, headlines-2026-01.2.parquet.
_MONTH = re.compile(r"headlines-(\d{4}-(?:0[1-9]|1[0-2]))\.(?:\d+\.)?parquet$")
_ROWS = 50_000  # of one row group: some 30 MB in memory
# Whatever has rows by headline and is of no use without it.
_PARTS = {"headlines": "id", "scores": "headline", "recent_words": "headline", "words": "headline"}

# Old, scored, and of a story that has no younger headline.
_LEAVING = """
    SELECT h.id FROM headlines h
    WHERE h.effective < $before::TIMESTAMPTZ
        AND h.story NOT IN (SELECT story FROM headlines WHERE effective >= $before::TIMESTAMPTZ)
        AND h.id NOT IN (SELECT headline FROM awaiting)
"""


@dataclass(frozen=True, slots=True)
class Retired:
    """What left the store: headlines by the first instant of their month, and from when on the store has them all."""

    headlines: dict[datetime, int]
    raw_since: datetime


def archive_folder(store: Path | str, chosen: Path | None) -> Path:
    """Where the archive of a store lies: the chosen folder, else one beside the store."""
    return chosen if chosen is not None else Path(f"{store}.archive")


def care(database: Database, archive: Path | None, now: datetime, keep: timedelta) -> None:
    """Note the store's size once a day, and move what is older than `keep` into the archive; zero keeps all.

    Raises:
        StoreUnavailable: when the archive, or the store, cannot be written.
    """
    keep_size(database, now)
    if keep and database.path != MEMORY:
        moved = retire(database, archive_folder(database.path, archive), now, keep).headlines
        for month, headlines in moved.items():
            _log.info("headlines_archived", month=f"{month:%Y-%m}", headlines=headlines)


def retire(database: Database, folder: Path, now: datetime, keep: timedelta) -> Retired:
    """Move every month that ended before `now - keep` into the archive.

    Killed at any moment, the next call goes on: a file is there whole or not at all, and what a file holds already is
    not written to it again.

    Raises:
        StoreUnavailable: when the archive cannot be written; what was moved by then stays moved.
    """
    before = month_of(now - keep)
    moved: dict[datetime, int] = {}
    try:
        for month in _months(database, before):
            moved[month] = _retire_month(database, folder, month, before)
        _set_right(database, folder)
    except (OSError, pa.ArrowException) as error:
        raise StoreUnavailable(
            f"the archive {folder} cannot be written: {error}; check its rights and space: headlines stay in the store"
        ) from error
    with database.reading() as cursor:
        return Retired(moved, _later(raw_since(cursor), before))


def raw_since(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """From when on all headlines are in the store; None when none has left it."""
    rows = connection.execute("SELECT value FROM meta WHERE key = ?", [RAW_SINCE]).fetchall()
    return datetime.fromisoformat(rows[0][0]) if rows else None


def read_archive(folder: Path, since: datetime | None = None, until: datetime | None = None) -> pl.LazyFrame:
    """Headlines of the archive with their scores, in the columns of the tables `headlines` and `scores`.

    Raises:
        FileNotFoundError: when the folder holds no archive.
    """
    files = sorted(folder.glob("headlines-*.parquet"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no headlines-*.parquet")
    rows = pl.scan_parquet(files, missing_columns="insert", extra_columns="ignore")
    if since is not None:
        rows = rows.filter(pl.col("effective") >= since)
    return rows if until is None else rows.filter(pl.col("effective") < until)


def is_archive(folder: Path) -> bool:
    """Whether a store moved headlines into this folder."""
    return any(folder.glob("headlines-*.parquet"))


def month_of(at: datetime) -> datetime:
    """The first instant of its month (UTC)."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _months(database: Database, before: datetime) -> list[datetime]:
    with database.reading() as cursor:
        query = f"SELECT DISTINCT date_trunc('month', effective) AS month FROM headlines WHERE id IN ({_LEAVING})"  # noqa: S608 - a constant of this file
        rows = cursor.sql(f"{query} ORDER BY month", params={"before": before}).pl()
    return [month.astimezone(UTC) for month in rows["month"]]


def _retire_month(database: Database, folder: Path, month: datetime, before: datetime) -> int:
    """One month; how many headlines were moved."""
    following = month_of(month + timedelta(days=32))
    asked = {"before": before, "month": month, "following": following}
    chosen = f"{_LEAVING} AND h.effective >= $month::TIMESTAMPTZ AND h.effective < $following::TIMESTAMPTZ"
    with database.reading() as cursor:
        leaving = pl.DataFrame({"id": cursor.sql(chosen, params=asked).pl()["id"]}, schema={"id": pl.UInt64})
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = _ids_in(folder, month)
    wanted = leaving.join(there, on="id", how="anti")
    if len(wanted):
        _write(database, _free_name(folder, month), wanted)
    # What is deleted is what the archive gives back, not what was meant to be in it.
    kept = leaving.join(_ids_in(folder, month), on="id", how="semi")
    if len(kept) != len(leaving):
        raise StoreUnavailable(f"the archive {folder} gives back less than was written to it: look at its disk")
    with database.writing(leaving=leaving) as connection:
        connection.execute("INSERT INTO archived SELECT id FROM leaving ANTI JOIN archived ON archived.headline = id")
        for table, column in _PARTS.items():
            connection.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT id FROM leaving)")  # noqa: S608 - constants of this file
        since = _later(raw_since(connection), before).isoformat()
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [RAW_SINCE, since])
    return len(leaving)


def _set_right(database: Database, folder: Path) -> None:
    """Raise a note that is earlier than what the archive holds.

    Raising `store.keep_days` once set it back, and a recount from there would take what left for nothing.
    """
    told = (_MONTH.match(file.name) for file in folder.glob("headlines-*.parquet"))
    months = [datetime.strptime(found[1], "%Y-%m").replace(tzinfo=UTC) for found in told if found]
    with database.reading() as cursor:
        noted = raw_since(cursor)
    if noted is None or not months or noted >= (least := month_of(max(months) + timedelta(days=32))):
        return
    with database.writing() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [RAW_SINCE, least.isoformat()])


def _later(noted: datetime | None, before: datetime) -> datetime:
    """Who keeps more than he did brings back nothing that has left: what is noted is never set to an earlier month."""
    return before if noted is None else max(noted, before)


def _write(database: Database, file: Path, wanted: pl.DataFrame) -> None:
    """Write these headlines with their scores; the file has its name only when all is on the disk."""
    # Once a month: until then none of it, clients of object stores among it, lies in the daemon's memory.
    import pyarrow.parquet as pq

    draft = Path(f"{file}.part")
    with suppress(FileNotFoundError):
        draft.unlink()
    try:
        with database.reading() as cursor, lent(cursor, wanted=wanted):
            rows = cursor.sql("""
                SELECT h.*, s.* EXCLUDE (headline, effective) FROM headlines h
                JOIN wanted USING (id) LEFT JOIN scores s ON s.headline = h.id ORDER BY h.effective, h.id
            """).to_arrow_reader(_ROWS)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                with pq.ParquetWriter(stream, rows.schema, compression="zstd") as writer:
                    for batch in rows:
                        writer.write_batch(batch)
                stream.flush()
                os.fsync(stream.fileno())
        draft.replace(file)
    except duckdb.Error as error:
        raise StoreUnavailable(f"the headlines for {file} cannot be read: {error}") from error
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _ids_in(folder: Path, month: datetime) -> pl.DataFrame:
    """Ids of the headlines that the files of a month hold, read back from the disk."""
    ids = [_ids_of(file) for file in _files(folder, month)]
    return pl.concat(ids) if ids else pl.DataFrame(schema={"id": pl.UInt64})


def _ids_of(file: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(file, columns=["id"]).cast(pl.UInt64)
    except pl.exceptions.PolarsError as error:
        raise StoreUnavailable(
            f"{file} of the archive cannot be read: {error}; bring it back from a copy, or move it away: headlines of "
            "its month stay in the store until then"
        ) from error


def _files(folder: Path, month: datetime) -> list[Path]:
    return sorted(folder.glob(f"headlines-{month:%Y-%m}*.parquet"))


def _free_name(folder: Path, month: datetime) -> Path:
    """A month may leave in parts: a story goes on into the next one, a history is loaded later.

    Not by how many there are: a file that was moved away would give its place to a part that is there still.
    """
    names = (f"headlines-{month:%Y-%m}{part}.parquet" for part in chain([""], (f".{each}" for each in count(2))))
    return next(file for name in names if not (file := folder / name).exists())
