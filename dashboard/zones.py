"""In which time zone times are shown: UTC, or that of whoever looks; every time says which.

takes  instants, aware
gives  their words in one zone
never  shows a time without its zone, nor changes the zone by itself
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone by its IANA name.

    Raises:
        ValueError: on a name that this machine does not know.
    """

    name: str = "UTC"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"there is no time zone {self.name!r}") from error

    @property
    def utc(self) -> bool:
        """Whether this is UTC itself."""
        return self.name == "UTC"

    def there(self, at: datetime) -> datetime:
        """The same instant, on this zone's clock."""
        return at.astimezone(ZoneInfo(self.name))

    def instant(self, wall: datetime) -> datetime:
        """The instant, UTC, at which this zone's clocks show a naive time; the first where they show it twice."""
        return wall.replace(tzinfo=ZoneInfo(self.name)).astimezone(UTC)

    def mark(self, at: datetime) -> str:
        """What stands behind a time: `UTC`, `CET`, or `UTC+05:45` where the zone has no letters of its own."""
        short = f"{self.there(at):%Z}"
        return short if short.isalpha() else self._offset(at)

    def marks(self, times: Iterable[datetime]) -> str:
        """What stands once for many times: the mark that all of them bear, else the zone's name.

        Where summer time begins or ends between them, neither `CET` nor `CEST` is true of all.
        """
        if self.utc:
            return self.name
        found = {self.mark(at) for at in times}
        return found.pop() if len(found) == 1 else self.name

    def full(self, at: datetime | None) -> str:
        """`Fri 10 Mar 2023, 14:05 UTC`; `never` for None."""
        return "never" if at is None else f"{self.there(at):%a %-d %b %Y, %H:%M} {self.mark(at)}"

    def clock(self, at: datetime) -> str:
        """`10 Mar, 14:05 UTC`."""
        return f"{self.there(at):%-d %b, %H:%M} {self.mark(at)}"

    def words(self, at: datetime) -> str:
        """The zone for the head line: `UTC`, or `Europe/Berlin (CET, UTC+01:00)`."""
        if self.utc:
            return "UTC"
        short, offset = self.mark(at), self._offset(at)
        return f"{self.name} ({offset})" if short == offset else f"{self.name} ({short}, {offset})"

    def _offset(self, at: datetime) -> str:
        digits = f"{self.there(at):%z}"
        return f"UTC{digits[:3]}:{digits[3:5]}"


UTC_ZONE = Zone()


def zone_named(name: str | None) -> Zone | None:
    """The zone that a browser names; None when it names none, or one that this machine does not know."""
    try:
        return Zone(name) if name else None
    except ValueError:
        return None
