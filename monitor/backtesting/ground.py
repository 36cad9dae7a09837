"""Some weeks laid out as arrays: what detection rests on, without a frame.

takes  counts, sources and affinities of some weeks, as `monitor.backtesting.tuning.Weeks` reads them
gives  `Ground`: the grid of some series at any moment, who is new then, and every series' share of the false alerts
never  differs from what the frames give, to the last bit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from alerts.detection.baseline import HOURS_A_DAY
from alerts.detection.budgets import STORY_SHARE, growth, shares
from alerts.detection.grid import Grid
from alerts.detection.sources import Voices
from alerts.detection.surprise import Floats
from alerts.rules import Detector, Rules
from monitor.backtesting.heard import Whole

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class Ground:
    """One row a series or publisher, one column an hour."""

    def __init__(
        self,
        names: Sequence[str],
        history: pl.DataFrame,
        sources: pl.DataFrame,
        affinities: pl.DataFrame,
        watched: pl.DataFrame,
        begun: datetime,
        until: datetime,
    ) -> None:
        """Lay them out.

        Args:
            names: of the series that may ever be asked for, the market first.
            history, sources, watched: see `alerts.detection.frames`.
            affinities: series, publisher, day, negative.
            begun, until: the range, aware UTC.
        """
        self._begun = begun.replace(minute=0, second=0, microsecond=0)
        self._columns = (until - self._begun) // _HOUR + 1
        self._since = dict(zip(watched["series"], watched["since"], strict=True))
        self._row = {name: row for row, name in enumerate(names)}
        self._stories = self._laid(history, "series", self._row, "stories")
        self._negative = self._laid(history, "series", self._row, "negative")
        self._usual = sorted(history["series"].unique().to_list())
        # Running sums: what each series has in a baseline is a difference of two.
        usual = {name: row for row, name in enumerate(self._usual)}
        totals = self._laid(history, "series", usual, "negative").astype(np.int32).cumsum(axis=1, dtype=np.int32)
        self._totals = np.pad(totals, ((0, 0), (1, 0)))
        self._publishers = sorted(sources["publisher"].unique().to_list())
        self._voice = {name: row for row, name in enumerate(self._publishers)}
        heard, bad = (self._laid(sources, "publisher", self._voice, what) for what in ("headlines", "negative"))
        self._quiet = heard - bad
        self._hours = self._hours_of(sources)
        self._affinities = affinities
        self._own: tuple[tuple[object, ...], Floats] | None = None
        self._young: tuple[tuple[object, ...], frozenset[str]] | None = None

    def loose_shares(self, rules: Rules, weights: Mapping[str, float]) -> dict[str, float]:
        """Of the false alerts, by series: no moment's share is larger before it grows.

        A series that is not watched has no history and never surges: it gets all.
        """
        watched = sorted(self._since)
        told = shares(watched, watched, weights) * _left(rules)
        return dict.fromkeys(self._row, 1.0) | dict(zip(watched, told.tolist(), strict=True))

    def exact_shares(
        self, names: Sequence[str], now: datetime, rules: Rules, weights: Mapping[str, float]
    ) -> dict[str, float]:
        """What these series have of the false alerts at `now`, grown by what others leave over.

        Args:
            names: all that stir, and the market.
            now: aware UTC.
            rules, weights: from the settings.
        """
        span = self._span(now, rules)
        negative = self._totals[:, span.stop] - self._totals[:, span.start]
        some = np.flatnonzero(negative)
        share = shares(self._since, [*names, *(self._usual[row] for row in some)], weights) * _left(rules)
        market = self._stories[0, span]
        begun = np.flatnonzero(market)
        hourly = float(market[begun[0] :].mean()) if begun.size else 0.0
        negative = negative[some].astype(np.int64)
        more = growth(negative, float(market.sum()), share[len(names) :], hourly, rules)
        return dict(zip(names, (share[: len(names)] * more).tolist(), strict=True))

    def grid(self, names: list[str], now: datetime, rules: Rules, weights: Mapping[str, float]) -> Grid:
        """The grid of some series, the market among them; the budget of each is 1."""
        span = self._span(now, rules)
        rows = np.array([self._row[name] for name in names])
        negative, stories = self._negative[rows, span], self._stories[rows, span]
        if not self._publishers:
            others = np.maximum(self._stories[0, span] - negative, 0.0)
        else:
            new = self.new(now, rules)
            heard = [np.searchsorted(hours, (span.start, span.stop)) for hours in self._hours]
            voices = [
                row for row, name in enumerate(self._publishers) if name not in new and heard[row][0] < heard[row][1]
            ]
            quiet = np.maximum(self._quiet[voices, span], 0.0)
            told = Voices(tuple(self._publishers[row] for row in voices), quiet, new)
            others = told.weighed(self._affinities_at(now, rules)[rows][:, voices])
        budget = np.ones(len(names))
        return Grid.laid(names, now, negative, stories, others, self._since, budget, weights, rules)

    def new(self, now: datetime, rules: Rules) -> frozenset[str]:
        """Publishers that are too new to be judged by their past, as `sources.source_changes` has it."""
        key = (now, rules.baseline_days, rules.longest_window, rules.learning_days)
        # Every series asks at the same moment.
        if self._young is None or self._young[0] != key:
            self._young = key, self._found_new(now, rules)
        return self._young[1]

    def _span(self, now: datetime, rules: Rules) -> slice:
        end = (now - self._begun) // _HOUR + 1
        return slice(end - rules.baseline_days * HOURS_A_DAY - 1, end)

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
        key = (last, until - since)
        if self._own is None or self._own[0] != key:
            own = np.zeros((len(self._row), len(self._publishers)))
            within = self._affinities.filter((pl.col("day") >= since) & (pl.col("day") <= last))
            summed = within.group_by("series", "publisher").agg(pl.col("negative").sum())
            for name, publisher, count in summed.iter_rows():
                if name in self._row and publisher in self._voice:
                    own[self._row[name], self._voice[publisher]] = count
            self._own = (key, own)
        return self._own[1]


def _left(rules: Rules) -> float:
    """What breaking stories leave to the series."""
    return 1 - STORY_SHARE if Detector.BREAKING in rules.detectors else 1.0
