"""What moves an alert at the moments of past weeks, found by a fraction of a full look's work.

takes  counts and stories of some weeks, laid out by `monitor.backtesting.ground` and `monitor.backtesting.heard`
gives  `Calm.telling`: the spikes of the series that surge, or have an open alert
never  passes over a surge: where it saves work every count is taken as high, and every limit as loose, as it can be

A surge needs enough stories, and `minimum_ratio` times the expected ones. Few series have both at a time: what is usual
is learned for those with enough stories, and how rare their windows are at most of the few suspects that are left. Of a
limit that many series share (Benjamini and Hochberg) a suspect is given what it would have if all others surged, and
the most that `alerts.detection.budgets` may hand back; only where it would surge by that are its windows made, and the
others looked at. What was found is kept by all that it rests on, which the thresholds that people turn mostly are not.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from alerts.detection.baseline import Baseline
from alerts.detection.breaking import STORY, breaking
from alerts.detection.budgets import MOST_GROWTH, STORY_SHARE
from alerts.detection.frames import MARKET
from alerts.detection.grid import Grid
from alerts.detection.seen import Seen
from alerts.detection.spikes import Beside, Spike, Verdict, by_count, spikes
from alerts.detection.surprise import Floats
from alerts.detection.usual import Usual
from alerts.detection.window import Window
from alerts.rules import Detector, Rules
from monitor.backtesting.ground import Ground
from monitor.backtesting.heard import Heard, hour_of
from monitor.backtesting.suspects import SLACK, Lasting, lasting

_HOUR = timedelta(hours=1)
# Moments of which something is kept: two sets of rules over sixty days, with a thousand series some 30 KB each, 90 MB.
# And windows, about 1.4 KB each: 70 MB.
_MOST_MOMENTS = 3000
_MOST_WINDOWS = 50_000


@dataclass(slots=True)
class _Windows:
    """What series show at one moment, which rests on `minimum_ratio`, too.

    Attributes:
        rarest: of the suspects, see `alerts.detection.usual`; infinite of one that has nothing to show.
        stirring: windows of the series that were judged; none of one that has nothing to show.
        every: of all that stir, the least of their windows by count: per week and probability, over the part.
    """

    rarest: dict[str, float] = field(default_factory=dict)
    stirring: dict[str, tuple[Window, ...]] = field(default_factory=dict)
    every: dict[str, tuple[float, float]] | None = None


@dataclass(slots=True)
class _Kept:
    """What is known of one moment, for all rules that learn alike.

    Attributes:
        usual: of the series that were asked for.
        windows: by `minimum_ratio`.
        breaking: windows of young stories, by how long a story is young.
    """

    usual: Usual | None = None
    windows: dict[float, _Windows] = field(default_factory=dict)
    breaking: dict[int, tuple[Window, ...]] = field(default_factory=dict)


class Calm:
    """Some weeks, to be looked at under as many rules as one likes."""

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
            history, sources, affinities, watched, begun, until: see `monitor.backtesting.ground`.
            stories: see `monitor.backtesting.heard`.
        """
        self._heard = Heard(stories)
        self._ground = Ground(self._heard.names, history, sources, affinities, watched, begun, until)
        self._usual: dict[tuple[object, ...], Lasting] = {}
        self._kept: dict[tuple[object, ...], _Kept] = {}
        self._count = 0
        self._learned: tuple[tuple[object, ...], Grid, Baseline] | None = None
        self._shares: tuple[tuple[object, ...], dict[str, float]] | None = None

    def telling(
        self, now: datetime, rules: Rules, weights: Mapping[str, float], opened: Collection[str]
    ) -> tuple[Spike, ...]:
        """Of what a full look would say at `now`, the series that surge or are in `opened`; by series.

        The smallest count that would be noticed is not looked for, and 0.

        Args:
            now: aware UTC, within the range, with as much history before it as the rules look back on.
            rules, weights: from the settings.
            opened: series with an open alert.
        """
        usual = self._lasting(now, rules, weights)
        suspects = usual.suspects(rules)
        share = self._loose_shares(rules, weights)
        most = rules.false_alerts_per_week * MOST_GROWTH * (usual.stirring + self._heard.young(now, rules))
        bounds = self.rarest(now, rules, weights, suspects)
        rare = [name for name, bound in bounds.items() if bound <= share[name] * most * (1 + SLACK)]
        known = [name for name in opened if name in self.series]
        if rare or self._heard.broad(now, rules):
            some = sorted({*rare, *known}), sorted({*suspects, *known})
            found = self._judged(now, rules, weights, some, usual)
            if found is not None:
                return tuple(one for one in found if one.verdict is Verdict.SURGE or one.series in opened)
        # None surges under looser limits than these.
        windows = self._suspected(now, rules, weights, sorted(known))
        if any(name.startswith(f"{STORY}:") for name in opened):
            windows += self._breaking(now, rules, weights, usual)
        found = spikes(windows, rules, _budgets(windows, share, 1.0))
        return tuple(one for one in found if one.series in opened)

    def late(self, since: datetime, until: datetime, rules: Rules) -> list[datetime]:
        """Moments between two at which a story may be breaking that looks at both would miss."""
        return self._heard.late(since, until, rules) if Detector.BREAKING in rules.detectors else []

    @property
    def series(self) -> Collection[str]:
        """All that may ever stir."""
        return self._heard.row.keys()

    def rarest(
        self, now: datetime, rules: Rules, weights: Mapping[str, float], names: Sequence[str]
    ) -> dict[str, float]:
        """How often a week chance alone brings the rarest that these series show, at least: `detection.usual`."""
        kept = self._windows_at(now, rules, weights).rarest
        wanting = [name for name in names if name not in kept]
        if wanting:
            kept.update(dict.fromkeys(wanting, np.inf))
            if stirring := self._seen(now, rules, wanting):
                usual = self._usual_of(now, rules, weights, sorted(stirring))
                carried = self._heard.breadth(now, self._ground.new(now, rules), rules)
                kept.update(usual.rarest(stirring, carried, rules))
        return {name: kept[name] for name in names}

    def _judged(
        self,
        now: datetime,
        rules: Rules,
        weights: Mapping[str, float],
        some: tuple[Sequence[str], Sequence[str]],
        usual: Lasting,
    ) -> tuple[Spike, ...] | None:
        """Spikes of series and of stories, exact; None where none surges under looser limits than there are.

        Args:
            now, rules, weights: as in `telling`.
            some: the series of which one may surge, and with them all that are judged by more than their count.
            usual: of this moment.
        """
        share = self._loose_shares(rules, weights)
        if not self._heard.broad(now, rules):
            for names in some:
                windows = self._suspected(now, rules, weights, names)
                shown = len({one.series for one in windows})
                others = np.zeros(max(usual.stirring - shown, 0) + self._heard.young(now, rules))
                found = spikes(
                    windows, rules, _budgets(windows, share, MOST_GROWTH), Beside(others, others, others + 1)
                )
                if not any(one.verdict is Verdict.SURGE for one in found):
                    return None
        windows = self._suspected(now, rules, weights, some[1])
        windows += self._breaking(now, rules, weights, usual)
        every = self._every(now, rules, weights)
        names = [name for name in every if name not in some[1]]
        per_week, probability = (np.array([every[name][at] for name in names]) for at in (0, 1))
        beside = Beside(per_week, probability, _shares_of(names, share, MOST_GROWTH))
        found = spikes(windows, rules, _budgets(windows, share, MOST_GROWTH), beside)
        if not any(one.verdict is Verdict.SURGE for one in found):
            return None
        share = self._ground.exact_shares(sorted({*every, MARKET}), now, rules, weights)
        beside = Beside(per_week, probability, _shares_of(names, share, 1.0))
        return spikes(windows, rules, _budgets(windows, share, 1.0), beside)

    def _suspected(
        self, now: datetime, rules: Rules, weights: Mapping[str, float], names: Sequence[str]
    ) -> tuple[Window, ...]:
        """Windows of those of the series that stir."""
        self._make_room()
        kept = self._windows_at(now, rules, weights).stirring
        wanting = [name for name in names if name not in kept]
        if wanting:
            stirring = self._seen(now, rules, wanting)
            windows = self._windows_of(now, rules, weights, stirring)
            self._count += len(windows)
            kept.update(dict.fromkeys(wanting, ()))
            kept.update((name, (*own,)) for name, own in itertools.groupby(windows, key=lambda one: one.series))
        return tuple(window for name in names for window in kept[name])

    def _every(self, now: datetime, rules: Rules, weights: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """Of all series that stir, how often a week and how probably chance alone brings the rarest of their counts."""
        kept = self._windows_at(now, rules, weights)
        if kept.every is None:
            longest = hour_of(now) - (rules.windows[-1] - 1) * _HOUR
            stirring = self._seen(now, rules, self._heard.stirring(now, longest))
            windows = self._windows_of(now, rules, weights, stirring)
            probability, per_week = _over_parts(windows, rules)
            kept.every = dict.fromkeys(stirring, (np.inf, np.inf))
            for window, one, other in zip(windows, per_week.tolist(), probability.tolist(), strict=True):
                least = kept.every[window.series]
                kept.every[window.series] = min(least[0], one), min(least[1], other)
        return kept.every

    def _seen(self, now: datetime, rules: Rules, names: Sequence[str]) -> dict[str, Seen]:
        """What was known of those of the series that stir."""
        new = self._ground.new(now, rules)
        longest = hour_of(now) - (rules.windows[-1] - 1) * _HOUR
        seen = ((name, self._heard.seen(name, now, new, rules)) for name in names)
        return {name: one for name, one in seen if one is not None and one.times[-1] >= longest}

    def _windows_of(
        self, now: datetime, rules: Rules, weights: Mapping[str, float], stirring: Mapping[str, Seen]
    ) -> list[Window]:
        """Windows of these series, by series, detector and length."""
        if not stirring:
            return []
        usual = self._usual_of(now, rules, weights, sorted(stirring))
        carried = self._heard.breadth(now, self._ground.new(now, rules), rules)
        order = tuple(Detector)
        found = usual.windows(stirring, carried, rules, noticed=False)
        return sorted(found, key=lambda window: (window.series, order.index(window.detector), window.hours))

    def _usual_of(self, now: datetime, rules: Rules, weights: Mapping[str, float], names: Sequence[str]) -> Usual:
        """What is usual for these series, as far as it is not known yet learned now."""
        kept = self._kept_at(now, rules, weights)
        usual = kept.usual
        wanting = [name for name in names if usual is None or name not in usual.names]
        if usual is None or wanting:
            more = self._learned_of(now, rules, weights, wanting)
            kept.usual = usual = usual.joined(more) if usual else more
        return usual.rows(np.array([usual.names.index(name) for name in names]))

    def _learned_of(self, now: datetime, rules: Rules, weights: Mapping[str, float], names: Sequence[str]) -> Usual:
        every = sorted({*names, MARKET})
        learned = self._learned
        if learned and learned[0] == (now, *_resting(rules), _told(weights)) and {*every} <= {*learned[1].names}:
            rows = np.array([learned[1].names.index(name) for name in every])
            usual = learned[1].rows(rows).usual(rules, learned[2].rows(rows))
        else:
            usual = self._ground.grid(every, now, rules, weights).usual(rules)
        return usual.rows(np.array([every.index(name) for name in names]))

    def _breaking(
        self, now: datetime, rules: Rules, weights: Mapping[str, float], usual: Lasting
    ) -> tuple[Window, ...]:
        """Windows of the young stories that more than one family carries."""
        if Detector.BREAKING not in rules.detectors:
            return ()
        kept = self._kept_at(now, rules, weights).breaking
        if rules.breaking_hours not in kept:
            market = self._heard.seen(MARKET, now, self._ground.new(now, rules), rules) or Seen([], [], [])
            days = usual.market_days
            found = breaking(market.stories, market.times, market.publishers, now, days, STORY_SHARE, rules)
            kept[rules.breaking_hours] = tuple(replace(one, smallest_detectable=0) for one in found)
        return kept[rules.breaking_hours]

    def _loose_shares(self, rules: Rules, weights: Mapping[str, float]) -> dict[str, float]:
        key = (rules.detectors, _told(weights))
        if self._shares is None or self._shares[0] != key:
            self._shares = key, self._ground.loose_shares(rules, weights)
        return self._shares[1]

    def _kept_at(self, now: datetime, rules: Rules, weights: Mapping[str, float]) -> _Kept:
        """What is kept for all rules under which the same is usual at this moment."""
        key = (now, *_resting(rules), _told(weights))
        if key not in self._kept:
            if len(self._kept) >= _MOST_MOMENTS:
                self._kept.clear()
                self._count = 0
            self._kept[key] = _Kept()
        return self._kept[key]

    def _make_room(self) -> None:
        """Drop windows where there are too many; what they rest on is small, takes longer to find, and stays."""
        if self._count > _MOST_WINDOWS:
            for kept in self._kept.values():
                for one in kept.windows.values():
                    one.stirring.clear()
            self._count = 0

    def _windows_at(self, now: datetime, rules: Rules, weights: Mapping[str, float]) -> _Windows:
        return self._kept_at(now, rules, weights).windows.setdefault(rules.minimum_ratio, _Windows())

    def _lasting(self, now: datetime, rules: Rules, weights: Mapping[str, float]) -> Lasting:
        """Counts and what is usual, kept for further rules that differ in nothing that this rests on."""
        key = (now, *_resting(rules))
        if key not in self._usual:
            if len(self._usual) >= _MOST_MOMENTS:
                self._usual.clear()
            found, grid, baseline = lasting(self._heard, self._ground, now, rules, weights)
            self._usual[key] = found
            self._learned = (*key, _told(weights)), grid, baseline
        return self._usual[key]


def _resting(rules: Rules) -> tuple[object, ...]:
    """All of the rules that what is usual rests on; windows rest on `minimum_ratio`, too."""
    return (
        rules.windows,
        rules.detectors,
        rules.baseline_days,
        rules.learning_days,
        rules.left_out_hours,
        rules.slow_days,
        rules.minimum_negative,
    )


def _told(weights: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(weights.items()))


def _budgets(windows: Sequence[Window], share: Mapping[str, float], grown: float) -> Floats:
    """What each window has of the false alerts; a story has its own."""
    return np.array([share[one.series] * grown if one.series in share else one.budget for one in windows])


def _over_parts(windows: Sequence[Window], rules: Rules) -> tuple[Floats, Floats]:
    part = np.array([rules.part(window.detector) for window in windows])
    probability, per_week = by_count(windows)
    return np.minimum(probability / part, 1.0), per_week / part


def _shares_of(names: Sequence[str], share: Mapping[str, float], grown: float) -> Floats:
    return np.array([share[name] * grown for name in names])
