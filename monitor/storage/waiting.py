"""The messages that are due on a channel, in the order in which they go, and those that failed and wait for it.

takes  a cursor of the store, a channel, now, and how many messages went before
gives  ids of deliveries; what is known of those that wait
never  reads what a message says: after an outage that would be done for hundreds, before each that is sent
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import islice

import duckdb
import polars as pl

from alerts.detection.spikes import Severity
from alerts.lifecycle import Alert
from alerts.sending.attempt import AttemptOutcome
from alerts.sending.following import Tried, Turn, turn
from alerts.sending.order import Waiting, in_order
from alerts.sending.recovery import Retry
from monitor.storage.alert_rows import alert_of

# A group stands for its members. How grave an alert became since counts for all that is said of it.
_TOLD = """
    said AS (
        SELECT id, alert, reason FROM found WHERE reason <> 'group'
        UNION ALL
        SELECT m.outcome, m.alert, m.reason FROM deliveries m
        WHERE m.state = 'bundled' AND m.outcome IN (SELECT id FROM found WHERE reason = 'group')
    ), told AS (
        SELECT s.id, list(DISTINCT s.reason) AS reasons, list(DISTINCT s.alert) FILTER (s.alert IS NOT NULL) AS alerts,
            list(DISTINCT a.severity) FILTER (a.severity IS NOT NULL) AS severities
        FROM said s LEFT JOIN alerts a ON a.id = s.alert GROUP BY s.id
    )
    SELECT f.id, f.next_attempt_at, f.created_at, f.recipient, t.reasons, t.alerts, t.severities
    FROM found f LEFT JOIN told t ON t.id = f.id
"""
_DUE = f"""
    WITH found AS (
        SELECT id, alert, reason, recipient, created_at, next_attempt_at FROM deliveries
        WHERE channel = $channel AND state = 'pending' AND next_attempt_at <= $now AND bundle = ''
    ), {_TOLD}
"""  # noqa: S608 - a constant of this file
_ONE = f"""
    WITH found AS (
        SELECT id, alert, reason, recipient, created_at, finished_at AS next_attempt_at FROM deliveries WHERE id = $id
    ), {_TOLD}
"""  # noqa: S608 - a constant of this file
_BEHIND = f"""
    WITH found AS (
        SELECT id, alert, reason, recipient, created_at, next_attempt_at FROM deliveries
        WHERE channel = $channel AND state = 'pending' AND next_attempt_at > $now AND bundle = '' AND attempts > 0
            AND (reason = 'group' OR list_contains($alerts::VARCHAR[], alert))
    ), {_TOLD} WHERE list_has_any(t.alerts, $alerts::VARCHAR[]) ORDER BY f.id
"""  # noqa: S608 - a constant of this file
_UNHEARD = """
    SELECT d.id FROM deliveries d
    WHERE d.id IN (SELECT unnest($ids::VARCHAR[])) AND d.alert IS NOT NULL AND d.reason <> 'fired' AND d.recipient = ''
        AND NOT EXISTS (
            FROM deliveries e LEFT JOIN deliveries g ON e.state = 'bundled' AND g.id = e.outcome
            WHERE e.alert = d.alert AND e.channel = d.channel AND e.recipient = ''
                AND coalesce(g.state, e.state) = 'delivered'
        )
"""
_TRIED = """
    SELECT d.id, d.attempts, arg_max(t."at", t.rowid), max(t.rowid), d.outcome
    FROM deliveries d JOIN attempts t ON t.delivery = d.id
    WHERE d.attempts > 0 AND d.id IN (SELECT unnest($ids::VARCHAR[])) AND t.delivery IN (SELECT unnest($ids::VARCHAR[]))
    GROUP BY d.id, d.attempts, d.outcome
"""
# A delivery that was withdrawn counts as never written, as for what a channel was told.
_MUTED_ENDS = """
    SELECT DISTINCT a.*, c.channel FROM alerts a JOIN decisions c ON c.alert = a.id
    WHERE a.resolved_at >= $since AND c.notice = 'resolved' AND c.choice IN ('silenced', 'channel_disabled')
        AND EXISTS (FROM deliveries d WHERE d.alert = a.id AND d.channel = c.channel AND d.state <> 'withdrawn')
        AND NOT EXISTS (
            FROM deliveries d
            WHERE d.alert = a.id AND d.channel = c.channel AND d.state <> 'withdrawn' AND d.reason = 'resolved'
        )
        AND NOT EXISTS (
            FROM decisions o WHERE o.alert = a.id AND o.channel = c.channel AND o.notice = 'resolved'
                AND o.choice NOT IN ('silenced', 'channel_disabled', 'held_quiet', 'held_group')
        )
    ORDER BY a.resolved_at, a.id, c.channel
