"""The counts anew, from what is stored: after a new model, and as a check of the daily bookkeeping.

takes  a connection
gives  rollups that equal a recount, or the hours where they do not
never  changes a headline or a score

The same rule as counting.py, written a second time and in another language on purpose: tests hold one against
the other.
"""

from __future__ import annotations

from datetime import datetime

import duckdb
import polars as pl

from monitor.storage.retention import raw_since

# A story that touches the time asked for is recounted whole: its first headline may lie before. Uncounted standings
# are named in series.py, which also says what a headline counts as in each of its series.
_RECOUNT = """
    WITH counted AS (
        SELECT unnest(s.series) AS series, h.story, h.id, h.publisher, h.effective AS "at", h.fetched,
            h.standing = 'fresh' AS fresh,
            unnest(s.series_negative) AS negative, unnest(s.series_tone)::DOUBLE AS tone
        FROM headlines h JOIN scores s ON s.headline = h.id
        WHERE h.standing NOT IN ('undated', 'future')
            AND ($since::TIMESTAMPTZ IS NULL
                OR h.story IN (SELECT story FROM headlines WHERE effective >= $since::TIMESTAMPTZ))
    ), stories AS (
        SELECT series, story, min("at") AS "at", first(id ORDER BY "at", id) AS headline,
            first(tone ORDER BY "at", id) AS tone, min("at") FILTER (negative) AS negative_at, bool_or(fresh) AS fresh
        FROM counted GROUP BY series, story
    ), parts AS (
        SELECT series, date_trunc('hour', "at") AS hour, 1 AS headlines, 0 AS stories, 0 AS negative,
            0.0::DOUBLE AS tone
        FROM counted
        UNION ALL
        SELECT series, date_trunc('hour', "at"), 0, 1, 0, tone FROM stories
        UNION ALL
        SELECT series, date_trunc('hour', negative_at), 0, 0, 1, 0 FROM stories WHERE negative_at IS NOT NULL
    ), recounted AS (
        SELECT series, hour, sum(headlines)::INTEGER AS headlines, sum(stories)::INTEGER AS stories,
            sum(negative)::INTEGER AS negative, sum(tone) AS tone
        FROM parts WHERE $since::TIMESTAMPTZ IS NULL OR hour >= $since::TIMESTAMPTZ
        GROUP BY series, hour
    )
"""

# Headlines by publisher, from the start of the day of the time asked for: their table counts whole days.
_SPOKEN = """
    WITH spoken AS (
        SELECT s.series, s.series_negative, h.publisher, h.effective AS "at",
            s.sentiment = 'negative' AND s.abstention = 'none' AS negative
        FROM headlines h JOIN scores s ON s.headline = h.id
        WHERE h.standing NOT IN ('undated', 'future')
            AND ($day::TIMESTAMPTZ IS NULL OR h.effective >= $day::TIMESTAMPTZ)
    ), by_hour AS (
        SELECT publisher, date_trunc('hour', "at") AS hour, count(*)::INTEGER AS headlines,
            (count(*) FILTER (negative))::INTEGER AS negative
        FROM spoken GROUP BY ALL
    ), by_day AS (
        SELECT series, publisher, date_trunc('day', "at") AS day, count(*)::INTEGER AS negative
        FROM (SELECT unnest(series) AS series, unnest(series_negative) AS said, publisher, "at" FROM spoken)
        WHERE said GROUP BY ALL
    )
"""

# Sums of the same numbers in another order differ in the last digits.
_TOLERANCE = 1e-6


