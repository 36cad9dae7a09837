"""When each stage runs next, by a clock that nobody sets.

takes  intervals, and the event loop's monotonic time
gives  turns: each stage at its own pace, once however many turns were missed
never  asks the machine's clock: an hour that is set back must not stop everything for an hour
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Clocks that are kept by NTP move by milliseconds; what is more than this was set, or slept through.
JUMP_FROM = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Job:
    """One stage and its pace.

    Raises:
        ValueError: on an interval of zero or less.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"the interval of {self.name} must be longer than zero")


def next_turn(due: float, now: float, seconds: float) -> float:
    """When a stage that was due at `due` is due again, seen from `now`: later than now, in step with its interval.

    Turns that were missed meanwhile are not made up for: one run does for all of them.
    """
    missed = max(0, math.floor((now - due) / seconds))
    following = due + (missed + 1) * seconds
    # Rounding may land on `now` itself.
    return following if following > now else following + seconds


class Bell:
    """Wakes everybody who waits, before their time."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake them all; who waits from now on waits for the next time."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, seconds: float) -> bool:
        """Wait for so long, or until the bell; whether it rang."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._rung.wait()
        except TimeoutError:
            return False
        return True


async def take_turns(job: Job, bell: Bell) -> None:
    """Run the job at once, then at its interval and whenever the bell rings, until cancelled."""
    clock = asyncio.get_running_loop().time
    due = clock()
    while True:
        await job.run()
        due = next_turn(due, clock(), job.seconds)
        if await bell.wait(due - clock()):
            due = clock()


class ClockWatch:
    """Notices that the machine's clock was set, or that the machine slept.

    Args:
        wall: the machine's time.
        steady: seconds of a monotonic clock at the same moment.
    """

    def __init__(self, wall: datetime, steady: float) -> None:
        self._wall, self._steady = wall.astimezone(UTC), steady

    def jump(self, wall: datetime, steady: float) -> timedelta:
        """By how much the machine's clock moved beside the steady one since the last call; zero while they agree.

        Positive: it was set forward, or the machine slept. Negative: it was set back. Local time and its changes in
        spring and autumn play no part: both are instants.
        """
        # Two times of one zone are subtracted as its clocks show them, so a change of them would be a jump.
        wall = wall.astimezone(UTC)
        moved = (wall - self._wall) - timedelta(seconds=steady - self._steady)
        self._wall, self._steady = wall, steady
        return moved if abs(moved) >= JUMP_FROM else timedelta(0)
