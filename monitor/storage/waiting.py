"""The messages that are due on a channel, in the order in which they go.

takes  a cursor of the store, a channel, now, and how many messages went before
gives  ids of deliveries
never  reads what a message says: after an outage that would be done for hundreds, before each that is sent
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import duckdb
import polars as pl

from alerts.detection.spikes import Severity
from alerts.sending.order import Waiting, in_order

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
