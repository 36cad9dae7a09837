"""At which moments of past weeks a surge is out of the question: found by a fraction of a full look's work.

takes  counts, sources, affinities and negative stories of some weeks, as `monitor.backtesting.tuning.Weeks` reads them
gives  `Ground.unsurging`: spikes of the series that have an open alert, where no series can surge; else None
never  passes over a surge: where it saves work every count is taken as high, and every limit as loose, as it can be

A surge needs enough stories, and `minimum_ratio` times the expected ones. Few series have both at a time: what is usual
is learned for those with enough stories, and windows are made of the few that are left. Of a limit that many series
share (Benjamini and Hochberg) each is given what it would have if all surged at once, and the most that
`alerts.budgets` may hand back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from alerts.baseline import HOURS_A_DAY
from alerts.breaking import STORY
from alerts.budgets import shares
from alerts.frames import MARKET, WATCHED
from alerts.grid import Grid
from alerts.rules import Detector, Rules
from alerts.seen import Seen
from alerts.sources import Voices
from alerts.spikes import Spike, Verdict, spikes
from alerts.surprise import Floats
from alerts.tone import learn_tone
from alerts.windows import windows_on

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# `alerts.budgets.growth` at its most.
_MOST_GROWTH = 2.0
# Moments whose baselines are kept: two sets of rules over sixty days.
_MOST_KEPT = 3000
# Sums over rows that stand beside others may differ in their last bits.
_SLACK = 1 - 1e-6

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Usual:
    """What series that have enough stories have at a moment, and what is usual; one row each.

    Attributes:
        names: of the series; the market is the first.
        counts, expected: of every length of the rules' windows, [series, windows].
        tone: negative stories that are usual among the stories seen, [series, windows].
        days, expected_days: over the last 1, 2, ... days, [series, days].
    """

    names: list[str]
    counts: Whole
    expected: Floats
    tone: Floats
    days: Whole
    expected_days: Floats

    def suspects(self, rules: Rules) -> list[str]:
        """The series with enough stories, against any of what is usual."""
        enough = self.counts >= rules.minimum_negative
        risen = enough & (self.counts >= rules.minimum_ratio * np.minimum(self.expected, self.tone) * _SLACK)
        slow = self.days >= np.maximum(rules.minimum_negative, rules.minimum_ratio * self.expected_days * _SLACK)
        if Detector.SLOW not in rules.detectors:
            slow = np.zeros_like(slow)
        either = np.concatenate([risen, slow], axis=1).any(axis=1)
        return [self.names[row] for row in np.flatnonzero(either)]


class Ground:
    """Some weeks laid out as arrays: one row a series or publisher, one column an hour."""

    def __init__(
        self,
        history: pl.DataFrame,
        sources: pl.DataFrame,
        affinities: pl.DataFrame,
        stories: pl.DataFrame,
        watched: pl.DataFrame,
        begun: datetime,
        until: datetime,
    ) -> None:
        """Lay them out.

        Args:
            history, sources, watched: see `alerts.frames`.
            affinities: series, publisher, day, negative.
            stories: series, story, publisher, fetched, negative_at, negative_fetched, fresh.
            begun, until: the range, aware UTC.
        """
        self._begun = begun.replace(minute=0, second=0, microsecond=0)
        self._columns = (until - self._begun) // _HOUR + 1
        self._since = dict(zip(watched["series"], watched["since"], strict=True))
        told = sorted({name for name in stories["series"].unique() if name in self._since} - {MARKET})
        self._names = [MARKET, *told]
        self._row = {name: row for row, name in enumerate(self._names)}
        self._stories = self._laid(history, "series", self._row, "stories")
        self._negative = self._laid(history, "series", self._row, "negative")
        self._publishers = sorted(sources["publisher"].unique().to_list())
        self._voice = {name: row for row, name in enumerate(self._publishers)}
        heard, bad = (self._laid(sources, "publisher", self._voice, what) for what in ("headlines", "negative"))
        self._quiet = heard - bad
        self._hours = self._hours_of(sources)
        self._affinities = affinities
        self._own: tuple[datetime, int, Floats] | None = None
        self._young: tuple[tuple[object, ...], frozenset[str]] | None = None
        self._told = stories.filter(pl.col("series").is_in(self._names))
        self._lay_stories()
        self._usual: dict[tuple[object, ...], _Usual] = {}

    def unsurging(
        self, now: datetime, rules: Rules, weights: Mapping[str, float], opened: Collection[str]
    ) -> tuple[Spike, ...] | None:
        """Spikes of the series in `opened` when no series can surge at `now`; None where only a full look can tell.

        Args:
            now: aware UTC, within the range, with as much history before it as the rules look back on.
            rules, weights: from the settings.
            opened: series with an open alert.
        """
        if any(name.startswith(f"{STORY}:") for name in opened) or self._breaking(now, rules):
            return None
        lasting = self._lasting(now, rules)
        names = {*lasting.suspects(rules), *(name for name in opened if name in self._row)}
        longest = _hour_of(now) - (rules.windows[-1] - 1) * _HOUR
        heard = {name: seen for name in sorted(names | {MARKET}) if (seen := self._seen(name, now, rules)) is not None}
        stirring = {name: seen for name, seen in heard.items() if name in names and seen.times[-1] >= longest}
        if not stirring:
            return ()
        rows = sorted({MARKET, *stirring})
        among = shares(self._since, rows, weights)
        grid = self._grid(rows, now, rules, among * _MOST_GROWTH * self._stirring(now, rules), weights)
        # The market beside them says how many families usually carry a story.
        found = spikes(windows_on(grid, stirring, heard.get(MARKET), rules), rules)
        if any(spike.verdict is Verdict.SURGE for spike in found):
            return None
        return tuple(spike for spike in found if spike.series in opened)

    def _laid(self, frame: pl.DataFrame, by: str, rows: Mapping[str, int], what: str) -> Floats:
        within = frame.filter(pl.col(by).is_in(list(rows))).select(
            row=pl.col(by).replace_strict(rows, return_dtype=pl.Int64),
            column=(pl.col("hour") - self._begun).dt.total_hours(),
            value=pl.col(what),
        )
        cells = within["row"].to_numpy() * self._columns + within["column"].to_numpy()
        size = len(rows) * self._columns
        return np.bincount(cells, within["value"].to_numpy(), size).astype(np.float64).reshape(len(rows), -1)

    def _hours_of(self, sources: pl.DataFrame) -> list[Whole]:
        """The columns in which each publisher was heard, ascending."""
        by = sources.sort("hour").group_by("publisher").agg((pl.col("hour") - self._begun).dt.total_hours())
        told = {name: np.array(hours, dtype=np.int64) for name, hours in by.iter_rows()}
        return [told[name] for name in self._publishers]

    def _lay_stories(self) -> None:
        """Bounds of every story: no moment's count of them is above what these give."""
        negative = pl.col("negative_at")
        bounds = self._told.group_by("series", "story", maintain_order=True).agg(
            first=negative.min(),
            last=negative.max(),
            known=pl.col("negative_fetched").min(),
            fresh=pl.col("fresh").any(),
        )
        bounds = bounds.filter("fresh", pl.col("first").is_not_null()).sort("last")
        self._story_row = bounds["series"].replace_strict(self._row, return_dtype=pl.Int64).to_numpy()
        self._story = bounds["story"].to_numpy()
        self._first, self._last, self._known = (
            bounds[one].dt.epoch("us").to_numpy() for one in ("first", "last", "known")
        )
        by_story = self._told.group_by("series", "story").agg(
            pl.struct("publisher", "fetched", "negative_at", "negative_fetched", "fresh").alias("told")
        )
        copies = {(series, story): told for series, story, told in by_story.iter_rows()}
        places = zip(bounds["series"], bounds["story"], strict=True)
        self._copies: list[list[dict[str, Any]]] = [copies[series, story] for series, story in places]
        # Once all copies are known a story stays as it is.
        times = [
            [one[when] for one in told for when in ("fetched", "negative_fetched") if one[when]]
            for told in self._copies
        ]
        self._settled = np.array([_micros(max(some)) for some in times], dtype=np.int64)
        self._final = [
            (first, story, [one["publisher"] for one in told])
            for first, story, told in zip(bounds["first"], bounds["story"], self._copies, strict=True)
        ]
        # When each further family joined a story of the market: breaking stories are found by it.
        market = self._told.filter(pl.col("series") == MARKET).sort("fetched")
        self._joined = market.group_by("story").agg(pl.col("fetched"), pl.col("negative_at").max())
        self._broad: dict[int, tuple[Whole, Whole]] = {}

    def _breaking(self, now: datetime, rules: Rules) -> bool:
        """Whether a young story has as many families as a breaking one needs."""
        if Detector.BREAKING not in rules.detectors:
            return False
        need = rules.breaking_publishers
        if need not in self._broad:
            enough = self._joined.filter(pl.col("fetched").list.len() >= need)
            since = enough["fetched"].list.get(need - 1).dt.epoch("us").to_numpy()
            self._broad[need] = since, enough["negative_at"].dt.epoch("us").to_numpy()
        since, last = self._broad[need]
        return bool(np.any((since <= _micros(now)) & (last >= _micros(now - rules.breaking_hours * _HOUR))))

    def _heard(self, now: datetime, since: datetime) -> Whole:
        """Places of the stories that may be known at `now` as negative since then."""
        first = np.searchsorted(self._last, _micros(since))
        at = _micros(now)
        return first + np.flatnonzero((self._known[first:] <= at) & (self._first[first:] <= at))

    def _stirring(self, now: datetime, rules: Rules) -> int:
        """At most so many series are judged at a time: those with a story, and stories themselves."""
        bucket = _hour_of(now)
        series = np.unique(self._story_row[self._heard(now, bucket - (rules.windows[-1] - 1) * _HOUR)]).size
        young = self._story_row[self._heard(now, now - rules.breaking_hours * _HOUR)]
        return int(series + np.count_nonzero(young == 0))

    def _lasting(self, now: datetime, rules: Rules) -> _Usual:
        """Counts and what is usual, kept for further rules that differ in nothing that this rests on."""
        resting = (rules.windows, rules.detectors, rules.baseline_days, rules.learning_days, rules.left_out_hours)
        key = (now, *resting, rules.slow_days, rules.minimum_negative)
        if key not in self._usual:
            if len(self._usual) >= _MOST_KEPT:
                self._usual.clear()
            self._usual[key] = self._learned(now, rules)
        return self._usual[key]

    def _learned(self, now: datetime, rules: Rules) -> _Usual:
        bucket = _hour_of(now)
        slow_days = min(rules.slow_days, rules.baseline_days)
        lengths = [*rules.windows, *(HOURS_A_DAY * day for day in range(1, slow_days + 1))]
        size = len(self._names)
        counts = np.stack(
            [
                np.bincount(self._story_row[self._heard(now, bucket - (hours - 1) * _HOUR)], minlength=size)
                for hours in lengths
            ],
            axis=1,
        )
        counts[counts[:, len(rules.windows) - 1] == 0] = 0  # what does not stir has no window
        rows = np.flatnonzero(counts.max(axis=1) >= rules.minimum_negative)
        names = [MARKET, *(self._names[row] for row in rows if row)]
        counts = counts[[self._row[name] for name in names]]
        grid = self._grid(names, now, rules, np.ones(len(names)), {})
        baseline = grid.baseline(rules)
        expected = np.stack([baseline.expected(hours) for hours in rules.windows], axis=1)
        tone = expected
        if Detector.TONE in rules.detectors:
            part = (grid.usable[0] * grid.negative[0]).sum() + 1, (grid.usable[0] * grid.stories[0]).sum() + 10
            learned = learn_tone(grid.negative, grid.stories, baseline.weights, part[0] / part[1], HOURS_A_DAY)
            own = np.stack([grid.stories[:, -hours:].sum(axis=1) for hours in rules.windows], axis=1)
            tone = own * learned.share[:, None]
        by_day = baseline.expected_by_day(slow_days)[:, ::-1].cumsum(axis=1)
        split = len(rules.windows)
        return _Usual(names, counts[:, :split], expected, tone, counts[:, split:], by_day)

    def _grid(
        self, names: list[str], now: datetime, rules: Rules, budget: Floats, weights: Mapping[str, float]
    ) -> Grid:
        columns = rules.baseline_days * HOURS_A_DAY + 1
        end = (now - self._begun) // _HOUR + 1
        rows = np.array([self._row[name] for name in names])
        span = slice(end - columns, end)
        negative, stories = self._negative[rows, span], self._stories[rows, span]
        others = np.maximum(self._stories[0, span] - negative, 0.0)
        if self._publishers:
            new = self._new(now, rules)
            heard = [np.searchsorted(hours, (span.start, span.stop)) for hours in self._hours]
            voices = [
                row for row, name in enumerate(self._publishers) if name not in new and heard[row][0] < heard[row][1]
            ]
            quiet = np.maximum(self._quiet[voices, span], 0.0)
            told = Voices(tuple(self._publishers[row] for row in voices), quiet, new)
            others = told.weighed(self._affinities_at(now, rules)[rows][:, voices])
        since = [self._since[name] for name in names if name in self._since]
        watched = pl.DataFrame({"series": [name for name in names if name in self._since], "since": since}, WATCHED)
        return Grid.laid(names, now, negative, stories, others, watched, budget, weights, rules)

    def _new(self, now: datetime, rules: Rules) -> frozenset[str]:
        """Publishers that are too new to be judged by their past, as `alerts.sources.source_changes` has it."""
        key = (now, rules.baseline_days, rules.longest_window, rules.learning_days)
        # Every series asks at the same moment.
        if self._young is None or self._young[0] != key:
            self._young = key, self._found_new(now, rules)
        return self._young[1]

    def _found_new(self, now: datetime, rules: Rules) -> frozenset[str]:
        earliest = now - timedelta(days=rules.baseline_days) - rules.longest_window
        low, high = -((self._begun - earliest) // _HOUR), (now - self._begun) // _HOUR
        firsts = {}
        for name, hours in zip(self._publishers, self._hours, strict=True):
            place = np.searchsorted(hours, low)
            if place < len(hours) and hours[place] <= high:
                firsts[name] = self._begun + int(hours[place]) * _HOUR
        begun = min(firsts.values(), default=now)
        young = timedelta(days=rules.learning_days)
        return frozenset(name for name, first in firsts.items() if first - begun > _DAY and now - first < young)

    def _affinities_at(self, now: datetime, rules: Rules) -> Floats:
        """Negative headlines of each series by publisher over the days that lie wholly in the baseline."""
        since = now - timedelta(days=rules.baseline_days)
        until = now - timedelta(hours=rules.left_out_hours)
        last = until.replace(hour=0, minute=0, second=0, microsecond=0) - _DAY
        if self._own is None or self._own[:2] != (last, rules.baseline_days):
            own = np.zeros((len(self._names), len(self._publishers)))
            within = self._affinities.filter((pl.col("day") >= since) & (pl.col("day") <= last))
            summed = within.group_by("series", "publisher").agg(pl.col("negative").sum())
            for name, publisher, count in summed.iter_rows():
                if name in self._row and publisher in self._voice:
                    own[self._row[name], self._voice[publisher]] = count
            self._own = (last, rules.baseline_days, own)
        return self._own[2]

    def _seen(self, name: str, now: datetime, rules: Rules) -> Seen | None:
        """What was known of a series at `now`; None when that is nothing."""
        since, new, row = _hour_of(now) - rules.lookback + _HOUR, self._new(now, rules), self._row[name]
        heard = self._heard(now, since)
        heard = heard[self._story_row[heard] == row]
        settled = self._settled[heard] <= _micros(now)
        found = [self._final[place] for place in heard[settled & (self._first[heard] >= _micros(since))]]
        for place in heard[~settled]:
            told = [one for one in self._copies[place] if one["fetched"] <= now]
            times = [one["negative_at"] for one in told if one["negative_fetched"] and one["negative_fetched"] <= now]
            if times and any(one["fresh"] for one in told) and since <= min(times) <= now:
                found.append((min(times), int(self._story[place]), [one["publisher"] for one in told]))
        if new:
            known = ((at, story, [one for one in families if one not in new]) for at, story, families in found)
            found = [one for one in known if one[2]]
        # Time, then story; no story comes twice, so families are never compared.
        found.sort()
        if not found:
            return None
        return Seen([one[1] for one in found], [one[0] for one in found], [one[2] for one in found])


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
