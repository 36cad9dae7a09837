"""Whether silence means calm: can any news be seen at all?

takes  when feeds were last asked and last answered, whether that was due, and whether headlines can be scored
gives  `Sight` for the alerts' life, and the `Condition` that people are told of
never  calls a start after a pause a failure: before the first answer nothing is calm, and nobody is alarmed
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.lifecycle import Sight
from alerts.telling.conditions import SIGHT, Condition, Health
from alerts.texts import wording

# Feeds are looked after every few seconds, or as the settings say.
_IDLE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Looking:
    """What is known of seeing.

    Attributes:
        asked_at: when any feed was last asked; None when none ever was, as when history is played.
        answered_at: when any last answered, or since when there are feeds at all.
        fault: why headlines cannot be scored, in words; empty when they can.
        due_at: when the feed that waits longest was to be asked; None when none waits.
        paused_at: when any feed was last asked before the latest pause, in which nobody asked; None without one.
    """

    asked_at: datetime | None = None
    answered_at: datetime | None = None
    fault: str = ""
    due_at: datetime | None = None
    paused_at: datetime | None = None


def idle(looking: Looking, now: datetime, pace: timedelta) -> bool:
    """Whether nobody asks although some feed is due: the daemon was off, the machine slept, or polling stands still.

    Args:
        pace: how often it is looked which feeds are due.
    """
    asked, due = looking.asked_at, looking.due_at
    return asked is not None and due is not None and now - max(asked, due) > max(_IDLE, 2 * pace)


def sight(looking: Looking, now: datetime, patience: timedelta) -> Sight:
    """Whether a series without a surge is calm at `now`."""
    if looking.fault:
        return Sight.ERROR
    if looking.asked_at is None or looking.answered_at is None:
        return Sight.CLEAR
    # What was published during a pause is not known before a feed has answered.
    awaited = looking.paused_at is not None and looking.answered_at <= looking.paused_at
    return Sight.NO_DATA if awaited or now - looking.answered_at > patience else Sight.CLEAR


def sight_condition(looking: Looking, now: datetime, patience: timedelta) -> Condition:
    """The same for people. Feeds count as silent only when they were asked after `patience` and none answered."""
    if looking.fault:
        return Condition(SIGHT, Health.ERROR, now, looking.fault)
    asked, answered = looking.asked_at, looking.answered_at
    if asked is None or answered is None or asked - answered <= patience:
        return Condition(SIGHT, Health.WELL, now)
    words = f"the last answer of any feed came at {wording.moment(answered)}, the last question went out at "
    return Condition(SIGHT, Health.NO_DATA, answered, words + wording.moment(asked))