def rebuild(connection: duckdb.DuckDBPyConnection, since: datetime | None) -> None:
    """Recount every hour from `since` (cut to its hour) on, or all, and the sightings that are kept.

    Hours whose headlines lie in the archive keep their counts.
    """
    since = _countable(connection, since)
    asked = {"since": _hour(since)}
    connection.execute("DELETE FROM rollups WHERE $since::TIMESTAMPTZ IS NULL OR hour >= $since::TIMESTAMPTZ", asked)
    connection.execute(f"INSERT INTO rollups BY NAME {_RECOUNT} SELECT * FROM recounted", asked)  # noqa: S608 - a constant
    connection.execute(
        f"""
        MERGE INTO sightings USING ({_RECOUNT} SELECT * FROM stories) AS told
            ON sightings.series = told.series AND sightings.story = told.story
        WHEN MATCHED THEN UPDATE SET "at" = told."at", headline = told.headline, tone = told.tone,
            negative_at = told.negative_at, fresh = told.fresh
        """,  # noqa: S608 - a constant of this file, not a caller's value
        asked,
    )
    _recount_sources(connection, since)


def _recount_sources(connection: duckdb.DuckDBPyConnection, since: datetime | None) -> None:
    asked = {"day": None if since is None else since.replace(hour=0, minute=0, second=0, microsecond=0)}
    for table, column, counted in (("sources", "hour", "by_hour"), ("affinities", "day", "by_day")):
        connection.execute(
            f"DELETE FROM {table} WHERE $day::TIMESTAMPTZ IS NULL OR {column} >= $day::TIMESTAMPTZ",  # noqa: S608 - constants of this file
            asked,
        )
        connection.execute(f"INSERT INTO {table} BY NAME {_SPOKEN} SELECT * FROM {counted}", asked)  # noqa: S608 - constants of this file


def source_faults(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Rows of `sources` and `affinities` that differ from a recount: which table, and the rows on each side."""
    since = _countable(connection, None)
    faults: pl.DataFrame = connection.sql(
        f"""
        {_SPOKEN}, told AS (
            SELECT 'sources' AS part, '' AS series, publisher, hour AS "at", headlines, negative FROM sources
            WHERE $day::TIMESTAMPTZ IS NULL OR hour >= $day::TIMESTAMPTZ
            UNION ALL SELECT 'affinities', series, publisher, day, 0, negative FROM affinities
            WHERE $day::TIMESTAMPTZ IS NULL OR day >= $day::TIMESTAMPTZ
        ), anew AS (
            SELECT 'sources' AS part, '' AS series, publisher, hour AS "at", headlines, negative FROM by_hour
            UNION ALL SELECT 'affinities', series, publisher, day, 0, negative FROM by_day
        )
        SELECT * FROM ((FROM told EXCEPT FROM anew) UNION ALL (FROM anew EXCEPT FROM told)) ORDER BY part, "at", series
        """,  # noqa: S608 - a constant of this file, not a caller's value
        params={"day": since},
    ).pl()
    return faults


def rollup_faults(connection: duckdb.DuckDBPyConnection, since: datetime | None) -> pl.DataFrame:
    """Hours from `since` (cut to its hour) on, or all whose headlines are kept, that differ from a recount."""
    since = _countable(connection, since)
    query = f"""
        {_RECOUNT}, stored AS (
            SELECT * FROM rollups WHERE $since::TIMESTAMPTZ IS NULL OR hour >= $since::TIMESTAMPTZ
        )
        SELECT series, hour, s.headlines, s.stories, s.negative, s.tone, r.headlines AS counted_headlines,
            r.stories AS counted_stories, r.negative AS counted_negative, r.tone AS counted_tone
        FROM stored s FULL JOIN recounted r USING (series, hour)
        WHERE s.headlines IS DISTINCT FROM r.headlines OR s.stories IS DISTINCT FROM r.stories
            OR s.negative IS DISTINCT FROM r.negative
            OR abs(s.tone - r.tone) > $tolerance
        ORDER BY hour, series
    """  # noqa: S608 - a constant of this file, not a caller's value
    faults: pl.DataFrame = connection.sql(query, params={"since": _hour(since), "tolerance": _TOLERANCE}).pl()
    return faults


def _countable(connection: duckdb.DuckDBPyConnection, since: datetime | None) -> datetime | None:
    """From when on a recount is possible: what was moved to the archive cannot be counted again."""
    return max(filter(None, (since, raw_since(connection))), default=None)


def _hour(since: datetime | None) -> datetime | None:
    return None if since is None else since.replace(minute=0, second=0, microsecond=0)
