"""Is what the store holds whole, and does it agree with itself?

takes  a held store
gives  `Examination`: rows and a fingerprint of every table, and what is wrong, in words
never  changes anything

Every value of every table is read, so a block that rotted on the disk is found by the engine's own checksum.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from monitor.storage.database import Database
from monitor.storage.recounting import rollup_faults

# Counts of the last days are counted a second time; all of them would take minutes in a large store.
_RECOUNTED = timedelta(days=3)

# What must not be there, and how people are told: each query counts.
_CONTRADICTIONS = {
    "scores of headlines that are not there": """
        SELECT count(*) FROM scores s ANTI JOIN headlines h ON h.id = s.headline
    """,
    "headlines that have no score and wait for none": """
        SELECT count(*) FROM headlines h ANTI JOIN scores s ON s.headline = h.id
            ANTI JOIN awaiting a ON a.headline = h.id
    """,
    "hours that are counted twice": """
        SELECT count(*) FROM (SELECT 1 FROM rollups GROUP BY series, hour HAVING count(*) > 1)
    """,
    "deliveries of alerts that are not there": """
        SELECT count(*) FROM deliveries d ANTI JOIN alerts a ON a.id = d.alert
            WHERE d.alert IS NOT NULL AND d.alert <> ''
    """,
}


@dataclass(frozen=True, slots=True)
class Table:
    """One table as it was read.

    Attributes:
        rows: how many.
        fingerprint: the same for the same rows in any order: a sum of their hashes, in hexadecimal digits.
    """

    rows: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Examination:
    """What an examination came to; no faults when all is well."""

    tables: dict[str, Table]
    faults: tuple[str, ...]


def tables(database: Database) -> dict[str, Table]:
    """Read everything there is.

    Raises:
        StoreDamaged: when a part of the file cannot be read, or fails its checksum.
    """
    with database.reading() as cursor:
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        return {name: _table(cursor, name) for name in _names(cursor)}


def examine(database: Database, now: datetime) -> Examination:
    """Read everything there is, and hold parts of it against each other.

    Raises:
        StoreDamaged: when a part of the file cannot be read, or fails its checksum.
    """
    found = tables(database)
    with database.reading() as cursor:
        counted = [(words, _number(cursor, query)) for words, query in _CONTRADICTIONS.items()]
        wrong = rollup_faults(cursor, now - _RECOUNTED).height
    faults = [f"{number} {words}" for words, number in counted if number]
    if wrong:
        faults.append(f"{wrong} hours of the last days whose counts differ from a recount of their headlines")
    return Examination(found, tuple(faults))


def _names(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    rows = cursor.sql("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY table_name").fetchall()
    return [str(name) for (name,) in rows]


def _table(cursor: duckdb.DuckDBPyConnection, name: str) -> Table:
    # The name comes from the catalogue, quoted; nobody's value stands in the statement.
    query = f'SELECT count(*), coalesce(sum(hash(*COLUMNS(*))::HUGEINT), 0)::VARCHAR FROM "{name}"'  # noqa: S608 - see above
    rows, total = cursor.sql(query).fetchall()[0]
    return Table(int(rows), f"{int(total) % 2**128:032x}")


def _number(cursor: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(cursor.sql(query).fetchall()[0][0])
