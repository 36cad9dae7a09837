"""One cycle: feed -> Entry -> Headline -> Score -> store -> Window -> Spike -> Alert -> Delivery.

takes  `now`
gives  what came in, what changed, what was sent
never  decides: each arrow is a pure function of another module, and this page calls them in order
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from alerts.detection.breaking import story_of
from alerts.detection.spikes import Spike, Verdict
from alerts.evidence import Evidence
from alerts.lifecycle import Change, advance
from alerts.sending.attempt import Attempt
from alerts.sending.channels import open_channel
from alerts.sending.delivery import Channel, Delivery, Schedule, deliver
from monitor.feeds.feed import Check, Feed, FeedState
from monitor.feeds.politeness import due, paused
from monitor.feeds.polling import Poller
from monitor.naming import Naming
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import Headline
from monitor.news.intake import Intake, intake
from monitor.news.own_companies import with_own
from monitor.news.stories import WINDOW, Stories
from monitor.series import MARKET, Scored
from monitor.service.detecting import Detecting
from monitor.service.outbox_log import LoggedOutbox, ignored
from monitor.service.scoring import Scoring
from monitor.service.telling import Teller
from monitor.service.trimming import trim
from monitor.service.unrecorded import RecordsFirst, Unrecorded
from monitor.settings import Settings
from monitor.storage.alert_store import AlertStore
from monitor.storage.retention import care
from monitor.storage.store import KEEP_SIGHTINGS, Batch, Store
from monitor.watched import Watchlist, silent_series, watched_series, watched_themes

# Headlines that waited for the model, taken up in each cycle beside the new ones.
_BACKLOG = 2_000


class Judge(Protocol):
    """What gives headlines their scores; `monitor.service.scoring.Scoring` is one."""

    fault: str

    @property
    def model(self) -> str:
        """Id of the model; empty while there is none."""

    def score(self, headlines: Sequence[Headline], now: datetime) -> dict[int, Scored]:
        """Scores by headline id; a headline that could not be scored now is absent."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Meanings of texts [texts, width], unit vectors; None while there is no model."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one round of polling brought."""

    checks: int
    failed: int
    headlines: int
    scored: int


class Pipeline:
    """The path with its parts in place. Close it with `aclose`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        stopping: threading.Event | None = None,
        *,
        scoring: Judge | None = None,
        attempted: Callable[[Delivery, Attempt], None] = ignored,
        unrecorded: Unrecorded | None = None,
    ) -> None:
        """Put the parts in place; nothing is fetched, loaded or sent yet.

        Args:
            settings: checked settings.
            store: an open store, which stays the caller's to close.
            stopping: set when the process should end soon.
            scoring: what gives headlines their scores, and stays the caller's to close; None loads the model into
                this process when it is first needed.
            attempted: hears of every attempt to deliver.
            unrecorded: of the pipeline whose place this one takes.

        Raises:
            ChannelUnusable: when a channel's settings cannot work.
        """
        self.settings = settings
        self.store = store
        self.alerts = AlertStore(store)
        self.detecting = Detecting(store.database, self.alerts, settings.rules, settings.watch.weights)
        self.watchlist = Watchlist(settings)
        self.themes = watched_themes(settings)
        self.poller = Poller(settings.polling)
        self.companies = CompanyMatcher(with_own(settings.companies))
        self.scoring = scoring or Scoring(settings.model, self.themes, stopping, self.companies)
        self.channels: Mapping[str, Channel] = {one.name: open_channel(one) for one in settings.channels}
        self.schedule = Schedule()
        self._naming = Naming(self.themes, with_own(settings.companies))
        self.teller = Teller(settings, store, self.channels, self.title)
        self._stories = Stories(self.companies, self)
        self._stopping = stopping
        self._attempted = attempted
        self._unrecorded: Unrecorded = {} if unrecorded is None else unrecorded
        self._outbox = RecordsFirst(LoggedOutbox(self.alerts, attempted), self._unrecorded)

    @classmethod
    def begin(cls, settings: Settings, store: Store, now: datetime, stopping: threading.Event | None = None) -> Self:
        """A pipeline that remembers: stories of the last two days, and which series are watched since when."""
        pipeline = cls(settings, store, stopping)
        pipeline.remember(now)
        return pipeline

    def successor(self, settings: Settings, scoring: Judge) -> Pipeline:
        """A pipeline of other settings that is to take this one's place.

        Raises:
            ChannelUnusable: when a channel's settings cannot work.
        """
        return Pipeline(
            settings,
            self.store,
            self._stopping,
            scoring=scoring,
            attempted=self._attempted,
            unrecorded=self._unrecorded,
        )

    def remember(self, now: datetime) -> None:
        """Take up what the store knows, and tell it what is watched; once, before anything else."""
        self._stories.restore(self.store.recent_titles(now - WINDOW))
        self.store.watch_only(self.series(), silent_series(self.settings), now)
        self.teller.begin(now)
        # The dashboard reads these: it never sees the settings.
        self.store.note("rules", self.settings.rules.model_dump_json())
        self.store.note("names", json.dumps({series: self.title(series) for series in self.series()}))

    def series(self) -> list[str]:
        """Everything that is watched."""
        return watched_series(self.settings)

    async def poll(self, now: datetime) -> list[Check]:
        """Check the feeds that are due, and wait for all of them; nothing is stored yet."""
        return await self.poller.poll(self.due(now), now)

    def due(self, now: datetime) -> list[tuple[Feed, FeedState]]:
        """The feeds that are due, with what is remembered of them.

        Raises:
            DiskNearlyFull: when the disk has no room for what they would bring.
        """
        self.store.database.demand_room()
        feeds, states = self.watchlist.feeds(), self.store.feed_states()
        if unwatched := paused(feeds, states, now):
            self.store.remember(unwatched)
        return due(feeds, states, now, self.settings.polling.retry_after_scope)

    async def ingest(self, now: datetime) -> Ingested:
        """Poll what is due, and take in what it brought."""
        return self.take_in(await self.poll(now), now)

    def take_in(self, checks: Sequence[Check], now: datetime) -> Ingested:
        """Entries to headlines to scores to stored rows, in one transaction."""
        came, headlines = self._headlines(checks, now)
        waiting = self.store.unscored(_BACKLOG)
        scored = self.scoring.score([*headlines, *waiting], now)
        scores = {h.id: scored[h.id] for h in headlines if h.id in scored}
        self.store.append(Batch(came.checks, headlines, scores, came.names, came.revisions), now)
        if caught_up := {h.id: scored[h.id] for h in waiting if h.id in scored}:
            self.store.add_scores(caught_up, now)
        return Ingested(len(checks), _failed(checks), len(headlines), len(scored))

    def keep(self, checks: Sequence[Check], now: datetime) -> Ingested:
        """Entries to headlines to stored rows, in one transaction; their scores come with `catch_up`."""
        came, headlines = self._headlines(checks, now)
        self.store.append(Batch(came.checks, headlines, {}, came.names, came.revisions), now)
        return Ingested(len(checks), _failed(checks), len(headlines), 0)

    def catch_up(self, now: datetime, most: int) -> int:
        """Score the latest headlines that wait for it; how many were scored."""
        scored = self.scoring.score(self.store.unscored(most), now)
        return len(self.store.add_scores(scored, now)) if scored else 0

    def detect(self, now: datetime) -> tuple[Change, ...]:
        """Windows to spikes to changes of alerts, stored with the deliveries that they call for."""
        found = self.spikes(now)
        open_alerts = self.alerts.open_alerts()
        seen = self.teller.sight(now, self.scoring.fault)
        until = self.teller.seen_until(seen)
        changes = advance(open_alerts, found, now, self.settings.rules, self._evidence(found), seen, until)
        if changes:
            self.detecting.keep(changes, found)
            self.teller.tell(changes, open_alerts, now)
        return changes

    def oversee(self, now: datetime, stages: Mapping[str, str]) -> None:
        """Reminders, digests, and news of Squall's own troubles; `stages` says why each stage fails, if it does."""
        self.teller.oversee(now, self.scoring.fault, stages)

    def spikes(self, now: datetime) -> tuple[Spike, ...]:
        """The most telling window of every series that has something to tell at `now`."""
        return self.detecting.spikes(now)

    def deliver(self, channel: str, now: datetime, limit: int = 20) -> int:
        """Send what is due on one channel; the number of attempts made."""
        self.teller.seal(channel, now)
        return deliver(self._outbox, self.channels[channel], now, self.schedule, limit=limit)

    def settle(self) -> None:
        """Record, before the end, what became of messages and could not be recorded at the time."""
        self._outbox.settle()

    def beat(self, now: datetime) -> Attempt:
        """Tell the heartbeat's channel that the daemon works: once, and never again later."""
        return self.teller.beat(now)

    def maintain(self, now: datetime) -> None:
        """Let the store forget what detection no longer looks at; what is old goes into the archive."""
        kept = self.settings.store
        longest = self.settings.rules.lookback + timedelta(hours=24)
        try:
            care(self.store.database, kept.archive, now, timedelta(days=kept.keep_days))
        finally:
            # An archive that cannot be used keeps nothing else from being forgotten. What left for it is folded here.
            self.store.maintain(now, keep_sightings=max(KEEP_SIGHTINGS, longest))
            trim()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Meanings of titles, by whatever judges now; None while there is no model."""
        return self.scoring.embed(texts)

    def title(self, series: str) -> str:
        """What people call a series; a breaking story by its title."""
        name, story = self._naming.title(series), story_of(series)
        told = self.detecting.story_title(story) if story is not None else ""
        return f"{name}: {told}" if told else name

    async def aclose(self) -> None:
        """Let connections go."""
        await self.poller.aclose()

    def _headlines(self, checks: Sequence[Check], now: datetime) -> tuple[Intake, list[Headline]]:
        """What came in, and its headlines with their stories."""
        came = intake(checks, self.store, self.companies, now)
        self._stories.forget(now - WINDOW)
        return came, self._stories.assign(came.headlines)

    def _evidence(self, found: Sequence[Spike]) -> dict[str, tuple[Evidence, ...]]:
        surges = [spike for spike in found if spike.verdict is Verdict.SURGE]
        if not surges:
            return {}
        # A breaking story is no series that headlines are counted in: it is the market's.
        asked = [(MARKET if story_of(one.series) is not None else one.series, one.stories) for one in surges]
        return dict(zip((one.series for one in surges), self.alerts.evidences(asked), strict=True))


def _failed(checks: Sequence[Check]) -> int:
    return sum(not check.outcome.ok for check in checks)
