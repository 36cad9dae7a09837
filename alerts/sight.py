"""Whether silence means calm: can any news be seen at all?

takes  when feeds were last asked and last answered, and whether headlines can be scored
gives  `Sight` for the alerts' life, and the `Condition` that people are told of
never  calls a start after a pause a failure: before the first answer nothing is calm, and nobody is alarmed
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts import wording
from alerts.conditions import SIGHT, Condition, Health
from alerts.lifecycle import Sight


@dataclass(frozen=True, slots=True)
class Looking:
    """What is known of seeing.

    Attributes:
        asked_at: when any feed was last asked; None when none ever was, as when history is played.
        answered_at: when any last answered, or since when there are feeds at all.
        fault: why headlines cannot be scored, in words; empty when they can.
    """

    asked_at: datetime | None = None
    answered_at: datetime | None = None
    fault: str = ""


def sight(looking: Looking, now: datetime, patience: timedelta) -> Sight:
    """Whether a series without a surge is calm at `now`."""
    if looking.fault:
        return Sight.ERROR
    if looking.asked_at is None or looking.answered_at is None or now - looking.answered_at <= patience:
        return Sight.CLEAR
    return Sight.NO_DATA


def sight_condition(looking: Looking, now: datetime, patience: timedelta) -> Condition:
    """The same for people. Feeds count as silent only when they were asked after `patience` and none answered."""
    if looking.fault:
        return Condition(SIGHT, Health.ERROR, now, looking.fault)
    asked, answered = looking.asked_at, looking.answered_at
    if asked is None or answered is None or asked - answered <= patience:
        return Condition(SIGHT, Health.WELL, now)
    words = f"the last answer of any feed came at {wording.moment(answered)}, the last question went out at "
    return Condition(SIGHT, Health.NO_DATA, answered, words + wording.moment(asked))
