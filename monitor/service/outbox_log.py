"""An outbox that writes a line into the log for each attempt.

takes  an `Outbox`
gives  the same, with every attempt logged and told after it was recorded
never  logs what a message says
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from alerts.sending.delivery import Attempt, Delivery, Outbox, Part, Schedule

log = structlog.get_logger(__name__)


def ignored(delivery: Delivery, attempt: Attempt) -> None:
    """Nobody else wants to know of attempts."""


class LoggedOutbox:
    """Passes everything on to the outbox that it was made of; `attempted` hears of every attempt."""

    def __init__(self, outbox: Outbox, attempted: Callable[[Delivery, Attempt], None] = ignored) -> None:
        self._outbox = outbox
        self._attempted = attempted

    def due(self, channel: str, now: datetime, limit: int) -> Sequence[Delivery]:
        """See `Outbox.due`."""
        return self._outbox.due(channel, now, limit)

    def begin(self, delivery: Delivery, at: datetime) -> None:
        """See `Outbox.begin`."""
        self._outbox.begin(delivery, at)

    def record(self, delivery: Delivery, attempt: Attempt, parts: Sequence[Part] = ()) -> None:
        """Record the attempt, then log it, and what is left of it."""
        self._outbox.record(delivery, attempt, parts)
        for one, tried in ((delivery, attempt), *parts):
            _log(one, tried)
        self._attempted(delivery, attempt)

    def hasten(self, channel: str, at: datetime, schedule: Schedule) -> int:
        """See `Outbox.hasten`; logged where it comes to anything."""
        hastened = self._outbox.hasten(channel, at, schedule)
        if hastened:
            log.info("retries_hastened", channel=channel, deliveries=hastened)
        return hastened


def _log(delivery: Delivery, attempt: Attempt) -> None:
    tell = log.info if attempt.outcome.ok else log.warning
    tell(
        "delivery_attempted",
        channel=delivery.channel,
        delivery=delivery.id,
        alert=delivery.alert,
        outcome=attempt.outcome.value,
        reason=attempt.reason,
        millis=attempt.millis,
        state=delivery.state.value,
        next_attempt_at=delivery.next_attempt_at and delivery.next_attempt_at.isoformat(),
    )
