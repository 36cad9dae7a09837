"""What may be asked of the store from outside: named, parametrised, read-only questions.

takes  nothing
gives  `QUERIES`: SQL by name, with the parameters that each one wants
never  writes, and never puts a caller's value into the text of a statement

Every question about headlines is bounded by `effective`, so DuckDB skips the blocks outside the range; trends come
from the hourly rollups. `rollups.tone` is the sum of tone over the hour's stories: a mean is sum(tone) / sum(stories).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

_KINDS: tuple[type, ...] = (str, int, bool, datetime)


@dataclass(frozen=True, slots=True)
class Query:
    """One question that a reader may ask.

    Attributes:
        about: what it answers, in one sentence.
        sql: one SELECT in DuckDB's dialect; values stand in it as `$name`.
        params: the type of each parameter: str, int, bool or (aware) datetime.

    Raises:
        ValueError: when a parameter is of another type, or does not occur in the SQL.
    """

    about: str
    sql: str
    params: Mapping[str, type] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in self.params.items():
            if kind not in _KINDS:
                raise ValueError(f"parameter {name} must be str, int, bool or datetime, not {kind.__name__}")
            if f"${name}" not in self.sql:
                raise ValueError(f"parameter {name} does not occur in the query")

    def objection(self, values: Mapping[str, object]) -> str:
        """Why these values do not fit, in words; empty when they do."""
        if missing := sorted(self.params.keys() - values.keys()):
            return f"missing parameter: {', '.join(missing)}"
        if unknown := sorted(values.keys() - self.params.keys()):
            return f"unknown parameter: {', '.join(unknown)}"
        for name, kind in self.params.items():
            value = values[name]
            # type() rather than isinstance: True is an int to Python, but no limit.
            if type(value) is not kind:
                return f"parameter {name} must be {kind.__name__}, not {type(value).__name__}"
            if isinstance(value, datetime) and value.tzinfo is None:
                return f"parameter {name} must carry its time zone"
        return ""


_RANGE: dict[str, type] = {"since": datetime, "until": datetime}

_HEADLINE_COLUMNS = """
    h.id, h.effective, h.published, h.fetched, h.title, h.link, h.publisher, h.feed, h.language, h.standing, h.story,
    h.companies, s.sentiment, s.abstention, s.negative, s.neutral, s.positive, s.topics, s.themes, s.model"""

_ALERT_COLUMNS = """
    a.id, a.series, a.state, a.severity, a.opened_at, a.fired_at, a.last_spike_at, a.resolved_at, a.hours, a.observed,
    a.expected, a.p_value, a.peak_observed, a.peak_expected, a.peak_p_value, a.peak_at"""

QUERIES: dict[str, Query] = {
    "status": Query(
        about="How much there is, how fresh it is, and what waits: one row.",
        sql="""
            SELECT
                (SELECT count(*) FROM headlines) AS headlines,
                (SELECT count(*) FROM scores) AS scored,
                (SELECT min(hour) FROM rollups WHERE series = 'market') AS first_hour,
                (SELECT max(hour) FROM rollups WHERE series = 'market') AS last_hour,
                (SELECT min(since) FROM series) AS watched_since,
                (SELECT count(*) FROM series) AS series,
                (SELECT count(*) FROM feeds) AS feeds,
                (SELECT count(*) FROM feeds WHERE failures > 0) AS feeds_failing,
                (SELECT max(last_check_at) FROM feeds) AS last_check_at,
                (SELECT max(last_success_at) FROM feeds) AS last_success_at,
                (SELECT max(last_entry_at) FROM feeds) AS last_entry_at,
                (SELECT min(next_check_at) FROM feeds) AS next_check_at,
                (SELECT model FROM scores ORDER BY effective DESC LIMIT 1) AS model,
                (SELECT count(*) FROM deliveries WHERE state = 'pending') AS deliveries_pending,
                (SELECT count(*) FROM deliveries WHERE state = 'dead') AS deliveries_dead
        """,
    ),
    "meta": Query(
        about="What the daemon noted about itself: key and value.",
        sql="SELECT key, value FROM meta ORDER BY key",
    ),
    "series": Query(
        about="Every watched series: since when, its stories and negative stories in the range, and what was usual: "
        "negative stories that a range of this length saw from `baseline`, or since there is history of it, to "
        "`since`; null when that is less than a day.",
        sql="""
            WITH counted AS (
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
                FROM counted c FULL JOIN series w ON w.series = c.series CROSS JOIN first_hour f
            )
            SELECT series, watched_since, stories, negative, tone / nullif(stories, 0) AS tone,
                CASE WHEN past_seconds >= 86400 THEN
                    coalesce(past_negative, 0)
                        * (epoch($until::TIMESTAMPTZ) - epoch($since::TIMESTAMPTZ)) / past_seconds
                END AS usual_negative
            FROM timed
            ORDER BY negative DESC, stories DESC, series
            LIMIT $limit::BIGINT
        """,
        params={**_RANGE, "baseline": datetime, "limit": int},
    ),
    "trend": Query(
        about="One series over time: stories, negative stories and mean tone for each 'hour' or 'day' (UTC) with any.",
        sql="""
            SELECT date_trunc($step::VARCHAR, hour) AS "at", sum(headlines)::BIGINT AS headlines,
                sum(stories)::BIGINT AS stories, sum(negative)::BIGINT AS negative,
                sum(tone) / nullif(sum(stories), 0) AS tone
            FROM rollups
            WHERE series = $series::VARCHAR AND hour >= $since::TIMESTAMPTZ AND hour < $until::TIMESTAMPTZ
            GROUP BY ALL ORDER BY "at"
        """,
        params={"series": str, "step": str, **_RANGE},
    ),
    "headlines": Query(
        about="The latest scored headlines of one series in a range, newest first; all, or only the counted negatives.",
        # The few rows are picked from scores; joining on `effective` too lets DuckDB skip blocks of headlines.
        sql=f"""
            WITH picked AS (
                SELECT * EXCLUDE (topic_probabilities, series) FROM scores
                WHERE effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ
                    AND ($series::VARCHAR = 'market' OR list_contains(series, $series::VARCHAR))
                    AND (NOT $negative_only::BOOLEAN OR (sentiment = 'negative' AND abstention = 'none'))
                ORDER BY effective DESC LIMIT $limit::BIGINT
            )
            SELECT {_HEADLINE_COLUMNS}
            FROM picked s JOIN headlines h ON h.id = s.headline AND h.effective = s.effective
            ORDER BY h.effective DESC, h.id
        """,  # noqa: S608 - a constant of this file, not a caller's value
        params={"series": str, **_RANGE, "negative_only": bool, "limit": int},
    ),
    "search": Query(
        about="Headlines of one series whose title contains a text (any case), newest first.",
        sql=f"""
            WITH found AS (
                SELECT * FROM headlines
                WHERE effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ
                    AND contains(lower(title), lower($text::VARCHAR))
            )
            SELECT {_HEADLINE_COLUMNS}
            FROM found h JOIN scores s ON s.headline = h.id AND s.effective = h.effective
            WHERE ($series::VARCHAR = 'market' OR list_contains(s.series, $series::VARCHAR))
                AND (NOT $negative_only::BOOLEAN OR (s.sentiment = 'negative' AND s.abstention = 'none'))
            ORDER BY h.effective DESC, h.id LIMIT $limit::BIGINT
        """,  # noqa: S608 - a constant of this file, not a caller's value
        params={"text": str, "series": str, **_RANGE, "negative_only": bool, "limit": int},
    ),
    "open_alerts": Query(
        about="Alerts that are pending, firing or recovering, gravest first.",
        sql=f"""
            SELECT {_ALERT_COLUMNS}
            FROM alerts a WHERE state IN ('pending', 'firing', 'recovering')
            ORDER BY list_position(['firing', 'pending', 'recovering'], state),
                list_position(['critical', 'warning', 'info'], severity), opened_at DESC, id
        """,  # noqa: S608 - a constant of this file, not a caller's value
    ),
    "alerts": Query(
        about="Alerts that were open at some time in the range, latest first; of one series, or of all when it is ''.",
        sql=f"""
            SELECT {_ALERT_COLUMNS}, json_array_length(a.evidence)::BIGINT AS evidence_stories
            FROM alerts a
            WHERE opened_at < $until::TIMESTAMPTZ
                AND coalesce(resolved_at, 'infinity'::TIMESTAMPTZ) >= $since::TIMESTAMPTZ
                AND ($series::VARCHAR = '' OR series = $series::VARCHAR)
            ORDER BY opened_at DESC, id LIMIT $limit::BIGINT
        """,  # noqa: S608 - a constant of this file, not a caller's value
        params={"series": str, **_RANGE, "limit": int},
    ),
    "alert": Query(
        about="One alert with its evidence (a JSON text); no row when there is none of that id.",
        sql=f"SELECT {_ALERT_COLUMNS}, a.evidence::VARCHAR AS evidence FROM alerts a WHERE id = $alert::VARCHAR",  # noqa: S608 - a constant of this file, not a caller's value
        params={"alert": str},
    ),
    "alert_changes": Query(
        about="The audit trail of one alert, oldest first.",
        sql="""
            SELECT "at", reason, state_before, state_after, severity, observed, expected, p_value
            FROM changes WHERE alert = $alert::VARCHAR ORDER BY "at"
        """,
        params={"alert": str},
    ),
    "alert_deliveries": Query(
        about="The messages of one alert, oldest first, without their payload.",
        sql="""
            SELECT id, reason, channel, state, created_at, attempts, next_attempt_at, finished_at, outcome
            FROM deliveries WHERE alert = $alert::VARCHAR ORDER BY created_at, channel, id
        """,
        params={"alert": str},
    ),
    "deliveries": Query(
        about="The latest messages in one state, or in all when it is '', newest first, with the last reason.",
        sql="""
            SELECT d.id, d.alert, d.reason, d.channel, d.state, d.created_at, d.attempts, d.next_attempt_at,
                d.finished_at, d.outcome, coalesce(l.reason, '') AS last_reason
            FROM deliveries d LEFT JOIN (
                SELECT delivery, arg_max(reason, "at") AS reason FROM attempts GROUP BY delivery
            ) l ON l.delivery = d.id
            WHERE $state::VARCHAR = '' OR d.state = $state::VARCHAR
            ORDER BY d.created_at DESC, d.id LIMIT $limit::BIGINT
        """,
        params={"state": str, "limit": int},
    ),
    "alert_attempts": Query(
        about="Every attempt to send a message of one alert, oldest first.",
        sql="""
            SELECT t.delivery, d.channel, d.reason AS message, t."at", t.outcome, t.reason, t.millis
            FROM attempts t JOIN deliveries d ON d.id = t.delivery
            WHERE d.alert = $alert::VARCHAR ORDER BY t."at", d.channel
        """,
        params={"alert": str},
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
    "feed_checks": Query(
        about="The latest checks of one feed, newest first.",
        sql="""
            SELECT "at", outcome, reason, status, entries, fresh, bytes, millis
            FROM checks WHERE feed = $feed::VARCHAR ORDER BY "at" DESC LIMIT $limit::BIGINT
        """,
        params={"feed": str, "limit": int},
    ),
    "channels": Query(
        about="Every channel that was ever written to: messages by state, and the last attempt.",
        sql="""
            SELECT d.channel, count(*) FILTER (d.state = 'delivered') AS delivered,
                count(*) FILTER (d.state = 'pending') AS pending, count(*) FILTER (d.state = 'dead') AS dead,
                max(d.finished_at) FILTER (d.state = 'delivered') AS last_delivered_at,
                any_value(l.attempted) AS last_attempt_at,
                any_value(l.outcome) AS last_outcome, any_value(l.reason) AS last_reason
            FROM deliveries d LEFT JOIN (
                SELECT e.channel, max(t."at") AS attempted,
                    arg_max(t.outcome, t."at") AS outcome, arg_max(t.reason, t."at") AS reason
                FROM attempts t JOIN deliveries e ON e.id = t.delivery GROUP BY e.channel
            ) l ON l.channel = d.channel
            GROUP BY d.channel ORDER BY d.channel
        """,
    ),
}
