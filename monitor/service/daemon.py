"""The service: every stage on its own schedule, until it is asked to stop.

takes  settings, an open store, signals
gives  polling, scoring, detection, delivery and upkeep for months; its state, to whoever asks
never  lets one stage stop another: a stage that fails is named, and tried again at its next turn; one that hangs is
       named, and hangs alone
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import structlog

from alerts.errors import ChannelUnusable
from monitor import __version__
from monitor.desk.actions import actions_of
from monitor.errors import MonitorError, ServiceError, SettingsUnusable, StoreError
from monitor.logs import set_up_logs
from monitor.news.companies import CompanyMatcher
from monitor.news.own_companies import with_own
from monitor.service.allowances import allowance
from monitor.service.ending import all_quiet, unless_ended
from monitor.service.explaining import Explainer
from monitor.service.metrics import Metrics
from monitor.service.model_process import ModelProcess
from monitor.service.notifying import ServiceManager
from monitor.service.opinions import LoadedModel
from monitor.service.page_actions import for_pages
from monitor.service.pipeline import Pipeline
from monitor.service.probes import Probes
from monitor.service.reloading import changed_sections, keeps_model
from monitor.service.rounds import Rounds
from monitor.service.schedule import Schedule, Work
from monitor.service.scoring import Scoring
from monitor.service.stages import Stages
from monitor.service.supervision import Supervisor
from monitor.service.turns import ClockWatch, SetBack
from monitor.settings import Settings
from monitor.storage.readservice import ReadService
from monitor.storage.setting_back import set_back
from monitor.storage.store import Store
from monitor.watched import watched_themes

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
# systemd and people expect a service to be gone in seconds: what is in hand gets this long.
_GRACE_SECONDS = 7.0
# Who waits for an answer has less; the read service gives up by itself before that.
_ANSWERED_SECONDS = 5.0
_NOTE_SECONDS = 15
_OVERSEE_SECONDS = 30
_WATCH_SECONDS = 5.0
# A reload waits so long for stages to come to rest; who asked for it waits a little longer.
_REST_SECONDS = 20.0
_ANSWER_SECONDS = 28.0
_METRICS, _CLOCK = "metrics", "clock"


def utc_now() -> datetime:
    """The machine's clock, aware UTC."""
    return datetime.now(UTC)


