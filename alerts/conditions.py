"""How Squall itself is doing, and who is told of it: channels that fail, feeds that are silent, stages that stopped.

takes  what was told so far, and what is seen now
gives  `Turn`: conditions to keep, and deliveries about them
never  tells of a channel's trouble on that channel, and never tells of the same trouble twice
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from alerts import wording
from alerts.delivery import Delivery, message_delivery
from alerts.messages import Bulletin, Item, Section, bulletin_message

CHANNEL = "channel:"
STAGE = "stage:"
SIGHT = "sight"


class Health(StrEnum):
    """How something is doing."""

    WELL = "well"
    FAILING = "failing"
    DISABLED = "disabled"  # a channel whose receiver said that it wants nothing more
    NO_DATA = "no_data"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Condition:
    """How one thing is doing.

    Attributes:
        subject: "channel:<name>", "stage:<name>" or "sight".
        health: how it is doing.
        since: since when.
        reason: in words, without secrets; empty when it is well.
        told_at: when people were told of it; None when they were not.
        endpoint: of a disabled channel: what its address was, as a digest; a new address switches it on again.

    Raises:
        ValueError: on a naive time, or trouble without words.
    """

    subject: str
    health: Health
    since: datetime
    reason: str = ""
    told_at: datetime | None = None
    endpoint: str = ""

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or (self.told_at is not None and self.told_at.tzinfo is None):
            raise ValueError("a condition needs aware times")
        if self.health is not Health.WELL and not self.reason:
            raise ValueError(f"a condition that is {self.health} needs a reason")

    @property
    def channel(self) -> str:
        """The channel that it is about; empty when it is about something else."""
        return self.subject.removeprefix(CHANNEL) if self.subject.startswith(CHANNEL) else ""


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """What the attempts on one channel say.

    Attributes:
        channel: its name.
        failing_since: the first failed attempt after the last that arrived; None when the last one arrived, or there
            was none.
        reason: of the last attempt.
        waiting, dead: deliveries that are pending, and that were given up.
    """

    channel: str
    failing_since: datetime | None
    reason: str
    waiting: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be written: conditions that changed, and deliveries about them."""

    conditions: tuple[Condition, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


def channel_condition(record: ChannelRecord, known: Condition | None, now: datetime) -> Condition:
    """How a channel is doing. One that is disabled stays so until somebody switches it on."""
    subject = CHANNEL + record.channel
    if known is not None and known.health is Health.DISABLED:
        return known
    if record.failing_since is None:
        return Condition(subject, Health.WELL, now)
    return Condition(subject, Health.FAILING, record.failing_since, record.reason or "no words were given")


def turn(
    known: Mapping[str, Condition],
    seen: Sequence[Condition],
    channels: Sequence[str],
    now: datetime,
    patience: timedelta,
) -> Turn:
    """Tell of trouble that lasts, once, and once when it is over.

    Args:
        known: what is kept, by subject.
        seen: what is so now; subjects that are missing stay as they are kept.
        channels: that there are; told are those that are well, or not known to be otherwise.
        now: aware UTC.
        patience: how long something must fail before people are told. A disabled channel is told of at once, and of
            feeds the rules have been patient already.
    """
    troubled = {one.channel for one in [*known.values(), *seen] if one.channel and one.health is not Health.WELL}
    recovered = {one.channel for one in seen if one.channel and one.health is Health.WELL}
    able = [name for name in channels if name not in troubled - recovered]
    kept: list[Condition] = []
    deliveries: list[Delivery] = []
    for one in seen:
        before = known.get(one.subject)
        same = before is not None and before.health is one.health
        current = replace(one, told_at=before.told_at, since=before.since) if before is not None and same else one
        if current.health is Health.WELL:
            if before is not None and not same:
                kept.append(current)
                if before.told_at is not None:
                    deliveries += _told(current, before, [name for name in able if name != one.channel], now)
            continue
        waited = one.health in (Health.DISABLED, Health.NO_DATA) or now - current.since >= patience
        others = [name for name in able if name != one.channel]
        if current.told_at is None and waited and others:
            current = replace(current, told_at=now)
            deliveries += _told(current, before, others, now)
        if current != before:
            kept.append(current)
    return Turn(tuple(kept), tuple(deliveries))


def _told(one: Condition, before: Condition | None, channels: Sequence[str], now: datetime) -> list[Delivery]:
    message = bulletin_message(f"condition.{one.health.value}", _bulletin(one, before), now)
    # `since` and not `now`: a trouble that is told of again after a crash is told under the same id.
    at = one.since if one.health is not Health.WELL or before is None else before.since
    return [message_delivery(message, one.subject, at, channel, now) for channel in channels]


def _bulletin(one: Condition, before: Condition | None) -> Bulletin:
    name = _name(one.subject)
    since = wording.moment(one.since)
    if one.health is Health.WELL:
        lasted = wording.length(one.since - before.since) if before is not None else ""
        return Bulletin(
            subject=wording.one_line(f"[Squall] {name} works again"),
            title=f"{name} works again",
            lead=f"It had been in trouble for {lasted}." if lasted else "The trouble is over.",
            tone="calm",
            about="squall",
        )
    lead, steps = _trouble(one)
    return Bulletin(
        subject=wording.one_line(f"[Squall] {name}: {lead}"),
        title=name,
        lead=f"{lead[:1].upper()}{lead[1:]}.",
        tone="warning",
        about="squall",
        sections=(Section(heading=f"Since {since}", items=(Item(title=wording.one_line(one.reason)),)),),
        next_steps=steps,
    )


def _trouble(one: Condition) -> tuple[str, tuple[str, ...]]:
    match one.health:
        case Health.DISABLED:
            return "switched off, because its receiver wants no more messages", (
                "Give the channel a new address in the settings, or switch it on again: squall alerts enable "
                f"{one.channel}",
                f"Then send what was given up: squall alerts redeliver --channel {one.channel}",
            )
        case Health.NO_DATA:
            return "no feed answers, so nothing can be called calm", (
                "See the network, and squall status: alerts stay open until news is seen again.",
            )
        case Health.ERROR:
            return "headlines cannot be scored, so nothing can be called calm", (
                "See squall status for the model's reason: headlines wait, and none is lost.",
            )
        case _ if one.channel:
            return "messages do not arrive", (
                f"See the receiver, then try it: squall alerts test {one.channel}",
                "What waits is tried again for about three days; after that: squall alerts redeliver "
                f"--channel {one.channel}",
            )
        case _:
            return "fails", ("See the log and squall status.",)


def _name(subject: str) -> str:
    if subject.startswith(CHANNEL):
        return f"Channel {subject.removeprefix(CHANNEL)}"
    if subject.startswith(STAGE):
        return f"Stage {subject.removeprefix(STAGE)}"
    return "Sight of the news"
