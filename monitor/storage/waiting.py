"""The messages that are due on a channel, in the order in which they go, and those that failed and wait for it.

takes  a cursor of the store, a channel, now, and how many messages went before
gives  ids of deliveries; what is known of those that wait
never  reads what a message says: after an outage that would be done for hundreds, before each that is sent
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import duckdb
import polars as pl

from alerts.detection.spikes import Severity
from alerts.sending.attempt import AttemptOutcome
from alerts.sending.order import Waiting, in_order
from alerts.sending.recovery import Retry

# A group stands for its members. How grave an alert became since counts for all that is said of it.
_DUE = """
    WITH due AS (
        SELECT id, alert, reason, recipient, created_at, next_attempt_at FROM deliveries
        WHERE channel = $channel AND state = 'pending' AND next_attempt_at <= $now AND bundle = ''
    ), said AS (
        SELECT id, alert, reason FROM due WHERE reason <> 'group'
        UNION ALL
        SELECT m.outcome, m.alert, m.reason FROM deliveries m
        WHERE m.state = 'bundled' AND m.outcome IN (SELECT id FROM due WHERE reason = 'group')
    ), told AS (
        SELECT s.id, list(DISTINCT s.reason) AS reasons, list(DISTINCT s.alert) FILTER (s.alert IS NOT NULL) AS alerts,
            list(DISTINCT a.severity) FILTER (a.severity IS NOT NULL) AS severities
        FROM said s LEFT JOIN alerts a ON a.id = s.alert GROUP BY s.id
    )
    SELECT d.id, d.next_attempt_at, d.created_at, d.recipient, t.reasons, t.alerts, t.severities
    FROM due d LEFT JOIN told t ON t.id = d.id
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


def due_ids(cursor: duckdb.DuckDBPyConnection, channel: str, now: datetime, limit: int, gone: int) -> list[str]:
    """The first of what is due, in no bundle; see `alerts.sending.order`."""
    rows: pl.DataFrame = cursor.sql(_DUE, params={"channel": channel, "now": now}).pl()
    waiting = [
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
    return list(islice(in_order(waiting, now, gone), limit))


def retries(cursor: duckdb.DuckDBPyConnection, channel: str, now: datetime) -> list[Retry]:
    """What failed there, and is not due yet."""
    rows: pl.DataFrame = cursor.sql(_RETRIES, params={"channel": channel, "now": now}).pl()
    return [
        Retry(id_, recipient, AttemptOutcome(outcome), *told) for id_, recipient, outcome, *told in rows.iter_rows()
    ]
