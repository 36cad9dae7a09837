"""What may be asked about alerts, their messages, and what people said of them.

takes  nothing
gives  `ALERT_QUERIES`: a part of `monitor.storage.queries.QUERIES`
never  writes, and never puts a caller's value into the text of a statement
"""

from __future__ import annotations

from datetime import datetime

from monitor.storage.query import RANGE, Query

# Of what people said counts what was noted last: its time may be that of a clock which ran ahead.
# Breaking stories all bear one name: what tells them apart is what they say.
ALERT_HEADLINE = "if(starts_with(a.series, 'story:'), a.evidence->0->>'title', NULL) AS headline"

_ALERT_COLUMNS = f"""
    a.id, a.series, a.state, a.severity, a.opened_at, a.fired_at, a.last_spike_at, a.resolved_at, a.hours, a.observed,
    a.expected, a.p_value, a.peak_observed, a.peak_expected, a.peak_p_value, a.peak_at,
    (SELECT arg_max(r.what, r.rowid) FROM remarks r WHERE r.alert = a.id AND r.what IN ('true', 'false')) AS judged,
    (SELECT arg_max(if(r.what = 'acknowledged', r.who, ''), r.rowid) FROM remarks r
        WHERE r.alert = a.id AND r.what IN ('acknowledged', 'reopened')) AS acknowledged_by,
    (SELECT arg_max(r.words, r.rowid) FROM remarks r WHERE r.alert = a.id AND r.what = 'assigned') AS assigned_to,
    {ALERT_HEADLINE}"""  # noqa: S608 - a constant of this file, not a caller's value

# What was written of one alert, and the delivery by which it goes: its own, or its group's.
_MESSAGES = """
    WITH messages AS (
        SELECT id, reason, channel, created_at, place, if(state = 'bundled', outcome, id) AS sent_as
        FROM deliveries WHERE alert = $alert::VARCHAR AND recipient = ''
    )"""

