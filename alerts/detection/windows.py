"""What was seen lately in each series, beside what was to be expected.

takes  frames: hourly history, fresh negative stories of the last days, what is watched, who publishes; now; rules
gives  `Window`s: one per stirring series and test
never  decides whether anything is a surge, and never counts copies: a window holds distinct stories

The usual rate is a share of what the publishers that matter to a series write, not a number, so a feed that comes or
goes is not news.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from alerts.detection.breadth import Breadth
from alerts.detection.breaking import breaking
from alerts.detection.budgets import STORY_SHARE
from alerts.detection.frames import HISTORY, MARKET, SIGHTINGS, WATCHED, Past, check_frames
from alerts.detection.grid import Grid
from alerts.detection.seen import Seen, seen_of
from alerts.detection.sources import SourceShift, source_changes
from alerts.detection.surprise import smallest_surge
from alerts.detection.window import Window
from alerts.rules import Detector, Rules

__all__ = [
    "HISTORY",
    "MARKET",
    "SIGHTINGS",
    "WATCHED",
    "Outlook",
    "Past",
    "Window",
    "outlooks",
    "windows",
    "windows_on",
]

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """The smallest event of a series that would be noticed now.

    Attributes:
        history_days: how much history that rests on; below `Rules.learning_days` the series is silent.
        smallest: (hours, expected, smallest count that would be a surge of volume) of each window length.
    """

    series: str
    history_days: float
    smallest: tuple[tuple[int, float, int], ...]


def windows(
    history: pl.DataFrame,
    sightings: pl.DataFrame,
    watched: pl.DataFrame,
    now: datetime,
    rules: Rules,
    past: Past | None = None,
) -> tuple[Window, ...]:
    """Windows of every series that has a fresh negative story in the longest window, by series, detector and length.

    And of young stories that many carry, whatever the longest window is. A series without a story cannot surge; an open
    alert of such a series eases because it has no window. History outside the baseline is not looked at; rows of one
    series and hour are added up. A series that is seen but not watched counts as watched since now.

    Args:
        history, sightings, watched: see `HISTORY`, `SIGHTINGS`, `WATCHED`; further columns are ignored.
        now: aware UTC.
        past: publishers and weights.

    Raises:
        FrameUnusable: when a frame lacks a declared column or has it in another type.
        ValueError: when `now` is naive.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    past = past or Past()
    check_frames(history, sightings, watched, past)
    bucket = now.replace(minute=0, second=0, microsecond=0)
    new = _new(past.sources, now, rules)
    seen = seen_of(sightings, now, bucket, new, rules)
    longest = bucket - (rules.windows[-1] - 1) * _HOUR
    stirring = {name: one for name, one in seen.items() if one.times[-1] >= longest}
    market = seen.get(MARKET)
    if not stirring and (market is None or market.times[-1] <= now - rules.breaking_hours * _HOUR):
        return ()
    grid = Grid.of(history, watched, sorted({*stirring, MARKET}), now, bucket, rules, past, new)
    return windows_on(grid, stirring, market, rules)


def windows_on(grid: Grid, stirring: Mapping[str, Seen], market: Seen | None, rules: Rules) -> tuple[Window, ...]:
    """The same, of history that is laid out already.

    Args:
        grid: holds the series that stir, and the market.
        stirring: fresh negative stories of series with one in the longest window.
        market: those of the market; None when it has none.
        rules: as the grid was laid out by.
    """
    now = grid.now
    usual = Breadth.grown([len(one) for one in market.publishers], market.times, now) if market else Breadth.of(())
    found = [*grid.usual(rules).windows(stirring, usual, rules)]
    if Detector.BREAKING in rules.detectors and market is not None:
        days = float(grid.days[grid.names.index(MARKET)])
        carried = [{*families} for families in market.publishers]
        found += breaking(market.stories, market.times, carried, now, days, STORY_SHARE, rules)
    order = tuple(Detector)
    return tuple(sorted(found, key=lambda window: (window.series, order.index(window.detector), window.hours)))


def outlooks(
    history: pl.DataFrame, watched: pl.DataFrame, names: Sequence[str], now: datetime, rules: Rules, past: Past
) -> tuple[Outlook, ...]:
    """What would alert, of each of these series, whether or not it stirs; in the order of the names.

    Args:
        history, watched, now, rules, past: as in `windows`.
        names: of series that are watched.
    """
    check_frames(history, pl.DataFrame(schema=dict(SIGHTINGS)), watched, past)
    bucket = now.replace(minute=0, second=0, microsecond=0)
    every = sorted({*names, MARKET})
    grid = Grid.of(history, watched, every, now, bucket, rules, past, _new(past.sources, now, rules))
    baseline = grid.baseline(rules)
    usual = [(hours, baseline.expected(hours), baseline.dispersion(hours)) for hours in rules.windows]
    counts = [
        (hours, expected, smallest_surge(expected, dispersion, hours, grid.budget, rules))
        for hours, expected, dispersion in usual
    ]
    rows = {name: row for row, name in enumerate(every)}
    return tuple(
        Outlook(
            name,
            float(grid.days[rows[name]]),
            tuple((hours, float(expected[rows[name]]), int(count[rows[name]])) for hours, expected, count in counts),
        )
        for name in names
    )


def _new(sources: pl.DataFrame, now: datetime, rules: Rules) -> frozenset[str]:
    changes = source_changes(sources, now, rules.learning_days)
    return frozenset(change.publisher for change in changes if change.shift is SourceShift.ADDED)
