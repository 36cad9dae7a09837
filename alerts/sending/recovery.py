"""Which of the messages that wait for their next attempt need wait no longer, since their channel took another one.

takes  what is known of each message that failed and waits, and the schedule of retries
gives  the ids of those to try at once; of each other one a named reason why it waits
never  hurries what was refused for its own sake, nor one message twice for one wait of its own

After an outage of half a day the next step of a message may be a day away, though the receiver is back. But a receiver
that takes one message and not another would be asked for the other after each, until all its attempts were spent: so
each early attempt is followed by a whole wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alerts.sending.attempt import AttemptOutcome
from alerts.sending.retries import Schedule

# What these say they say of the receiver, whatever the message is.
_OF_THE_RECEIVER = frozenset({AttemptOutcome.TIMED_OUT, AttemptOutcome.UNREACHABLE, AttemptOutcome.MISCONFIGURED})


class Patience(StrEnum):
    """Why a message goes on waiting."""

    ITS_OWN = "its own"  # the message, or its one recipient, was refused
    ASKED_FOR = "asked for"  # the receiver said how long
    TRIED_EARLY = "tried early"  # its last attempt was such a one


@dataclass(frozen=True, slots=True)
class Retry:
    """What is known of a message that failed and waits.

    Attributes:
        id: of the delivery.
        recipient: the one that it is for; empty when it is for all of the channel.
        outcome: of its last attempt.
        attempts: made so far, at least one.
        due_at: when it would be tried again.
        began_at, ended_at: of its last attempt.
        ended_before: the one before it; None when there was none.
    """

    id: str
    recipient: str
    outcome: AttemptOutcome
    attempts: int
    due_at: datetime
    began_at: datetime
    ended_at: datetime
    ended_before: datetime | None = None


def hastened(waiting: Sequence[Retry], schedule: Schedule) -> tuple[str, ...]:
    """The ids of those that are due as soon as their channel took another message.

    Args:
        waiting: all of one channel that failed and wait.
        schedule: by which they do.
    """
    refused = sum(one.outcome is AttemptOutcome.REFUSED and not one.recipient for one in waiting)
    return tuple(one.id for one in waiting if patience(one, schedule, others_refused=refused > 1) is None)


def patience(one: Retry, schedule: Schedule, *, others_refused: bool) -> Patience | None:
    """Why it goes on waiting; None when it need not.

    Args:
        others_refused: whether the receiver refused another message as well: then it is not for what this one says.
    """
    of_the_receiver = one.outcome in _OF_THE_RECEIVER or (
        not one.recipient
        and (one.outcome is AttemptOutcome.THROTTLED or (one.outcome is AttemptOutcome.REFUSED and others_refused))
    )
    if not of_the_receiver:
        return Patience.ITS_OWN
    if one.due_at - one.ended_at > schedule.step(one.attempts) * (1 + schedule.jitter):
        return Patience.ASKED_FOR
    before = one.ended_before
    if one.attempts > 1 and before is not None and one.began_at - before < schedule.step(one.attempts - 1):
        return Patience.TRIED_EARLY
    return None
