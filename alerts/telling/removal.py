"""What was taken out of the settings: letters that waited for a channel, and troubles that nobody looks at any more.

takes  deliveries that wait for channels or recipients that are no more, and conditions of what is no more
gives  `Removal`: dead letters, each with a decision on record; and a `Turn` that ends the conditions
never  sends a letter elsewhere than it was written for, and never says that something works which nobody looks at
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alerts.sending.delivery import Delivery, DeliveryState, message_delivery
from alerts.telling.conditions import Condition, Health, Turn
from alerts.telling.decisions import Choice, Decision
from alerts.texts import wording
from alerts.texts.messages import Bulletin, bulletin_message, read_message

_ENDED = "condition.removed"


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to be written, all in one transaction: `letters` replace what they were while they waited."""

    letters: tuple[Delivery, ...] = ()
    decisions: tuple[Decision, ...] = ()


def given_up(waiting: Sequence[Delivery], now: datetime, named: Collection[str] = ()) -> Removal:
    """Make dead letters of what waits for channels that are no more: kept, it would come when the name does, in months.

    Args:
        waiting: pending deliveries of such channels, held ones among them; of a channel that is there, what waits for
            a recipient that is no more.
        now: aware UTC.
        named: channels that are there.
    """
    return Removal(
        letters=tuple(
            replace(
                one,
                state=DeliveryState.DEAD,
                next_attempt_at=None,
                finished_at=now,
                outcome=_why(one, named).value,
                bundle="",
            )
            for one in waiting
        ),
        decisions=tuple(decision for one in waiting for decision in _decisions(one, _why(one, named))),
    )


def ended(gone: Sequence[Condition], channels: Sequence[str], now: datetime) -> Turn:
    """End troubles that nobody looks at any more; who was told of one is told that, and not that it works again.

    Args:
        gone: conditions of channels and stages that are no more; those that are well stay as they are.
        channels: that can be told.
        now: aware UTC.
    """
    troubles = [one for one in gone if one.health is not Health.WELL]
    told = [one for one in troubles if one.told_at is not None]
    return Turn(
        conditions=tuple(Condition(one.subject, Health.WELL, now) for one in troubles),
        deliveries=tuple(
            # By `since`: what a crash has us write again bears the same id.
            message_delivery(bulletin_message(_ENDED, _bulletin(one, now), now), one.subject, one.since, channel, now)
            for one in told
            for channel in channels
        ),
    )


def _why(letter: Delivery, named: Collection[str]) -> Choice:
    return Choice.RECIPIENT_REMOVED if letter.channel in named else Choice.CHANNEL_REMOVED


def _decisions(letter: Delivery, why: Choice) -> list[Decision]:
    """One for each notice in the letter; a digest, or news of Squall itself, is no notice of an alert."""
    whole = f"channel {letter.channel} was taken out of the settings"
    one = f"recipient {letter.recipient} was taken out of channel {letter.channel}"
    words = whole if why is Choice.CHANNEL_REMOVED else one

    def decision(alert: str, at: datetime, notice: str) -> Decision:
        return Decision(alert, at, notice, letter.channel, why, words)

    if letter.alert is not None:
        return [decision(letter.alert, letter.created_at, letter.reason)]
    members = read_message(letter.payload).members
    return [decision(one.data.alert, one.timestamp, one.reason) for one in members if one.data is not None]


def _bulletin(one: Condition, now: datetime) -> Bulletin:
    kind, _, thing = one.subject.partition(":")
    letters = bool(one.channel or one.mailbox)
    name = wording.one_line(f"{kind.capitalize()} {thing.replace('/', ': ') if one.mailbox else thing}")
    lasted = wording.length(now - one.since)
    return Bulletin(
        subject=f"[Squall] {name} was taken out of the settings",
        title=f"{name} was taken out of the settings",
        lead=f"It had been in trouble for {lasted}. Nobody looks at it any more.",
        tone="info",
        about="squall",
        next_steps=("See what was given up with it: squall alerts deliveries --dead",) if letters else (),
    )
