"""What is added to the record of alerts, each transaction in its place: a clock may be set back, and the order stays.

takes  a connection that writes, with the frames that it lends
gives  rows that bear the place of their transaction
never  changes what is on record, nor gives one place twice
"""

from __future__ import annotations

import duckdb

# The last place that was taken; a key of the store's notes.
_LAST = "record"


def next_place(connection: duckdb.DuckDBPyConnection) -> int:
    """The place of what this transaction adds, behind all that is on record; writes take turns, so it is its own."""
    rows = connection.execute("SELECT value FROM meta WHERE key = ?", [_LAST]).fetchall()
    place = int(rows[0][0]) + 1 if rows else 1
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [_LAST, str(place)])
    return place


def add_changes(connection: duckdb.DuckDBPyConnection, place: int) -> None:
    """Add the changes of frame `changed` that are not there yet."""
    connection.execute(
        "INSERT INTO changes BY NAME SELECT c.*, ?::BIGINT AS place FROM changed c "
        'ANTI JOIN changes USING (alert, "at", reason)',
        [place],
    )


def add_deliveries(connection: duckdb.DuckDBPyConnection, place: int) -> None:
    """Add the deliveries of frame `planned` that are not there yet."""
    connection.execute(
        "INSERT INTO deliveries BY NAME SELECT *, ?::BIGINT AS place FROM planned ON CONFLICT DO NOTHING", [place]
    )


def add_decisions(connection: duckdb.DuckDBPyConnection, place: int) -> None:
    """Add the decisions of frame `decided` that are not there yet."""
    connection.execute(
        "INSERT INTO decisions BY NAME SELECT d.*, ?::BIGINT AS place FROM decided d "
        'ANTI JOIN decisions USING (alert, "at", notice, channel, choice)',
        [place],
    )
