"""Who is told of what, on which channel, and when.

takes  the [[routes]] tables of the settings
gives  `Route`s: by series, severity and kind of notice; grouping, quiet hours, repeats
never  knows an alert's history: `alerts.telling.notices` decides with it
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from alerts.detection.spikes import Severity
from alerts.lifecycle import Change
from alerts.settings import ChannelName
from alerts.telling.patterns import covers

Notice = Literal["fired", "escalated", "reminded", "resolved"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_LONGEST_BACKOFF = timedelta(days=7)
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


class Objection(StrEnum):
    """Why a route does not carry a notice."""

    SERIES = "series"
    SEVERITY = "severity"
    NOTICE = "notice"


class Route(BaseModel):
    """One table [[routes]].

    Raises:
        pydantic.ValidationError: on a value out of range, an unknown time zone or a span of hours that is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ChannelName = Field(description="Lower case letters, digits and hyphens; decisions are recorded with it.")
    channels: tuple[ChannelName, ...] = Field((), description="Channels that it leads to; all when empty.")
    series: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        description="Series that it carries, with * and ? as wild cards: theme:bank-stress, company:*; all if empty.",
    )
    severity: Severity = Field(Severity.INFO, description="The least severity that it carries.")
    notices: tuple[Notice, ...] = Field(
        ("fired", "escalated", "reminded", "resolved"), min_length=1, description="The notices that it carries."
    )
    digest_only: bool = Field(False, description="Send nothing at once: what it carries is left to the digests.")
    group_minutes: int = Field(
        0, ge=0, le=1440, description="Collect notices for so long and send them as one; 0 sends each at once."
    )
    repeat_hours: float = Field(
        24,
        ge=0,
        le=24 * 30,
        description="Remind after so long of an alert that fires and was not acknowledged; 0 never reminds.",
    )
    repeat_backoff: float = Field(
        2, ge=1, le=10, description="Each further reminder waits so many times longer than the last, a week at most."
    )
    quiet_hours: str = Field(
        "", description='Hours in which notices are held back, such as "22:00-07:00"; none when empty.'
    )
    quiet_days: tuple[Day, ...] = Field((), description='Days that are quiet as a whole, such as ["sat", "sun"].')
    time_zone: str = Field("UTC", description="Zone of the quiet hours and days, such as Europe/Zurich.")
    quiet_until: Severity | Literal["never"] = Field(
        Severity.CRITICAL,
        description="Alerts of this severity or graver break through quiet hours; never lets none through.",
    )

    @field_validator("quiet_hours")
    @classmethod
    def _span(cls, text: str) -> str:
        if text and (not _SPAN.fullmatch(text) or text[:5] == text[6:]):
            raise ValueError('quiet_hours must be two different times, as "22:00-07:00"')
        return text

    @field_validator("quiet_days")
    @classmethod
    def _days(cls, days: tuple[Day, ...]) -> tuple[Day, ...]:
        if set(days) == set(DAYS):
            raise ValueError(
                "quiet_days must leave a day: what is held back would never be sent; see severity, digest_only"
            )
        return days

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        return known_zone(name)

    def leads_to(self, channel: str) -> bool:
        """Whether notices of this route go to the channel."""
        return not self.channels or channel in self.channels

    def objection(self, change: Change) -> Objection | None:
        """Why it does not carry this notice; None when it does."""
        alert = change.alert
        if self.series and not any(covers(one, alert.series) for one in self.series):
            return Objection.SERIES
        if alert.severity.rank < self.severity.rank:
            return Objection.SEVERITY
        return None if change.reason.value in self.notices else Objection.NOTICE

    def quiet_end(self, now: datetime, severity: Severity) -> datetime | None:
        """When the quiet time that `now` lies in is over, in UTC; None when it is not quiet for this severity.

        Wall clocks count: "22:00-07:00" ends at 7 o'clock by the clocks of `time_zone`, also in the night in which
        they are changed.
        """
        if self.quiet_until != "never" and severity.rank >= Severity(self.quiet_until).rank:
            return None
        zone = ZoneInfo(self.time_zone)
        moment = end = now.replace(second=0, microsecond=0)
        while self._is_quiet(end.astimezone(zone)):
            end += _MINUTE
        return end if end > moment else None

    def repeat_wait(self, reminders: int) -> timedelta | None:
        """How long after the last notice the next reminder is due, when so many were sent; None when never."""
        if not self.repeat_hours or "reminded" not in self.notices:
            return None
        # In hours: after some months of reminders the product is longer than any timedelta can be.
        longest = max(_LONGEST_BACKOFF / _HOUR, self.repeat_hours)
        return timedelta(hours=min(self.repeat_hours * self.repeat_backoff ** min(reminders, 50), longest))

    def _is_quiet(self, there: datetime) -> bool:
        if DAYS[there.weekday()] in self.quiet_days:
            return True
        if not self.quiet_hours:
            return False
        begin, end = (time.fromisoformat(part) for part in self.quiet_hours.split("-"))
        at = there.time()
        return begin <= at < end if begin < end else at >= begin or at < end


DEFAULT = Route(name="default")


def known_zone(name: str) -> str:
    """The name, when it is one of a time zone.

    Raises:
        ValueError: when it is not.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write Europe/Zurich, America/New_York or UTC") from error
    return name
