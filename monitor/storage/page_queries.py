"""What the pages for people at work ask: one delivery, everything given up, what a model said, titles of a day.

takes  nothing
gives  `PAGE_QUERIES`: a part of `monitor.storage.queries.QUERIES`
never  writes, and never puts a caller's value into the text of a statement
"""

from __future__ import annotations

from monitor.storage.alert_queries import ALERT_HEADLINE
from monitor.storage.query import RANGE, Query

# UTC needs no almanac, and most ask for it: of a year's rows that is a third of the work.
ZONE_DAY = """CASE WHEN $zone::VARCHAR = 'UTC' THEN date_trunc('day', effective)
    ELSE timezone('UTC', date_trunc('day', timezone($zone::VARCHAR, effective))) END"""

PAGE_QUERIES: dict[str, Query] = {
    "delivery": Query(
        about="One message with what became of it; no row when there is none of that id.",
        sql=f"""
            SELECT d.id, d.alert, a.series, {ALERT_HEADLINE}, d.reason, d.channel, d.state, d.created_at, d.attempts,
                d.next_attempt_at, d.finished_at, d.outcome
            FROM deliveries d LEFT JOIN alerts a ON a.id = d.alert WHERE d.id = $delivery::VARCHAR
        """,  # noqa: S608 - a constant of this room, not a caller's value
        params={"delivery": str},
    ),
    "outbox": Query(
        about="The latest messages of one state and one channel, or of all where they are '', newest first.",
        sql=f"""
            WITH shown AS (
                SELECT * EXCLUDE (payload) FROM deliveries
                WHERE ($state::VARCHAR = '' OR state = $state::VARCHAR)
                    AND ($channel::VARCHAR = '' OR channel = $channel::VARCHAR)
                ORDER BY created_at DESC, id LIMIT $limit::BIGINT
            ), tried AS (
                SELECT delivery, arg_max(reason, rowid) AS reason FROM attempts
                WHERE delivery IN (SELECT id FROM shown) GROUP BY delivery
            )
            SELECT d.id, d.alert, a.series, {ALERT_HEADLINE}, d.reason, d.channel, d.state, d.created_at, d.attempts,
                d.next_attempt_at, d.finished_at, d.outcome, coalesce(t.reason, '') AS last_reason
            FROM shown d LEFT JOIN alerts a ON a.id = d.alert LEFT JOIN tried t ON t.delivery = d.id
            ORDER BY d.created_at DESC, d.id
        """,  # noqa: S608 - a constant of this room, not a caller's value
        params={"state": str, "channel": str, "limit": int},
    ),
    "delivery_attempts": Query(
        about="Every attempt to send one message, oldest first.",
        sql="""
            SELECT "at", outcome, reason, millis, taken_by FROM attempts
            WHERE delivery = $delivery::VARCHAR ORDER BY rowid
        """,
        params={"delivery": str},
    ),
    "models": Query(
        about="Which model scored how many headlines, and which days they are of; the latest first.",
        sql="""
            SELECT model, count(*) AS headlines, min(effective) AS first_at, max(effective) AS last_at,
                avg((abstention <> 'none')::INTEGER) AS abstained
            FROM scores WHERE effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ
            GROUP BY model ORDER BY last_at DESC, model
        """,
        params=RANGE,
    ),
    "abstained": Query(
        about="The latest headlines that a model gave no opinion of, newest first.",
        sql="""
            WITH picked AS (
                SELECT headline, effective, abstention, negative, neutral, positive FROM scores
                WHERE abstention <> 'none' AND effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ
                ORDER BY effective DESC, headline LIMIT $limit::BIGINT
            )
            SELECT h.effective, h.title, h.link, h.publisher, p.abstention, p.negative, p.neutral, p.positive
            FROM picked p JOIN headlines h ON h.id = p.headline AND h.effective = p.effective
            ORDER BY h.effective DESC, h.id
        """,
        params={**RANGE, "limit": int},
    ),
    "titles_by_day": Query(
        about="Up to `most` titles of each day of a time zone: always the same ones, drawn by their ids. A day is told "
        "by the midnight, UTC, of its date.",
        sql=f"""
            SELECT {ZONE_DAY} AS day, title FROM headlines
            WHERE effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ
            QUALIFY row_number() OVER (PARTITION BY day ORDER BY hash(id), id) <= $most::BIGINT
            ORDER BY day
        """,  # noqa: S608 - a constant of this file, not a caller's value
        params={**RANGE, "zone": str, "most": int},
    ),
    "past_negatives": Query(
        about="Stories with a negative headline, by series and publisher, as detection of earlier moments needs them: "
        "when the publisher's first headline was fetched, its first negative one was dated and fetched, and whether "
        "any of its headlines may alert.",
        sql="""
            WITH heard AS (
                SELECT unnest(s.series) AS series, h.story, h.publisher, h.effective, h.fetched,
                    h.standing = 'fresh' AS fresh, unnest(s.series_negative) AS negative
                FROM headlines h JOIN scores s ON s.headline = h.id AND s.effective = h.effective
                WHERE h.effective >= $since::TIMESTAMPTZ AND h.effective < $until::TIMESTAMPTZ
                    AND h.standing NOT IN ('undated', 'future')
            )
            SELECT series, story, publisher, min(fetched) AS fetched, min(effective) FILTER (negative) AS negative_at,
                min(fetched) FILTER (negative) AS negative_fetched, bool_or(fresh) AS fresh
            FROM heard SEMI JOIN (SELECT DISTINCT series, story FROM heard WHERE negative) USING (series, story)
            GROUP BY ALL ORDER BY series, story, publisher
        """,
        params=RANGE,
    ),
    "daily_affinities": Query(
        about="Negative headlines of each series by publisher family and day, over the days of a range.",
        sql="""
            SELECT series, publisher, day, negative::BIGINT AS negative FROM affinities
            WHERE day >= $since::TIMESTAMPTZ AND day <= $until::TIMESTAMPTZ ORDER BY day, series, publisher
        """,
        params=RANGE,
    ),
}
