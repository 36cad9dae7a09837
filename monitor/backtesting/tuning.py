"""What other rules would have given: the last weeks of a store through the real detection, in seconds.

takes  a reader of the store, rules to try, a moment, how far back
gives  `Tried`: the alerts that would have fired, hour by hour, without a model and without a write
never  takes longer than it is given: where an hourly look does not fit, it looks every few hours and says so

It differs from `squall backtest` in where it begins: there are scores and counts already, so nothing is read or scored
anew. Counts are taken as they stand now: a copy that came late stands in the hour that it counts in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

from alerts.detection.spikes import Spike, spikes
from alerts.detection.windows import Past, windows
from alerts.lifecycle import Alert, ChangeReason, advance
from alerts.rules import Rules
from monitor.backtesting.calm import Calm
from monitor.errors import ServiceError
from monitor.service.detecting import only_watched

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# After so many looks the pace is judged, and then as many hours a step as the time that is left allows.
_TRIAL_LOOKS = 12
_STEPS = (1, 2, 3, 6)
MOST_DAYS = 60
# Where a story's later copies are looked for.
_STORY = timedelta(days=2)


class Asks(Protocol):
    """Whoever answers named queries; `monitor.storage.reading.Reader` does."""

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """The answer to one."""
        ...


@dataclass(frozen=True, slots=True)
class TriedAlert:
    """An alert that would have fired: as it stood then, and when it ended (None: it would still be open)."""

    series: str
    severity: str
    fired_at: datetime
    resolved_at: datetime | None
    hours: int
    observed: int
    expected: float
    p_value: float
    detector: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What some rules would have given.

    Attributes:
        since, until: the range that was looked at.
        step_hours: how many hours lie between two looks.
        whole: False when it was stopped, by request or by its deadline; `until` is then the last look.
        alerts: in order of firing.
    """

    since: datetime
    until: datetime
    step_hours: int
    whole: bool
    alerts: tuple[TriedAlert, ...]


class Weeks:
    """The last weeks of a store, read once to be tried with as many rules as one likes."""

    def __init__(self, asks: Asks, until: datetime, days: int, rules: Rules) -> None:
        """Read them.

        Args:
            until: the end, aware UTC; the last whole hour before it is the last that is looked at.
            days: how far back, 1 to `MOST_DAYS`.
            rules: the widest that will be tried: no others may look further back.

        Raises:
            ValueError: on a range that cannot be.
            MonitorError: when the store does not answer.
        """
        if until.tzinfo is None or not 1 <= days <= MOST_DAYS:
            raise ValueError(f"needs an aware end and 1 to {MOST_DAYS} days, not {until} and {days}")
        self.until = until.replace(minute=0, second=0, microsecond=0) - timedelta(seconds=1)
        self.since = self.until - days * _DAY
        begun = self.since - timedelta(days=rules.baseline_days) - rules.longest_window
        heard = self.since - rules.lookback - _HOUR - _STORY
        self._watched = asks.query("watched")
        history = only_watched(_all(asks, "past_counts", begun, self.until), self._watched)
        self._history = history.unique(["series", "hour"])
        self._sources = _all(asks, "sources", begun, self.until).unique(["publisher", "hour"])
        self._affinities = _all(asks, "daily_affinities", begun, self.until).unique(["series", "publisher", "day"])
        stories = _all(asks, "past_negatives", heard, self.until + timedelta(seconds=1))
        stories = only_watched(stories, self._watched)
        # A story on the seam of two halves comes in both.
        self._stories = (
            stories.group_by("series", "story", "publisher")
            .agg(pl.col("fetched", "negative_at", "negative_fetched").min(), pl.col("fresh").any())
            .sort("fetched", "publisher")
        )
        self.calm = Calm(
            self._history, self._sources, self._affinities, self._stories, self._watched, begun, self.until
        )
        self._past_of: tuple[datetime, timedelta, pl.DataFrame] | None = None

    def sightings(self, now: datetime, rules: Rules) -> pl.DataFrame:
        """Fresh negative stories of the last days as they were known at `now`."""
        known = self._stories.filter(pl.col("fetched") <= now)
        told = (
            pl.when(pl.col("negative_fetched") <= now).then(pl.col("negative_at")).min().alias("negative_at"),
            pl.col("publisher").alias("publishers"),
            pl.col("fresh").any(),
        )
        recent = pl.col("negative_at") >= now - rules.lookback - _HOUR
        return known.group_by("series", "story", maintain_order=True).agg(*told).filter("fresh", recent)

    def telling(
        self, now: datetime, rules: Rules, weights: Mapping[str, float], opened: Collection[str]
    ) -> tuple[Spike, ...]:
        """Of what detection would have said at `now`, all that moves an alert: surges, and series in `opened`.

        Args:
            opened: series with an open alert.
        """
        return self.calm.telling(now, rules, weights, opened)

    def spikes(self, now: datetime, rules: Rules, weights: Mapping[str, float]) -> tuple[Spike, ...]:
        """All that detection would have said at `now`."""
        earliest = now - timedelta(days=rules.baseline_days) - rules.longest_window
        sources = self._sources.filter(pl.col("hour").is_between(earliest, now))
        past = Past(sources, self._affinities_at(now, rules), weights)
        history = self._history.filter(pl.col("hour").is_between(earliest, now))
        sightings = self.sightings(now, rules).sort("negative_at", "series", "story")
        return spikes(windows(history, sightings, self._watched, now, rules, past), rules)

    def _affinities_at(self, now: datetime, rules: Rules) -> pl.DataFrame:
        """Sums over the days that lie wholly in the baseline: the same for all looks of a day and rules."""
        since = now - timedelta(days=rules.baseline_days)
        until = now - timedelta(hours=rules.left_out_hours)
        last = until.replace(hour=0, minute=0, second=0, microsecond=0) - _DAY
        if self._past_of is None or self._past_of[:2] != (last, until - since):
            within = self._affinities.filter((pl.col("day") >= since) & (pl.col("day") <= last))
            summed = within.group_by("series", "publisher").agg(pl.col("negative").sum()).sort("series", "publisher")
            self._past_of = (last, until - since, summed)
        return self._past_of[2]


