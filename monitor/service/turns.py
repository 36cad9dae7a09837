"""When each stage runs next.

takes  jobs with their intervals, and bells that ask for a turn before its time
gives  turns: each stage at its own pace, once however many turns were missed
never  trusts the machine's clock for long: one that is set back must not stop everything for an hour

APScheduler plans by the machine's clock, and would wait out an hour that is set back. `ClockWatch` compares that clock
with the steady one every few seconds; after a jump all bells are rung, and every stage is planned by the new time.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

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


class Bell:
    """Asks for a turn before its time.

    Attributes:
        waits: whether it rang since it was last answered. Who is at work does not hear it, and looks here at the end.
    """

    def __init__(self) -> None:
        self._heard: Callable[[], None] | None = None
        self.waits = False

    def hear(self, heard: Callable[[], None]) -> None:
        """Call this at every ring from now on."""
        self._heard = heard

    def ring(self) -> None:
        """Ask for a turn now; a stage that is at work, or takes no turns, is not disturbed."""
        self.waits = True
        if self._heard is not None:
            self._heard()

    def answer(self) -> None:
        """Whatever rang so far is taken up by the work that begins now."""
        self.waits = False


class Turns:
    """The turns of all stages. Belongs to the event loop in which they begin."""

    def __init__(self) -> None:
        # It would warn at every turn that a slow receiver makes a stage miss; stages tell of their failures themselves.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        # A turn that is missed, however long ago, is taken once; a stage that is at work is not begun again.
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)

    def begin(self, jobs: Sequence[tuple[Job, Bell]]) -> None:
        """Let these take turns, each at once and then at its interval, in the place of those before."""
        if not self._scheduler.running:
            self._scheduler.start()
        self.cancel()
        for job, bell in jobs:
            soon = datetime.now(UTC)
            self._scheduler.add_job(job.run, "interval", seconds=job.seconds, id=job.name, next_run_time=soon)
            bell.hear(partial(self._now, job.name))

    def cancel(self) -> None:
        """No more turns; runs in hand go on."""
        self._scheduler.remove_all_jobs()

    def close(self) -> None:
        """No more turns ever; runs in hand are not waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _now(self, name: str) -> None:
        try:
            self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))
        except JobLookupError:
            return  # it takes no turns any more


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


class SetBack:
    """Sees to it that what a clock which was set back put off is put right: where that fails, at the next look again.

    Args:
        put_right: does it; whether it could.
    """

    def __init__(self, put_right: Callable[[], Awaitable[bool]]) -> None:
        self._put_right = put_right
        self._owed = False

    async def heed(self, jump: timedelta) -> bool:
        """Take in by how much the clock moved since the last look; whether what is due has changed."""
        self._owed = self._owed or jump < timedelta(0)
        righted = self._owed and await self._put_right()
        self._owed = self._owed and not righted
        return righted or bool(jump)