ALERT_QUERIES: dict[str, Query] = {
    "open_alerts": Query(
        about="Alerts that are not resolved, gravest first; among equals the least probable, then the latest.",
        sql=f"""
            SELECT {_ALERT_COLUMNS}
            FROM alerts a WHERE state <> 'resolved'
            ORDER BY list_position(['critical', 'warning', 'info'], severity), p_value, opened_at DESC, id
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
        params={"series": str, **RANGE, "limit": int},
    ),
    "alert": Query(
        about="One alert with its evidence (a JSON text); no row when there is none of that id.",
        sql=f"SELECT {_ALERT_COLUMNS}, a.evidence::VARCHAR AS evidence FROM alerts a WHERE id = $alert::VARCHAR",  # noqa: S608 - a constant of this file, not a caller's value
        params={"alert": str},
    ),
    "alert_changes": Query(
        about="The audit trail of one alert, in the order in which it happened, whatever the clock said; what came at "
        "one moment in the order in which it must. What is older than places in the record has none.",
        sql="""
            SELECT "at", reason, state_before, state_after, severity, observed, expected, p_value, place
            FROM changes WHERE alert = $alert::VARCHAR
            ORDER BY place NULLS FIRST, "at", list_position(['quiet', 'pending'], state_before) NULLS LAST, state_before
        """,
        params={"alert": str},
    ),
    "alert_deliveries": Query(
        about="The messages of one alert as they were written, without their payload, and what is left of them for "
        "single recipients; one that went in a group has the group's state and attempts, and its id as `sent_as`.",
        sql=f"""
            {_MESSAGES}
            SELECT if(s.recipient = '', m.id, s.id) AS id, m.reason, m.channel, s.recipient, s.state, m.created_at,
                s.attempts, s.next_attempt_at, s.finished_at, s.outcome, s.id AS sent_as,
                if(s.recipient = '', m.place, s.place) AS place
            FROM messages m JOIN deliveries s ON if(s.part_of = '', s.id, s.part_of) = m.sent_as
            ORDER BY m.place NULLS FIRST, m.created_at, m.channel, s.recipient, m.id
        """,  # noqa: S608 - a constant of this file, not a caller's value
        params={"alert": str},
    ),
    "alert_decisions": Query(
        about="Notices of one alert that were not sent, or not at once, with the reason; oldest first.",
        sql="""
            SELECT "at", notice, channel, choice, words, place FROM decisions WHERE alert = $alert::VARCHAR
            ORDER BY place NULLS FIRST, "at", notice, channel, choice
        """,
        params={"alert": str},
    ),
    "decisions": Query(
        about="The latest notices that were not sent, or not at once, with the reason; newest first.",
        sql="""
            SELECT d."at", d.alert, a.series, d.notice, d.channel, d.choice, d.words
            FROM decisions d LEFT JOIN alerts a ON a.id = d.alert
            ORDER BY d."at" DESC, d.alert, d.channel LIMIT $limit::BIGINT
        """,
        params={"limit": int},
    ),
    "alert_remarks": Query(
        about="What people said about one alert, oldest first.",
        sql="""
            SELECT "at", who, what, words, place FROM remarks WHERE alert = $alert::VARCHAR
            ORDER BY place NULLS FIRST, "at"
        """,
        params={"alert": str},
    ),
    "silences": Query(
        about="Silences that hold at an instant, soonest over first; all that there ever were when `over` is true.",
        sql="""
            SELECT id, pattern, created_at, until, who, why, ended_at FROM silences
            WHERE $over::BOOLEAN OR (until > $now::TIMESTAMPTZ AND ended_at IS NULL) ORDER BY until, id
        """,
        params={"now": datetime, "over": bool},
    ),
    "conditions": Query(
        about="How channels, stages and the sight of the news are doing, as far as there was ever trouble.",
        sql="SELECT subject, state, since, reason, told_at FROM conditions ORDER BY subject",
    ),
    "tally": Query(
        about="Alerts that fired in a range, by what people judged of them, and since when there is history: one row.",
        sql="""
            WITH fired AS (
                SELECT id FROM alerts WHERE fired_at >= $since::TIMESTAMPTZ AND fired_at < $until::TIMESTAMPTZ
            ), judged AS (
                SELECT alert, arg_max(what, rowid) AS what FROM remarks WHERE what IN ('true', 'false') GROUP BY alert
            )
            SELECT count(*) FILTER (j.what = 'true') AS judged_true, count(*) FILTER (j.what = 'false') AS judged_false,
                count(*) FILTER (j.what IS NULL) AS unjudged,
                (SELECT min(hour) FROM rollups WHERE series = 'market') AS begun
            FROM fired f LEFT JOIN judged j ON j.alert = f.id
        """,
        params=RANGE,
    ),
    "deliveries": Query(
        about="The latest messages in one state, or in all when it is '', newest first, with the last reason.",
        sql="""
            WITH shown AS (
                SELECT * EXCLUDE (payload) FROM deliveries WHERE $state::VARCHAR = '' OR state = $state::VARCHAR
                ORDER BY created_at DESC, id LIMIT $limit::BIGINT
            ), tried AS (
                SELECT delivery, arg_max(reason, rowid) AS reason FROM attempts
                WHERE delivery IN (SELECT id FROM shown) GROUP BY delivery
            )
            SELECT d.id, d.alert, d.reason, d.channel, d.recipient, d.state, d.created_at, d.attempts,
                d.next_attempt_at, d.finished_at, d.outcome, coalesce(t.reason, '') AS last_reason
            FROM shown d LEFT JOIN tried t ON t.delivery = d.id
            ORDER BY d.created_at DESC, d.id
        """,
        params={"state": str, "limit": int},
    ),
    "alert_attempts": Query(
        about="Every attempt to send a message of one alert, alone, in a group, or to a single recipient of either, "
        "oldest first; `taken_by` are those of several recipients for whom it was taken.",
        sql=f"""
            {_MESSAGES}
            SELECT t.delivery, m.channel, s.recipient, m.reason AS message, t."at", t.outcome, t.reason, t.millis,
                t.place, t.taken_by
            FROM messages m JOIN deliveries s ON if(s.part_of = '', s.id, s.part_of) = m.sent_as
            JOIN attempts t ON t.delivery = s.id
            ORDER BY t.place NULLS FIRST, t."at", m.channel, s.recipient
        """,  # noqa: S608 - a constant of this file, not a caller's value
        params={"alert": str},
    ),
    "channels": Query(
        about="Every channel that was ever written to: messages by state, the last attempt to reach all of it, what is "
        "wrong with single recipients, and what was given up when it was taken out of the settings.",
        sql="""
            SELECT d.channel, count(*) FILTER (d.state = 'delivered') AS delivered,
                count(*) FILTER (d.state = 'pending') AS pending, count(*) FILTER (d.state = 'dead') AS dead,
                count(*) FILTER (d.state = 'dead' AND d.outcome = 'channel_removed') AS removed,
                max(d.finished_at) FILTER (d.state = 'dead' AND d.outcome = 'channel_removed') AS removed_at,
                max(d.finished_at) FILTER (d.state = 'delivered') AS last_delivered_at,
                any_value(l.attempted) AS last_attempt_at,
                any_value(l.outcome) AS last_outcome, any_value(l.reason) AS last_reason,
                coalesce(any_value(m.reasons), []) AS failing_recipients
            FROM deliveries d LEFT JOIN (
                SELECT e.channel, arg_max(t."at", t.rowid) AS attempted,
                    arg_max(t.outcome, t.rowid) AS outcome, arg_max(t.reason, t.rowid) AS reason
                FROM attempts t JOIN deliveries e ON e.id = t.delivery AND e.recipient = '' GROUP BY e.channel
            ) l ON l.channel = d.channel
            LEFT JOIN (
                SELECT split_part(substr(subject, 9), '/', 1) AS channel, list(reason ORDER BY subject) AS reasons
                FROM conditions WHERE starts_with(subject, 'mailbox:') AND state <> 'well' GROUP BY 1
            ) m ON m.channel = d.channel
            GROUP BY d.channel ORDER BY d.channel
        """,
    ),
}
