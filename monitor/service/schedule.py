"""Stages taking their turns: one run of each at a time, guarded and watched.

takes  jobs, with how long each may take
gives  their outcome to `Stages`, metrics and the supervisor
never  lets what a stage raises, or a stage that hangs, end or delay the turns of another
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial

import structlog

from monitor.errors import MonitorError, ServiceError, StoreError
from monitor.service.metrics import Metrics
from monitor.service.rounds import Rounds
from monitor.service.stages import Stages
from monitor.service.supervision import Allowance, Supervisor
from monitor.service.turns import Job, Turns

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[None]]
# They only take messages out of the store: they work on while the pipeline is exchanged.
_UNDISTURBED = ("deliver:", "heartbeat")
_INTERRUPTED_SECONDS = 0.5


class Schedule:
    """The turns of one daemon. Belongs to its event loop.

    Args:
        rounds: whose bells wake stages, and which says when to rest or stop.
        reopen: opens the store anew after an error of it.
    """

    def __init__(
        self,
        rounds: Rounds,
        stages: Stages,
        supervisor: Supervisor,
        metrics: Metrics,
        clock: Callable[[], datetime],
        reopen: Callable[[], None],
    ) -> None:
        self._rounds = rounds
        self._stages = stages
        self._supervisor = supervisor
        self._metrics = metrics
        self._clock = clock
        self._reopen = reopen
        self._running: dict[str, asyncio.Task[bool]] = {}
        self._turns = Turns()
        self._late: set[str] = set()
        self._names: frozenset[str] = frozenset()
        self._gone: frozenset[str] = frozenset()

    def begin(self, jobs: Mapping[str, tuple[Work, Allowance]]) -> None:
        """Let these take turns from now on, in the place of those before; runs in hand go on."""
        for gone in self._names - jobs.keys():
            self._metrics.forget_stage(gone)
        self._gone = (self._gone | self._names) - jobs.keys()
        self._names = frozenset(jobs)
        self._supervisor.expect({name: allowance for name, (_, allowance) in jobs.items()})
        self._rounds.threads.keep(self._names)
        self._turns.begin(
            [
                (Job(name, partial(self._turn, name, work), allowance.every), self._rounds.bell(name))
                for name, (work, allowance) in jobs.items()
            ]
        )

    def cancel(self) -> None:
        """No more turns; runs in hand go on."""
        self._turns.cancel()

    async def run_once(self, name: str, work: Work) -> bool:
        """Run one stage once, unless it still runs or all rest; whether it did, and went well.

        Whatever it raises is noted, and ends only this run.
        """
        if not (task := self._started(name, work)):
            return False
        await asyncio.wait([task])
        return not task.cancelled() and task.exception() is None and task.result()

    async def _turn(self, name: str, work: Work) -> None:
        """Begin a run and do not wait for it: the scheduler's end would interrupt who waits."""
        self._started(name, work)

    def _started(self, name: str, work: Work) -> asyncio.Task[bool] | None:
        rests = self._rounds.resting and not name.startswith(_UNDISTURBED)
        before = self._running.get(name)
        if self._rounds.stopping.is_set() or rests or (before is not None and not before.done()):
            return None
        task = asyncio.ensure_future(self._guarded(name, work))
        self._running[name] = task
        return task

    def name_late(self) -> None:
        """Tell of every stage that is late, once each time."""
        late = self._supervisor.late()
        self._metrics.stages(self._names, late)
        for one in late:
            if one.stage not in self._late:
                self._late.add(one.stage)
                self._stages.failed(one.stage, self._clock(), one.words)
                self._rounds.bell("note").ring()

    async def rest(self, seconds: float) -> None:
        """Wait until no stage is at work that would notice an exchange of the pipeline.

        Raises:
            ServiceError: when one does not end in time.
        """
        self._rounds.resting = True
        at_work = {
            name: task for name, task in self._running.items() if not (task.done() or name.startswith(_UNDISTURBED))
        }
        if not at_work:
            return
        _, late = await asyncio.wait(at_work.values(), timeout=seconds)
        if late:
            names = ", ".join(sorted(name for name, task in at_work.items() if task in late))
            raise ServiceError(f"nothing was changed: {names} is at work for long; reload again later")

    async def finish(self, seconds: float) -> bool:
        """Let what is in hand end, and interrupt what does not; whether a thread may still be at work then.

        Checks that outlasted their round belong to no stage in hand: they are taken in as well. An interrupted check
        has not stored anything yet.
        """
        self.cancel()
        if self._rounds.pipeline.poller.under_way:
            before, rounds = self._running.get("poll"), self._rounds

            async def take_in_the_rest() -> None:
                if before is not None and not before.done():
                    await asyncio.wait([before])
                await rounds.take_in_finished(seconds, last=True)

            self._running["the rest"] = asyncio.ensure_future(self._guarded("poll", take_in_the_rest))
        waiting = {task for task in self._running.values() if not task.done()}
        if not waiting:
            self._turns.close()
            return False
        _, late = await asyncio.wait(waiting, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            # A cancelled task is over, but not the thread that it waited for.
            await asyncio.wait(late, timeout=_INTERRUPTED_SECONDS)
        self._turns.close()
        return bool(late)

    async def _guarded(self, name: str, work: Work) -> bool:
        """Run it, and note how it went; whether that was well."""
        begun, bell = time.monotonic(), self._rounds.bell(name)
        bell.answer()
        self._supervisor.began(name)
        reason = await self._outcome(name, work)
        self._late.discard(name)
        now = self._clock()
        if name not in self._gone:
            # The run of a channel that left the settings meanwhile would fail in the numbers until the next start.
            self._metrics.ran(name, time.monotonic() - begun, now.timestamp(), well=not reason)
        self._supervisor.ended(name)
        news = self._stages.failed(name, now, reason) if reason else self._stages.went_well(name, now)
        if news and name != "note":
            # Written down at once, for `squall status`; what is no news waits for the next note.
            self._rounds.bell("note").ring()
        if bell.waits and not reason:
            # What rang at the end of this run would otherwise lie until the next turn. This run is over once the
            # loop comes round, and a failed one waits for its turn.
            asyncio.get_running_loop().call_soon(bell.ring)
        return not reason

    async def _outcome(self, name: str, work: Work) -> str:
        """Run it: why it failed, empty when it did not."""
        try:
            await work()
        except asyncio.CancelledError:
            log.info("stage_interrupted", stage=name)
            raise
        except StoreError as error:
            await self._rounds.threads.run(name, self._reopen)
            return str(error)
        except MonitorError as error:
            # Expected, and said in words: there is no fault of ours to trace.
            return str(error)
        except Exception as error:
            # The one place where anything is caught: a fault in one stage must not silence the others.
            log.exception("stage_fault", stage=name)
            return f"{type(error).__name__}: {error}"
        return ""
