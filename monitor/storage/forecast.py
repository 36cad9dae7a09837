"""How large the store is, what makes it so, and how large it will be.

takes  a held store, or what was measured of one
gives  `Growth`: bytes of what is kept for a while and of what is kept for ever, and how fast each grows
never  reads a row of the tables that grow: blocks are counted from the catalogue
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from monitor.storage.database import MEMORY, Database

# What leaves with the headlines.
_PASSING = ("headlines", "scores", "words", "recent_words", "names", "checks", "sightings", "attempts")
_OBSERVED = timedelta(days=28)
# Notes of fewer days tell more of when blocks were packed than of growth.
_TELLING = timedelta(days=5)
_DAY = timedelta(days=1)
# Bytes that a headline takes with its score, words and counts in a store of many: measured with ten million, and over
# the last ten days of a month of 1,440 a day. With fewer headlines than so many a store tells less of them than of the
# blocks that every column begins with.
_TYPICAL = 330.0
_MANY = 100_000
# A checkpoint writes the last row group of each table anew before it frees the old one: about half of what is used
# lies free in a small file, and in a large one never more than a row group takes.
_ROW_GROUP = 122_880


@dataclass(frozen=True, slots=True)
class Growth:
    """What was measured.

    Attributes:
        bytes: of the file.
        passing: bytes of headlines, scores and what belongs to them, with the file's own bookkeeping.
        lasting: bytes of everything else: rollups, alerts.
        days: since the oldest headline that is kept; at least one.
        headlines: how many are kept.
        a_day: headlines that came in, by day, over the last four weeks (or since there are any).
        a_headline: bytes by which the store grew for each over the last days, by its daily notes; 0 where these do not
            tell yet.

    Raises:
        ValueError: on a negative number, or less than one day.
    """

    bytes: int
    passing: int
    lasting: int
    days: float
    headlines: int
    a_day: float
    a_headline: float = 0.0

    def __post_init__(self) -> None:
        if (
            min(self.bytes, self.passing, self.lasting, self.headlines, self.a_day, self.a_headline) < 0
            or self.days < 1
        ):
            raise ValueError("sizes are not negative, and a store is at least a day old")

    @property
    def passing_a_day(self) -> float:
        """Bytes by which headlines grow the store in a day: as measured, or as usual while there are few."""
        measured = self.a_headline or (self.passing + self.lasting) / max(self.headlines, 1)
        each = (self.headlines * measured + _MANY * _TYPICAL) / (self.headlines + _MANY)
        return max(self.a_day * each - self.lasting_a_day, 0.0)

    @property
    def lasting_a_day(self) -> float:
        """Bytes by which counts and alerts grow it."""
        return self.lasting / self.days


def size_after(growth: Growth, days: float, keep_days: int) -> int:
    """Bytes of the file so many days from now, when headlines come as they did and leave after `keep_days` (0: never).

    A month leaves as a whole, so up to 31 days more are there. A file does not shrink: space that becomes free is used
    again, but for what a checkpoint needs.
    """
    held = growth.days + days
    raw_days = min(held, keep_days + 31.0) if keep_days else held
    passing = max(growth.passing, growth.passing + growth.passing_a_day * (raw_days - growth.days))
    used = passing + growth.lasting + growth.lasting_a_day * days
    return max(growth.bytes, round(used + min(used / 2, _ROW_GROUP * _TYPICAL)))


def days_until(growth: Growth, room: int, keep_days: int, most: int = 3650) -> int | None:
    """In how many days the file will have grown by more than `room` bytes; None when not within `most` days."""
    limit = growth.bytes + room
    if size_after(growth, most, keep_days) <= limit:
        return None
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if size_after(growth, middle, keep_days) <= limit else (low, middle)
    return low


def measure(database: Database, now: datetime) -> Growth:
    """Look at a store.

    Raises:
        StoreError: when it cannot be read.
    """
    with database.reading() as cursor:
        used = _blocks(cursor)
        size = cursor.sql("SELECT block_size, total_blocks, used_blocks FROM pragma_database_size()").fetchall()[0]
        block, total, in_use = (int(each) for each in size)
        headlines, a_day, days = _pace(cursor, now)
        a_headline = _weight(cursor, in_use * block, headlines, now)
    lasting = sum(blocks for table, blocks in used.items() if table not in _PASSING) * block
    known = sum(used.values()) * block
    # The rest is the index of the keys and the free lists: both grow with the headlines.
    passing = max(in_use * block, known) - lasting
    whole = passing + lasting if database.path == MEMORY else max(total * block, passing + lasting)
    return Growth(whole, passing, lasting, days, headlines, a_day, a_headline)


def keep_size(database: Database, now: datetime) -> None:
    """Note the store's size, once a day."""
    with database.writing() as connection:
        connection.execute(
            """
            INSERT INTO sizes
                SELECT date_trunc('day', $now::TIMESTAMPTZ), total_blocks * block_size, used_blocks * block_size,
                    (SELECT count(*) FROM headlines)
                FROM pragma_database_size()
                WHERE NOT EXISTS (SELECT 1 FROM sizes WHERE day = date_trunc('day', $now::TIMESTAMPTZ))
            """,
            {"now": now},
        )


def _blocks(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Blocks of every table; tables that share one each count it, which matters in small stores only."""
    names = cursor.sql("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    return {
        str(name): int(
            cursor.sql(
                "SELECT count(DISTINCT block) FROM (SELECT unnest(list_append(additional_block_ids, block_id)) AS block"
                " FROM pragma_storage_info($table)) WHERE block >= 0",
                params={"table": str(name)},
            ).fetchall()[0][0]
        )
        for (name,) in names
    }


def _weight(cursor: duckdb.DuckDBPyConnection, used: int, headlines: int, now: datetime) -> float:
    """Bytes of each headline since the oldest note of the last weeks; 0 when that is too young, or headlines left."""
    noted = cursor.sql(
        "SELECT used, headlines FROM sizes WHERE day BETWEEN $since AND $until ORDER BY day LIMIT 1",
        params={"since": now - _OBSERVED, "until": now - _TELLING},
    ).fetchall()
    if not noted or headlines <= noted[0][1]:
        return 0.0
    return max(0.0, float((used - noted[0][0]) / (headlines - noted[0][1])))


def _pace(cursor: duckdb.DuckDBPyConnection, now: datetime) -> tuple[int, float, float]:
    """Headlines kept, headlines a day, and days since the oldest that is kept."""
    since = now - _OBSERVED
    rows = cursor.sql(
        """
        SELECT count(*) AS kept, count(*) FILTER (fetched >= $since) AS late, epoch(min(effective)) AS oldest,
            epoch(min(fetched)) AS first
        FROM headlines WHERE effective >= $since::TIMESTAMPTZ - INTERVAL 10 YEAR
        """,
        params={"since": since},
    ).fetchall()
    kept, late, oldest, first = rows[0]
    if not kept:
        return 0, 0.0, 1.0
    watched = max(1.0, (now.timestamp() - max(float(first), since.timestamp())) / _DAY.total_seconds())
    days = max(1.0, (now.timestamp() - float(oldest)) / _DAY.total_seconds())
    return int(kept), int(late) / watched, days
