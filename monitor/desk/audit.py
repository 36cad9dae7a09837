"""The whole story of one alert: every change, message, attempt, decision and remark, in order.

takes  a reader of the store, and the id of an alert
gives  `Audit`: with every step in the order in which it happened, and who has which message
never  leaves a step out, and never puts one into words that the store does not hold
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import polars as pl

from alerts.texts import wording
from monitor.errors import InputUnusable

# What belongs together is not always written in one moment.
_SLACK = timedelta(minutes=1)


class Asked(Protocol):
    """What an audit asks of a reader."""

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """The answer to a named query."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened.

    Attributes:
        at: when, aware UTC, by the clock of that moment.
        what: "change", "message", "attempt", "not sent", or "remark".
        words: the same for people.
        place: in the record; 0 of what is older than places. Where a clock was set back, times go back and places not.
    """

    at: datetime
    what: str
    words: str
    place: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """Whether one recipient, or one place that a channel leads to, has one message.

    Attributes:
        message: why it was written: "fired", "resolved".
        channel: its name.
        recipient: an address; empty where a channel leads to one place, and where nobody noted who took a mail.
        state: of the delivery.
        tries: attempts at it so far.
        at: when it arrived, was given up, or is tried next.
        words: what the receiver said last; empty when it said nothing.
        sent_as: id of the delivery by which it went.
    """

    message: str
    channel: str
    recipient: str
    state: str
    tries: int
    at: datetime | None
    words: str
    sent_as: str


@dataclass(frozen=True, slots=True)
class Audit:
    """One alert.

    Attributes:
        alert: a row of query "alert", without the evidence.
        evidence: the stories, as they are stored.
        receipts: who has which message, in the order in which they were written.
        steps: everything that happened, in order.
    """

    alert: dict[str, Any]
    evidence: tuple[dict[str, Any], ...]
    receipts: tuple[Receipt, ...]
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values; datetimes stay datetimes."""
        return {
            **self.alert,
            "evidence": list(self.evidence),
            "receipts": [asdict(receipt) for receipt in self.receipts],
            "steps": [asdict(step) for step in self.steps],
        }


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
    messages = list(reader.query("alert_deliveries", alert=alert).iter_rows(named=True))
    attempts = list(reader.query("alert_attempts", alert=alert).iter_rows(named=True))
    steps = [
        *(_change(one) for one in reader.query("alert_changes", alert=alert).iter_rows(named=True)),
        *(_message(one) for one in messages),
        *(_attempt(one) for one in attempts),
        *(_decision(one) for one in reader.query("alert_decisions", alert=alert).iter_rows(named=True)),
        *(_remark(one) for one in reader.query("alert_remarks", alert=alert).iter_rows(named=True)),
    ]
    return Audit(row, evidence, receipts(messages, attempts), in_order(steps))


def in_order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """As it happened: by places; what has one place came at once, and what has none goes by its time."""
    return tuple(sorted(steps, key=lambda step: (step.place, step.at)))


def set_back(before: datetime | None, at: datetime) -> str:
    """Words for a clock that was set back between two steps; empty when it was not, or by less than a minute."""
    if before is None or before - at < _SLACK:
        return ""
    return f"(here the clock was set back, by {wording.length(before - at)} or more)"


def receipts(messages: Sequence[Mapping[str, Any]], attempts: Sequence[Mapping[str, Any]]) -> tuple[Receipt, ...]:
    """Who has which message.

    Args:
        messages: rows of query `alert_deliveries`.
        attempts: rows of query `alert_attempts`.
    """
    last = {row["delivery"]: row for row in attempts}
    made: list[Receipt] = []
    for row in messages:
        sent_as = row["id"] if row["recipient"] else row["sent_as"]
        tried = last.get(sent_as, {})
        # A daemon that was not begun anew since an upgrade knows no such column.
        for whom in [row["recipient"]] if row["recipient"] else list(tried.get("taken_by") or [""]):
            at = row["finished_at"] or row["next_attempt_at"]
            # That it arrived its state says already.
            words = str(tried.get("reason") or ("" if row["outcome"] == row["state"] else row["outcome"]))
            if not words and row["state"] == "pending" and _behind(made, row["channel"], whom):
                words = "behind one that waits for its next attempt"
            made.append(Receipt(row["reason"], row["channel"], whom, row["state"], row["attempts"], at, words, sent_as))
    return tuple(made)


def _behind(before: Sequence[Receipt], channel: str, whom: str) -> bool:
    """Whether an earlier message of the alert has not arrived there, and is tried again: what follows waits for it."""
    return any((one.channel, one.recipient, one.state) == (channel, whom, "pending") and one.tries for one in before)


def _change(row: Mapping[str, Any]) -> Step:
    words = (
        f"{row['reason']}: {row['state_before']} to {row['state_after']}, {row['severity']}; "
        f"{row['observed']} seen, {row['expected']:.1f} expected, p = {row['p_value']:.2g}"
    )
    return Step(row["at"], "change", words, _place(row))


def _message(row: Mapping[str, Any]) -> Step:
    group = f" in {row['sent_as']}" if row["sent_as"] != row["id"] and not row["recipient"] else ""
    words = f"{row['reason']} to {_whom(row)}: {row['state']}{group} ({row['id']})"
    return Step(row["created_at"], "message", words, _place(row))


def _attempt(row: Mapping[str, Any]) -> Step:
    why = f": {row['reason']}" if row["reason"] else ""
    return Step(row["at"], "attempt", f"{row['message']} to {_whom(row)}: {row['outcome']}{why}", _place(row))


def _place(row: Mapping[str, Any]) -> int:
    return row.get("place") or 0


def _whom(row: Mapping[str, Any]) -> str:
    return f"{row['recipient']} of {row['channel']}" if row["recipient"] else str(row["channel"])


def _decision(row: Mapping[str, Any]) -> Step:
    to = f" to {row['channel']}" if row["channel"] else ""
    return Step(row["at"], "not sent", f"{row['notice']}{to}: {row['choice']}, {row['words']}", _place(row))


def _remark(row: Mapping[str, Any]) -> Step:
    what = f"judged {row['what']}" if row["what"] in ("true", "false") else row["what"]
    words = f"{row['who']}: {what}{': ' + row['words'] if row['words'] else ''}"
    return Step(row["at"], "remark", words, _place(row))
