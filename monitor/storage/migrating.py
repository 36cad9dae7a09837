"""Bringing a store's tables to the version that this Squall knows.

takes  a connection, and the numbered files of monitor/storage/migrations
gives  the schema version after every missing step was taken, each in a transaction of its own
never  goes back, and never writes into a database that is not a Squall store

A killed migration leaves the version before or after it, never one between.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

import duckdb

from monitor import __version__
from monitor.errors import StoreDamaged, StoreTooNew, StoreUnavailable

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step.

    Raises:
        ValueError: on a number below 1.
    """

    number: int
    name: str
    sql: str

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"migrations are numbered from 1, not {self.number}")


def known_migrations() -> tuple[Migration, ...]:
    """The steps that ship with this Squall, in order.

    Raises:
        ValueError: when their numbers are not 1, 2, 3, ...
    """
    files = resources.files("monitor.storage").joinpath("migrations").iterdir()
    steps = [
        Migration(int(parts[1]), parts[2], file.read_text(encoding="utf-8"))
        for file in files
        if (parts := _FILE.fullmatch(file.name))
    ]
    steps.sort(key=lambda step: step.number)
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise ValueError(f"migrations must be numbered without gaps, not {[step.number for step in steps]}")
    return tuple(steps)


def schema_version(connection: duckdb.DuckDBPyConnection, path: str) -> int:
    """The version of the tables in the file; 0 when it holds none.

    Raises:
        StoreDamaged: the file is a DuckDB file of something else.
    """
    columns = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
    held = set(connection.sql(columns).fetchall())
    if not held:
        return 0
    # Other programs have a table of this name too.
    if {("meta", "key", "VARCHAR"), ("meta", "value", "VARCHAR")} <= held:
        told = _noted(connection, "schema_version")
        if told.isdecimal():
            return int(told)
    raise StoreDamaged(f"{path} is a DuckDB file, but no Squall store: name another file as the store")


def migrate(
    connection: duckdb.DuckDBPyConnection,
    path: str,
    now: datetime,
    steps: tuple[Migration, ...],
    *,
    read_only: bool,
) -> int:
    """Take every step that is missing.

    Args:
        steps: numbered from 1 without gaps.
        read_only: check only; nothing can be changed.

    Returns:
        The schema version of the file afterwards.

    Raises:
        StoreTooNew: the file is of a higher version than the last step.
        StoreUnavailable: the file is of a lower version and opened for reading.
        StoreDamaged: the file is a DuckDB file of something else.
    """
    version = schema_version(connection, path)
    known = len(steps)
    if version > known:
        writer = _noted(connection, "written_by") or "unknown"
        raise StoreTooNew(
            f"the store {path} has schema version {version} (written by squall {writer}), "
            f"this squall {__version__} knows versions up to {known}: upgrade squall"
        )
    if read_only and version < known:
        raise StoreUnavailable(
            f"the store {path} has schema version {version}, this squall reads version {known}: "
            "`squall run` brings it up to date"
        )
    for step in steps[version:]:
        connection.execute("BEGIN TRANSACTION")
        try:
            connection.execute(step.sql)
            for key, value in (("schema_version", str(step.number)), ("written_by", __version__)):
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('created_at', ?)", [now.isoformat()])
            connection.execute("COMMIT")
        except BaseException:
            # The first error is the one to tell; a dead connection has nothing to undo.
            with suppress(duckdb.Error):
                connection.execute("ROLLBACK")
            raise
    return known


def _noted(connection: duckdb.DuckDBPyConnection, key: str) -> str:
    rows = connection.sql("SELECT value FROM meta WHERE key = $key", params={"key": key}).fetchall()
    return str(rows[0][0]) if rows else ""
