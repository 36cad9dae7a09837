"""What people and programs are told.

takes  a change of an alert, or a bulletin
gives  `Message`: the versioned JSON payload of every channel; alerts/texts/prose.py puts it into words
never  carries markup: titles are text, links are http or https or absent

The payload is written when the change is, so a retry days later says what was true then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason
from alerts.texts import wording

MOST_STORIES = 25  # in a payload; mail and chat show fewer
TEST_TYPE = "squall.test"
HEARTBEAT_TYPE = "squall.heartbeat"
_OPTIONAL = frozenset({"trend", "bulletin", "members", "unwatched"})


class _Part(BaseModel):
    # Extra keys are passed over, so that a payload from a newer minor release still reads after a downgrade.
    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_serializer(mode="wrap")
    def _lean(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """What most messages do not have is left out where it is absent; `null` stays where it says something."""
        told: dict[str, object] = handler(self)
        return {key: value for key, value in told.items() if value or key not in _OPTIONAL}


class Count(_Part):
    """How many distinct negative stories there were against the usual number, and how likely that is by luck."""

    observed: int
    expected: float
    p_value: float
    at: datetime


class Story(_Part):
    """One story behind the alert. `id` is a string: 64 bits are more than a JSON number safely holds."""

    id: str
    title: str
    publishers: tuple[str, ...]
    link: str
    at: datetime
    negative: float


class Trend(_Part):
    """Negative stories of the series over the last days, for a picture.

    Attributes:
        since: where the first bar begins, aware UTC.
        hours_per_bar: length of each.
        negative: distinct negative stories in each bar, oldest first.
    """

    since: datetime
    hours_per_bar: int
    negative: tuple[int, ...]


class Item(_Part):
    """One line of a bulletin: a title, what there is to say, and where to read on."""

    title: str
    text: str = ""
    link: str = ""


class Section(_Part):
    """Some items under a heading."""

    heading: str
    items: tuple[Item, ...]


class Bulletin(_Part):
    """What is not about one alert: several at once, a digest, or how Squall itself is doing.

    Attributes:
        subject: one line for a locked phone.
        title, lead: heading, and the sentence under it.
        tone: "critical", "warning", "info" or "calm": its colour.
        about: what sort of thing it is: "alerts", "digest", "channel", "feeds", "squall".
        alerts: ids of the alerts that it tells of.
        threads: ids of the deliveries that began their threads.
    """

    subject: str
    title: str
    lead: str
    tone: str
    about: str
    sections: tuple[Section, ...] = ()
    next_steps: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    dashboard_url: str = ""


class Facts(_Part):
    """The alert as it was when the message was planned; `unwatched` when its series had left the settings."""

    alert: str
    series: str
    kind: str
    name: str
    state: str
    severity: str
    window_hours: int
    now: Count
    peak: Count
    since: datetime
    opened_at: datetime
    fired_at: datetime | None
    last_surge_at: datetime
    resolved_at: datetime | None
    publishers: int
    stories: tuple[Story, ...]
    dashboard_url: str
    trend: Trend | None = None
    unwatched: bool = False


class Message(_Part):
    """The payload, version 1: type, timestamp and data as Standard Webhooks lays them out.

    Attributes:
        type: "squall.alert.<reason>" (fired, escalated, reminded, resolved), "squall.group", "squall.digest",
            "squall.condition.<state>", "squall.heartbeat" or "squall.test".
        version: rises when a field is removed or changes its meaning; new fields leave it alone.
        timestamp: when the change happened, aware UTC.
        data: the alert; None when it is not about one alert.
        bulletin: what it says instead; None in a heartbeat and a test.
        members: the messages that a group is made of.
    """

    type: str
    version: Literal[1] = 1
    timestamp: datetime
    data: Facts | None
    bulletin: Bulletin | None = None
    members: tuple[Message, ...] = ()

    @property
    def reason(self) -> str:
        """The last word of the type: "fired", "escalated", "resolved", "test"."""
        return self.type.rpartition(".")[2]

    @property
    def resolves(self) -> bool:
        """Whether it says that an alert is over."""
        return self.reason == ChangeReason.RESOLVED.value


def alert_message(
    change: Change, *, names: Mapping[str, str], dashboard_url: str, trend: Trend | None = None
) -> Message:
    """What a change of an alert says. `names` gives words for series; missing ones are spelled from their key."""
    alert = change.alert
    facts = _facts(alert, change.at, names.get(alert.series, ""), dashboard_url)
    return Message(
        type=f"squall.alert.{change.reason.value}",
        timestamp=change.at,
        data=facts.model_copy(update={"trend": trend, "unwatched": change.unwatched}),
    )


def bulletin_message(kind: str, bulletin: Bulletin, at: datetime, members: Sequence[Message] = ()) -> Message:
    """A message that is not about one alert; `kind` follows "squall." in its type."""
    return Message(type=f"squall.{kind}", timestamp=at, data=None, bulletin=bulletin, members=tuple(members))


def heartbeat_message(now: datetime) -> Message:
    """The message that only says that the daemon works."""
    return Message(type=HEARTBEAT_TYPE, timestamp=now, data=None)


def sample_message(now: datetime) -> Message:
    """The message that only asks whether the channel works."""
    return Message(type=TEST_TYPE, timestamp=now, data=None)


def began(alert: Alert) -> datetime:
    """The first story of its surge, as far as it still shows it; when it opened if that is earlier."""
    return min([alert.opened_at, *(one.at for one in alert.evidence)])


def _facts(alert: Alert, at: datetime, name: str, dashboard_url: str) -> Facts:
    # What many publishers carry is what a reader must see when only a few stories fit.
    told = sorted(alert.evidence, key=lambda e: (-len(e.publishers), e.at, e.story))
    return Facts(
        alert=alert.id,
        series=alert.series,
        kind=wording.series_kind(alert.series),
        name=wording.one_line(name) or wording.series_name(alert.series),
        state=alert.state.value,
        severity=alert.severity.value,
        window_hours=alert.hours,
        now=Count(observed=alert.observed, expected=alert.expected, p_value=alert.p_value, at=at),
        peak=Count(
            observed=alert.peak_observed, expected=alert.peak_expected, p_value=alert.peak_p_value, at=alert.peak_at
        ),
        since=began(alert),
        opened_at=alert.opened_at,
        fired_at=alert.fired_at,
        last_surge_at=alert.last_spike_at,
        resolved_at=alert.resolved_at,
        publishers=len({p for e in told for p in e.publishers}),
        stories=tuple(_story(e) for e in told[:MOST_STORIES]),
        dashboard_url=wording.web_link(dashboard_url),
    )


def _story(evidence: Evidence) -> Story:
    return Story(
        id=str(evidence.story),
        title=wording.one_line(evidence.title),
        publishers=tuple(wording.one_line(p) for p in evidence.publishers),
        link=wording.web_link(evidence.link),
        at=evidence.at,
        negative=evidence.negative,
    )


def read_message(payload: str) -> Message:
    """The message that a stored payload holds.

    Raises:
        ValueError: when it is no payload of version 1.
    """
    return Message.model_validate_json(payload)
