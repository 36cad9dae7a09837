"""One attempt to deliver, and how it ended.

takes  what a receiver said, and how long it took
gives  `Attempt`: an outcome with a name, and words for people
never  holds a secret: reasons are stored and shown
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class AttemptOutcome(StrEnum):
    """What became of one attempt."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # an answer that says no
    THROTTLED = "throttled"  # an answer that says later
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    MISCONFIGURED = "misconfigured"  # only a change of settings helps; retried, so that the fix delivers it
    GONE = "gone"  # the receiver says that it will never answer again
    FAILED = "failed"  # a fault of ours

    @property
    def ok(self) -> bool:
        """Whether the message arrived."""
        return self is AttemptOutcome.DELIVERED

    @property
    def final(self) -> bool:
        """Whether another attempt is pointless."""
        return self is AttemptOutcome.GONE


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said, before anyone looks at the clock. `reason` is words without secrets, "" when delivered."""

    outcome: AttemptOutcome
    reason: str = ""
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver.

    Attributes:
        at: when it began, aware UTC.
        outcome: how it ended.
        reason: words that name the receiver and the way out; never a secret. Where it was delivered what the receiver
            said, if anything.
        millis: how long it took.
        retry_after: how long the receiver asked to be left alone.
        refused: recipients for whom the receiver did not take what it took for others, and what it said of each.
        taken: the recipients for whom it took it; empty where the channel leads to one place.

    Raises:
        ValueError: on a naive time, a negative duration, a failure without words, or recipients left out by one.
    """

    at: datetime
    outcome: AttemptOutcome
    reason: str
    millis: int
    retry_after: timedelta | None = None
    refused: tuple[tuple[str, Answer], ...] = ()
    taken: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an attempt needs an aware time")
        if self.millis < 0:
            raise ValueError(f"an attempt cannot take {self.millis} ms")
        if not self.outcome.ok and not self.reason:
            raise ValueError(f"an attempt that is {self.outcome} needs a reason")
        if (self.refused or self.taken) and not self.outcome.ok:
            raise ValueError("recipients can only be left out of what others took")

    @classmethod
    def answered(
        cls,
        answer: Answer,
        at: datetime,
        begun: float,
        refused: tuple[tuple[str, Answer], ...] = (),
        taken: tuple[str, ...] = (),
    ) -> Attempt:
        """The attempt that began at `at`, by the monotonic clock at `begun`, and ends now with this answer."""
        millis = max(0, round((time.monotonic() - begun) * 1000))
        return cls(at, answer.outcome, answer.reason, millis, answer.retry_after, refused, taken)

    @property
    def ended(self) -> datetime:
        """When it was over, aware UTC."""
        return self.at + timedelta(milliseconds=self.millis)
