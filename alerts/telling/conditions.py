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

from alerts.sending.delivery import Delivery, message_delivery
from alerts.texts import wording
from alerts.texts.messages import Bulletin, Item, Section, bulletin_message

CHANNEL = "channel:"
MAILBOX = "mailbox:"
STAGE = "stage:"
SIGHT = "sight"
# What stands still while a stage fails.
_WITHOUT = {
    "poll": "no news comes in",
    "detect": "no alert begins or ends",
    "oversee": "no reminders and digests come",
    "maintain": "the store is not tidied up, and grows",
    "note": "squall status is out of date",
    "heartbeat": "nobody hears that Squall is at work",
}
_MOST_MAILBOXES = 10


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
        subject: "channel:<name>", "mailbox:<channel>/<address>", "stage:<name>" or "sight".
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

    @property
    def mailbox(self) -> tuple[str, str] | None:
        """The channel and the address of the recipient that it is about; None when it is about something else."""
        if not self.subject.startswith(MAILBOX):
            return None
        channel, _, address = self.subject.removeprefix(MAILBOX).partition("/")
        return channel, address


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
class MailboxRecord:
    """What the attempts for one recipient of a channel say, who once did not take what the others took.

    Attributes:
        channel, recipient: name and address.
        failing_since: the first message that did not arrive there after the last that did; None when that one did.
        reason: of the last that did not.
    """

    channel: str
    recipient: str
    failing_since: datetime | None
    reason: str

    @property
    def subject(self) -> str:
        """Of its condition."""
        return mailbox_subject(self.channel, self.recipient)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be written: conditions that changed, and deliveries about them."""

    conditions: tuple[Condition, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class _News:
    """What people are told of: how it is now, how it was, and on which channels they are told."""

    now: Condition
    before: Condition | None
    channels: tuple[str, ...]

    @property
    def began(self) -> datetime:
        """When the trouble did; with it, what is told of again after a crash is told under the same id."""
        return self.now.since if self.now.health is not Health.WELL or self.before is None else self.before.since


def mailbox_subject(channel: str, recipient: str) -> str:
    """The subject of the condition of one recipient of a channel."""
    return f"{MAILBOX}{channel}/{recipient}"


def mailbox_condition(record: MailboxRecord, now: datetime) -> Condition:
    """How one recipient of a channel is doing."""
    if record.failing_since is None:
        return Condition(record.subject, Health.WELL, now)
    return Condition(record.subject, Health.FAILING, record.failing_since, record.reason or "no words were given")


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
    news: list[_News] = []
    for one in seen:
        before = known.get(one.subject)
        same = before is not None and before.health is one.health
        current = replace(one, told_at=before.told_at, since=before.since) if before is not None and same else one
        others = tuple(name for name in able if name != one.channel)
        if current.health is Health.WELL:
            if before is not None and not same:
                kept.append(current)
                if before.told_at is not None:
                    news.append(_News(current, before, others))
            continue
        waited = one.health in (Health.DISABLED, Health.NO_DATA) or now - current.since >= patience
        if current.told_at is None and waited and others:
            current = replace(current, told_at=now)
            news.append(_News(current, before, others))
        if current != before:
            kept.append(current)
    return Turn(tuple(kept), tuple(_told(news, now)))


def _told(news: Sequence[_News], now: datetime) -> list[Delivery]:
    """One message for each; of recipients one for all of a channel, also where its server refuses ninety at once."""
    deliveries: list[Delivery] = []
    mailboxes: dict[tuple[str, Health], dict[str, _News]] = {}
    for one in news:
        if (mailbox := one.now.mailbox) is not None:
            mailboxes.setdefault((mailbox[0], one.now.health), {})[mailbox[1]] = one
            continue
        deliveries += _messages(one.now.subject, one.began, one, _bulletin(one.now, one.before), now)
    for (channel, _), mine in mailboxes.items():
        # By address: those who fail later, but say so since the same moment, are other news.
        subject, first = mailbox_subject(channel, ",".join(mine)), next(iter(mine.values()))
        deliveries += _messages(subject, _began(mine), first, _mailboxes(channel, mine), now)
    return deliveries


def _messages(subject: str, at: datetime, news: _News, told: Bulletin, now: datetime) -> list[Delivery]:
    message = bulletin_message(f"condition.{news.now.health.value}", told, now)
    return [message_delivery(message, subject, at, channel, now) for channel in news.channels]


def _began(mine: Mapping[str, _News]) -> datetime:
    return min(one.began for one in mine.values())


def _mailboxes(channel: str, mine: Mapping[str, _News]) -> Bulletin:
    who = wording.one_line(next(iter(mine)) if len(mine) == 1 else f"{len(mine)} recipients")
    well = all(one.now.health is Health.WELL for one in mine.values())
    lines = list(mine) if well else [one.now.reason for one in mine.values()]
    shown = lines[:_MOST_MAILBOXES] + ([f"and {len(lines) - _MOST_MAILBOXES} more"] if lines[_MOST_MAILBOXES:] else [])
    items = tuple(Item(title=wording.one_line(line)) for line in shown)
    told = Bulletin(
        subject=f"[Squall] {who} of channel {channel}: mail arrives again",
        title=f"Mail to {who} of channel {channel} arrives again",
        lead="The mail server takes it again.",
        tone="calm",
        about="squall",
        sections=(Section(heading="Recipients", items=items),),
    )
    if well:
        return told
    steps = (
        "See whether the address is still right; one that is gone should leave the settings.",
        f"What waits is tried again for about three days; after that: squall alerts redeliver --channel {channel}",
    )
    return told.model_copy(
        update={
            "subject": f"[Squall] {who} of channel {channel}: mail does not arrive",
            "title": f"Mail to {who} of channel {channel} does not arrive",
            "lead": "The other recipients of the channel have it.",
            "tone": "warning",
            "sections": (Section(heading=f"Since {wording.moment(_began(mine))}", items=items),),
            "next_steps": steps,
        }
    )


def _bulletin(one: Condition, before: Condition | None) -> Bulletin:
    name = _name(one.subject)
    since = wording.moment(one.since)
    if one.health is Health.WELL:
        again = f"{name} works again" if one.subject != SIGHT else "News is seen and scored again"
        lasted = wording.length(one.since - before.since) if before is not None else ""
        return Bulletin(
            subject=wording.one_line(f"[Squall] {again}"),
            title=again,
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
            so = _WITHOUT.get(one.subject.removeprefix(STAGE), "")
            return f"fails{f', so {so}' if so else ''}", ("See the log and squall status.",)


def _name(subject: str) -> str:
    if subject.startswith(CHANNEL):
        return f"Channel {subject.removeprefix(CHANNEL)}"
    if subject.startswith(STAGE):
        return f"Stage {subject.removeprefix(STAGE)}"
    return "Sight of the news"
