"""Ranges of time, and the steps in which a chart shows them.

takes  a choice of a visitor, or two instants; the time zone; what the store holds
gives  `Period`: aware times in order, with steps of hours, days or months of the zone
never  asks for the time
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from dashboard.zones import UTC_ZONE, Zone

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
# What an address may ask for; calendars end a little beyond.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Extent(Protocol):
    """From when to when the store holds headlines; None where it holds none."""

    @property
    def first_hour(self) -> datetime | None:
        """The first hour with a headline."""

    @property
    def last_hour(self) -> datetime | None:
        """The last one."""


class Choice(StrEnum):
    """The time ranges that a page offers."""

    DAY = "24 hours"
    WEEK = "7 days"
    MONTH = "28 days"
    YEAR = "1 year"
    ALL = "All"


_DAYS = {Choice.DAY: 1, Choice.WEEK: 7, Choice.MONTH: 28, Choice.YEAR: 365}


@dataclass(frozen=True, slots=True)
class Period:
    """A range of time, `until` left out, and the step in which it is shown: 'hour', 'day' or 'month' of a zone."""

    since: datetime
    until: datetime
    step: str
    zone: Zone = UTC_ZONE

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None or self.since >= self.until:
            raise ValueError(f"a period needs aware times in order, not {self.since} to {self.until}")

    @property
    def steps(self) -> list[datetime]:
        """Starts of all steps, UTC, and the end of the last one."""
        found, at = [], self._floored(self.since)
        while at < self.until:
            found.append(max(at, self.since))
            at = self._next(at)
        return [*found, self.until]

    @property
    def mark(self) -> str:
        """What stands once for all times of the range, see `Zone.marks`."""
        weeks = (self.until - self.since) // (7 * _DAY)
        return self.zone.marks([*(self.since + n * 7 * _DAY for n in range(weeks + 1)), self.until])

    def _floored(self, at: datetime) -> datetime:
        if self.step == "hour":
            return _floor_hour(at)
        midnight = _floor_day(at, self.zone)
        return midnight if self.step == "day" else _floor_day(self.zone.there(midnight).replace(day=1), self.zone)

    def _next(self, at: datetime) -> datetime:
        if self.step == "hour":
            return at + _HOUR
        if self.step == "day":
            # A day of the zone may have 23 or 25 hours.
            return _floor_day(at + 36 * _HOUR, self.zone)
        return _floor_day(self.zone.there(at + 32 * _DAY).replace(day=1), self.zone)


def period(choice: Choice, known: Extent, now: datetime, *, live: bool, zone: Zone = UTC_ZONE) -> Period:
    """The range that a choice means.

    It ends with the current hour. When nobody writes, it ends with the last hour that holds headlines: yesterday's
    file shows yesterday, not an empty page.
    """
    until = _floor_hour(now) + _HOUR
    if not live and known.last_hour is not None:
        until = min(until, _floor_hour(known.last_hour) + _HOUR)
    if choice is Choice.ALL:
        first = min(known.first_hour or until - _DAY, until - _HOUR)
        return between(_floor_day(first, zone), until, zone)
    since = until - _DAYS[choice] * _DAY
    return between(since if choice in {Choice.DAY, Choice.WEEK} else _floor_day(since, zone), until, zone)


def counted(over: Period) -> Period:
    """The hours that are counted for a range, as times: an hour belongs to the range that it begins in.

    Days of a zone may begin within an hour (India's at 18:30 UTC), and counts are kept by the hour.
    """
    since, until = _next_hour(over.since), _next_hour(over.until)
    return Period(since, until, over.step, over.zone) if since < until else over


def between(since: datetime, until: datetime, zone: Zone = UTC_ZONE) -> Period:
    """A range of whole hours, in steps that a chart has room for.

    Raises:
        ValueError: when nothing lies between the two, or they are naive.
    """
    length = until - since
    step = "hour" if length <= 8 * _DAY else "day" if length <= 800 * _DAY else "month"
    return Period(since, until, step, zone)


def told_time(text: str) -> datetime | None:
    """The time, UTC, that an address names in ISO 8601 (UTC where it names no zone); None when it names none.

    Of times that no news can have the nearest that a page can draw is taken.
    """
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return None
    return min(max(told if told.tzinfo else told.replace(tzinfo=UTC), _FIRST), _LAST).astimezone(UTC)


def _floor_hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _next_hour(at: datetime) -> datetime:
    """The first whole hour that begins at or after an instant."""
    floor = _floor_hour(at)
    return floor if floor == at else floor + _HOUR


def _floor_day(at: datetime, zone: Zone) -> datetime:
    """Midnight of the zone at or before an instant, UTC."""
    return zone.there(at).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
