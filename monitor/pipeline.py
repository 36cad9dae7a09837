"""One cycle: feed -> Entry -> Headline -> Score -> store -> Window -> Spike -> Alert -> Delivery.

takes  `now`
gives  what came in, what changed, what was sent
never  decides: each arrow is a pure function of another module, and this page calls them in order
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, Self

from alerts.channels import open_channel
from alerts.delivery import Channel, Schedule, deliver, plan
from alerts.evidence import Evidence
from alerts.lifecycle import Change, advance
from alerts.spikes import Spike, Verdict, spikes
from alerts.windows import windows
from models.score import TOPICS
from monitor.alert_store import AlertStore
from monitor.companies import CompanyMatcher, gazetteer
from monitor.feeds import Check, due
from monitor.headlines import Headline, headline
from monitor.naming import Naming
from monitor.outbox_log import LoggedOutbox
from monitor.polling import Poller
from monitor.scoring import Scoring
from monitor.series import MARKET, Kind, Scored
from monitor.settings import Settings
from monitor.store import KEEP_SIGHTINGS, Batch, Store
from monitor.stories import WINDOW, Stories
from monitor.watched import watched_feeds, watched_themes

# Headlines that waited for the model, taken up in each cycle beside the new ones.
_BACKLOG = 2_000


class Judge(Protocol):
    """What gives headlines their scores; `monitor.scoring.Scoring` is one."""

    fault: str

    @property
    def model(self) -> str:
        """Id of the model; empty while there is none."""

    def score(self, headlines: Sequence[Headline], now: datetime) -> dict[int, Scored]:
        """Scores by headline id; a headline that could not be scored now is absent."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one round of polling brought."""

    checks: int
    failed: int
    headlines: int
    scored: int


class Pipeline:
    """The path with its parts in place. Close it with `aclose`."""

    def __init__(self, settings: Settings, store: Store, stopping: threading.Event | None = None) -> None:
        """Put the parts in place; nothing is fetched, loaded or sent yet.

        Args:
            settings: checked settings.
            store: an open store, which stays the caller's to close.
            stopping: set when the process should end soon.

        Raises:
            ChannelUnusable: when a channel's settings cannot work.
        """
        self.settings = settings
        self.store = store
        self.alerts = AlertStore(store)
        self.feeds = watched_feeds(settings)
        self.themes = watched_themes(settings)
        self.scoring: Judge = Scoring(settings.model, self.themes, stopping)
        self.poller = Poller(settings.polling)
        self.companies = CompanyMatcher()
        self.channels: Mapping[str, Channel] = {one.name: open_channel(one) for one in settings.channels}
        self.schedule = Schedule()
        self._naming = Naming(self.themes)
        self._stories = Stories(self.companies)

    @classmethod
    def begin(cls, settings: Settings, store: Store, now: datetime, stopping: threading.Event | None = None) -> Self:
        """A pipeline that remembers: stories of the last two days, and which series are watched since when."""
        pipeline = cls(settings, store, stopping)
        pipeline._stories.restore(store.recent_titles(now - WINDOW))
        store.watch(pipeline.series(), now)
        # The dashboard reads these: it never sees the settings.
        store.note("rules", settings.rules.model_dump_json())
        store.note("names", json.dumps({series: pipeline.title(series) for series in pipeline.series()}))
        return pipeline

    def series(self) -> list[str]:
        """Everything that is watched. A company counts as watched whether or not it was ever in the news."""
        tickers = self.settings.watch.companies or tuple(company.ticker for company in gazetteer())
        return [
            MARKET,
            *(f"{Kind.TOPIC}:{topic}" for topic in TOPICS),
            *(f"{Kind.THEME}:{theme.id}" for theme in self.themes),
            *(f"{Kind.COMPANY}:{ticker}" for ticker in tickers),
        ]

    async def poll(self, now: datetime) -> list[Check]:
        """Check the feeds that are due; nothing is stored yet."""
        return await self.poller.poll(due(self.feeds, self.store.feed_states(), now), now)

    async def ingest(self, now: datetime) -> Ingested:
        """Poll what is due, and take in what it brought."""
        return self.take_in(await self.poll(now), now)

    def take_in(self, checks: Sequence[Check], now: datetime) -> Ingested:
        """Entries to headlines to scores to stored rows, in one transaction."""
        headlines = self._headlines(checks, now)
        waiting = self.store.unscored(_BACKLOG)
        scored = self.scoring.score([*headlines, *waiting], now)
        self.store.append(Batch(checks, headlines, {h.id: scored[h.id] for h in headlines if h.id in scored}), now)
        if caught_up := {h.id: scored[h.id] for h in waiting if h.id in scored}:
            self.store.add_scores(caught_up, now)
        failed = sum(not check.outcome.ok for check in checks)
        return Ingested(len(checks), failed, len(headlines), len(scored))

    def detect(self, now: datetime) -> tuple[Change, ...]:
        """Windows to spikes to changes of alerts, stored with the deliveries that they call for."""
        found = self.spikes(now)
        open_alerts = self.alerts.open_alerts()
        changes = advance(open_alerts, found, now, self.settings.rules, self._evidence(found))
        if changes:
            names = {change.alert.series: self.title(change.alert.series) for change in changes}
            url = self.settings.dashboard.url
            self.alerts.commit(changes, plan(changes, tuple(self.channels), now, names=names, dashboard_url=url))
        return changes

    def spikes(self, now: datetime) -> tuple[Spike, ...]:
        """The most telling window of every series that has something to tell at `now`."""
        rules = self.settings.rules
        history = self.alerts.history(now - timedelta(days=rules.baseline_days) - rules.longest_window, now)
        sightings = self.alerts.sightings(now - rules.longest_window - timedelta(hours=1), now)
        return spikes(windows(history, sightings, self.alerts.watched(), now, rules), rules)

    def deliver(self, channel: str, now: datetime, limit: int = 20) -> int:
        """Send what is due on one channel, longest due first; the number of attempts made."""
        return deliver(LoggedOutbox(self.alerts), self.channels[channel], now, self.schedule, limit=limit)

    def maintain(self, now: datetime) -> None:
        """Let the store forget what detection no longer looks at."""
        longest = self.settings.rules.longest_window + timedelta(hours=24)
        self.store.maintain(now, keep_sightings=max(KEEP_SIGHTINGS, longest))

    def title(self, series: str) -> str:
        """What people call a series."""
        return self._naming.title(series)

    async def aclose(self) -> None:
        """Let connections go."""
        await self.poller.aclose()

    def _headlines(self, checks: Sequence[Check], now: datetime) -> list[Headline]:
        """New headlines of these checks, each assigned to its story."""
        made: dict[int, Headline] = {}
        for check in checks:
            for entry in check.entries:
                one = headline(entry, now, first_fetch=check.first_fetch, companies=self.companies)
                if one.title:
                    made.setdefault(one.id, one)
        known = self.store.known(list(made))
        self._stories.forget(now - WINDOW)
        new = sorted((one for id_, one in made.items() if id_ not in known), key=lambda one: (one.effective, one.id))
        return self._stories.assign(new)

    def _evidence(self, found: Sequence[Spike]) -> dict[str, tuple[Evidence, ...]]:
        return {
            spike.series: self.alerts.evidence(spike.series, spike.stories)
            for spike in found
            if spike.verdict is Verdict.SURGE
        }
