"""Digests: what happened in a day or a week, whether or not anybody was told at once.

takes  the [[digests]] tables, now, and what the store knows of the period
gives  the period that is due, and its `Bulletin`
never  sends twice for one period: the delivery's id is made of the digest's name, the period's beginning and its end
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from alerts.lifecycle import Alert, State
from alerts.settings import ChannelName
from alerts.telling.decisions import Choice
from alerts.telling.routes import DAYS, Day, known_zone
from alerts.texts import wording
from alerts.texts.messages import Bulletin, Item, Section, began

_MOST = 20
_WHY = {
    Choice.NO_ROUTE.value: "no route leads there",
    Choice.BELOW_SEVERITY.value: "not grave enough for the route",
    Choice.NOT_WANTED.value: "of a sort that the route does not carry",
    Choice.LEFT_TO_DIGEST.value: "left to digests",
    Choice.INHIBITED.value: "the alert of the whole market said it",
    Choice.JUDGED_FALSE.value: "reminders of what somebody called false",
    Choice.ACKNOWLEDGED.value: "reminders of what somebody has acknowledged",
    Choice.NEVER_TOLD.value: "ends of alerts that the channel had not been told of",
    Choice.OVERTAKEN.value: "not taken by a receiver that took a later one",
    Choice.SUPERSEDED.value: "held back, and overtaken by a later one",
}


class Digest(BaseModel):
    """One table [[digests]].

    Raises:
        pydantic.ValidationError: on an unknown time zone or an hour that is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ChannelName = Field(description="Lower case letters, digits and hyphens.")
    every: Literal["day", "week"] = Field("day", description="How often: day or week.")
    at: str = Field("07:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="At which hour, by the zone's clocks.")
    weekday: Day = Field("mon", description="On which day, when it is weekly.")
    time_zone: str = Field("UTC", description="Zone of the hour, such as Europe/Zurich.")
    channels: tuple[ChannelName, ...] = Field((), description="Channels that get it; all when empty.")

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        return known_zone(name)

    def last_end(self, now: datetime) -> datetime:
        """The end of the last period that is over at `now`, in UTC."""
        zone = ZoneInfo(self.time_zone)
        day = now.astimezone(zone).date()
        ends = (
            (date, datetime.combine(date, time.fromisoformat(self.at), zone).astimezone(UTC))
            for date in (day - timedelta(days=back) for back in range(9))
        )
        return next(
            end for date, end in ends if end <= now and (self.every == "day" or DAYS[date.weekday()] == self.weekday)
        )


@dataclass(frozen=True, slots=True)
class Period:
    """What the store knows of a period.

    Attributes:
        since, until: aware UTC.
        alerts: that were open at some time in it and have fired, latest first.
        headlines, stories, negative: what came in over all feeds, by whole hours.
        unsent: how many notices were not sent, by the reason.
        left_out_since: from when to `since` no digest tells, because the settings did not ask for it; None when
            the digest before ended at `since`.
    """

    since: datetime
    until: datetime
    alerts: tuple[Alert, ...] = ()
    headlines: int = 0
    stories: int = 0
    negative: int = 0
    unsent: Mapping[str, int] | None = None
    left_out_since: datetime | None = None


def due(digest: Digest, covered_until: datetime | None, now: datetime) -> tuple[datetime, datetime] | None:
    """Since when and until when the digest that is due reaches; None when none is.

    Args:
        digest: its settings.
        covered_until: where the last one ended, or since when the digest is asked for; None when nobody noted it, and
            then none is due: it begins now.
        now: aware UTC. What was missed while nobody ran is covered by the next one.
    """
    end = digest.last_end(now)
    return (covered_until, end) if covered_until is not None and covered_until < end else None


def resumed(digest: Digest, since: datetime, until: datetime) -> datetime:
    """Where the digest begins that is due at `until`, when the settings had not asked for it: no earlier than usual.

    Args:
        since: where the last one ended, months ago perhaps.
    """
    return max(since, digest.last_end(until - timedelta.resolution))


def covered(digest: Digest, noted: datetime, now: datetime) -> datetime:
    """Until when digests were told: what was noted; where a clock that ran ahead noted it, the last end before now."""
    return noted if noted <= now else digest.last_end(now)


def bulletin(digest: Digest, period: Period, names: Mapping[str, str], dashboard_url: str) -> Bulletin:
    """What a digest says."""
    still = [alert for alert in period.alerts if alert.is_open]
    over = [alert for alert in period.alerts if not alert.is_open]
    word = "Daily" if digest.every == "day" else "Weekly"
    count = len(period.alerts)
    alerts = f"{count} {'alert' if count == 1 else 'alerts'}" if count else "no alert"
    sections = [
        Section(heading=heading, items=tuple(_item(alert, names) for alert in found[:_MOST]))
        for heading, found in (("Open", still), ("Over", over))
        if found
    ]
    sections.append(Section(heading="What came in", items=(_came_in(period),)))
    if unsent := _unsent(period):
        sections.append(Section(heading="Notices that were not sent", items=unsent))
    lead = f"From {wording.moment(period.since)} to {wording.moment(period.until)}: {alerts}."
    if period.left_out_since is not None:
        lead += f" Nothing is told of the time from {wording.moment(period.left_out_since)}: it was not asked for then."
    gravest = max(still, key=lambda alert: alert.severity.rank, default=None)
    return Bulletin(
        subject=f"[Squall] {word} digest: {alerts}" + (f", {len(still)} open" if still else ""),
        title=f"{word} digest",
        lead=lead,
        tone=gravest.severity.value if gravest else "calm",
        about="digest",
        sections=tuple(sections),
        alerts=tuple(alert.id for alert in period.alerts[:_MOST]),
        dashboard_url=wording.web_link(dashboard_url),
    )


def _item(alert: Alert, names: Mapping[str, str]) -> Item:
    name = wording.one_line(names.get(alert.series, "")) or wording.series_name(alert.series)
    end = alert.resolved_at
    # As the message of its end reckons it.
    since = began(alert)
    lasted = f"over after {wording.length(alert.last_spike_at - since)}" if end else _standing(alert.state)
    first = f' "{alert.evidence[0].title}"' if alert.evidence else ""
    return Item(
        title=wording.one_line(f"[{alert.severity.value.upper()}] {name}: {lasted}"),
        text=wording.one_line(
            f"Since {wording.moment(since)}, at most {wording.seen(alert.series, alert.peak_observed)} where "
            f"{wording.count(alert.peak_expected)} would be usual. {alert.id}.{first}"
        ),
    )


def _standing(state: State) -> str:
    return {State.FIRING: "goes on", State.RECOVERING: "calming down"}.get(state, "cannot be seen at the moment")


def _came_in(period: Period) -> Item:
    return Item(
        title=f"{period.headlines:,} headlines, {period.stories:,} stories, {period.negative:,} of them negative."
    )


def _unsent(period: Period) -> tuple[Item, ...]:
    return tuple(
        Item(title=f"{count:,} {'notice' if count == 1 else 'notices'}: {_WHY.get(choice, choice.replace('_', ' '))}.")
        for choice, count in sorted((period.unsent or {}).items())
    )
