"""What a backtest found, as plain values.

takes  nothing
gives  `Report`, `FiredAlert`, `Story`, `Day`, `Trial`
never  runs anything
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Story:
    """One negative story behind an alert."""

    title: str
    publisher: str
    link: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """An alert as it stood when it fired; the peak and the end came later.

    Attributes:
        series, name: what alerted, as a key and for people.
        expected, seen, p_value, hours: negative stories usual and found in the window of so many hours.
        detector, reason: which test found it, and the severity's formula with its numbers.
        resolved_at: None when it was still open at the end of the history.
    """

    series: str
    name: str
    severity: str
    opened_at: datetime
    resolved_at: datetime | None
    hours: int
    expected: float
    seen: int
    p_value: float
    peak_seen: int
    peak_at: datetime
    stories: tuple[Story, ...]
    detector: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """What a series had on one day (UTC)."""

    day: datetime
    stories: int
    negative: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a backtest found.

    Attributes:
        days: of every series that alerted, and of the market, the days with news.
    """

    headlines: int
    stories: int
    since: datetime
    until: datetime
    warmup_until: datetime
    model: str
    alerts: tuple[FiredAlert, ...]
    days: Mapping[str, tuple[Day, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON; times in ISO 8601."""
        return _plain(asdict(self))  # type: ignore[return-value]  # a dict stays a dict


@dataclass(frozen=True, slots=True)
class Trial:
    """What was found of events of one size.

    Attributes:
        size: negative stories of each event.
        events, found: how many were planted where no alert was open, and of how many an alert fired within a day.
        delay_hours: median time from an event's first story to its alert; None when none was found.
        false_alerts: alerts that belong to no event and did not fire in the plain history either.
    """

    size: int
    events: int
    found: int
    delay_hours: float | None
    false_alerts: int

    @property
    def recall(self) -> float:
        """Part of the events that were found."""
        return self.found / self.events if self.events else 0.0


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