class Daemon:
    """One running monitor.

    Args:
        settings: checked settings.
        store: open; it stays the caller's to close.
        clock: aware UTC.
        read_settings: reads the settings anew, for a reload; without it they stay as they are.
        manager: is told when the daemon is ready, reloads, gets on and stops.

    Raises:
        ChannelUnusable: when a channel's settings cannot work.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock = utc_now,
        *,
        read_settings: Callable[[], Settings] | None = None,
        manager: ServiceManager | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._read_settings = read_settings or (lambda: settings)
        self._manager = manager or ServiceManager()
        self._stopping = threading.Event()
        self._stop = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._asked: asyncio.Task[None] | None = None
        self._left_behind = False
        self._at_terminal = sys.stdin is not None and sys.stdin.isatty()
        self._stages = Stages()
        self._supervisor = Supervisor(time.monotonic, self._manager.getting_on)
        self._metrics = Metrics(__version__, store.notes().get("schema_version", ""))
        # A clock that ran ahead when the last daemon stopped.
        set_back(store, clock())
        scoring = self._scoring(settings)
        pipeline = Pipeline(settings, store, self._stopping, scoring=scoring, attempted=self._metrics.attempted)
        pipeline.remember(clock())
        self._rounds = Rounds(pipeline, scoring, clock, self._stages, self._supervisor, self._metrics)
        self._schedule = Schedule(
            self._rounds, self._stages, self._supervisor, self._metrics, clock, partial(_reopen, store)
        )
        self._acts: dict[str, Callable[[dict[str, object]], object]] = {}
        self._explainer: Explainer | None = None

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Work until SIGTERM or SIGINT, then finish what is in hand; SIGHUP reads the settings anew."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        with ExitStack() as held:
            self._offer(loop)
            service = held.enter_context(ReadService(self._store, actions=self._acts))
            self._open_probes(held)
            self._begin_turns()
            watch = asyncio.create_task(self._watch())
            log.info("started", version=__version__, pid=os.getpid(), store=self._store.database.path)
            ready()
            self._manager.ready(f"watching {len(self._rounds.pipeline.watchlist.feeds())} feeds")
            await self._stop.wait()
            log.info("stopping", grace_seconds=_GRACE_SECONDS)
            self._manager.stopping()
            watch.cancel()
            late = await self._schedule.finish(_GRACE_SECONDS)
            silenced = await self._fall_silent(service)
            # A check that is given up may leave a thread that waits for a name server.
            self._left_behind = late or not silenced or bool(self._rounds.pipeline.poller.under_way)
        await asyncio.to_thread(self._rounds.pipeline.settle)
        await self._rounds.pipeline.aclose()
        await asyncio.to_thread(self._rounds.scoring.close)
        try:
            self._stages.write(self._store)
        except StoreError as error:
            log.error("store_unavailable", reason=str(error))
        self._rounds.threads.close()
        log.info("stopped")

    def stop(self) -> None:
        """Ask for the end: nothing new begins, what is in hand is finished."""
        self._stopping.set()
        self._rounds.stopping.set()
        self._stop.set()

    async def _fall_silent(self, service: ReadService) -> bool:
        """Answer nobody any more; whether all who asked have their answer. They may wait for this loop, or a child."""
        ending: dict[str, Callable[[], bool | None]] = {"answers": service.stop}
        if self._explainer is not None:
            ending["explainer"] = self._explainer.close
        return await all_quiet(self._rounds.threads, ending, _ANSWERED_SECONDS)

    @property
    def busy(self) -> bool:
        """Whether a thread may still be at work after `run` returned; only the end of the process ends it then."""
        return self._left_behind

    # Turns

    def _begin_turns(self) -> None:
        every, notify, rounds = self._settings.daemon, self._settings.notify, self._rounds
        work: list[tuple[str, Work, float]] = [
            ("poll", partial(rounds.poll, every.poll_seconds), every.poll_seconds),
            ("score", rounds.score, every.poll_seconds),
            ("detect", rounds.detect, every.detect_seconds),
            ("maintain", rounds.maintain, every.maintain_minutes * 60),
            ("oversee", rounds.oversee, _OVERSEE_SECONDS),
            ("note", rounds.note, _NOTE_SECONDS),
        ]
        if notify.heartbeat_channel:
            work.append(("heartbeat", rounds.beat, notify.heartbeat_minutes * 60))
        work += [
            (f"deliver:{channel}", partial(rounds.deliver, channel), every.deliver_seconds)
            for channel in rounds.pipeline.channels
        ]
        jobs = {name: (run, allowance(name, seconds, self._settings.model)) for name, run, seconds in work}
        self._stages.forget_others({*jobs, _METRICS}, self._store)
        self._schedule.begin(jobs)

    # Watching over them

    async def _watch(self) -> None:
        """Name stages that are late, and notice a clock that was set or a machine that slept."""
        clock, back = ClockWatch(self._clock(), time.monotonic()), SetBack(self._put_right)
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            self._schedule.name_late()
            if jump := clock.jump(self._clock(), time.monotonic()):
                log.warning("clock_jumped", seconds=round(jump.total_seconds()))
                self._metrics.clock_jumped()
            if await back.heed(jump):
                self._rounds.ring_all()

    async def _put_right(self) -> bool:
        put_right = partial(set_back, self._store, self._clock())
        return await self._schedule.run_once(_CLOCK, partial(self._rounds.threads.run, _CLOCK, put_right))

    def _sick(self) -> list[str]:
        """Why the daemon should be restarted."""
        return [f"{one.stage}: {one.words}" for one in self._supervisor.late() if one.vital]

    def _unready(self) -> list[str]:
        """Why it does not do its work now."""
        if self._stopping.is_set():
            return ["stopping"]
        stages = self._stages.all()
        waiting = [f"{name}: has not run yet" for name in ("poll", "detect", "note") if name not in stages]
        failing = [f"{name}: {stage.reason}" for name, stage in stages.items() if stage.reason]
        return [*waiting, *failing]

    def _open_probes(self, held: ExitStack) -> None:
        if not (port := self._settings.metrics.port):
            return
        try:
            held.enter_context(Probes(port, self._metrics, self._sick, self._unready))
        except ServiceError as error:
            # A monitor without numbers is better than none.
            self._stages.failed(_METRICS, self._clock(), str(error))
        else:
            self._stages.went_well(_METRICS, self._clock())

    # Reload

    def _hang_up(self) -> None:
        if self._at_terminal and not os.isatty(sys.stdin.fileno()):
            # The terminal that it was started in is gone: this is no wish for new settings.
            self.stop()
            return
        self._asked = asyncio.ensure_future(self._reload_quietly())

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except MonitorError:
            return  # it was logged; whoever sent the signal reads the log

    async def reload(self) -> tuple[str, ...]:
        """Read the settings anew and put all of them in force, or none; the sections that changed.

        Raises:
            MonitorError: when they cannot be used, need a restart, or a stage does not come to rest; nothing changed.
        """
        async with self._reloading:
            self._manager.reloading()
            try:
                changed = await self._exchange()
            except (MonitorError, ChannelUnusable) as error:
                log.error("reload_refused", reason=str(error))
                self._metrics.reloaded(applied=False)
                raise error if isinstance(error, MonitorError) else SettingsUnusable(str(error)) from error
            finally:
                self._rounds.resting = False
                if not self._stop.is_set():
                    self._manager.ready(f"watching {len(self._rounds.pipeline.watchlist.feeds())} feeds")
                    self._rounds.ring_all()
            log.info("reloaded", changed=list(changed))
            self._metrics.reloaded(applied=True)
            return changed

    async def _exchange(self) -> tuple[str, ...]:
        before, rounds = self._settings, self._rounds
        settings = await asyncio.to_thread(self._read_settings)
        changed = changed_sections(before, settings)
        scoring = rounds.scoring if keeps_model(before, settings) else await asyncio.to_thread(self._scoring, settings)
        # Everything that can be refused is refused here, while the old pipeline works.
        pipeline = rounds.pipeline.successor(settings, scoring)
        try:
            await unless_ended(self._schedule.rest(_REST_SECONDS), self._stop)
            await rounds.threads.run("poll", partial(pipeline.remember, self._clock()))
        except BaseException:
            await pipeline.aclose()
            raise
        old, old_scoring = rounds.pipeline, rounds.scoring
        rounds.pipeline, rounds.scoring, self._settings = pipeline, scoring, settings
        rounds.resting = False
        self._begin_turns()
        self._offer(asyncio.get_running_loop())
        set_up_logs(settings.log)
        await old.aclose()
        if old_scoring is not scoring:
            await asyncio.to_thread(old_scoring.close)
        return changed

    def _scoring(self, settings: Settings) -> Scoring:
        return Scoring(
            settings.model,
            watched_themes(settings),
            self._stopping,
            CompanyMatcher(with_own(settings.companies)),
            open_model=ModelProcess if settings.model.own_process else LoadedModel,
            meaning_loads=False,
        )

    # What others may ask

    def _offer(self, loop: asyncio.AbstractEventLoop) -> None:
        """Put in force what the read service may be asked to do."""

        def reload(_: dict[str, object]) -> object:
            asked = asyncio.run_coroutine_threadsafe(self.reload(), loop)
            try:
                return {"changed": list(asked.result(_ANSWER_SECONDS))}
            except TimeoutError as error:
                raise ServiceError("the settings are still being read: see the log for what came of it") from error

        told = self._settings
        explainer = Explainer(told.model, watched_themes(told), CompanyMatcher(with_own(told.companies)))
        former, self._explainer = self._explainer, explainer
        if former is not None:
            loop.run_in_executor(None, former.close)
        others = {"reload": reload, "pulse": self._pulse, "explain": explainer.explain}
        acts = {**actions_of(self._store, self._clock), **others}
        # Each behind the check of who asks: a page names its visitor.
        self._acts |= for_pages(told, self._store, self._clock, acts)

    def _pulse(self, _: dict[str, object]) -> object:
        """How the stages are at this moment, from memory: also while nothing can be written down."""
        return {
            "stages": [asdict(stage) for stage in self._stages.all().values()],
            "late": [{"stage": one.stage, "words": one.words} for one in self._supervisor.late()],
            "version": __version__,
            "model": self._rounds.scoring.model,
            "runtime": self._rounds.scoring.runtime,
        }


def _reopen(store: Store) -> None:
    """After a fatal error of the engine the connection is dead; what was committed is in the file."""
    try:
        store.reopen()
    except StoreError as error:
        log.error("store_unavailable", reason=str(error))
