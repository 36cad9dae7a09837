"""An outbox that hands nothing out while it is not on record what became of the last message.

takes  an `Outbox`
gives  the same; what its store would not take is kept in memory, and recorded before anything else is sent
never  lets a store that cannot be written, on a full disk for example, have one message sent again and again

Only the process knows what is kept here: what cannot be recorded by its end either is sent once more, under its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from alerts.sending.delivery import Attempt, Delivery, Outbox, Part, Schedule
from monitor.errors import StoreError

log = structlog.get_logger(__name__)

# By channel: what became of its last message, where that is still to be recorded.
Unrecorded = dict[str, tuple[Delivery, Attempt, Sequence[Part]]]


class RecordsFirst:
    """Passes everything on to the outbox that it was made of. Each channel may have a thread of its own.

    Args:
        unrecorded: is kept up to date; whoever takes this one's place takes it over.
    """

    def __init__(self, outbox: Outbox, unrecorded: Unrecorded) -> None:
        self._outbox = outbox
        self._unrecorded = unrecorded

    def due(self, channel: str, now: datetime, limit: int) -> Sequence[Delivery]:
        """See `Outbox.due`; what is still to be recorded of this channel is recorded before.

        Raises:
            StoreError: while it cannot be.
        """
        if left := self._unrecorded.get(channel):
            self._outbox.record(*left)
            del self._unrecorded[channel]
        return self._outbox.due(channel, now, limit)

    def begin(self, delivery: Delivery, at: datetime) -> None:
        """See `Outbox.begin`."""
        self._outbox.begin(delivery, at)

    def record(self, delivery: Delivery, attempt: Attempt, parts: Sequence[Part] = ()) -> None:
        """See `Outbox.record`.

        Raises:
            StoreError: when the store does not take it; it is kept for the next turn.
        """
        try:
            self._outbox.record(delivery, attempt, parts)
        except StoreError:
            self._unrecorded[delivery.channel] = (delivery, attempt, parts)
            raise

    def hasten(self, channel: str, at: datetime, schedule: Schedule) -> int:
        """See `Outbox.hasten`."""
        return self._outbox.hasten(channel, at, schedule)

    def settle(self) -> None:
        """Record what is left, at the end of the process; what the store still does not take is named in the log."""
        for channel, left in list(self._unrecorded.items()):
            delivery, attempt, _ = left
            try:
                self._outbox.record(*left)
            except StoreError as error:
                log.error(
                    "outcome_unrecorded",
                    channel=channel,
                    delivery=delivery.id,
                    outcome=attempt.outcome.value,
                    reason=str(error),
                    follows="it is sent once more, under the same id, at the next start" if attempt.outcome.ok else "",
                )
            else:
                del self._unrecorded[channel]
