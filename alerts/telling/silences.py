"""Silences: series whose notices nobody wants for a while.

takes  a series and the silences that there are
gives  the `Silence` that holds for it now, or nothing
never  hides an alert: it is detected, stored and shown as ever, and each notice that is not sent is recorded
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from alerts.telling.patterns import covers

LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence.

    Attributes:
        id: "silence_" and 12 hex digits.
        pattern: a series, or several by `*` and `?`: `theme:bank-stress`, `company:JPM`, `topic:*`.
        created_at, until: it holds from the one to just before the other; aware UTC.
        who, why: who asked for it, and in which words.
        ended_at: when it was ended before its time; None when it was not.

    Raises:
        ValueError: on an empty pattern, naive times, or an end that is not after the beginning or a year beyond it.
    """

    id: str
    pattern: str
    created_at: datetime
    until: datetime
    who: str
    why: str = ""
    ended_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.pattern or any(c.isspace() and c != " " for c in self.pattern):
            raise ValueError("a silence needs a series, such as theme:bank-stress or company:*")
        if any(time is not None and time.tzinfo is None for time in (self.created_at, self.until, self.ended_at)):
            raise ValueError("a silence needs aware times")
        if not self.created_at < self.until <= self.created_at + LONGEST:
            raise ValueError("a silence must end after now, and within a year")

    def holds(self, now: datetime) -> bool:
        """Whether it is in force."""
        return self.created_at <= now < min(self.until, self.ended_at or self.until)

    def covers(self, series: str) -> bool:
        """Whether the pattern names this series."""
        return covers(self.pattern, series)


def silence(pattern: str, now: datetime, until: datetime, *, who: str, why: str = "") -> Silence:
    """A new silence; the same request at the same instant has the same id.

    Raises:
        ValueError: see `Silence`.
    """
    identity = "\x1f".join((pattern, now.astimezone(UTC).isoformat(), until.astimezone(UTC).isoformat(), who))
    id_ = "silence_" + hashlib.blake2b(identity.encode(), digest_size=6).hexdigest()
    return Silence(id_, pattern, now, until, who, why)


def ended(one: Silence, now: datetime) -> Silence:
    """The silence, ended now; one that is over already stays as it is."""
    return replace(one, ended_at=now) if one.holds(now) else one


def silencing(series: str, silences: Iterable[Silence], now: datetime) -> Silence | None:
    """The silence that covers this series now, of several the one that lasts longest."""
    found = [one for one in silences if one.holds(now) and one.covers(series)]
    return max(found, key=lambda one: (one.until, one.id), default=None)
