"""What may be asked of the store from outside: named, parametrised, read-only questions.

takes  nothing
gives  `QUERIES`: SQL by name, with the parameters that each one wants
never  writes, and never puts a caller's value into the text of a statement

Every question about headlines is bounded by `effective`, so DuckDB skips the blocks outside the range; trends come
from the hourly rollups. `rollups.tone` is the sum of tone over the hour's stories: a mean is sum(tone) / sum(stories).
"""

from __future__ import annotations

from datetime import datetime

from monitor.storage.alert_queries import ALERT_QUERIES
from monitor.storage.detection_queries import DETECTION
from monitor.storage.page_queries import PAGE_QUERIES, ZONE_DAY
from monitor.storage.query import RANGE, Query
from monitor.storage.story_queries import HEADLINE_COLUMNS, STORY_QUERIES
from monitor.storage.watching import WATCHED

__all__ = ["QUERIES", "Query"]

QUERIES: dict[str, Query] = {
    "status": Query(
        about="How much there is, how fresh it is, and what waits: one row.",
        sql=f"""
            SELECT
                (SELECT count(*) FROM headlines) AS headlines,
                (SELECT count(*) FROM scores) AS scored,
                (SELECT min(hour) FROM rollups WHERE series = 'market') AS first_hour,
                (SELECT max(hour) FROM rollups WHERE series = 'market') AS last_hour,
                (SELECT min(since) FROM series WHERE {WATCHED}) AS watched_since,
                (SELECT count(*) FROM series WHERE {WATCHED}) AS series,
                (SELECT count(*) FROM feeds) AS feeds,
                (SELECT count(*) FROM feeds WHERE failures > 0) AS feeds_failing,
                (SELECT max(last_check_at) FROM feeds) AS last_check_at,
                (SELECT max(last_success_at) FROM feeds) AS last_success_at,
                (SELECT max(last_entry_at) FROM feeds) AS last_entry_at,
                (SELECT min(next_check_at) FROM feeds) AS next_check_at,
                (SELECT model FROM scores ORDER BY effective DESC LIMIT 1) AS model,
                (SELECT count(*) FROM deliveries WHERE state = 'pending') AS deliveries_pending,
                (SELECT count(*) FROM deliveries WHERE state = 'dead') AS deliveries_dead
        """,  # noqa: S608 - a constant of this room, not a caller's value
    ),
    "meta": Query(
        about="What the daemon noted about itself: key and value.",
        sql="SELECT key, value FROM meta ORDER BY key",
    ),
    "series": Query(
        about="Every watched series: since when, its stories and negative stories in the range, and what was usual: "
        "negative stories that a range of this length saw from `baseline`, or since there is history of it, to "
        "`since`; null when that is less than a day. What is counted and not watched has no `watched_since`.",
        sql=f"""
            WITH watched AS (SELECT series, since FROM series WHERE {WATCHED}), counted AS (
                SELECT series,
                    coalesce(sum(stories) FILTER (hour >= $since::TIMESTAMPTZ), 0)::BIGINT AS stories,
                    coalesce(sum(negative) FILTER (hour >= $since::TIMESTAMPTZ), 0)::BIGINT AS negative,
                    coalesce(sum(tone) FILTER (hour >= $since::TIMESTAMPTZ), 0)::DOUBLE AS tone,
                    coalesce(sum(negative) FILTER (hour < $since::TIMESTAMPTZ), 0)::BIGINT AS past_negative
                FROM rollups
                WHERE hour >= $baseline::TIMESTAMPTZ AND hour < $until::TIMESTAMPTZ
                GROUP BY series
            ), first_hour AS (
                SELECT min(hour) AS hour FROM rollups WHERE series = 'market' AND hour >= $baseline::TIMESTAMPTZ
            ), timed AS (
                SELECT coalesce(c.series, w.series) AS series, w.since AS watched_since,
                    coalesce(c.stories, 0) AS stories, coalesce(c.negative, 0) AS negative, c.tone, c.past_negative,
                    epoch($since::TIMESTAMPTZ)
                        - epoch(greatest($baseline::TIMESTAMPTZ, w.since, f.hour)) AS past_seconds
                FROM counted c FULL JOIN watched w ON w.series = c.series CROSS JOIN first_hour f
            )
            SELECT series, watched_since, stories, negative, tone / nullif(stories, 0) AS tone,
                CASE WHEN past_seconds >= 86400 THEN
                    coalesce(past_negative, 0)
                        * (epoch($until::TIMESTAMPTZ) - epoch($since::TIMESTAMPTZ)) / past_seconds
                END AS usual_negative
            FROM timed
            ORDER BY negative DESC, stories DESC, series
            LIMIT $limit::BIGINT
        """,  # noqa: S608 - a constant of this room, not a caller's value
        params={**RANGE, "baseline": datetime, "limit": int},
    ),
    "headlines": Query(
        about="The latest scored headlines of one series in a range, newest first; all, or only the counted negatives.",
        # The few rows are picked from scores; joining on `effective` too lets DuckDB skip blocks of headlines.
        sql=f"""
            WITH picked AS (
                SELECT * EXCLUDE (topic_probabilities, series, series_negative, series_tone) FROM scores
                WHERE effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ
                    AND ($series::VARCHAR = 'market' OR list_contains(series, $series::VARCHAR))
                    AND (NOT $negative_only::BOOLEAN OR series_negative[list_position(series, $series::VARCHAR)])
                ORDER BY effective DESC, headline LIMIT $limit::BIGINT
            )
            SELECT {HEADLINE_COLUMNS}
            FROM picked s JOIN headlines h ON h.id = s.headline AND h.effective = s.effective
            ORDER BY h.effective DESC, h.id
        """,  # noqa: S608 - a constant of this file, not a caller's value
        params={"series": str, **RANGE, "negative_only": bool, "limit": int},
    ),
    "drift": Query(
        about="What each model said by day of a time zone: headlines, shares of the sentiments and abstentions, mean "
        "confidence. A day is told by the midnight, UTC, of its date.",
        sql=f"""
            SELECT {ZONE_DAY} AS day, model, count(*) AS headlines,
                avg((sentiment = 'negative')::INTEGER) AS negative, avg((sentiment = 'neutral')::INTEGER) AS neutral,
                avg((sentiment = 'positive')::INTEGER) AS positive, avg((abstention <> 'none')::INTEGER) AS abstained,
                avg(greatest(s.negative, s.neutral, s.positive)) AS confidence
            FROM scores s WHERE effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ
            GROUP BY ALL ORDER BY day, model
        """,  # noqa: S608 - a constant of this room, not a caller's value
        params={**RANGE, "zone": str},
    ),
    "feeds": Query(
        about="Every feed with its state, and its checks, new headlines and mean answer time since an instant.",
        sql="""
            SELECT f.feed, f.name, f.publisher, f.url, f.outcome, f.reason, f.failures, f.added_at, f.first_success_at,
                f.last_check_at, f.last_success_at, f.last_entry_at, f.next_check_at,
                coalesce(c.checks, 0) AS checks, coalesce(c.fresh, 0) AS fresh, c.millis
            FROM feeds f LEFT JOIN (
                SELECT feed, count(*) AS checks, sum(fresh)::BIGINT AS fresh, avg(millis)::DOUBLE AS millis
                FROM checks WHERE "at" >= $since::TIMESTAMPTZ GROUP BY feed
            ) c ON c.feed = f.feed
            ORDER BY f.failures DESC, f.name, f.feed
        """,
        params={"since": datetime},
    ),
    "feed_states": Query(
        about="Everything that is remembered of every feed, for `monitor.feeds.health`.",
        sql="SELECT * FROM feeds ORDER BY feed",
    ),
    "feed_checks": Query(
        about="The latest checks of one feed, newest first.",
        sql="""
            SELECT "at", outcome, reason, status, entries, fresh, bytes, millis
            FROM checks WHERE feed = $feed::VARCHAR ORDER BY "at" DESC LIMIT $limit::BIGINT
        """,
        params={"feed": str, "limit": int},
    ),
    **ALERT_QUERIES,
    **DETECTION,
    **STORY_QUERIES,
    **PAGE_QUERIES,
}
