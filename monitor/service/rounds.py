"""What each stage of the daemon does in one turn.

takes  the pipeline in force, a thread for each stage, and the clock
gives  one round of polling, scoring, detecting, delivering, overseeing, noting; log lines; numbers
never  decides when: `monitor.service.daemon` does; and never lets one stage wait for the work of another

Stages hand work on through the store, so what waits is bounded by the disk, and a stage that is slow, or down, holds
up nobody before it. Whoever hands something on rings the bell of the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from alerts.lifecycle import Change, ChangeReason
from monitor.errors import ModelLost, ServiceError
from monitor.feeds.feed import Check
from monitor.service.metrics import Metrics, Standing
from monitor.service.pipeline import Pipeline
from monitor.service.scoring import Scoring
from monitor.service.stages import Stages
from monitor.service.supervision import Supervisor
from monitor.service.threads import Threads
from monitor.service.turns import Bell

log = structlog.get_logger(__name__)

# Stages whose failure is told of by other means: a channel's health, what cannot be scored.
_TOLD_OTHERWISE = ("deliver:", "score")
_SCORED_AT_ONCE = 512
# How long a look at what is under way takes, before it is asked whether to stop or rest.
_SLICE_SECONDS = 1.0
# News brings detection forward; it rests at least so long, and twice as long as it worked.
_REST_SECONDS = 1.0
_REST_FACTOR = 2.0


class Rounds:
    """The stages' work. Belongs to the event loop; `pipeline` and `scoring` are exchanged while all stages rest.

    Attributes:
        pipeline, scoring: in force.
        resting: whether stages should come to an end soon, because the pipeline will be exchanged.
        stopping: whether nothing new should begin, because the daemon ends.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        scoring: Scoring,
        clock: Callable[[], datetime],
        stages: Stages,
        supervisor: Supervisor,
        metrics: Metrics,
    ) -> None:
        self.pipeline = pipeline
        self.scoring = scoring
        self.resting = False
        self.threads = Threads()
        self.stopping = asyncio.Event()
        self._clock = clock
        self._stages = stages
        self._supervisor = supervisor
        self._metrics = metrics
        self._bells: dict[str, Bell] = {}
        self._look_from = 0.0
        self._restarts = 0

    def bell(self, stage: str) -> Bell:
        """What wakes a stage before its turn."""
        return self._bells.setdefault(stage, Bell())

    def ring_all(self) -> None:
        """Wake every stage."""
        for bell in self._bells.values():
            bell.ring()

    # Polling

    async def poll(self, patience: float) -> None:
        """Begin what is due, and take in what ends until the next look: a feed that hangs holds up nobody else."""
        now, pipeline = self._clock(), self.pipeline
        pipeline.poller.begin(await self.threads.run("poll", partial(pipeline.due, now)), now)
        await self.take_in_finished(patience)

    async def take_in_finished(self, patience: float, *, last: bool = False) -> None:
        """Store what checks bring as they end; with `last` also after the request to stop."""
        clock, poller = asyncio.get_running_loop().time, self.pipeline.poller
        until = clock() + patience
        while poller.under_way:
            async for checks in poller.finished(min(_SLICE_SECONDS, max(0.0, until - clock()))):
                await self._keep(checks)
            if clock() >= until or self.resting or (self.stopping.is_set() and not last):
                return

    async def _keep(self, checks: Sequence[Check]) -> None:
        brought = await self.threads.run("poll", partial(self.pipeline.keep, checks, self._clock()))
        self._supervisor.moved("poll")
        self._metrics.checked(checks, brought.headlines)
        if brought.headlines:
            self.bell("score").ring()
        if brought.headlines or brought.failed:
            log.info("polled", checks=brought.checks, failed=brought.failed, headlines=brought.headlines)
        for check in checks:
            if not check.outcome.ok:
                log.warning("feed_failed", feed=check.feed, outcome=check.outcome.value, reason=check.reason)
            if check.notice:
                log.warning("feed_notice", feed=check.feed, notice=check.notice)

    # Scoring

    async def score(self) -> None:
        """Score what waits, the latest first, until nothing does.

        Raises:
            ModelLost: when the model cannot score now; what waits goes on waiting.
        """
        await self.threads.run("score", partial(self.scoring.prepare, self._clock()))
        while not (self.resting or self.stopping.is_set()):
            self.bell("score").answer()
            work = partial(self.pipeline.catch_up, self._clock(), _SCORED_AT_ONCE)
            scored = await self.threads.run("score", work)
            self._note_model()
            if scored:
                self._supervisor.moved("score")
                self._metrics.scored(scored)
                log.info("scored", headlines=scored)
                self.bell("detect").ring()
            if fault := self.scoring.fault:
                raise ModelLost(fault)
            if scored < _SCORED_AT_ONCE:
                return

    def _note_model(self) -> None:
        restarts = self.scoring.restarts
        self._metrics.model(self.scoring.model, self.scoring.runtime, max(0, restarts - self._restarts))
        self._restarts = restarts

    # Detection and delivery

    async def detect(self) -> None:
        """Look for surges; who is to be told is told at once."""
        clock = asyncio.get_running_loop().time
        await self._rest(self._look_from - clock())
        if self.resting or self.stopping.is_set():
            return
        begun = clock()
        self.bell("detect").answer()
        changes = await self.threads.run("detect", partial(self.pipeline.detect, self._clock()))
        self._look_from = clock() + max(_REST_SECONDS, _REST_FACTOR * (clock() - begun))
        for change in changes:
            self._metrics.changed(change)
            _log_change(change)
        if any(change.notifies for change in changes):
            for channel in self.pipeline.channels:
                self.bell(f"deliver:{channel}").ring()

    async def deliver(self, channel: str) -> None:
        """One message at a time, so that a request to stop waits for one message at most."""
        stage = f"deliver:{channel}"
        while not self.stopping.is_set() and channel in self.pipeline.channels:
            send = partial(self.pipeline.deliver, channel, self._clock(), limit=1)
            if not await self.threads.run(stage, send):
                return
            self._supervisor.moved(stage)

    # Upkeep

    async def oversee(self) -> None:
        """Reminders, digests, and news of Squall's own troubles."""
        failing = {
            name: stage.reason for name, stage in self._stages.all().items() if not name.startswith(_TOLD_OTHERWISE)
        }
        await self.threads.run("oversee", partial(self.pipeline.oversee, self._clock(), failing))

    async def beat(self) -> None:
        """A sign of life only while the daemon does its work: whoever waits for it learns of a failure by silence.

        Raises:
            ServiceError: when it cannot, or must not, be sent.
        """
        if (detecting := self._stages.all().get("detect")) and detecting.reason:
            raise ServiceError(f"no heartbeat while detection fails: {detecting.reason}")
        if late := next((one for one in self._supervisor.late() if one.vital), None):
            raise ServiceError(f"no heartbeat while {late.stage} is {late.words}")
        attempt = await self.threads.run("heartbeat", partial(self.pipeline.beat, self._clock()))
        if not attempt.outcome.ok:
            raise ServiceError(attempt.reason)

    async def maintain(self) -> None:
        """Let the store forget what nobody looks at."""
        await self.threads.run("maintain", partial(self.pipeline.maintain, self._clock()))

    async def note(self) -> None:
        """Write down how the stages are, and count what there is."""
        await self.threads.run("note", self.write_stages)
        self._note_model()

    def write_stages(self) -> None:
        """Put the stages into the store, and what the store holds into the numbers.

        Raises:
            StoreError: when it cannot be written or read.
        """
        store = self.pipeline.store
        self._stages.write(store)
        held = store.counts()
        files = (Path(store.database.path), Path(f"{store.database.path}.wal"))
        self._metrics.holds(
            Standing(
                held.headlines,
                held.awaiting_score,
                held.open_alerts,
                held.pending_deliveries,
                held.dead_deliveries,
                sum(file.stat().st_size for file in files if file.exists()),
            )
        )
        watched = {feed.id for feed in self.pipeline.watchlist.feeds() if feed.enabled}
        failing = sum(bool(state.failures) for feed, state in store.feed_states().items() if feed in watched)
        self._metrics.feeds(len(watched) - failing, failing)

    async def _rest(self, seconds: float) -> None:
        """Wait for so long, or until the daemon ends."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self.stopping.wait()
            except TimeoutError:
                return


def _log_change(change: Change) -> None:
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
