"""Telling people, in a way that survives crashes and dead receivers.

takes  changes of alerts that notify, and what became of each attempt
gives  `Delivery`: one message to one channel, with a persisted next attempt, until delivered or a dead letter
never  stores (an `Outbox` does), and never loses: each delivery is pending with a time, delivered, or dead with reason

The deliveries of a change are written in one transaction with it; a worker per channel sends what is due. That is
at-least-once: a crash between the receiver's yes and our record of it sends again, with the same id.
"""

from __future__ import annotations

import hashlib
import random
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from alerts.lifecycle import Change
from alerts.sending.attempt import Answer, Attempt, AttemptOutcome
from alerts.sending.retries import Schedule
from alerts.texts.messages import Message, Trend, alert_message, sample_message

__all__ = [
    "Attempt",
    "AttemptOutcome",
    "Channel",
    "Delivery",
    "DeliveryState",
    "Outbox",
    "Part",
    "Schedule",
    "after",
    "deliver",
    "delivery_id",
    "parts",
    "plan",
    "redeliver",
    "test_delivery",
]

NO_NAMES: Mapping[str, str] = MappingProxyType({})
NO_TRENDS: Mapping[str, Trend] = MappingProxyType({})
_TEST = "test"


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    BUNDLED = "bundled"  # it goes, or went, as part of another delivery, which `outcome` names
    WITHDRAWN = "withdrawn"  # it was held back, and something later took its place


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one channel.

    Attributes:
        id: "msg_" and 32 hex digits, the same for the same change and channel; receivers drop repeats by it.
        alert: id of the alert; None for a test.
        reason: why it is sent: the change's reason, or "test".
        channel: name of the channel.
        attempts: made so far since it was planned or redelivered.
        next_attempt_at: when it is due; None unless pending.
        finished_at: when it was delivered or given up; None while pending.
        outcome: the last attempt's `AttemptOutcome` value, or why there was none; empty while nothing became of it.
        payload: versioned JSON, see alerts/texts/messages.py.
        bundle: while it is held back: a name shared by those that will be sent together; else empty.
        recipient: the one of the channel's that it is for, where the others have it; empty when it is for all of them.
        part_of: id of the delivery by which the others have it; empty when it is for all.
        unheard: whether nothing that was said of its alert before has arrived there; known when it is handed out.

    Raises:
        ValueError: when the state and the times contradict each other, or an id, channel or payload is missing.
    """

    id: str
    alert: str | None
    reason: str
    channel: str
    state: DeliveryState
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    finished_at: datetime | None
    outcome: str
    payload: str
    bundle: str = ""
    recipient: str = ""
    part_of: str = ""
    unheard: bool = False

    def __post_init__(self) -> None:
        if not (self.id.startswith("msg_") and self.channel and self.reason and self.payload):
            raise ValueError("a delivery needs an id that begins with msg_, a channel, a reason and a payload")
        if any(t is not None and t.tzinfo is None for t in (self.created_at, self.next_attempt_at, self.finished_at)):
            raise ValueError("a delivery needs aware times")
        pending = self.state is DeliveryState.PENDING
        if pending != (self.next_attempt_at is not None) or pending == (self.finished_at is not None):
            raise ValueError(f"a {self.state} delivery cannot be due {self.next_attempt_at}, over {self.finished_at}")
        tried = self.attempts > 0 or self.state is not DeliveryState.DELIVERED
        if self.attempts < 0 or (not pending and not (tried and self.outcome)):
            raise ValueError(f"a {self.state} delivery cannot have {self.attempts} attempts, outcome {self.outcome!r}")
        if self.bundle and not (pending and not self.attempts):
            raise ValueError("only a delivery that is held back belongs to a bundle")
        if bool(self.recipient) != bool(self.part_of):
            raise ValueError("what is left for one recipient is part of the delivery that the others have")

    @property
    def message(self) -> str:
        """The id that receivers know the message by: all of a channel by the same one."""
        return self.part_of or self.id


# What is left for a recipient who did not take a message, and the attempt in which it did not.
Part = tuple[Delivery, Attempt]


class Outbox(Protocol):
    """What sending asks of a store."""

    def due(self, channel: str, now: datetime, limit: int) -> Sequence[Delivery]:
        """Pending deliveries of one channel with `next_attempt_at <= now`, in no bundle, as they go; see order.py."""

    def begin(self, delivery: Delivery, at: datetime) -> None:
        """Write down that this delivery is about to be sent; raises when that cannot be, and it is not sent then."""

    def record(self, delivery: Delivery, attempt: Attempt, parts: Sequence[Part] = ()) -> None:
        """Keep the delivery as it is after the attempt, the attempt, and what is left of it, in one transaction."""

    def hasten(self, channel: str, at: datetime, schedule: Schedule) -> int:
        """Make due at `at` what waits there and need not; see recovery.py. Returns how many that were."""


class Channel(Protocol):
    """One way to reach people."""

    @property
    def name(self) -> str:
        """Its name in the settings."""

    @property
    def endpoint(self) -> str:
        """A digest of where it leads; one that was switched off is on again when this changes."""

    def send(self, delivery: Delivery, now: datetime) -> Attempt:
        """Try once, within the channel's own time limit. A refusal is an `Attempt`, not a raise."""


