"""What detection reads from the store: the same questions, whether it looks now or back to an earlier moment.

takes  nothing
gives  `DETECTION`: SQL by name, as `monitor.storage.query.Query` has it
never  writes

`past_sightings` makes the sightings of an earlier moment anew from what had been fetched by then: the table keeps the
last days only. Rollups are read as they are now, so a copy that came late stands in the hour that it counts in.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.storage.query import RANGE, Query
from monitor.storage.watching import WATCHED

DETECTION: Mapping[str, Query] = {
    "past_counts": Query(
        "Hourly counts of all series in a range, as detection reads them.",
        """
        SELECT series, hour, stories::BIGINT AS stories, negative::BIGINT AS negative FROM rollups
        WHERE hour >= $since::TIMESTAMPTZ AND hour <= $until::TIMESTAMPTZ AND (stories > 0 OR negative > 0)
        ORDER BY hour, series
        """,
        RANGE,
    ),
    "past_sightings": Query(
        "Fresh stories that had turned negative by an instant, as they were known then.",
        """
        WITH heard AS (
            SELECT unnest(s.series) AS series, h.story, h.effective AS "at", h.publisher, h.fetched,
                h.standing = 'fresh' AS fresh, unnest(s.series_negative) AS negative
            FROM headlines h JOIN scores s ON s.headline = h.id AND s.effective = h.effective
            WHERE h.effective >= $since::TIMESTAMPTZ - INTERVAL 2 DAY AND h.effective <= $until::TIMESTAMPTZ
                AND h.fetched <= $until::TIMESTAMPTZ AND h.standing NOT IN ('undated', 'future')
        ), first_heard AS (
            SELECT series, story, publisher, min(fetched) AS fetched FROM heard GROUP BY ALL
        ), carried AS (
            SELECT series, story, list(publisher ORDER BY fetched, publisher) AS publishers
            FROM first_heard GROUP BY ALL
        ), told AS (
            SELECT series, story, min("at") FILTER (negative) AS negative_at, bool_or(fresh) AS fresh
            FROM heard GROUP BY ALL
        )
        SELECT series, story, negative_at, publishers FROM told JOIN carried USING (series, story)
        WHERE fresh AND negative_at >= $since::TIMESTAMPTZ ORDER BY negative_at, series, story
        """,
        RANGE,
    ),
    "watched": Query(
        "Every watched series and since when.",
        f"SELECT series, since FROM series WHERE {WATCHED} ORDER BY series",  # noqa: S608 - a constant
        {},
    ),
    "sources": Query(
        "Headlines of each publisher family by hour in a range: all, and the negative ones.",
        """
        SELECT publisher, hour, headlines::BIGINT AS headlines, negative::BIGINT AS negative FROM sources
        WHERE hour >= $since::TIMESTAMPTZ AND hour <= $until::TIMESTAMPTZ ORDER BY hour, publisher
        """,
        RANGE,
    ),
    "affinities": Query(
        "Negative headlines of each series by publisher family, over the days that lie wholly in a range.",
        """
        SELECT series, publisher, sum(negative)::BIGINT AS negative FROM affinities
        WHERE day >= $since::TIMESTAMPTZ AND day + INTERVAL 1 DAY <= $until::TIMESTAMPTZ
        GROUP BY ALL ORDER BY series, publisher
        """,
        RANGE,
    ),
    "story_title": Query(
        "The title of a story's first headline; no row when there is none.",
        "SELECT title, effective FROM headlines WHERE story = $story::UBIGINT ORDER BY effective, id LIMIT 1",
        {"story": int},
    ),
    "findings": Query(
        "What detection found when alerts of one series changed, in a range, oldest first.",
        """
        SELECT "at", finding::VARCHAR AS finding FROM findings
        WHERE series = $series::VARCHAR AND "at" >= $since::TIMESTAMPTZ AND "at" <= $until::TIMESTAMPTZ ORDER BY "at"
        """,
        {**RANGE, "series": str},
    ),
}
