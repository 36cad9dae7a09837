"""What is usual for some series at a moment, and windows of what was seen beside it.

takes  fresh negative stories of the series that stir, how far stories are carried, rules
gives  `Window`s of volume, tone and slow rises
never  looks at history again, nor decides whether anything is a surge
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from alerts.detection.baseline import HOURS_A_DAY, Rows
from alerts.detection.breadth import Breadth
from alerts.detection.cusum import Slow, false_a_week, slow_rise
from alerts.detection.seen import Seen
from alerts.detection.surprise import (
    HOURS_A_WEEK,
    Counts,
    Floats,
    crossings_a_week,
    smallest_surge,
)
from alerts.detection.tone import Tone
from alerts.detection.window import Chance, Window
from alerts.rules import Detector, Rules

_HOUR = timedelta(hours=1)
# What holds a count against what is expected of it.
_COUNTED = (Detector.VOLUME, Detector.TONE)
_BY_ROW = ("expected", "dispersion", "own", "by_day", "learned", "restless", "days", "budget", "weights")


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual for some series at a moment; arrays have one row a series.

    Attributes:
        names: which series.
        now, bucket: when, and the hour that it lies in, aware UTC.
        expected, dispersion: negative stories of each of the rules' windows, [series, windows].
        own: stories of the series in each window, [series, windows].
        tone: what is usual given those of them that are not negative.
        by_day: expected negative stories of the last stretches of 24 hours, oldest first, [series, days].
        learned: negative stories that the rate rests on; restless: dispersion between days; both [series].
        market: stories of the market in the last hours, the hour of `now` being the last.
        days: of history; budget: share of the false alerts; weights: from the settings; all [series].
    """

    names: tuple[str, ...]
    now: datetime
    bucket: datetime
    expected: Floats
    dispersion: Floats
    own: Floats
    tone: Tone
    by_day: Floats
    learned: Floats
    restless: Floats
    market: Floats
    days: Floats
    budget: Floats
    weights: Floats

    def rows(self, which: Rows) -> Usual:
        """That of some of the series."""
        some: dict[str, Any] = {name: getattr(self, name)[which] for name in _BY_ROW}
        return replace(self, names=tuple(self.names[row] for row in which), tone=self.tone.rows(which), **some)

    def joined(self, other: Usual) -> Usual:
        """That of these series, and of others at the same moment."""
        both: dict[str, Any] = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _BY_ROW}
        return replace(self, names=self.names + other.names, tone=self.tone.joined(other.tone), **both)

    def windows(
        self, stirring: Mapping[str, Seen], carried: Breadth, rules: Rules, *, noticed: bool = True
    ) -> list[Window]:
        """Windows of every series that stirs, in every length, for volume, tone and slow rises.

        Args:
            stirring: fresh negative stories by series; one of which nothing is known here is passed over.
            carried: how many families carry a story of the market.
            rules: which tests.
            noticed: whether to find the smallest count that would be: no verdict rests on it, and it takes longer than
                all else; 0 where it is not.
        """
        nothing = np.zeros(len(self.names), dtype=np.int64)
        smallest = {
            hours: smallest_surge(self.expected[:, at], self.dispersion[:, at], hours, self.budget, rules)
            if noticed
            else nothing
            for at, hours in enumerate(rules.windows)
        }
        rows = [row for row, name in enumerate(self.names) if name in stirring]
        found = []
        for detector in _asked(rules):
            found += self._counted(detector, rows, stirring, carried, smallest, rules)
        if Detector.SLOW in rules.detectors:
            found += self._slow(stirring, smallest[rules.windows[-1]], rules)
        return found

    def rarest(self, stirring: Mapping[str, Seen], carried: Breadth, rules: Rules) -> dict[str, float]:
        """How often a week chance alone brings the rarest of each series' windows, at least, over the window's part.

        Count and carriers together are never rarer than their product, which stands in for them here.

        Args:
            stirring: fresh negative stories of every series that is known here.
            carried, rules: as in `windows`.
        """
        shown = [stirring[name] for name in self.names]
        least = np.full(len(shown), np.inf)
        for at, hours in enumerate(rules.windows):
            start = self.bucket - (hours - 1) * _HOUR
            counts = np.array([len(one.stories) - bisect_left(one.times, start) for one in shown])
            more = [one.further(int(count)) for one, count in zip(shown, counts, strict=True)]
            further = carried.probabilities(np.maximum(counts, 1), more)
            for detector in _asked(rules):
                expected, dispersion = self._law(detector)
                product = crossings_a_week(counts, hours, expected[:, at], dispersion[:, at]) * further
                least = np.minimum(least, product / rules.part(detector))
        if Detector.SLOW in rules.detectors:
            slow = false_a_week(self._rise(stirring, rules).evidence)
            least = np.minimum(least, slow / rules.part(Detector.SLOW))
        return dict(zip(self.names, least.tolist(), strict=True))

    def _law(self, detector: Detector) -> tuple[Floats, Floats]:
        """Expected count and dispersion of each window, [series, windows] each."""
        if detector is Detector.TONE:
            return self.tone.expected, self.tone.dispersion
        return self.expected, self.dispersion

    def _counted(
        self,
        detector: Detector,
        rows: Sequence[int],
        stirring: Mapping[str, Seen],
        carried: Breadth,
        smallest: Mapping[int, Counts],
        rules: Rules,
    ) -> list[Window]:
        expected, dispersion = self._law(detector)
        found = []
        for at, hours in enumerate(rules.windows):
            cuts = [self._cut(row, hours, stirring[self.names[row]], smallest[hours]) for row in rows]
            counts = np.array([cut["observed"] for cut in cuts])
            more = [stirring[cut["series"]].further(cut["observed"]) for cut in cuts]
            further = carried.probabilities(np.maximum(counts, 1), more)
            market = int(self.market[-hours:].sum())
            for row, cut, one in zip(rows, cuts, further, strict=True):
                if detector is Detector.TONE and cut["observed"] < rules.minimum_negative:
                    continue
                found.append(
                    Window(
                        **cut,
                        detector=detector,
                        exposure=max(int(self.own[row, at]), cut["observed"]) if detector is Detector.TONE else market,
                        expected=float(expected[row, at]),
                        dispersion=float(dispersion[row, at]),
                        carried=float(one),
                    )
                )
        return found

    def _rise(self, stirring: Mapping[str, Seen], rules: Rules) -> Slow:
        seen = np.array([self._seen_by_day(stirring.get(name)) for name in self.names])
        # The rate is learned, not known, and its error lasts: what is expected is set higher by as much.
        doubt = 1 + 1 / np.sqrt(self.learned + 1)
        return slow_rise(seen, self.by_day * doubt[:, None], self._spread, max(rules.minimum_ratio, 1.1))

    def _slow(self, stirring: Mapping[str, Seen], smallest: Counts, rules: Rules) -> list[Window]:
        slow, expected, spread = self._rise(stirring, rules), self.by_day, self._spread
        found = []
        for row, name in enumerate(self.names):
            length = int(slow.days[row])
            if name in stirring and length > 1:
                cut = self._cut(row, length * HOURS_A_DAY, stirring[name], smallest)
                if cut["observed"]:
                    found.append(self._slowly(cut, slow, row, float(expected[row, -length:].sum()), float(spread[row])))
        return found

    @property
    def _spread(self) -> Floats:
        return self.restless + 0.05

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

    def _seen_by_day(self, seen: Seen | None) -> list[int]:
        """Fresh negative stories of each of the last days, oldest first; a day ends with the bucket of now."""
        days = self.by_day.shape[1]
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
            "weight": float(self.weights[row]),
        }


def _asked(rules: Rules) -> list[Detector]:
    return [one for one in _COUNTED if one in rules.detectors]
