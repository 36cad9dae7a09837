"""A stretch of an archive written into the store: the steps of one transaction.

takes  frames of headlines and scores of the past
gives  rows of headlines, scores, words, sightings and rollups, and a line in `backfills`
never  takes a headline twice, never makes one fresh, and never counts a story twice that the store knows already
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl

from monitor.news.counting import ARRIVALS
from monitor.series import UNCOUNTED
from monitor.storage.database import Database, lent
from monitor.storage.keeping import forget_sightings, ids, keep_counts
from monitor.storage.watching import watch
from monitor.storage.words import fold_words, keep_words

# Stories are open for two days; their first and last headlines lie within these of any of them.
_AROUND = timedelta(days=4)
# How long sightings are kept behind the stretch: longer than a story is open.
_SIGHTINGS = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of an archive between two instants.

    Attributes:
        archive: its name.
        since, until: aware UTC; everything between them that the archive holds.
        rows: that were read.
        headlines, scores: in the columns of these tables, one score a headline.
    """

    archive: str
    since: datetime
    until: datetime
    rows: int
    headlines: pl.DataFrame
    scores: pl.DataFrame


def stretches_done(database: Database, archive: str) -> tuple[datetime | None, int, int]:
    """Until when the archive was taken in (None when it never was), rows read and headlines kept so far."""
    with database.reading() as cursor:
        row = cursor.execute(
            "SELECT epoch_us(max(until)), coalesce(sum(rows), 0)::BIGINT, coalesce(sum(kept), 0)::BIGINT "
            "FROM backfills WHERE archive = ?",
            [archive],
        ).fetchone()
    until, rows, kept = row or (None, 0, 0)
    return (None if until is None else _instant(until)), rows, kept


def titles_between(database: Database, since: datetime, until: datetime) -> list[tuple[int, str, str, datetime, str]]:
    """(story, title, summary, effective, publisher) of the stored headlines of a stretch, for stories that go on."""
    with database.reading() as cursor:
        rows: list[tuple[int, str, str, datetime, str]] = (
            cursor.sql(
                "SELECT story, title, summary, effective, publisher FROM headlines "
                "WHERE effective >= $since AND effective < $until",
                params={"since": since, "until": until},
            )
            .pl()
            .rows()
        )
    return rows


def titles_of(database: Database, ids: pl.Series) -> dict[int, str]:
    """Those of these ids that are stored, with their titles."""
    with database.reading() as cursor, lent(cursor, asked=pl.DataFrame({"id": ids.unique()})):
        found: list[tuple[int, str]] = cursor.execute(
            "SELECT id, title FROM headlines SEMI JOIN asked USING (id)"
        ).fetchall()
    return dict(found)


def known_names(database: Database, since: datetime) -> bool:
    """Whether headlines that came from feeds are stored from then on, so that an archive may bring them again."""
    with database.reading() as cursor:
        row = cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM headlines h SEMI JOIN names n ON n.headline = h.id WHERE h.effective >= ?)",
            [since],
        ).fetchone()
    return bool(row and row[0])


def take_in(database: Database, stretch: Stretch, now: datetime) -> int:
    """Write a stretch in one transaction; how many headlines of it were new.

    Args:
        now: when it is taken in, aware UTC.

    Raises:
        StoreUnavailable: when it cannot be written; nothing is then.
    """
    with database.writing(arrived=stretch.headlines, opinions=stretch.scores) as connection:
        new = ids(
            connection,
            "INSERT INTO headlines BY NAME SELECT * FROM arrived ANTI JOIN archived ON archived.headline = id "
            "ON CONFLICT DO NOTHING RETURNING id",
        )
        keep_words(connection, new)
        with lent(connection, kept=pl.DataFrame({"id": list(new)}, schema={"id": pl.UInt64})):
            connection.execute("INSERT INTO scores BY NAME SELECT * FROM opinions SEMI JOIN kept ON id = headline")
        arrivals = _arrivals(stretch, new)
        _recall(connection, arrivals, stretch)
        keep_counts(connection, arrivals, stretch.until)
        forget_sightings(connection, stretch.until - _SIGHTINGS)
        connection.execute(
            "INSERT INTO backfills VALUES (?, ?, ?, ?, ?, ?)",
            [stretch.archive, stretch.since, stretch.until, stretch.rows, len(new), now],
        )
        fold_words(connection)
    return len(new)


def watch_since(database: Database, series: Sequence[str], since: datetime, now: datetime) -> None:
    """These series, and all that are watched already, count as watched since then at the latest."""
    watch(database, series, now)
    with database.writing() as connection:
        connection.execute("UPDATE series SET since = ? WHERE since > ? AND left_at IS NULL", [since, since])


def _arrivals(stretch: Stretch, new: set[int]) -> pl.DataFrame:
    """What is to be counted: as `monitor.storage.rows.arrival_frame`, of frames."""
    came = stretch.headlines.filter(
        pl.col("id").is_in(pl.Series(list(new), dtype=pl.UInt64).implode())
        & ~pl.col("standing").is_in([one.value for one in UNCOUNTED])
    ).select(
        "story",
        "publisher",
        "fetched",
        headline="id",
        at="effective",
        fresh=pl.lit(False),
    )
    said = stretch.scores.select(
        "headline", "series", negative="series_negative", tone=pl.col("series_tone").cast(pl.List(pl.Float64()))
    )
    return came.join(said, on="headline").explode("series", "negative", "tone").select(*ARRIVALS)


def _recall(connection: duckdb.DuckDBPyConnection, arrivals: pl.DataFrame, stretch: Stretch) -> None:
    """Put back what was known of stories that go on here and whose sightings were forgotten long ago."""
    with lent(connection, arrivals=arrivals.select("story", "headline").unique()):
        connection.execute(
            """
            INSERT INTO sightings BY NAME
            WITH told AS (
                SELECT unnest(s.series) AS series, h.story, h.effective AS "at", h.id, h.publisher, h.fetched,
                    h.standing = 'fresh' AS fresh, unnest(s.series_negative) AS negative,
                    unnest(s.series_tone)::DOUBLE AS tone
                FROM headlines h JOIN scores s ON s.headline = h.id
                WHERE h.effective >= $since AND h.effective < $until AND h.standing NOT IN ('undated', 'future')
                    AND h.story IN (SELECT story FROM arrivals) AND h.id NOT IN (SELECT headline FROM arrivals)
            ), carried AS (
                SELECT series, story, list(publisher ORDER BY fetched, "at", id) AS publishers FROM (
                    SELECT series, story, publisher, min(fetched) AS fetched, min("at") AS "at", min(id) AS id
                    FROM told GROUP BY series, story, publisher
                ) GROUP BY series, story
            ), known AS (
                SELECT series, story, min("at") AS "at", first(id ORDER BY "at", id) AS headline,
                    first(tone ORDER BY "at", id) AS tone, min("at") FILTER (negative) AS negative_at,
                    bool_or(fresh) AS fresh
                FROM told GROUP BY series, story
            )
            SELECT *, $changed AS changed_at FROM known JOIN carried USING (series, story)
            ANTI JOIN sightings USING (series, story)
            """,
            {"since": stretch.since - _AROUND, "until": stretch.until + _AROUND, "changed": stretch.until},
        )


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)
