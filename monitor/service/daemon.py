"""The service: every stage on its own schedule, until it is asked to stop.

takes  settings, an open store, signals
gives  polling, detection, delivery and upkeep for months
never  lets one stage stop another: a stage that fails is named, and tried again at its next turn
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from alerts.lifecycle import ChangeReason
from monitor import __version__
from monitor.desk.actions import actions_of
from monitor.errors import MonitorError, ServiceError, StoreError
from monitor.feeds.feed import Check
from monitor.service.pipeline import Pipeline
from monitor.service.stages import Stages
from monitor.settings import Settings
from monitor.storage.readservice import ReadService
from monitor.storage.store import Store

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
# systemd and people expect a service to be gone in seconds: what is in hand gets this long.
_GRACE_SECONDS = 7.0
_NOTE_SECONDS = 15
_OVERSEE_SECONDS = 30
# Stages whose failure is told of by other means: a channel's health, what cannot be scored.
_TOLD_OTHERWISE = ("deliver:", "score")
_SCORE = "score"


def utc_now() -> datetime:
    """The machine's clock, aware UTC."""
    return datetime.now(UTC)


class Daemon:
    """One running monitor."""

    def __init__(self, settings: Settings, store: Store, clock: Clock = utc_now) -> None:
        """Put the pipeline in place.

        Raises:
            ChannelUnusable: when a channel's settings cannot work.
        """
        self._settings = settings
        self._store = store
        self._clock = clock
        self._stopping = threading.Event()
        self._stop = asyncio.Event()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._late = False
        self._stages = Stages()
        self._pipeline = Pipeline.begin(settings, store, clock(), self._stopping)
        # A channel that hangs occupies its own thread and nobody else's.
        self._senders = {name: ThreadPoolExecutor(1, f"deliver-{name}") for name in self._pipeline.channels}

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Work until SIGTERM or SIGINT, then finish what is in hand."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        scheduler = self._scheduler()
        self._stages.forget_others({job.id for job in scheduler.get_jobs()} | {_SCORE}, self._store)
        actions = actions_of(self._store, self._clock)
        with ReadService(self._store, actions=actions):
            scheduler.start()
            log.info("started", version=__version__, pid=os.getpid(), store=self._store.database.path)
            ready()
            await self._stop.wait()
            log.info("stopping", grace_seconds=_GRACE_SECONDS)
            scheduler.pause()
            await self._finish()
            # Not earlier: it cancels what still runs.
            scheduler.shutdown(wait=False)
        await self._pipeline.aclose()
        try:
            self._note()
        except StoreError as error:
            log.error("store_unavailable", reason=str(error))
        log.info("stopped")

    def stop(self) -> None:
        """Ask for the end: nothing new begins, what is in hand is finished."""
        self._stopping.set()
        self._stop.set()

    @property
    def busy(self) -> bool:
        """Whether a thread may still be at work after `run` returned; only the end of the process ends it then."""
        return self._late

    def _scheduler(self) -> AsyncIOScheduler:
        """Each stage at its own pace; a run that is late is made up for once, not as often as it was missed."""
        every = self._settings.daemon
        # It would warn at every turn that a slow receiver makes a stage miss; stages tell of their failures themselves.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        soon = datetime.now(UTC)
        jobs: list[tuple[str, Callable[[], Awaitable[None]], float]] = [
            ("poll", partial(self._stage, "poll", self._poll), every.poll_seconds),
            ("detect", partial(self._stage, "detect", self._detect), every.detect_seconds),
            ("maintain", partial(self._stage, "maintain", self._maintain), every.maintain_minutes * 60),
            ("oversee", partial(self._stage, "oversee", self._oversee), _OVERSEE_SECONDS),
            ("note", partial(self._stage, "note", self._note_stages), _NOTE_SECONDS),
        ]
        if self._settings.notify.heartbeat_channel:
            beat = partial(self._stage, "heartbeat", self._beat)
            jobs.append(("heartbeat", beat, self._settings.notify.heartbeat_minutes * 60))
        for channel in self._pipeline.channels:
            name = f"deliver:{channel}"
            jobs.append((name, partial(self._stage, name, partial(self._deliver, channel)), every.deliver_seconds))
        for name, run, seconds in jobs:
            scheduler.add_job(run, "interval", seconds=seconds, id=name, next_run_time=soon)
        return scheduler

    async def _stage(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run one stage once; whatever it raises is noted, and ends only this run."""
        if self._stopping.is_set():
            return
        task: asyncio.Task[None] = asyncio.ensure_future(self._guarded(name, run))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)
        await asyncio.wait([task])

    async def _guarded(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except asyncio.CancelledError:
            log.info("stage_interrupted", stage=name)
        except StoreError as error:
            news = self._stages.failed(name, self._clock(), str(error))
            await asyncio.to_thread(self._reopen)
            await self._tell(news)
        except MonitorError as error:
            # Expected, and said in words: there is no fault of ours to trace.
            await self._tell(self._stages.failed(name, self._clock(), str(error)))
        except Exception as error:
            # The one place where anything is caught: a fault in one stage must not silence the others.
            news = self._stages.failed(name, self._clock(), f"{type(error).__name__}: {error}")
            log.exception("stage_fault", stage=name)
            await self._tell(news)
        else:
            await self._tell(self._stages.went_well(name, self._clock()))

    async def _tell(self, news: bool) -> None:
        """Write news of a stage down at once, for `squall status`; what is no news waits for the next note."""
        if news:
            try:
                await asyncio.to_thread(self._note)
            except StoreError as error:
                log.error("store_unavailable", reason=str(error))

    async def _poll(self) -> None:
        """Begin what is due, and take in what ends until the next look: a feed that hangs holds up nobody else."""
        self._pipeline.begin_checks(self._clock())
        await self._take_in_finished(self._settings.daemon.poll_seconds)

    async def _take_in_finished(self, patience: float) -> None:
        idle = True
        async for checks in self._pipeline.poller.finished(patience):
            idle = False
            await self._take_in(checks)
        if idle and self._store.unscored(1):
            await self._take_in([])

    async def _take_in(self, checks: list[Check]) -> None:
        brought = await asyncio.to_thread(self._pipeline.take_in, checks, self._clock())
        await self._judge_model()
        if brought.headlines or brought.scored or brought.failed:
            log.info(
                "polled",
                checks=brought.checks,
                failed=brought.failed,
                headlines=brought.headlines,
                scored=brought.scored,
            )
        for check in checks:
            if not check.outcome.ok:
                log.warning("feed_failed", feed=check.feed, outcome=check.outcome.value, reason=check.reason)
            if check.notice:
                log.warning("feed_notice", feed=check.feed, notice=check.notice)

    async def _detect(self) -> None:
        for change in await asyncio.to_thread(self._pipeline.detect, self._clock()):
            alert = change.alert
            # An alert that goes on is brought up to date at every look: that is worth no line in a log of months.
            quiet = log.debug if change.reason is ChangeReason.CONTINUED else log.info
            tell = log.warning if change.notifies else quiet
            tell(
                "alert_changed" if change.notifies else "alert_updated",
                alert=alert.id,
                series=alert.series,
                state=alert.state.value,
                reason=change.reason.value,
                observed=alert.observed,
                expected=round(alert.expected, 2),
            )

    async def _deliver(self, channel: str) -> None:
        """One message at a time, so that a request to stop waits for one message at most."""
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            send = partial(self._pipeline.deliver, channel, self._clock(), limit=1)
            if not await loop.run_in_executor(self._senders[channel], send):
                break

    async def _oversee(self) -> None:
        stages = {
            name: stage.reason for name, stage in self._stages.all().items() if not name.startswith(_TOLD_OTHERWISE)
        }
        await asyncio.to_thread(self._pipeline.oversee, self._clock(), stages)

    async def _beat(self) -> None:
        """A sign of life only while the daemon does its work: whoever waits for it learns of a failure by silence."""
        if (detecting := self._stages.all().get("detect")) and detecting.reason:
            raise ServiceError(f"no heartbeat while detection fails: {detecting.reason}")
        attempt = await asyncio.to_thread(self._pipeline.beat, self._clock())
        if not attempt.outcome.ok:
            raise ServiceError(attempt.reason)

    async def _maintain(self) -> None:
        await asyncio.to_thread(self._pipeline.maintain, self._clock())

    async def _note_stages(self) -> None:
        await self._judge_model()
        await asyncio.to_thread(self._note)

    async def _judge_model(self) -> None:
        now, fault = self._clock(), self._pipeline.scoring.fault
        if fault:
            await self._tell(self._stages.failed(_SCORE, now, fault))
        elif self._pipeline.scoring.model:
            await self._tell(self._stages.went_well(_SCORE, now))

    def _note(self) -> None:
        self._stages.write(self._store)

    def _reopen(self) -> None:
        """After a fatal error of the engine the connection is dead; what was committed is in the file."""
        try:
            self._store.reopen()
        except StoreError as error:
            log.error("store_unavailable", reason=str(error))

    async def _finish(self) -> None:
        """Let what is in hand end, and interrupt what does not: an interrupted check has not stored anything yet."""
        if self._pipeline.poller.under_way:
            # Checks that outlasted their round belong to no stage that is in hand.
            rest = partial(self._take_in_finished, _GRACE_SECONDS)
            self._in_hand.add(asyncio.ensure_future(self._guarded("poll", rest)))
        waiting = {task for task in self._in_hand if not task.done()}
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=_GRACE_SECONDS)
        for task in late:
            task.cancel()
        if late:
            # A cancelled task is over, but not the thread that it waited for.
            self._late = True
            await asyncio.wait(late, timeout=0.5)