def delivery_id(alert: str, reason: str, at: datetime, channel: str) -> str:
    """The id of the delivery of one change of one alert on one channel: always the same for the same four."""
    identity = "\x1f".join((alert, reason, at.astimezone(UTC).isoformat(), channel))
    return "msg_" + hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()


def plan(
    changes: Sequence[Change],
    channels: Sequence[str],
    now: datetime,
    *,
    names: Mapping[str, str] = NO_NAMES,
    dashboard_url: str = "",
    trends: Mapping[str, Trend] = NO_TRENDS,
) -> tuple[Delivery, ...]:
    """One pending delivery, due at once, per channel and change that notifies.

    Args:
        changes: what happened to alerts, in order.
        channels: names of channels, distinct.
        now: aware UTC.
        names: words for series (`{"company:JPM": "JPMorgan Chase"}`); others are spelled from their key.
        dashboard_url: shown to people as the place to look next; empty when there is none.
        trends: recent counts of series, for the picture in a mail; a series without one gets no picture.
    """
    planned: list[Delivery] = []
    for change in changes:
        if not change.notifies:
            continue
        trend = trends.get(change.alert.series)
        payload = alert_message(change, names=names, dashboard_url=dashboard_url, trend=trend).model_dump_json()
        for channel in channels:
            id_ = delivery_id(change.alert.id, change.reason.value, change.at, channel)
            planned.append(_pending(id_, change.alert.id, change.reason.value, channel, now, payload))
    return tuple(planned)


def test_delivery(channel: str, now: datetime) -> Delivery:
    """A delivery that tells of no alert, to see whether a channel works. Two at different times have different ids."""
    payload = sample_message(now).model_dump_json()
    return _pending(delivery_id("", _TEST, now, channel), None, _TEST, channel, now, payload)


def message_delivery(message: Message, subject: str, at: datetime, channel: str, now: datetime) -> Delivery:
    """A pending delivery of a message that is not about one alert; the same for the same kind, subject, at, channel.

    Args:
        message: its last word of the type becomes the delivery's reason.
        subject: what it is about: a channel, a digest's name.
        at: which of several such messages about the subject it is.
        channel, now: where it goes, and since when it is due.
    """
    id_ = delivery_id(subject, message.reason, at, channel)
    return _pending(id_, None, message.reason, channel, now, message.model_dump_json())


def _pending(id_: str, alert: str | None, reason: str, channel: str, now: datetime, payload: str) -> Delivery:
    return Delivery(
        id=id_,
        alert=alert,
        reason=reason,
        channel=channel,
        state=DeliveryState.PENDING,
        created_at=now,
        attempts=0,
        next_attempt_at=now,
        finished_at=None,
        outcome="",
        payload=payload,
    )


