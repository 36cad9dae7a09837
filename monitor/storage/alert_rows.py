"""Alerts, deliveries and what belongs to them as rows of tables, and back.

takes  changes, alerts, deliveries, decisions, silences, conditions
gives  polars frames in the types of the tables, and values out of rows
never  talks to the database
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import polars as pl

from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from alerts.sending.delivery import Delivery, DeliveryState
from alerts.telling.conditions import Condition, Health
from alerts.telling.silences import Silence
from monitor.storage.rows import Schema, framed

_INSTANT = pl.Datetime("us", "UTC")
_TEXT = pl.String()

ALERTS: Schema = {
    "id": _TEXT,
    "series": _TEXT,
    "state": _TEXT,
    "severity": _TEXT,
    "opened_at": _INSTANT,
    "fired_at": _INSTANT,
    "last_spike_at": _INSTANT,
    "resolved_at": _INSTANT,
    "hours": pl.Int32(),
    "observed": pl.Int32(),
    "expected": pl.Float64(),
    "p_value": pl.Float64(),
    "peak_observed": pl.Int32(),
    "peak_expected": pl.Float64(),
    "peak_p_value": pl.Float64(),
    "peak_at": _INSTANT,
    "evidence": _TEXT,
    "sighted_at": _INSTANT,
    "lost_at": _INSTANT,
}

CHANGES: Schema = {
    "alert": _TEXT,
    "at": _INSTANT,
    "reason": _TEXT,
    "state_before": _TEXT,
    "state_after": _TEXT,
    "severity": _TEXT,
    "observed": pl.Int32(),
    "expected": pl.Float64(),
    "p_value": pl.Float64(),
}

DELIVERIES: Schema = {
    "id": _TEXT,
    "alert": _TEXT,
    "reason": _TEXT,
    "channel": _TEXT,
    "state": _TEXT,
    "created_at": _INSTANT,
    "attempts": pl.Int32(),
    "next_attempt_at": _INSTANT,
    "finished_at": _INSTANT,
    "outcome": _TEXT,
    "payload": _TEXT,
    "bundle": _TEXT,
    "recipient": _TEXT,
    "part_of": _TEXT,
}

DECISIONS: Schema = {
    "alert": _TEXT,
    "at": _INSTANT,
    "notice": _TEXT,
    "channel": _TEXT,
    "choice": _TEXT,
    "words": _TEXT,
}

SILENCES: Schema = {
    "id": _TEXT,
    "pattern": _TEXT,
    "created_at": _INSTANT,
    "until": _INSTANT,
    "who": _TEXT,
    "why": _TEXT,
    "ended_at": _INSTANT,
}

CONDITIONS: Schema = {
    "subject": _TEXT,
    "state": _TEXT,
    "since": _INSTANT,
    "reason": _TEXT,
    "told_at": _INSTANT,
    "endpoint": _TEXT,
}


def alert_frame(alerts: Sequence[Alert]) -> pl.DataFrame:
    """Rows of table `alerts`."""
    columns: dict[str, list[Any]] = {
        name: [getattr(alert, name) for alert in alerts] for name in ALERTS if name != "evidence"
    }
    columns["evidence"] = [_evidence_text(alert.evidence) for alert in alerts]
    return framed(columns, ALERTS)


def change_frame(changes: Sequence[Change]) -> pl.DataFrame:
    """Rows of table `changes`, without those that say only that an alert goes on."""
    rows = [
        (
            change.alert.id,
            change.at,
            change.reason.value,
            change.before.value,
            change.alert.state.value,
            change.alert.severity.value,
            change.alert.observed,
            change.alert.expected,
            change.alert.p_value,
        )
        for change in changes
        # An alert that merely goes on says so at every look: once a minute would drown the trail.
        if change.reason is not ChangeReason.CONTINUED
    ]
    return pl.DataFrame(rows, schema=CHANGES, orient="row")


def alert_of(row: Mapping[str, Any]) -> Alert:
    """The alert of a row of table `alerts`; columns that an alert does not have are passed over."""
    told = {name: row[name] for name in ALERTS}
    told |= {"state": State(row["state"]), "severity": Severity(row["severity"])}
    return Alert(**{**told, "evidence": _evidence_of(row["evidence"])})


def delivery_of(row: Mapping[str, Any]) -> Delivery:
    """The delivery of a row of table `deliveries`."""
    return Delivery(**{**{name: row[name] for name in DELIVERIES}, "state": DeliveryState(row["state"])})


def silence_of(row: Mapping[str, Any]) -> Silence:
    """The silence of a row of table `silences`."""
    return Silence(**{name: row[name] for name in SILENCES})


def condition_of(row: Mapping[str, Any]) -> Condition:
    """The condition of a row of table `conditions`."""
    told = {name: row[name] for name in CONDITIONS if name != "state"}
    return Condition(**told, health=Health(row["state"]))


def condition_frame(conditions: Sequence[Condition]) -> pl.DataFrame:
    """Rows of table `conditions`."""
    columns: dict[str, list[Any]] = {
        name: [getattr(one, name) for one in conditions] for name in CONDITIONS if name != "state"
    }
    columns["state"] = [one.health.value for one in conditions]
    return framed(columns, CONDITIONS)


def _evidence_text(evidence: Sequence[Evidence]) -> str:
    return json.dumps([{**asdict(each), "at": each.at.isoformat()} for each in evidence], ensure_ascii=False)


def _evidence_of(text: str) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(**{**told, "at": datetime.fromisoformat(told["at"]), "publishers": tuple(told["publishers"])})
        for told in json.loads(text)
    )