def tried(
    weeks: Weeks,
    rules: Rules,
    weights: Mapping[str, float],
    *,
    seconds: float = 20.0,
    go_on: Callable[[float], bool] = lambda _: True,
) -> Tried:
    """Run the weeks under these rules.

    Args:
        weights: of series, from the settings.
        seconds: most time to take; an hourly look becomes one of two, three or six hours to keep within it.
        go_on: called after each look with the share that is done; False stops.
    """
    begun = time.monotonic()
    moments = _Moments(weeks.since, weeks.until)
    open_alerts: dict[str, Alert] = {}
    fired: dict[str, TriedAlert] = {}
    whole, last = True, weeks.since
    for number, now in enumerate(moments, start=1):
        # A story that many families carry is breaking for hours only, which may be over by the next look.
        for at in (*weeks.calm.late(last, now, rules), now):
            found = weeks.telling(at, rules, weights, open_alerts)
            detectors = {spike.series: spike.detector.value for spike in found}
            for change in advance(tuple(open_alerts.values()), found, at, rules, {}):
                _follow(open_alerts, fired, change.alert, change.reason, detectors)
        last = now
        taken = time.monotonic() - begun
        if number % _TRIAL_LOOKS == 0:
            moments.hurry(taken / number, seconds - taken)
        if taken > seconds or not go_on(moments.done):
            whole = now + moments.step > weeks.until
            break
    alerts = tuple(sorted(fired.values(), key=lambda alert: (alert.fired_at, alert.series)))
    return Tried(weeks.since, last, moments.step // _HOUR, whole, alerts)


class _Moments(Iterator[datetime]):
    """The moments to look at: the end of every hour, or of every few once there is a hurry."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until, self._now = since, until, since
        self.step = _HOUR

    def __next__(self) -> datetime:
        if self._now + self.step > self._until:
            raise StopIteration
        self._now += self.step
        return self._now

    @property
    def done(self) -> float:
        """The share of the range that lies behind, 0 to 1."""
        return min(1.0, (self._now - self._since) / (self._until - self._since))

    def hurry(self, seconds_a_look: float, seconds_left: float) -> None:
        """Take the smallest step that is done in time."""
        hours = (self._until - self._now) / _HOUR
        fits = (step for step in _STEPS if hours / step * seconds_a_look <= seconds_left * 0.9)
        # Never smaller again: what was not looked at is not made up for.
        self.step = max(self.step, next(fits, _STEPS[-1]) * _HOUR)


def _follow(
    open_alerts: dict[str, Alert],
    fired: dict[str, TriedAlert],
    alert: Alert,
    reason: ChangeReason,
    detectors: Mapping[str, str],
) -> None:
    if alert.is_open:
        open_alerts[alert.series] = alert
    else:
        open_alerts.pop(alert.series, None)
    if reason is ChangeReason.FIRED and alert.fired_at is not None:
        fired[alert.id] = TriedAlert(
            alert.series,
            alert.severity.value,
            alert.fired_at,
            None,
            alert.hours,
            alert.observed,
            alert.expected,
            alert.p_value,
            detectors.get(alert.series, ""),
        )
    elif alert.id in fired:
        told = fired[alert.id]
        fired[alert.id] = TriedAlert(
            told.series,
            alert.severity.value,
            told.fired_at,
            alert.resolved_at,
            told.hours,
            told.observed,
            told.expected,
            told.p_value,
            told.detector,
        )


def _all(asks: Asks, query: str, since: datetime, until: datetime) -> pl.DataFrame:
    """The answer over a range, in halves where the read service finds it too long for one."""
    try:
        return asks.query(query, since=since, until=until)
    except ServiceError:
        if until - since <= _DAY:
            raise
        middle = since + (until - since) / 2
        return pl.concat([_all(asks, query, since, middle), _all(asks, query, middle, until)])