def after(delivery: Delivery, attempt: Attempt, schedule: Schedule, jitter: float) -> Delivery:
    """The delivery as it stands after an attempt.

    Args:
        delivery: pending.
        attempt: the one just made.
        schedule: when to try again, and when to give up.
        jitter: from 0 to below 1, drawn by the caller.

    Raises:
        ValueError: when the delivery is not pending: it must not be attempted.
    """
    if delivery.state is not DeliveryState.PENDING:
        raise ValueError(f"delivery {delivery.id} is {delivery.state}: only a pending one is attempted")
    attempts = delivery.attempts + 1
    outcome = attempt.outcome.value
    if not attempt.outcome.ok and not attempt.outcome.final and attempts < schedule.most_attempts:
        due = attempt.ended + schedule.wait(attempts, attempt.retry_after, jitter)
        return replace(delivery, attempts=attempts, next_attempt_at=due, outcome=outcome)
    state = DeliveryState.DELIVERED if attempt.outcome.ok else DeliveryState.DEAD
    return replace(
        delivery, state=state, attempts=attempts, next_attempt_at=None, finished_at=attempt.ended, outcome=outcome
    )


def parts(delivery: Delivery, attempt: Attempt, schedule: Schedule, jitter: float) -> tuple[Part, ...]:
    """What is left of a delivery that some recipients took and others did not: for each of these a delivery of its own.

    Each has its own retries from here on, so that those who have the message neither get it again nor wait.
    """
    made = []
    for recipient, answer in attempt.refused:
        identity = f"{delivery.id}\x1f{recipient}"
        left = replace(
            delivery,
            id="msg_" + hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
            attempts=0,
            recipient=recipient,
            part_of=delivery.id,
        )
        tried = Attempt(attempt.at, answer.outcome, answer.reason, attempt.millis, answer.retry_after)
        made.append((after(left, tried, schedule, jitter), tried))
    return tuple(made)


def redeliver(delivery: Delivery, now: datetime) -> Delivery:
    """A dead letter, due again at once with the whole schedule before it, under its old id.

    Raises:
        ValueError: when it is not dead: a pending one is on its way and a delivered one has arrived.
    """
    if delivery.state is not DeliveryState.DEAD:
        raise ValueError(f"delivery {delivery.id} is {delivery.state}: only dead letters are sent again")
    return replace(delivery, state=DeliveryState.PENDING, attempts=0, next_attempt_at=now, finished_at=None)


def deliver(
    outbox: Outbox,
    channel: Channel,
    now: datetime,
    schedule: Schedule,
    *,
    limit: int = 20,
    jitter: Callable[[], float] = random.random,
) -> int:
    """Send what is due on one channel, and record each attempt before the next is made.

    What could not be recorded would be sent again at every turn: so each attempt begins with a write.

    Blocks while the channel does, so each channel gets a thread of its own. With `limit=1` in a loop until it
    returns 0, a service that is asked to stop waits for one message at most.

    Args:
        now: when this round begins, aware UTC; later attempts of the round are dated by the time that has passed.
        limit: most deliveries in one call.
        jitter: draws from [0, 1).

    Returns:
        How many attempts were made.
    """
    begun = time.monotonic()
    made = 0
    # One at a time: what becomes of a message may decide which is next.
    while made < limit and (due := outbox.due(channel.name, now, 1)):
        (delivery,) = due
        at = now + timedelta(seconds=time.monotonic() - begun)
        outbox.begin(delivery, at)
        attempt = _attempt(channel, delivery, at)
        by_chance = jitter()
        left = parts(delivery, attempt, schedule, by_chance)
        outbox.record(after(delivery, attempt, schedule, by_chance), attempt, left)
        made += 1
        if attempt.outcome.ok:
            outbox.hasten(channel.name, attempt.ended, schedule)
        if attempt.outcome.final:
            break  # the channel is switched off now, and what waits for it given up
    return made


def _attempt(channel: Channel, delivery: Delivery, at: datetime) -> Attempt:
    begun = time.monotonic()
    try:
        return channel.send(delivery, at)
    except Exception as error:
        # A fault of ours in one message must not stop the next. The error's own words may hold an address or a
        # key, so only its type and place are kept.
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = (
            f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: a fault in Squall, please report it"
        )
        return Attempt.answered(Answer(AttemptOutcome.FAILED, words), at, begun)
