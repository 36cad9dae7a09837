"""What was seen lately in each series, beside what was to be expected.

takes  frames: hourly history, fresh negative stories of the last hours, and what is watched since when; now; rules
gives  `Window`s: one per stirring series and window length
never  decides whether anything is a surge, and never counts copies: a window holds distinct stories

The usual rate is the share of the market's stories, not their number, so a feed that comes or goes is not news.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from alerts.baseline import HOURS_A_DAY, Mask, learn
from alerts.errors import FrameUnusable
from alerts.rules import Rules
from alerts.surprise import HOURS_A_WEEK, Counts, Floats, smallest_surge

MARKET = "market"
_INSTANT = pl.Datetime("us", "UTC")
_HOUR = timedelta(hours=1)

# Hourly rollups of all counted headlines, sparse: distinct stories, and the negative ones among them.
HISTORY: Mapping[str, pl.DataType] = {
    "series": pl.String(),
    "hour": _INSTANT,
    "stories": pl.Int64(),
    "negative": pl.Int64(),
}
# Fresh negative stories of the last `Rules.longest_window`: one row per series and story.
SIGHTINGS: Mapping[str, pl.DataType] = {
    "series": pl.String(),
    "story": pl.UInt64(),
    "negative_at": _INSTANT,
    "publishers": pl.List(pl.String()),
}
# What is watched, and since when: hours before that say nothing about the series.
WATCHED: Mapping[str, pl.DataType] = {"series": pl.String(), "since": _INSTANT}


@dataclass(frozen=True, slots=True)
class Window:
    """One series in one stretch of time.

    Attributes:
        series: what is watched.
        hours: length in hour buckets; the last bucket is the hour that `end` lies in.
        start, end: from the start of the first bucket to now, aware UTC.
        observed: distinct fresh negative stories.
        exposure: distinct stories of the whole market in the same buckets.
        expected: negative stories that were to be expected, above 0.
        dispersion: variance = expected + dispersion * expected^2; above 0.
        publishers: publisher families that carry the stories.
        stories: ids of the stories, in order of arrival.
        since: when the first of them turned negative; None when there is none.
        history_days: how much history the expectation rests on, in days.
        budget: this series' share of the false alerts that all series together may raise, 0 to 1.
        smallest_detectable: the smallest count that would be a surge here and now.

    Raises:
        ValueError: on a naive or reversed stretch, or a count that does not match the stories.
    """

    series: str
    hours: int
    start: datetime
    end: datetime
    observed: int
    exposure: int
    expected: float
    dispersion: float
    publishers: int
    stories: tuple[int, ...]
    since: datetime | None
    history_days: float
    budget: float
    smallest_detectable: int

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None or self.start > self.end:
            raise ValueError("a window needs an aware start that is not after its end")
        if self.observed != len(self.stories) or (self.since is None) != (self.observed == 0):
            raise ValueError("a window counts its stories, and knows since when")
        if not (self.expected > 0 and self.dispersion > 0 and 0 < self.budget <= 1):
            raise ValueError("a window needs an expected count and a dispersion above 0, and a budget within (0, 1]")


def windows(
    history: pl.DataFrame, sightings: pl.DataFrame, watched: pl.DataFrame, now: datetime, rules: Rules
) -> tuple[Window, ...]:
    """Windows of every series that has a fresh negative story in the longest window, by series and length.

    A series without one cannot surge; an open alert of such a series eases because it has no window. History
    outside the baseline is not looked at; rows of one series and hour are added up. A series that is seen but not
    watched counts as watched since now.

    Args:
        history, sightings, watched: see `HISTORY`, `SIGHTINGS`, `WATCHED`; further columns are ignored.
        now: aware UTC.

    Raises:
        FrameUnusable: when a frame lacks a declared column or has it in another type.
        ValueError: when `now` is naive.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    for name, frame, columns in (
        ("history", history, HISTORY),
        ("sightings", sightings, SIGHTINGS),
        ("watched", watched, WATCHED),
    ):
        _check(name, frame, columns)
    bucket = now.replace(minute=0, second=0, microsecond=0)
    first = bucket - (rules.windows[-1] - 1) * _HOUR
    seen = (
        sightings.filter(pl.col("negative_at").is_between(first, now))
        .unique(["series", "story"], keep="first", maintain_order=True)
        .sort("negative_at", "story")
        .select("series", "story", "negative_at", "publishers")
    )
    stirring = {str(row[0]): _Seen(*row[1:]) for row in seen.group_by("series", maintain_order=True).all().iter_rows()}
    if not stirring:
        return ()
    grid = _Grid.of(history, watched, sorted(stirring), now, bucket, rules)
    return grid.windows(stirring, rules)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The fresh negative stories of one series, in order of arrival, as lists: they are cut hundreds of times."""

    stories: list[int]
    times: list[datetime]
    publishers: list[list[str] | None]


@dataclass(frozen=True, slots=True)
class _Grid:
    """History as arrays: one row a series, one column an hour, the last column being the hour of `now`."""

    names: list[str]
    now: datetime
    bucket: datetime
    negative: Floats
    market: Floats
    usable: Mask
    budget: Floats

    @classmethod
    def of(
        cls,
        history: pl.DataFrame,
        watched: pl.DataFrame,
        names: list[str],
        now: datetime,
        bucket: datetime,
        rules: Rules,
    ) -> _Grid:
        columns = rules.baseline_days * HOURS_A_DAY + 1
        start = bucket - (columns - 1) * _HOUR
        wanted = history.lazy().filter(
            pl.col("series").is_in([*names, MARKET]) & pl.col("hour").is_between(start, bucket)
        )
        rows = wanted.with_columns(
            ((pl.col("hour") - start).dt.total_hours()).alias("column"),
            pl.col("series")
            .replace_strict({name: row for row, name in enumerate(names)}, default=-1, return_dtype=pl.Int64)
            .alias("row"),
        ).collect()
        own = rows.filter(pl.col("series") == MARKET)
        market = _sums(own["column"].to_numpy(), own["stories"].to_numpy(), columns)
        rows = rows.filter(pl.col("row") >= 0)
        cells = rows["row"].to_numpy() * columns + rows["column"].to_numpy()
        negative = _sums(cells, rows["negative"].to_numpy(), len(names) * columns).reshape(-1, columns)
        usable = _usable(market, _since_columns(watched, names, start, columns), rules)
        return cls(names, now, bucket, negative, market, usable, _budgets(watched, names))

    def windows(self, stirring: Mapping[str, _Seen], rules: Rules) -> tuple[Window, ...]:
        # Stories of the market that are not the series' own: a surge must not inflate its own exposure.
        others = np.maximum(self.market - self.negative, 0.0)
        columns = len(self.market)
        last = self.bucket.weekday() * HOURS_A_DAY + self.bucket.hour
        slots = (last - np.arange(columns)[::-1]) % HOURS_A_WEEK
        baseline = learn(self.negative, others, self.usable, slots, rules.minimum_negative)
        days = _covered_days(self.usable, self.market)
        found: list[Window] = []
        for hours in rules.windows:
            expected, dispersion = baseline.expected(hours), baseline.dispersion(hours)
            smallest = smallest_surge(expected, dispersion, hours, self.budget, rules)
            known = zip(
                *(numbers.tolist() for numbers in (expected, dispersion, days, self.budget, smallest)), strict=True
            )
            for name, numbers in zip(self.names, known, strict=True):
                found.append(self._window(name, hours, stirring[name], *numbers))
        return tuple(sorted(found, key=lambda window: (window.series, window.hours)))

    def _window(
        self,
        name: str,
        hours: int,
        seen: _Seen,
        expected: float,
        dispersion: float,
        days: float,
        budget: float,
        smallest: int,
    ) -> Window:
        start = self.bucket - (hours - 1) * _HOUR
        first = bisect_left(seen.times, start)
        return Window(
            series=name,
            hours=hours,
            start=start,
            end=self.now,
            observed=len(seen.stories) - first,
            exposure=int(self.market[-hours:].sum()),
            expected=expected,
            dispersion=dispersion,
            publishers=len({family for families in seen.publishers[first:] for family in families or ()}),
            stories=tuple(seen.stories[first:]),
            since=seen.times[first] if first < len(seen.times) else None,
            history_days=days,
            budget=budget,
            smallest_detectable=smallest,
        )


def _sums(positions: Counts, values: Counts, size: int) -> Floats:
    return np.asarray(np.bincount(positions, values, size), dtype=np.float64)


def _since_columns(watched: pl.DataFrame, names: list[str], start: datetime, columns: int) -> Counts:
    """First whole hour that each series was watched, as a column; `columns` for a series that is not watched."""
    since = dict(zip(watched["series"], watched["since"], strict=True))
    return np.array(
        [max(0, -((start - since[name]) // _HOUR)) if name in since else columns for name in names], dtype=np.int64
    )


def _usable(market: Floats, since: Counts, rules: Rules) -> Mask:
    """Hours that may be learned from: watched, after the market's first story, and not among the last ones."""
    columns = len(market)
    begun = np.flatnonzero(market)
    start = np.maximum(since, begun[0] if begun.size else columns)
    column = np.arange(columns)
    return np.asarray((column >= start[:, None]) & (column < columns - rules.left_out_hours))


def _covered_days(usable: Mask, market: Floats) -> Floats:
    """Days of history behind each series; a day without a single story of the market taught nothing."""
    silent = np.convolve(market, np.ones(HOURS_A_DAY))[: len(market)] == 0
    return np.asarray((usable & ~silent).sum(axis=1) / HOURS_A_DAY)


def _budgets(watched: pl.DataFrame, names: list[str]) -> Floats:
    """Each series' share of the false alerts: equal among the kinds watched, then equal within the kind.

    So thousands of companies take nothing from the market, the topics and the themes.
    """
    kinds = watched["series"].to_list()
    watching = set(kinds)
    peers: dict[str, int] = {}
    for name in watching.union(names):
        kind = name.partition(":")[0]
        peers[kind] = peers.get(kind, 0) + 1
    return np.array([1 / (len(peers) * peers[name.partition(":")[0]]) for name in names])


def _check(name: str, frame: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> None:
    for column, kind in columns.items():
        if column not in frame.columns:
            raise FrameUnusable(f"the {name} frame lacks the column {column!r} ({kind})")
        if frame.schema[column] != kind:
            raise FrameUnusable(f"the {name} frame has {column!r} as {frame.schema[column]}, not {kind}")