"""
_RETRIES = """
    WITH waiting AS (
        SELECT id, recipient, outcome, attempts, next_attempt_at FROM deliveries
        WHERE channel = $channel AND state = 'pending' AND attempts > 0 AND next_attempt_at > $now
    ), tried AS (
        SELECT delivery, rowid AS nth, "at" AS began_at, "at" + to_milliseconds(millis) AS ended_at
        FROM attempts WHERE delivery IN (SELECT id FROM waiting)
    )
    SELECT w.id, w.recipient, w.outcome, w.attempts, w.next_attempt_at, t.began_at, t.ended_at,
        lag(t.ended_at) OVER (PARTITION BY t.delivery ORDER BY t.nth) AS ended_before
    FROM waiting w JOIN tried t ON t.delivery = w.id
    QUALIFY row_number() OVER (PARTITION BY t.delivery ORDER BY t.nth DESC) = 1 ORDER BY w.id
"""


def due_ids(
    cursor: duckdb.DuckDBPyConnection, channel: str, now: datetime, limit: int, gone: int
) -> tuple[list[str], frozenset[str]]:
    """The first of what goes now, in no bundle, and those that begin their schedule anew.

    See `alerts.sending.order` and `alerts.sending.following`.
    """
    due = _found(cursor, _DUE, {"channel": channel, "now": now})
    late = behind(cursor, channel, frozenset[str]().union(*(one.alerts for one in due)), now)
    going = turn(due, late, _tried(cursor, [*due, *late]), now) if late or _share(due) else Turn(tuple(due))
    return list(islice(in_order(going.due, now, gone), limit)), going.anew


def behind(cursor: duckdb.DuckDBPyConnection, channel: str, alerts: Collection[str], now: datetime) -> list[Waiting]:
    """What failed on a channel, is not due, and tells of one of these alerts."""
    if not alerts:
        return []
    return _found(cursor, _BEHIND, {"channel": channel, "alerts": sorted(alerts), "now": now})


def one_of(cursor: duckdb.DuckDBPyConnection, delivery: str) -> Waiting:
    """What bears on the order of this delivery, which is there."""
    return _found(cursor, _ONE, {"id": delivery})[0]


def unheard(cursor: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> frozenset[str]:
    """Those of these that go on with an alert of which nothing has arrived on their channel."""
    if not ids:
        return frozenset()
    return frozenset(str(id_) for (id_,) in cursor.sql(_UNHEARD, params={"ids": ids}).fetchall())


def muted_ends(cursor: duckdb.DuckDBPyConnection, since: datetime) -> list[tuple[Alert, str]]:
    """Alerts that were over since then, each with a channel that was told of it, and not of its end: it was muted."""
    rows: pl.DataFrame = cursor.sql(_MUTED_ENDS, params={"since": since}).pl()
    return [(alert_of(row), row["channel"]) for row in rows.iter_rows(named=True)]


def retries(cursor: duckdb.DuckDBPyConnection, channel: str, now: datetime) -> list[Retry]:
    """What failed there, and is not due yet."""
    rows: pl.DataFrame = cursor.sql(_RETRIES, params={"channel": channel, "now": now}).pl()
    return [
        Retry(id_, recipient, AttemptOutcome(outcome), *told) for id_, recipient, outcome, *told in rows.iter_rows()
    ]


def _found(cursor: duckdb.DuckDBPyConnection, query: str, params: Mapping[str, object]) -> list[Waiting]:
    rows: pl.DataFrame = cursor.sql(query, params=dict(params)).pl()
    return [
        Waiting(
            id_,
            due_at,
            created_at,
            recipient,
            frozenset(reasons or ()),
            frozenset(alerts or ()),
            max((Severity(one) for one in severities or ()), key=lambda one: one.rank, default=None),
        )
        for id_, due_at, created_at, recipient, reasons, alerts, severities in rows.iter_rows()
    ]


def _share(due: Sequence[Waiting]) -> bool:
    """Whether two of these tell of one alert: then one may wait for the other."""
    return len({alert for one in due for alert in one.alerts}) < sum(len(one.alerts) for one in due)


def _tried(cursor: duckdb.DuckDBPyConnection, ones: Sequence[Waiting]) -> dict[str, Tried]:
    rows: pl.DataFrame = cursor.sql(_TRIED, params={"ids": [one.id for one in ones]}).pl()
    return {
        id_: Tried(attempts, at, place, AttemptOutcome(outcome))
        for id_, attempts, at, place, outcome in rows.iter_rows()
    }
