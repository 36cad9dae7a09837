"""Negative stories of past weeks, as they were known at any moment of them.

takes  series, stories and their copies, as `monitor.backtesting.tuning.Weeks` reads them
gives  `Heard`: what was seen of a series at a moment; bounds of how much, for all series at once
never  lets a story count before it was fetched; where it only bounds, a count is as high as it can be
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from alerts.detection.breadth import Breadth
from alerts.detection.frames import MARKET
from alerts.detection.seen import Seen
from alerts.rules import Rules

_HOUR = timedelta(hours=1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Whole = npt.NDArray[np.int64]


class Heard:
    """Fresh negative stories with all of their copies, laid out by series."""

    def __init__(self, stories: pl.DataFrame) -> None:
        """Lay them out.

        Args:
            stories: series, story, publisher, fetched, negative_at, negative_fetched, fresh.
        """
        self.names = [MARKET, *sorted(set(stories["series"].unique()) - {MARKET})]
        self.row = {name: row for row, name in enumerate(self.names)}
        self._lay_bounds(stories)
        self._lay_copies(stories)
        # When each further family joined a story of the market: breaking stories are found by it.
        market = stories.filter(pl.col("series") == MARKET).sort("fetched")
        self._joined = market.group_by("story").agg(
            pl.col("fetched"),
            pl.col("negative_at").max(),
            first=pl.col("negative_at").min(),
            told=pl.col("negative_fetched").min(),
        )
        self._broad: dict[int, tuple[Whole, Whole]] = {}
        self._late: dict[int, pl.DataFrame] = {}

    def _lay_bounds(self, stories: pl.DataFrame) -> None:
        """Bounds of every story: no moment's count of them is above what these give."""
        negative = pl.col("negative_at")
        bounds = stories.group_by("series", "story", maintain_order=True).agg(
            first=negative.min(),
            last=negative.max(),
            known=pl.col("negative_fetched").min(),
            fresh=pl.col("fresh").any(),
        )
        bounds = bounds.filter("fresh", pl.col("first").is_not_null()).sort("last")
        self._bounds = bounds
        self._of = bounds["series"].replace_strict(self.row, return_dtype=pl.Int64).to_numpy()
        self._story = bounds["story"].to_numpy()
        self._at = np.array(bounds["first"].to_list(), dtype=object)
        self._first, self._last, self._known = (
            bounds[one].dt.epoch("us").to_numpy() for one in ("first", "last", "known")
        )
        places = np.argsort(self._of, kind="stable")
        edges = np.searchsorted(self._of[places], np.arange(len(self.names) + 1))
        self._places = [places[a:b] for a, b in itertools.pairwise(edges)]
        # Of the market in order of arrival: thousands are asked for at every moment.
        market = self._places[0]
        self._market = market[np.lexsort((self._story[market], self._first[market]))]

    def _lay_copies(self, stories: pl.DataFrame) -> None:
        by_story = stories.group_by("series", "story").agg(
            pl.struct("publisher", "fetched", "negative_at", "negative_fetched", "fresh").alias("told")
        )
        copies = {(series, story): told for series, story, told in by_story.iter_rows()}
        places = zip(self._bounds["series"], self._bounds["story"], strict=True)
        self._copies: list[list[dict[str, Any]]] = [copies[series, story] for series, story in places]
        # Once all copies are known a story stays as it is.
        times = [
            [one[when] for one in told for when in ("fetched", "negative_fetched") if one[when]]
            for told in self._copies
        ]
        self._settled = np.array([micros(max(some)) for some in times], dtype=np.int64)
        self._final = [
            (first, story, [one["publisher"] for one in told])
            for first, story, told in zip(self._bounds["first"], self._bounds["story"], self._copies, strict=True)
        ]
        self._carriers = np.array([len(one[2]) for one in self._final], dtype=np.int64)

    def counts(self, now: datetime, since: Sequence[datetime]) -> Whole:
        """At most so many stories of each series turned negative since each of these moments, [series, moments]."""
        heard = self._heard(now, min(since))
        last, rows = self._last[heard], self._of[heard]
        starts = [np.searchsorted(last, micros(one)) for one in since]
        return np.stack([np.bincount(rows[start:], minlength=len(self.names)) for start in starts], axis=1)

    def stirring(self, now: datetime, since: datetime) -> list[str]:
        """The series that may have a story since then, the market first where it is among them."""
        return [self.names[row] for row in np.unique(self._of[self._heard(now, since)])]

    def young(self, now: datetime, rules: Rules) -> int:
        """At most so many stories may be breaking ones."""
        return int(np.count_nonzero(self._of[self._heard(now, now - rules.breaking_hours * _HOUR)] == 0))

    def broad(self, now: datetime, rules: Rules) -> bool:
        """Whether a young story has as many families as a breaking one needs."""
        need = rules.breaking_publishers
        if need not in self._broad:
            enough = self._joined.filter(pl.col("fetched").list.len() >= need)
            since = enough["fetched"].list.get(need - 1).dt.epoch("us").to_numpy()
            self._broad[need] = since, enough["negative_at"].dt.epoch("us").to_numpy()
        since, last = self._broad[need]
        return bool(np.any((since <= micros(now)) & (last >= micros(now - rules.breaking_hours * _HOUR))))

    def late(self, since: datetime, until: datetime, rules: Rules) -> list[datetime]:
        """Moments between two at which a story had as many families as a breaking one needs, and is young no longer.

        Whoever looks at both only would never see it.
        """
        need = rules.breaking_publishers
        if need not in self._late:
            enough = self._joined.filter(pl.col("fetched").list.len() >= need, pl.col("told").is_not_null())
            ages, last = ("first", "negative_at"), pl.col("fetched").list.get(need - 1)
            joined = enough.select(*ages, at=pl.col("fetched").list.slice(need - 1)).explode("at")
            # Its families may have been there before its first negative headline was.
            told = enough.select(*ages, at=pl.max_horizontal("told", last))
            self._late[need] = pl.concat([joined, told])
        young = rules.breaking_hours * _HOUR
        missed = self._late[need].filter(
            pl.col("at").is_between(since, until, closed="none"),
            pl.col("first") <= until - young,
            pl.col("negative_at") > pl.col("at") - young,
        )
        return missed["at"].unique().sort().to_list()

    def seen(self, name: str, now: datetime, new: frozenset[str], rules: Rules) -> Seen | None:
        """What was known of a series at `now`; None when that is nothing.

        Args:
            name: of a series, or one without a story.
            now: aware UTC.
            new: publishers that are too new to be heard.
            rules: how far back.
        """
        since, at = hour_of(now) - rules.lookback + _HOUR, micros(now)
        places = self._places[self.row[name]] if name in self.row else self._places[0][:0]
        places = places[np.searchsorted(self._last[places], micros(since)) :]
        places = places[(self._known[places] <= at) & (self._first[places] <= at)]
        settled = self._settled[places] <= at
        found = [self._final[place] for place in places[settled & (self._first[places] >= micros(since))]]
        found += [one for place in places[~settled] if (one := self._unsettled(place, now, since))]
        if new:
            known = ((at, story, [one for one in families if one not in new]) for at, story, families in found)
            found = [one for one in known if one[2]]
        # Time, then story; no story comes twice, so families are never compared.
        found.sort()
        if not found:
            return None
        return Seen([one[1] for one in found], [one[0] for one in found], [one[2] for one in found])

    def breadth(self, now: datetime, new: frozenset[str], rules: Rules) -> Breadth:
        """How many families carry a story of the market, of what was known at `now`."""
        since, at = hour_of(now) - rules.lookback + _HOUR, micros(now)
        low, high = np.searchsorted(self._first[self._market], (micros(since), at + 1))
        places = self._market[low:high]
        places = places[self._known[places] <= at]
        unsettled = np.flatnonzero(self._settled[places] > at)
        carriers = self._carriers[places]
        so_far = [(place, self._unsettled(places[place], now, since)) for place in unsettled]
        late = self._places[0][np.searchsorted(self._last[self._places[0]], micros(since)) :]
        late = late[(self._first[late] < micros(since)) & (self._settled[late] > at)]
        if new or late.size or any(one is None or one[0] != self._at[places[place]] for place, one in so_far):
            seen = self.seen(MARKET, now, new, rules)
            return Breadth.grown([len(one) for one in seen.publishers], seen.times, now) if seen else Breadth.of(())
        for place, one in so_far:
            carriers[place] = len(one[2]) if one else 0
        return Breadth.grown(carriers.tolist(), self._at[places].tolist(), now)

    def _heard(self, now: datetime, since: datetime) -> Whole:
        """Places of the stories that may be known at `now` as negative since then, the latest last."""
        first = np.searchsorted(self._last, micros(since))
        at = micros(now)
        return first + np.flatnonzero((self._known[first:] <= at) & (self._first[first:] <= at))

    def _unsettled(self, place: int, now: datetime, since: datetime) -> tuple[datetime, int, list[str]] | None:
        """A story of which copies came after `now`, as it was known by then."""
        told = [one for one in self._copies[place] if one["fetched"] <= now]
        times = [one["negative_at"] for one in told if one["negative_fetched"] and one["negative_fetched"] <= now]
        if times and any(one["fresh"] for one in told) and since <= min(times) <= now:
            return min(times), int(self._story[place]), [one["publisher"] for one in told]
        return None


def hour_of(at: datetime) -> datetime:
    """The whole hour that a moment lies in."""
    return at.replace(minute=0, second=0, microsecond=0)


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND
