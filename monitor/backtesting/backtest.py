"""History through the real path: what would have been alerted, and when?

takes  a CSV of dated headlines or a scored archive, settings; other rules to compare with; sizes of events to plant
gives  `Report`: every alert that would have fired, with the stories behind it; `Trial`s of planted events
never  sends anything, and never looks ahead: at the end of each simulated hour only what was published by then is known
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alerts.detection.spikes import Spike
from alerts.lifecycle import Alert, Change, ChangeReason
from alerts.rules import Rules
from monitor.archives.history import played
from monitor.archives.places import here
from monitor.archives.slices import Archive
from monitor.backtesting.csv_history import read_history
from monitor.backtesting.injecting import Planted, plant, plantable, trial_of
from monitor.backtesting.missed import missed
from monitor.backtesting.report import Day, FiredAlert, Report, Story, Trial
from monitor.feeds.feed import Check, Entry, Outcome, unseen
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import Headline, headline
from monitor.news.outlets import feed_of
from monitor.news.own_companies import with_own
from monitor.news.stories import Stories
from monitor.series import MARKET, Scored, series_of
from monitor.service.detecting import Direct, read_finding
from monitor.service.pipeline import Pipeline
from monitor.service.scoring import Scoring
from monitor.settings import Settings
from monitor.storage.database import MEMORY
from monitor.storage.retention import is_archive
from monitor.storage.store import Store
from monitor.watched import watched_themes

_TICK = timedelta(hours=1)
# Every hour is looked at in its last second: a daemon looks all the time, and an hour that has just begun is empty.
_LAST = _TICK - timedelta(seconds=1)
_PORTION = 4_096
# After so long without a headline no window holds any, whatever the rules: windows have 14 days at most.
_GAP = timedelta(days=15)
# Series that events are planted in, a third of each kind.
_MOST_PLANTED = 12
Progress = Callable[[str, int, int], None]

__all__ = ["Day", "FiredAlert", "History", "Progress", "Report", "Story", "Trial", "backtest", "read_history"]


class _Prescored:
    """Scores made in large batches before the clock starts; the same scores, ten times faster."""

    fault = ""

    def __init__(
        self,
        by_title: Mapping[str, Scored],
        scoring: Scoring,
        model: str,
        meanings: dict[str, NDArray[np.float32]] | None = None,
    ) -> None:
        self.by_title = by_title
        self.model = model
        self._scoring = scoring
        # The same history is played many times: its titles are embedded once.
        self._meanings: dict[str, NDArray[np.float32]] = {} if meanings is None else meanings

    def beside(self, others: Mapping[str, Scored]) -> _Prescored:
        """The same scores and some more."""
        return _Prescored({**self.by_title, **others}, self._scoring, self.model, self._meanings)

    def score(self, headlines: Sequence[Headline], now: datetime) -> dict[int, Scored]:
        return {one.id: self.by_title[one.title] for one in headlines}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        if new := [text for text in dict.fromkeys(texts) if text not in self._meanings]:
            vectors = self._scoring.embed(new)
            if vectors is None:
                return None
            self._meanings.update(zip(new, vectors, strict=True))
        return np.stack([self._meanings[text] for text in texts])


class History:
    """A history that was scored once, here or when it became an archive, to be played as often as is asked for."""

    def __init__(self, path: Path | str, settings: Settings, progress: Progress = lambda *_: None) -> None:
        """Read and score.

        Args:
            path: CSV with the columns published (ISO 8601), outlet, title, and optionally summary and link; or a folder
                of scored Parquet, as `squall score` writes it, here or in an object store, taken as it is; or what the
                store moved away when it was old (`monitor.storage.retention`), a folder or one file.
            settings: themes and model; channels are ignored.
            progress: called with stage, done, total.

        Raises:
            InputUnusable: when the file, a column or a date cannot be understood, or there are no rows.
            ModelError: when the model cannot be loaded.
        """
        self._settings = settings.model_copy(update={"channels": (), "routes": (), "digests": ()})
        at = here(str(path))
        if at is None or (at.is_dir() and not is_archive(at)):
            self.entries, by_title = played(Archive(str(path)))
            self._scored = _Prescored(by_title, _scoring(self._settings), next(iter(by_title.values())).score.model)
        else:
            self.entries = read_history(at)
            self._scored = _prescored(self.entries, self._settings, progress)
        self._progress = progress

    def play(self, rules: Rules, warmup_until: datetime | None, planted: Planted | None = None) -> Report:
        """Run it hour by hour under these rules.

        Args:
            rules: what is a surge.
            warmup_until: nothing is detected before; by default detection begins at once, in state learning.
            planted: invented events to put in.
        """
        entries = sorted([*self.entries, *(planted.entries if planted else ())], key=lambda entry: entry.fetched)
        first, last = entries[0].fetched, entries[-1].fetched
        settings = self._settings.model_copy(update={"rules": rules})
        kept = settings.store
        with Store.open(MEMORY, first, memory_limit=kept.memory_limit, threads=kept.threads) as store:
            pipeline = Pipeline.begin(settings, store, _hour(first))
            pipeline.scoring = self._scored.beside(planted.scored if planted else {})
            start = warmup_until or first
            changes = changes_of(pipeline, entries, start, self._progress)
            counts = store.counts()
            stories = len({row[0] for row in store.recent_titles(first)})
            alerts = tuple(_fired(changes, pipeline, store))
            days = _days(store, {MARKET, *(alert.series for alert in alerts)}, first, last)
        return Report(counts.headlines, stories, first, last, start, pipeline.scoring.model, alerts, days)

    def trials(
        self, rules: Rules, warmup_until: datetime | None, sizes: Sequence[int], plain: Report, seed: int = 1
    ) -> tuple[Trial, ...]:
        """Plant events of each size where the history has the most news, after the warm-up, and look for them.

        Args:
            plain: what the same rules find in the history as it is.
            seed: the same seed plants events at the same times.
        """
        busy = self._busiest(_MOST_PLANTED)
        since = max(warmup_until or plain.since, plain.since + timedelta(days=rules.learning_days + 2))
        companies = with_own(self._settings.companies)
        names = {company.ticker: company.names[0] if company.names else company.name for company in companies}
        found = []
        for size in sizes:
            planted = plant(
                self.entries, busy, size, since, plain.until, seed, lambda ticker: names.get(ticker, ticker)
            )
            report = self.play(rules, warmup_until, planted)
            found.append(trial_of(size, planted, plain, report))
        return tuple(found)

    def told(self) -> list[tuple[Headline, Scored]]:
        """Every headline with its score, in order of time, each assigned to its story."""
        matcher = CompanyMatcher(with_own(self._settings.companies))
        made = [headline(entry, entry.fetched, first_fetch=False, companies=matcher) for entry in self.entries]
        return [(one, self._scored.by_title[one.title]) for one in Stories(matcher).assign(made) if one.title]

    def series(self, one: Headline, scored: Scored) -> tuple[str, ...]:
        """Every series that this headline counts in."""
        return series_of(one, scored)

    def _busiest(self, most: int) -> list[str]:
        """Series that headlines can be about, the ones with most headlines first, a third of each kind."""
        counted = Counter(name for one, scored in self.told() for name in plantable(self.series(one, scored)))
        kinds: Counter[str] = Counter()
        busy = []
        for name, _ in counted.most_common():
            kind = name.partition(":")[0]
            if kinds[kind] < most // 3:
                kinds[kind] += 1
                busy.append(name)
        return busy


def backtest(
    history: Path, settings: Settings, warmup_until: datetime | None, progress: Progress = lambda *_: None
) -> Report:
    """Run a history hour by hour under the rules of the settings; see `History`.

    Raises:
        InputUnusable: when the file, a column or a date cannot be understood, or there are no rows.
        ModelError: when the model cannot be loaded.
    """
    return History(history, settings, progress).play(settings.rules, warmup_until)


def _days(store: Store, series: Iterable[str], since: datetime, until: datetime) -> dict[str, tuple[Day, ...]]:
    rows = Direct(store.database).query("past_counts", since=_hour(since), until=until)
    kept = rows.filter(pl.col("series").is_in(sorted(series)))
    daily = kept.group_by("series", day=pl.col("hour").dt.truncate("1d")).agg(pl.col("stories", "negative").sum())
    found: dict[str, list[Day]] = defaultdict(list)
    for name, day, stories, negative in daily.sort("series", "day").iter_rows():
        found[name].append(Day(day, stories, negative))
    return {name: tuple(days) for name, days in found.items()}


def _prescored(entries: Sequence[Entry], settings: Settings, progress: Progress) -> _Prescored:
    titles: dict[str, Headline] = {}
    matcher = CompanyMatcher(with_own(settings.companies))
    for entry in entries:
        one = headline(entry, entry.fetched, first_fetch=False, companies=matcher)
        titles.setdefault(one.title, one)
    scoring = _scoring(settings)
    # Two titles at one address bear one id: each is asked about under its place, lest the later answer for both.
    unique = [replace(one, id=place) for place, one in enumerate(titles.values())]
    by_title: dict[str, Scored] = {}
    for start in range(0, len(unique), _PORTION):
        portion = unique[start : start + _PORTION]
        scored = scoring.score_all(portion)
        by_title.update({one.title: scored[one.id] for one in portion})
        progress("scoring", len(by_title), len(unique))
    return _Prescored(by_title, scoring, scoring.model)


def _scoring(settings: Settings) -> Scoring:
    companies = CompanyMatcher(with_own(settings.companies))
    return Scoring(settings.model, watched_themes(settings), companies=companies)


def changes_of(pipeline: Pipeline, entries: Sequence[Entry], start: datetime, progress: Progress) -> list[Change]:
    """Every change of every alert, hour by hour from the first entry to the day after the last.

    Between two hours is looked where a breaking story would be missed.

    Args:
        pipeline: that remembers nothing yet.
        entries: the history, in any order, each fetched when it was published.
        start: nothing is detected before, aware UTC.
        progress: called with stage, done, total.
    """
    between = _between(pipeline, entries)
    by_tick: dict[datetime, list[Entry]] = defaultdict(list)
    for entry in entries:
        place = bisect_left(between, entry.fetched)
        tick = _look_after(entry.fetched)
        by_tick[min(tick, between[place]) if place < len(between) else tick].append(entry)
    ticks = sorted({*by_tick, *between})
    begin, end = ticks[0], _look_after(ticks[-1]) + timedelta(days=1)
    total = math.ceil((end - begin) / _TICK)
    changes: list[Change] = []
    now = begin
    while now <= end:
        if arrived := by_tick.get(now):
            pipeline.take_in(_checks(arrived, now), now)
        if now >= start:
            changes.extend(pipeline.detect(now))
        if now.hour == 0:
            pipeline.maintain(now)
        now = _next(now, ticks, pipeline)
        progress("playing", min(math.ceil((now - begin) / _TICK), total), total)
    return changes


def _between(pipeline: Pipeline, entries: Sequence[Entry]) -> list[datetime]:
    """The moments at which breaking stories would be missed, by what the pipeline will make of the entries."""
    made = [headline(entry, entry.fetched, first_fetch=False, companies=pipeline.companies) for entry in entries]
    told = Stories(pipeline.companies, pipeline).assign([one for one in made if one.title])
    scores = pipeline.scoring.score(told, entries[0].fetched)
    known = [(one, scores[one.id]) for one in told if one.id in scores]
    return missed(known, pipeline.settings.rules, _look_after)


def _next(now: datetime, ticks: Sequence[datetime], pipeline: Pipeline) -> datetime:
    """The next look; in a gap of the history, in which nothing is left to happen, the one of the next headline."""
    following = bisect_right(ticks, now)
    hour = _look_after(now + timedelta(microseconds=1))
    if following == len(ticks) or ticks[following] - now <= _GAP:
        return min([hour, *ticks[following : following + 1]])
    if now - ticks[following - 1] <= _GAP or pipeline.alerts.open_alerts():
        return hour
    pipeline.maintain(now)
    return ticks[following]


def _checks(entries: Sequence[Entry], now: datetime) -> list[Check]:
    by_feed: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_feed[entry.feed].append(entry)
    checks = []
    for id_, mine in by_feed.items():
        state = unseen(feed_of(id_, mine[0].link), now)
        checks.append(Check(id_, now, Outcome.NEW, "", 200, 0, 0, tuple(mine), state))
    return checks


def _fired(changes: Sequence[Change], pipeline: Pipeline, store: Store) -> list[FiredAlert]:
    last: dict[str, Alert] = {change.alert.id: change.alert for change in changes}
    found = []
    for change in changes:
        if change.reason is ChangeReason.FIRED:
            alert, end = change.alert, last[change.alert.id]
            spike = _finding(store, alert.series, change.at)
            stories = tuple(Story(one.title, one.publisher, one.link, one.at) for one in alert.evidence)
            found.append(
                FiredAlert(
                    series=alert.series,
                    name=pipeline.title(alert.series),
                    severity=end.severity.value,
                    opened_at=alert.opened_at,
                    resolved_at=end.resolved_at,
                    hours=alert.hours,
                    expected=alert.expected,
                    seen=alert.observed,
                    p_value=alert.p_value,
                    peak_seen=end.peak_observed,
                    peak_at=end.peak_at,
                    stories=stories,
                    detector=spike.detector.value if spike else "",
                    reason=spike.gravity.words if spike and spike.gravity else "",
                )
            )
    return found


def _finding(store: Store, series: str, at: datetime) -> Spike | None:
    kept = Direct(store.database).query("findings", series=series, since=at, until=at)
    return read_finding(kept["finding"][0])[0] if len(kept) else None


def _hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _look_after(time: datetime) -> datetime:
    """The first look of an hour at which something published then is known: in the last second of the hour."""
    last = _hour(time) + _LAST
    return last if time <= last else last + _TICK
