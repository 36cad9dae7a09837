"""History as arrays, and what they say is usual.

takes  checked frames, the names of the series that stir, now and rules
gives  `Grid`, and its `Usual`
never  looks at what was seen lately
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from alerts.detection.baseline import HOURS_A_DAY, Baseline, Mask, Rows, learn
from alerts.detection.budgets import STORY_SHARE, growth, shares
from alerts.detection.covering import covered_days, since_columns, usable_hours
from alerts.detection.frames import MARKET, Past
from alerts.detection.sources import Voices
from alerts.detection.surprise import HOURS_A_WEEK, Counts, Floats
from alerts.detection.tone import Tone, learn_tone
from alerts.detection.usual import Usual
from alerts.rules import Detector, Rules

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Grid:
    """History as arrays: one row a series, one column an hour, the last column being the hour of `now`."""

    names: list[str]
    now: datetime
    bucket: datetime
    negative: Floats
    stories: Floats
    market: Floats
    others: Floats
    usable: Mask
    budget: Floats
    weights: list[float]
    days: Floats

    @classmethod
    def of(
        cls,
        history: pl.DataFrame,
        watched: pl.DataFrame,
        names: list[str],
        now: datetime,
        bucket: datetime,
        rules: Rules,
        past: Past,
        new: frozenset[str],
    ) -> Grid:
        """Lay out history.

        Args:
            history, watched: see `alerts.detection.frames`.
            names: of the series that stir, and the market.
            now, bucket: aware UTC; the hour that `now` lies in.
            rules: how far back.
            past: publishers and weights.
            new: publishers without history.
        """
        columns = rules.baseline_days * HOURS_A_DAY + 1
        start = bucket - (columns - 1) * _HOUR
        within = history.lazy().filter(pl.col("hour").is_between(start, bucket))
        numbered = pl.DataFrame(
            {"series": names, "row": range(len(names))}, schema={"series": pl.String, "row": pl.Int64}
        )
        rows = (
            within.join(numbered.lazy(), on="series")
            .select("row", "stories", "negative", column=(pl.col("hour") - start).dt.total_hours())
            .collect()
        )
        cells = rows["row"].to_numpy() * columns + rows["column"].to_numpy()
        size = len(names) * columns
        negative = _sums(cells, rows["negative"].to_numpy(), size).reshape(-1, columns)
        stories = _sums(cells, rows["stories"].to_numpy(), size).reshape(-1, columns)
        market = stories[names.index(MARKET)]
        # Stories of the market that are not the series' own: a surge must not inflate its own exposure.
        others = np.maximum(market - negative, 0.0)
        if not past.sources.is_empty():
            others = Voices.of(past.sources, start, columns, new).exposure(past.affinities, names)
        budget = _budgets(within, watched, names, market, rules, past.weights)
        since = dict(zip(watched["series"], watched["since"], strict=True))
        return cls.laid(names, now, negative, stories, others, since, budget, past.weights, rules)

    @classmethod
    def laid(
        cls,
        names: list[str],
        now: datetime,
        negative: Floats,
        stories: Floats,
        others: Floats,
        since: Mapping[str, datetime],
        budget: Floats,
        weights: Mapping[str, float],
        rules: Rules,
    ) -> Grid:
        """Of counts that are laid out already, [series, hours], the last column being the hour of `now`.

        Args:
            names, now, rules: as in `of`; the market is among the names.
            negative, stories: distinct stories.
            others: the exposure of each series.
            since: when each series began to be watched.
            budget: share of the false alerts, [series].
            weights: of series, from the settings.
        """
        market = stories[names.index(MARKET)]
        columns = len(market)
        bucket = now.replace(minute=0, second=0, microsecond=0)
        usable = usable_hours(market, since_columns(since, names, bucket - (columns - 1) * _HOUR, columns), rules)
        return cls(
            names=names,
            now=now,
            bucket=bucket,
            negative=negative,
            stories=np.maximum(stories, negative),
            market=market,
            others=others,
            usable=usable,
            budget=budget,
            weights=[weights.get(name, 1.0) for name in names],
            days=covered_days(usable, market),
        )

    def rows(self, which: Rows) -> Grid:
        """That of some series, the market among them."""
        return replace(
            self,
            names=[self.names[row] for row in which],
            negative=self.negative[which],
            stories=self.stories[which],
            others=self.others[which],
            usable=self.usable[which],
            budget=self.budget[which],
            weights=[self.weights[row] for row in which],
            days=self.days[which],
        )

    def baseline(self, rules: Rules) -> Baseline:
        """What is usual for every series."""
        columns = len(self.market)
        last = self.bucket.weekday() * HOURS_A_DAY + self.bucket.hour
        slots = (last - np.arange(columns)[::-1]) % HOURS_A_WEEK
        return learn(self.negative, self.others, self.usable, slots, rules.minimum_negative)

    def tone(self, rules: Rules, baseline: Baseline) -> Tone:
        """What is usual given the other stories of every series."""
        if Detector.TONE not in rules.detectors:
            return Tone.unasked(len(self.names), len(rules.windows))
        return learn_tone(baseline, self.stories - self.negative, rules.windows)

    def usual(self, rules: Rules, baseline: Baseline | None = None) -> Usual:
        """All that is usual for every series, to lay what was seen beside it.

        Args:
            rules: how far back, and which tests.
            baseline: what was learned, where it was.
        """
        baseline = baseline or self.baseline(rules)
        days = min(rules.slow_days, rules.baseline_days) if Detector.SLOW in rules.detectors else 0
        return Usual(
            names=tuple(self.names),
            now=self.now,
            bucket=self.bucket,
            expected=np.stack([baseline.expected(hours) for hours in rules.windows], axis=1),
            dispersion=np.stack([baseline.dispersion(hours) for hours in rules.windows], axis=1),
            own=np.stack([self.stories[:, -hours:].sum(axis=1) for hours in rules.windows], axis=1),
            tone=self.tone(rules, baseline),
            by_day=baseline.expected_by_day(days) if days else np.zeros((len(self.names), 0)),
            learned=baseline.stories,
            restless=baseline.restlessness(HOURS_A_DAY),
            market=self.market[-max(rules.windows[-1], days * HOURS_A_DAY) :].copy(),
            days=self.days,
            budget=self.budget,
            weights=np.array(self.weights),
        )


def _sums(positions: Counts, values: Counts, size: int) -> Floats:
    return np.asarray(np.bincount(positions, values, size), dtype=np.float64)


def _budgets(
    history: pl.LazyFrame,
    watched: pl.DataFrame,
    names: list[str],
    market: Floats,
    rules: Rules,
    weights: Mapping[str, float],
) -> Floats:
    """Each series' share of the false alerts, with what others leave over."""
    usual = history.group_by("series").agg(pl.col("negative").sum()).filter(pl.col("negative") > 0).collect()
    share = shares(watched["series"].to_list(), [*names, *usual["series"].to_list()], weights)
    share *= 1 - STORY_SHARE if Detector.BREAKING in rules.detectors else 1.0
    begun = np.flatnonzero(market)
    hourly = float(market[begun[0] :].mean()) if begun.size else 0.0
    more = growth(usual["negative"].to_numpy(), float(market.sum()), share[len(names) :], hourly, rules)
    return share[: len(names)] * more
