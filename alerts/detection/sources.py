"""Who is speaking: how much each publisher family publishes, and whether that changed.

takes  frames: headlines by publisher and hour, and each series' negative ones by publisher
gives  an exposure for every series that weighs each publisher by how often it writes about it; `SourceChange`s
never  lets a feed that came, went or doubled look like news

The expected count of a series is a sum over publishers, so it follows whoever falls silent or writes twice as much. A
publisher that is new has no history to be judged by: what it alone carries is left out until it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import polars as pl

from alerts.detection.surprise import Floats, tail

_INSTANT = pl.Datetime("us", "UTC")
_DAY = timedelta(days=1)
_FRIDAY = 5  # of Monday's 1 to Sunday's 7

# Headlines of each publisher family by hour, sparse: all of them, and the negative ones.
SOURCES: Mapping[str, pl.DataType] = {
    "publisher": pl.String(),
    "hour": _INSTANT,
    "headlines": pl.Int64(),
    "negative": pl.Int64(),
}
# Negative headlines of each series by publisher family, over the whole baseline.
AFFINITIES: Mapping[str, pl.DataType] = {"series": pl.String(), "publisher": pl.String(), "negative": pl.Int64()}

# So many expected negative headlines of a publisher in a series make its own share believed half.
_PRIOR_HEADLINES = 5.0
# Publishers' days vary by about a third; a change must be clearer than that, and than one in a thousand.
_DAILY_DISPERSION = 0.1
_CHANGE_PROBABILITY = 0.001
_CHANGE_FACTOR = 2.0


class SourceShift(StrEnum):
    """What changed about a publisher."""

    ADDED = "added"  # too new to be judged by its past
    SILENT = "silent"  # published regularly, and nothing of late
    DOUBLED = "doubled"  # publishes at least twice as much as it used to
    RETURNED = "returned"  # was away for a week or more, and is back


@dataclass(frozen=True, slots=True)
class SourceChange:
    """One publisher family whose output changed.

    Attributes:
        publisher: the family.
        shift: how.
        seen, usual: headlines in the last 24 hours, and what these hours of such days, working days or those of a
            weekend, used to bring.
        since: when it was first seen (ADDED), last heard of (SILENT), or now.
    """

    publisher: str
    shift: SourceShift
    seen: int
    usual: float
    since: datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None:
            raise ValueError("a change of sources needs an aware time")


def empty_sources() -> pl.DataFrame:
    """A frame of no sources: nothing is known of publishers, and the market as a whole is the exposure."""
    return pl.DataFrame(schema=dict(SOURCES))


def empty_affinities() -> pl.DataFrame:
    """A frame of no affinities: every publisher counts alike in every series."""
    return pl.DataFrame(schema=dict(AFFINITIES))


def source_changes(sources: pl.DataFrame, now: datetime, learning_days: float) -> tuple[SourceChange, ...]:
    """Publishers whose last 24 hours do not fit their past, by name.

    Nothing is said while the whole of the history is younger than `learning_days`: then every publisher is new.
    """
    if sources.is_empty():
        return ()
    cut = now - _DAY
    # The last 24 hours hold each hour of the day once: those up to now's are of today, the others of yesterday.
    today, hour = pl.col("hour").dt.hour() <= now.hour, pl.col("hour")
    weekend = hour.dt.weekday() > _FRIDAY
    those = pl.col("headlines").filter
    query = (
        sources.lazy()
        .group_by("publisher")
        .agg(
            first=pl.col("hour").min(),
            last=pl.col("hour").max(),
            before=pl.col("hour").filter(pl.col("hour") <= cut).max(),
            seen=those(hour > cut).sum(),
            like_today=those((hour <= cut) & today & (weekend == _at_weekend(now))).sum(),
            like_yesterday=those((hour <= cut) & ~today & (weekend == _at_weekend(cut))).sum(),
        )
    )
    told = query.sort("publisher").collect().rows()
    begun = min(row[1] for row in told)
    found = []
    for publisher, first, last, before, seen, *alike in told:
        days = (max(_days_alike(max(first, begun), cut, weekend=_at_weekend(day)), 1.0) for day in (now, cut))
        usual = sum(headlines / of for headlines, of in zip(alike, days, strict=True))
        shift = _shift(first - begun, now - first, seen, usual, cut - before if before else None, learning_days)
        if shift is not None:
            since = {SourceShift.ADDED: first, SourceShift.SILENT: last}.get(shift, now)
            found.append(SourceChange(publisher, shift, int(seen), float(usual), since))
    return tuple(found)


def _shift(
    late: timedelta, age: timedelta, seen: int, usual: float, away: timedelta | None, learning_days: float
) -> SourceShift | None:
    if late > _DAY and age < timedelta(days=learning_days):
        return SourceShift.ADDED
    if seen and away is not None and away > 7 * _DAY:
        return SourceShift.RETURNED
    if not seen:
        silence = float(1 - tail(1, usual, _DAILY_DISPERSION))
        return SourceShift.SILENT if silence < _CHANGE_PROBABILITY else None
    twice = seen >= _CHANGE_FACTOR * usual and usual > 0
    if twice and float(tail(seen, usual, _DAILY_DISPERSION)) < _CHANGE_PROBABILITY:
        return SourceShift.DOUBLED
    return None


def _at_weekend(day: datetime) -> bool:
    return day.isoweekday() > _FRIDAY


def _days_alike(first: datetime, until: datetime, *, weekend: bool) -> float:
    """Weekdays, or days of weekends, between two moments; whole days are exact enough here."""
    days = max((until - first) / _DAY, 0.0)
    count = sum(_at_weekend(first + step * _DAY) == weekend for step in range(int(days)))
    return count + (days - int(days)) * (_at_weekend(until) == weekend)


@dataclass(frozen=True, slots=True)
class Voices:
    """What publishers published that was not negative: hour by hour, weighed for each series.

    Attributes:
        names: publisher families.
        quiet: headlines that are not negative, [publishers, hours]; an hour before the baseline is not there.
        new: families without enough history.
    """

    names: tuple[str, ...]
    quiet: Floats
    new: frozenset[str]

    @classmethod
    def of(cls, sources: pl.DataFrame, start: datetime, columns: int, new: frozenset[str]) -> Voices:
        """Of a frame of `SOURCES`: one column an hour from `start` on. New families have no say."""
        rows = (
            sources.lazy()
            .filter((pl.col("hour") >= start) & ~pl.col("publisher").is_in(sorted(new)))
            .select(
                "publisher",
                row=pl.col("publisher").rank("dense").cast(pl.Int64) - 1,
                column=(pl.col("hour") - start).dt.total_hours(),
                quiet=pl.col("headlines") - pl.col("negative"),
            )
            .filter(pl.col("column") < columns)
            .collect()
        )
        row = rows["row"].to_numpy()
        firsts = np.unique(row, return_index=True)
        publishers = rows["publisher"]
        # The numbers are ranks, so that they need not be looked up; a family whose every hour lies ahead has none.
        names = {int(number): str(publishers[int(place)]) for number, place in zip(*firsts, strict=True)}
        count = max(names, default=-1) + 1
        quiet = np.bincount(row * columns + rows["column"].to_numpy(), rows["quiet"].to_numpy(), count * columns)
        quiet = quiet.reshape(count, columns)
        return cls(tuple(names.get(number, "") for number in range(count)), np.maximum(quiet, 0.0), new)

    def exposure(self, affinities: pl.DataFrame, series: Sequence[str]) -> Floats:
        """Headlines that are not negative, each weighed by how much its publisher writes about the series.

        A publisher with twice the usual share of a series' negative headlines counts up to twice; one of which little
        is known counts once.

        Returns:
            [series, hours].
        """
        own = np.zeros((len(series), len(self.names)))
        rows = {name: row for row, name in enumerate(series)}
        columns = {name: column for column, name in enumerate(self.names)}
        for name, publisher, negative in affinities.select("series", "publisher", "negative").iter_rows():
            if name in rows and publisher in columns:
                own[rows[name], columns[publisher]] += negative
        return self.weighed(own)

    def weighed(self, own: Floats) -> Floats:
        """The same, of negative headlines that are laid out already, [series, publishers]."""
        total = self.quiet.sum(axis=1)
        alike = own.sum(axis=1, keepdims=True) * total / max(total.sum(), 1.0)
        shares = (own + _PRIOR_HEADLINES) / (alike + _PRIOR_HEADLINES)
        # Row by row: in one product of matrices a row's last bits would hang on how many stand beside it.
        return np.array([row @ self.quiet for row in shares]).reshape(len(own), -1)
