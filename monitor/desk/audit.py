"""The whole story of one alert: every change, message, attempt, decision and remark, in order.

takes  a reader of the store, and the id of an alert
gives  `Audit`
never  leaves a step out, and never puts one into words that the store does not hold
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from monitor.errors import InputUnusable


class Asked(Protocol):
    """What an audit asks of a reader."""

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """The answer to a named query."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened.

    Attributes:
        at: when, aware UTC.
        what: "change", "message", "attempt", "not sent", or "remark".
        words: the same for people.
    """

    at: datetime
    what: str
    words: str


@dataclass(frozen=True, slots=True)
class Audit:
    """One alert.

    Attributes:
        alert: a row of query "alert", without the evidence.
        evidence: the stories, as they are stored.
        steps: everything that happened, oldest first.
    """

    alert: dict[str, Any]
    evidence: tuple[dict[str, Any], ...]
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values; datetimes stay datetimes."""
        return {**self.alert, "evidence": list(self.evidence), "steps": [asdict(step) for step in self.steps]}


def audit(reader: Asked, alert: str) -> Audit:
    """Everything that is known of an alert.

    Raises:
        InputUnusable: when there is none of that id.
    """
    found = reader.query("alert", alert=alert)
    if found.is_empty():
        raise InputUnusable(f"there is no alert {alert!r}; `squall alerts list` lists them")
    row = found.row(0, named=True)
    evidence = tuple(json.loads(row.pop("evidence")))
    steps = [
        *(_change(one) for one in reader.query("alert_changes", alert=alert).iter_rows(named=True)),
        *(_message(one) for one in reader.query("alert_deliveries", alert=alert).iter_rows(named=True)),
        *(_attempt(one) for one in reader.query("alert_attempts", alert=alert).iter_rows(named=True)),
        *(_decision(one) for one in reader.query("alert_decisions", alert=alert).iter_rows(named=True)),
        *(_remark(one) for one in reader.query("alert_remarks", alert=alert).iter_rows(named=True)),
    ]
    return Audit(row, evidence, tuple(sorted(steps, key=lambda step: step.at)))


def _change(row: dict[str, Any]) -> Step:
    words = (
        f"{row['reason']}: {row['state_before']} to {row['state_after']}, {row['severity']}; "
        f"{row['observed']} seen, {row['expected']:.1f} expected, p = {row['p_value']:.2g}"
    )
    return Step(row["at"], "change", words)


def _message(row: dict[str, Any]) -> Step:
    group = f" in {row['sent_as']}" if row["sent_as"] != row["id"] else ""
    return Step(row["created_at"], "message", f"{row['reason']} to {_whom(row)}: {row['state']}{group} ({row['id']})")


def _attempt(row: dict[str, Any]) -> Step:
    why = f": {row['reason']}" if row["reason"] else ""
    return Step(row["at"], "attempt", f"{row['message']} to {_whom(row)}: {row['outcome']}{why}")


def _whom(row: dict[str, Any]) -> str:
    return f"{row['recipient']} of {row['channel']}" if row["recipient"] else str(row["channel"])


def _decision(row: dict[str, Any]) -> Step:
    to = f" to {row['channel']}" if row["channel"] else ""
    return Step(row["at"], "not sent", f"{row['notice']}{to}: {row['choice']}, {row['words']}")


def _remark(row: dict[str, Any]) -> Step:
    return Step(row["at"], "remark", f"{row['who']}: {row['what']}{': ' + row['words'] if row['words'] else ''}")
