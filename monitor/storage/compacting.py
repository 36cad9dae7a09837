"""Giving space of the file back to the disk.

takes  the path of a store that nobody holds
gives  a fresh file with the same rows in its place
never  leaves the store without a whole file, and never takes the fresh one before every row was compared

DuckDB uses free space again, but shortens a file only by what is free at its end. So after much has left the store at
once, its content is written into a fresh file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from monitor.errors import StoreDamaged, StoreLocked, StoreUnavailable
from monitor.storage.database import Database
from monitor.storage.engine_words import as_store_error
from monitor.storage.integrity import tables


@dataclass(frozen=True, slots=True)
class Compacted:
    """Bytes of the file before and after."""

    before: int
    after: int


def compact(store: Path, memory_limit: str, threads: int) -> Compacted:
    """Write the store into a fresh file, compare all rows, and put it in its place.

    Raises:
        StoreLocked: when a squall holds the store. None can begin on it until the fresh file has taken its place.
        StoreDamaged: when it cannot be read whole, or the fresh file is not the same; the store is as it was.
        DiskNearlyFull, StoreUnavailable: when the disk has too little room; the store is as it was.
    """
    # Of a link, such as to a larger disk, the fresh file takes the place of what it leads to, as the engine's log does.
    store = store.resolve()
    database = Database(store, memory_limit=memory_limit, threads=threads, patience=timedelta(seconds=3))
    try:
        database.checkpoint()
        held = tables(database)
    finally:
        database.close()
    before, free = store.stat().st_size, shutil.disk_usage(store.parent).free
    if free < before:
        raise StoreUnavailable(
            f"{store.parent} has {free // 2**20} MiB free, {before // 2**20} MiB are needed meanwhile"
        )
    draft = Path(f"{store}.compact")
    _clear(draft)
    try:
        with _rewritten(store, draft, memory_limit, threads):
            fresh = Database(draft, memory_limit=memory_limit, threads=threads)
            try:
                if tables(fresh) != held:
                    raise StoreDamaged(f"the fresh copy of {store} is not the same; the store is as it was")
            finally:
                fresh.close()
            draft.chmod(store.stat().st_mode & 0o777)
            draft.replace(store)
    finally:
        _clear(draft)
    return Compacted(before, store.stat().st_size)


@contextmanager
def _rewritten(store: Path, draft: Path, memory_limit: str, threads: int) -> Iterator[None]:
    """Copy every table with its keys into a new file, and hold the store until the end: what a squall wrote into it
    meanwhile would be lost. A connection of its own, since a store's may reach no other file."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "threads": threads,
        "temp_directory": f"{draft}.spill",
    }
    with closing(duckdb.connect(config=settings)) as connection:
        try:
            connection.execute(f"ATTACH {_quoted(store)} AS store (READ_ONLY)")
            connection.execute(f"ATTACH {_quoted(draft)} AS fresh")
            connection.execute("COPY FROM DATABASE store TO fresh")
            connection.execute("CHECKPOINT fresh")
            connection.execute("DETACH fresh")
        except duckdb.Error as error:
            if isinstance(told := as_store_error(error, str(store)), StoreLocked):
                raise told from error
            raise StoreUnavailable(f"{store} cannot be written anew: {error}; the store is as it was") from error
        yield


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _clear(draft: Path) -> None:
    for file in (draft, Path(f"{draft}.wal")):
        with suppress(FileNotFoundError):
            file.unlink()
    shutil.rmtree(f"{draft}.spill", ignore_errors=True)
