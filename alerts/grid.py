"""History as arrays, and the windows that they give.

takes  checked frames, the names of the series that stir, now and rules
gives  `Window`s of volume, tone and slow rises
never  decides whether anything is a surge
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from alerts.baseline import HOURS_A_DAY, Baseline, Mask, learn
from alerts.breadth import Breadth
from alerts.budgets import STORY_SHARE, growth, shares
from alerts.cusum import Slow, false_a_week, slow_rise
from alerts.frames import MARKET, Past
from alerts.rules import Detector, Rules
from alerts.seen import Seen
from alerts.sources import Voices
from alerts.surprise import (
    HOURS_A_WEEK,
    Counts,
    Floats,
    false_alerts_a_week,
    smallest_surge,
)
from alerts.tone import Tone, learn_tone, tone_tail
from alerts.window import Chance, Window

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
            history, watched: see `alerts.frames`.
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
        return cls.laid(names, now, negative, stories, others, watched, budget, past.weights, rules)

    @classmethod
    def laid(
        cls,
        names: list[str],
        now: datetime,
        negative: Floats,
        stories: Floats,
        others: Floats,
        watched: pl.DataFrame,
        budget: Floats,
        weights: Mapping[str, float],
        rules: Rules,
    ) -> Grid:
        """Of counts that are laid out already, [series, hours], the last column being the hour of `now`.

        Args:
            names, watched, now, rules: as in `of`; the market is among the names.
            negative, stories: distinct stories.
            others: the exposure of each series.
            budget: share of the false alerts, [series].
            weights: of series, from the settings.
        """
        market = stories[names.index(MARKET)]
        columns = len(market)
        bucket = now.replace(minute=0, second=0, microsecond=0)
        usable = _usable(market, _since_columns(watched, names, bucket - (columns - 1) * _HOUR, columns), rules)
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
            days=_covered_days(usable, market),
        )

    def baseline(self, rules: Rules) -> Baseline:
        """What is usual for every series."""
        columns = len(self.market)
        last = self.bucket.weekday() * HOURS_A_DAY + self.bucket.hour
        slots = (last - np.arange(columns)[::-1]) % HOURS_A_WEEK
        return learn(self.negative, self.others, self.usable, slots, rules.minimum_negative)

    def windows(self, stirring: Mapping[str, Seen], usual: Breadth, rules: Rules) -> list[Window]:
        """Windows of every series that stirs, in every length, for volume, tone and slow rises.

        Args:
            stirring: fresh negative stories by series.
            usual: how many families carry a story of the market.
            rules: which tests.
        """
        baseline = self.baseline(rules)
        found, smallest = self._volume(stirring, baseline, usual, rules)
        if Detector.TONE in rules.detectors:
            found += self._tone(stirring, baseline, smallest, rules)
        if Detector.SLOW in rules.detectors:
            found += self._slow(stirring, baseline, smallest[rules.windows[-1]], rules)
        return found

    def _volume(
        self, stirring: Mapping[str, Seen], baseline: Baseline, usual: Breadth, rules: Rules
    ) -> tuple[list[Window], dict[int, Counts]]:
        found, least = [], {}
        for hours in rules.windows:
            expected, dispersion = baseline.expected(hours), baseline.dispersion(hours)
            least[hours] = smallest_surge(expected, dispersion, hours, self.budget, rules)
            if Detector.VOLUME not in rules.detectors:
                continue
            rows = [row for row, name in enumerate(self.names) if name in stirring]
            cuts = [self._cut(row, hours, stirring[self.names[row]], least[hours]) for row in rows]
            counts = np.array([cut["observed"] for cut in cuts])
            more = [stirring[cut["series"]].further(cut["observed"]) for cut in cuts]
            carried = usual.probabilities(np.maximum(counts, 1), more)
            exposure = int(self.market[-hours:].sum())
            for row, cut, one in zip(rows, cuts, carried, strict=True):
                found.append(
                    Window(
                        **cut,
                        exposure=exposure,
                        expected=float(expected[row]),
                        dispersion=float(dispersion[row]),
                        carried=float(one),
                    )
                )
        return found, least

    def _tone(
        self,
        stirring: Mapping[str, Seen],
        baseline: Baseline,
        smallest: Mapping[int, Counts],
        rules: Rules,
    ) -> list[Window]:
        market = self.names.index(MARKET)
        part = self.usable[market] * self.negative[market], self.usable[market] * self.stories[market]
        tone = learn_tone(
            self.negative, self.stories, baseline.weights, (part[0].sum() + 1) / (part[1].sum() + 10), HOURS_A_DAY
        )
        found = []
        for hours in rules.windows:
            own = self.stories[:, -hours:].sum(axis=1)
            for row, name in enumerate(self.names):
                seen = stirring.get(name)
                if seen is None or len(seen.stories) < rules.minimum_negative:
                    continue
                cut = self._cut(row, hours, seen, smallest[hours])
                if cut["observed"] >= rules.minimum_negative:
                    found.append(_toned(cut, tone, row, int(own[row])))
        return found

    def _slow(self, stirring: Mapping[str, Seen], baseline: Baseline, smallest: Counts, rules: Rules) -> list[Window]:
        days = min(rules.slow_days, rules.baseline_days)
        seen = np.array([self._by_day(stirring.get(name), days) for name in self.names])
        expected = baseline.expected_by_day(days)
        # The rate is learned, not known, and its error lasts: what is expected is set higher by as much.
        doubt = 1 + 1 / np.sqrt(baseline.stories + 1)
        spread = baseline.restlessness(HOURS_A_DAY) + 0.05
        slow = slow_rise(seen, expected * doubt[:, None], spread, max(rules.minimum_ratio, 1.1))
        found = []
        for row, name in enumerate(self.names):
            length = int(slow.days[row])
            if name in stirring and length > 1:
                cut = self._cut(row, length * HOURS_A_DAY, stirring[name], smallest)
                if cut["observed"]:
                    found.append(self._slowly(cut, slow, row, float(expected[row, -length:].sum()), float(spread[row])))
        return found

    def _slowly(self, cut: dict[str, Any], slow: Slow, row: int, expected: float, spread: float) -> Window:
        per_week = float(false_a_week(slow.evidence)[row])
        return Window(
            **cut,
            exposure=int(self.market[-cut["hours"] :].sum()),
            expected=max(expected, 1e-9),
            dispersion=spread,
            detector=Detector.SLOW,
            chance=Chance(min(per_week * cut["hours"] / HOURS_A_WEEK, 1.0), per_week),
        )

    def _by_day(self, seen: Seen | None, days: int) -> list[int]:
        """Fresh negative stories of each of the last days, oldest first; a day ends with the bucket of now."""
        if seen is None:
            return [0] * days
        end = self.bucket + _HOUR
        edges = [bisect_left(seen.times, end - day * HOURS_A_DAY * _HOUR) for day in range(days, 0, -1)]
        return [after - before for before, after in zip(edges, [*edges[1:], len(seen.times)], strict=True)]

    def _cut(self, row: int, hours: int, seen: Seen, smallest: Counts) -> dict[str, Any]:
        """What windows of this series and length have in common."""
        start = self.bucket - (hours - 1) * _HOUR
        first = bisect_left(seen.times, start)
        return {
            "series": self.names[row],
            "hours": hours,
            "start": start,
            "end": self.now,
            "observed": len(seen.stories) - first,
            "publishers": len({family for families in seen.publishers[first:] for family in families or ()}),
            "stories": tuple(seen.stories[first:]),
            "since": seen.times[first] if first < len(seen.times) else None,
            "history_days": float(self.days[row]),
            "budget": float(self.budget[row]),
            "smallest_detectable": int(smallest[row]),
            "weight": self.weights[row],
        }


def _toned(cut: dict[str, Any], tone: Tone, row: int, own: int) -> Window:
    share, spread = float(tone.share[row]), float(tone.spread[row])
    observed = cut["observed"]
    stories = max(own, observed)
    probability = tone_tail(observed, stories, share, spread) if observed > stories * share else 1.0
    return Window(
        **cut,
        exposure=stories,
        expected=stories * share,
        dispersion=spread,
        detector=Detector.TONE,
        chance=Chance(probability, float(false_alerts_a_week(observed, cut["hours"], probability))),
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
