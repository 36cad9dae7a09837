"""When a message that did not arrive is tried again.

takes  how often it was tried, and what the receiver asked for
gives  how long to wait, and after how many attempts it is given up
never  lets a receiver silence us for longer than the longest step
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


def _steps(*seconds: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=s) for s in seconds)


_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to wait after the first, second, ... failure; after the last step the delivery is dead.

    Attributes:
        steps: waits, each longer than zero. The default covers about three days, a long week-end.
        jitter: share of a step by which a wait may be longer, so that a receiver that comes back is not met by all
            at once; 0 to 1.

    Raises:
        ValueError: on no steps, a step of zero or less, or jitter outside [0, 1].
    """

    steps: tuple[timedelta, ...] = _steps(
        5, 30, 120, 600, 1800, 2 * _HOUR, 6 * _HOUR, 12 * _HOUR, 24 * _HOUR, 24 * _HOUR
    )
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if not self.steps or min(self.steps) <= timedelta(0):
            raise ValueError("a schedule needs at least one step, each longer than zero")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is a share between 0 and 1, not {self.jitter}")

    @property
    def most_attempts(self) -> int:
        """Attempts before a delivery is given up."""
        return len(self.steps) + 1

    def step(self, attempts: int) -> timedelta:
        """The wait after so many failures, without chance and wishes; the last one after more than there are steps."""
        return self.steps[min(attempts, len(self.steps)) - 1]

    def wait(self, attempts: int, retry_after: timedelta | None, jitter: float) -> timedelta:
        """How long to wait after `attempts` failures, at least 1 and fewer than `most_attempts`.

        A receiver's wish counts when it is longer, up to the longest step: nobody may silence us for a year.
        """
        step = self.step(attempts) * (1 + self.jitter * jitter)
        wish = min(retry_after or timedelta(0), max(self.steps))
        return max(step, wish)
