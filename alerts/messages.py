"""What people and programs are told about an alert.

takes  a change of an alert
gives  `Message`: the versioned JSON payload of every channel; and from it a subject, a headline and plain text
never  carries markup: titles are text, links are http or https or absent

The payload is written when the change is, so a retry days later says what was true then.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from alerts import wording
from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason

MOST_STORIES = 25  # in a payload; mail and chat show fewer
TEST_TYPE = "squall.test"


class _Part(BaseModel):
    # Extra keys are passed over, so that a payload from a newer minor release still reads after a downgrade.
    model_config = ConfigDict(frozen=True, extra="ignore")


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


class Facts(_Part):
    """The alert as it was when the message was planned."""

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


class Message(_Part):
    """The payload, version 1: type, timestamp and data as Standard Webhooks lays them out.

    Attributes:
        type: "squall.alert.<reason>" (fired, escalated, resolved) or "squall.test".
        version: rises when a field is removed or changes its meaning; new fields leave it alone.
        timestamp: when the change happened, aware UTC.
        data: None in a test.
    """

    type: str
    version: Literal[1] = 1
    timestamp: datetime
    data: Facts | None

    @property
    def reason(self) -> str:
        """The last word of the type: "fired", "escalated", "resolved", "test"."""
        return self.type.rpartition(".")[2]

    @property
    def resolves(self) -> bool:
        """Whether it says that an alert is over."""
        return self.reason == ChangeReason.RESOLVED.value


def alert_message(change: Change, *, names: Mapping[str, str], dashboard_url: str) -> Message:
    """What a change of an alert says. `names` gives words for series; missing ones are spelled from their key."""
    alert = change.alert
    return Message(
        type=f"squall.alert.{change.reason.value}",
        timestamp=change.at,
        data=_facts(alert, change.at, names.get(alert.series, ""), dashboard_url),
    )


def sample_message(now: datetime) -> Message:
    """The message that only asks whether the channel works."""
    return Message(type=TEST_TYPE, timestamp=now, data=None)


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
        since=min([alert.opened_at, *(e.at for e in told)]),
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


def subject(message: Message) -> str:
    """One line that says it all on a locked phone."""
    facts = message.data
    if facts is None:
        return "[Squall] Test notification"
    if message.resolves:
        lasted = wording.length(facts.last_surge_at - facts.since)
        return f"[resolved] {facts.name}: over after {lasted}, peak {wording.stories(facts.peak.observed)}"
    usual = wording.count(facts.now.expected)
    return (
        f"[{facts.severity.upper()}] {facts.name}: {wording.stories(facts.now.observed)} in "
        f"{wording.hours(facts.window_hours)}, usual {usual}"
    )


def event(message: Message) -> str:
    """What happened, to be read beside or after the name of the series."""
    facts = message.data
    if facts is None:
        return "This channel works."
    if message.resolves:
        return "Back to the usual rate of negative news."
    if message.reason == ChangeReason.ESCALATED.value:
        return f"The surge of negative news has grown and is now {facts.severity}."
    return "A surge of negative news."


def paragraphs(message: Message) -> tuple[str, ...]:
    """What was seen against what is usual, how likely that is, and since when; for a resolve, peak and length."""
    facts = message.data
    if facts is None:
        return ("Squall sent this because somebody asked for a test. No alert is open because of it.",)
    if message.resolves:
        # The alert keeps no length of window for its peak, so none is claimed.
        return (
            f"It lasted {wording.length(facts.last_surge_at - facts.since)}: from {wording.moment(facts.since)} to "
            f"{wording.moment(facts.last_surge_at)}, and has been quiet since.",
            f"At its peak, {wording.moment(facts.peak.at)}, there were {_against_usual(facts.peak)}",
            _by_luck(facts.peak),
        )
    publishers = "1 publisher" if facts.publishers == 1 else f"{facts.publishers} publishers"
    return (
        f"In the last {wording.hours(facts.window_hours)} there were {_against_usual(facts.now)}",
        _by_luck(facts.now),
        f"Since {wording.moment(facts.since)}, from {publishers}.",
    )


def _against_usual(count: Count) -> str:
    usual = f"about {wording.count(count.expected)}" if count.expected >= wording.NEXT_TO_NOTHING else "almost none"
    times = wording.times_as_many(count.observed, count.expected)
    return f"{wording.stories(count.observed)}; {usual} would be usual{f', so {times}' if times else ''}."


def _by_luck(count: Count) -> str:
    odds = wording.chance(count.p_value)
    return f"If nothing unusual were going on, a count this high would come up {odds} times that one looks."


def next_steps(message: Message) -> tuple[str, ...]:
    """What to do now, in order. The address of the dashboard is added by whoever can make it a link."""
    if message.data is None:
        return ("Nothing: alerts will arrive here in the same way.",)
    if message.resolves:
        return ("Nothing needs doing. The alert and its stories stay on record.",)
    return (
        "Read the stories and judge whether they concern you: Squall counts stories, it does not weigh them.",
        "You will hear again only if this grows, and once when it is over.",
    )


def plain_text(message: Message, most_stories: int = 10) -> str:
    """The whole message without markup, with up to `most_stories` stories."""
    facts = message.data
    lines = [event(message) if facts is None else f"{facts.name}: {_lower(event(message))}", "", *paragraphs(message)]
    if facts is not None and facts.stories:
        lines += ["", "The stories, most widely carried first"]
        for number, story in enumerate(facts.stories[:most_stories], 1):
            lines.append(f"{number:>3}. {story.title}")
            lines.append(f"     {', '.join(story.publishers) or 'unknown publisher'} · {wording.moment(story.at)}")
            if story.link:
                lines.append(f"     {story.link}")
        if more := more_stories(facts, most_stories):
            lines.append(f"     and {more} more")
    lines += ["", "What to do next", *(f"  - {step}" for step in next_steps(message))]
    if facts is not None and facts.dashboard_url:
        lines.append(f"  - Dashboard: {facts.dashboard_url}")
    if facts is not None:
        lines += ["", f"Alert {facts.alert} · {facts.series}"]
    return "\n".join(lines) + "\n"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def more_stories(facts: Facts, shown: int) -> int:
    """How many stories there are beyond those shown, as far as the alert counted them."""
    counted = max(facts.now.observed, len(facts.stories))
    return max(0, counted - min(shown, len(facts.stories)))
