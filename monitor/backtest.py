"""History through the real path: what would have been alerted, and when?

takes  a CSV of dated headlines, settings
gives  `Report`: every alert that would have fired, with the stories behind it
never  sends anything, and never looks ahead: at each simulated hour only what was published by then is known
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from alerts.lifecycle import Alert, Change, ChangeReason
from monitor.database import MEMORY
from monitor.errors import InputUnusable
from monitor.feeds import Check, Entry, Outcome, unseen
from monitor.headlines import Headline, headline
from monitor.outlets import feed_of
from monitor.pipeline import Pipeline
from monitor.scoring import Scoring
from monitor.series import Scored
from monitor.settings import Settings
from monitor.store import Store
from monitor.watched import watched_themes

_TICK = timedelta(hours=1)
_PORTION = 4_096
# After so long without a headline no window holds any, whatever the rules: windows have 14 days at most.
_GAP = timedelta(days=15)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Story:
    """One negative story behind an alert."""

    title: str
    publisher: str
    link: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """An alert as it stood when it fired; the peak and the end came later.

    Attributes:
        series, name: what alerted, as a key and for people.
        expected, seen, p_value, hours: negative stories usual and found in the window of so many hours.
        resolved_at: None when it was still open at the end of the history.
    """

    series: str
    name: str
    severity: str
    opened_at: datetime
    resolved_at: datetime | None
    hours: int
    expected: float
    seen: int
    p_value: float
    peak_seen: int
    peak_at: datetime
    stories: tuple[Story, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a backtest found."""

    headlines: int
    stories: int
    since: datetime
    until: datetime
    warmup_until: datetime
    model: str
    alerts: tuple[FiredAlert, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON; times in ISO 8601."""
        return _plain(asdict(self))  # type: ignore[return-value]  # a dict stays a dict


class _Prescored:
    """Scores made in large batches before the clock starts; the same scores, ten times faster."""

    fault = ""

    def __init__(self, by_title: Mapping[str, Scored], model: str) -> None:
        self._by_title = by_title
        self.model = model

    def score(self, headlines: Sequence[Headline], now: datetime) -> dict[int, Scored]:
        return {one.id: self._by_title[one.title] for one in headlines}


def backtest(
    history: Path, settings: Settings, warmup_until: datetime | None, progress: Progress = lambda *_: None
) -> Report:
    """Run a history hour by hour.

    Args:
        history: CSV with the columns published (ISO 8601), outlet, title, and optionally summary and link.
        settings: rules, themes and model; channels are ignored.
        warmup_until: nothing is detected before; by default detection begins at once, in state learning.
        progress: called with stage, done, total.

    Raises:
        InputUnusable: when the file, a column or a date cannot be understood, or there are no rows.
        ModelError: when the model cannot be loaded.
    """
    entries = read_history(history)
    first, last = entries[0].fetched, entries[-1].fetched
    settings = settings.model_copy(update={"channels": ()})
    with Store.open(MEMORY, first, memory_limit=settings.store.memory_limit, threads=settings.store.threads) as store:
        pipeline = Pipeline.begin(settings, store, _hour(first))
        pipeline.scoring = _prescored(entries, pipeline, settings, progress)
        start = warmup_until or first
        changes = _played(pipeline, entries, start, progress)
        counts = store.counts()
        stories = len({story for story, _, _ in store.recent_titles(first)})
        alerts = tuple(_fired(changes, pipeline))
    return Report(counts.headlines, stories, first, last, start, pipeline.scoring.model, alerts)


def read_history(path: Path) -> list[Entry]:
    """Entries in order of publication, each fetched at the moment it was published.

    Raises:
        InputUnusable: see `backtest`.
    """
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError:
        raise InputUnusable(f"there is no file {path}") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputUnusable(f"{path} cannot be read as CSV: {error}") from error
    missing = [name for name in ("published", "outlet", "title") if name not in frame.columns]
    if missing:
        raise InputUnusable(f"{path} lacks the column {', '.join(missing)}; it has {', '.join(frame.columns)}")
    for optional in ("summary", "link"):
        if optional not in frame.columns:
            frame = frame.with_columns(pl.lit("").alias(optional))
    frame = frame.with_row_index("line", offset=2).fill_null("").filter(pl.col("title") != "")
    if frame.is_empty():
        raise InputUnusable(f"{path} holds no headline")
    entries = [_entry(row, path) for row in frame.iter_rows(named=True)]
    return sorted(entries, key=lambda entry: entry.fetched)


def _entry(row: Mapping[str, str], path: Path) -> Entry:
    try:
        published = datetime.fromisoformat(row["published"])
        published = published.replace(tzinfo=UTC) if published.tzinfo is None else published.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputUnusable(f"{path}, line {row['line']}: {row['published']!r} is no ISO 8601 time") from error
    feed = feed_of(row["outlet"], row["link"])
    return Entry(feed.id, feed.publisher, "en", "", row["link"], row["title"], row["summary"], published, published)


def _prescored(entries: Sequence[Entry], pipeline: Pipeline, settings: Settings, progress: Progress) -> _Prescored:
    titles: dict[str, Headline] = {}
    for entry in entries:
        one = headline(entry, entry.fetched, first_fetch=False, companies=pipeline.companies)
        titles.setdefault(one.title, one)
    scoring = Scoring(settings.model, watched_themes(settings))
    unique = list(titles.values())
    by_title: dict[str, Scored] = {}
    for start in range(0, len(unique), _PORTION):
        portion = unique[start : start + _PORTION]
        scored = scoring.score_all(portion)
        by_title.update({one.title: scored[one.id] for one in portion})
        progress("scoring", len(by_title), len(unique))
    return _Prescored(by_title, scoring.model)


def _played(pipeline: Pipeline, entries: Sequence[Entry], start: datetime, progress: Progress) -> list[Change]:
    """Every change of every alert, hour by hour from the first entry to the day after the last."""
    by_tick: dict[datetime, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_tick[_tick_of(entry.fetched)].append(entry)
    ticks = sorted(by_tick)
    begin, end = ticks[0], ticks[-1] + timedelta(days=1)
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


def _next(now: datetime, ticks: Sequence[datetime], pipeline: Pipeline) -> datetime:
    """The next hour; in a gap of the history, in which nothing is left to happen, the hour of the next headline."""
    following = bisect_right(ticks, now)
    if following == len(ticks) or ticks[following] - now <= _GAP:
        return now + _TICK
    if now - ticks[following - 1] <= _GAP or pipeline.alerts.open_alerts():
        return now + _TICK
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


def _fired(changes: Sequence[Change], pipeline: Pipeline) -> list[FiredAlert]:
    last: dict[str, Alert] = {change.alert.id: change.alert for change in changes}
    found = []
    for change in changes:
        if change.reason is ChangeReason.FIRED:
            alert, end = change.alert, last[change.alert.id]
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
                )
            )
    return found


def _hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _tick_of(time: datetime) -> datetime:
    """The first full hour at which something published then is known."""
    floor = _hour(time)
    return floor if floor == time else floor + _TICK


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
