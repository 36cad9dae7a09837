"""What may go now of the messages about one alert, while an earlier one has not arrived on its channel.

takes  what is known of the messages that are due on a channel, and of those that failed and wait for their next attempt
gives  `Turn`: which of them go now; and of those that a later one has overtaken, which are not sent any more
never  lets an end arrive before its beginning while the receiver is down, nor one message hold up the others for ever

A receiver that keeps state takes a beginning that comes after its end for an alert that never ends, and in a chat it
is the last word. So a later message has the earlier one tried in its place. But a critical escalation must not wait
for days behind a message that this receiver never takes: after some attempts in vain each of both has its turns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.sending.attempt import AttemptOutcome
from alerts.sending.order import Waiting, happened

# Attempts since a later message was written. What is refused is so within the same minute; a receiver that does not
# answer may be on its way back for some ten.
_TRIES_OF_REFUSED, _TRIES = 3, 5
# Attempts are dated as they begin, a little after the round that they belong to.
_SLACK = timedelta(minutes=1)
_REFUSED = frozenset({AttemptOutcome.REFUSED, AttemptOutcome.FAILED})

_Threads = dict[str, list[Waiting]]


@dataclass(frozen=True, slots=True)
class Tried:
    """The last attempt at a message.

    Attributes:
        attempts: made so far, at least one.
        at: when the last one began, by the clock of that moment.
        place: among all attempts of the store: a later one has a higher one.
        outcome: how it ended.
    """

    attempts: int
    at: datetime
    place: int
    outcome: AttemptOutcome


@dataclass(frozen=True, slots=True)
class Turn:
    """What goes now.

    Attributes:
        due: these, in no order yet.
        anew: ids of those among them that begin their schedule anew, since a later message waits for them.
    """

    due: tuple[Waiting, ...]
    anew: frozenset[str] = frozenset()


def turn(due: Sequence[Waiting], behind: Sequence[Waiting], tried: Mapping[str, Tried], now: datetime) -> Turn:
    """Which of these go now, when each alert's story is told to each in the order in which it happened.

    A message that is new, or was put back, has the earlier ones of its alerts that failed tried at once, with their
    schedules begun anew: so all are tried as often as the newest asks for. It goes when they have arrived or were given
    up, or when they failed so often since that it may be for their own sake; then each of both is tried in turn.

    Args:
        due: of one channel, in no bundle; what failed before is among them when its time has come.
        behind: what waits there for its next attempt, and tells of an alert that one of these tells of.
        tried: the last attempts at these, by id; what was not tried is missing.
        now: aware UTC.
    """
    waiting = [one for one in behind if one.id in tried]
    earlier = _threads([*waiting, *(one for one in due if one.id in tried)])
    anew = {
        old.id: old
        for one in due
        if one.id not in tried
        for old in _before(one, earlier)
        # Of an attempt that a clock noted which ran ahead nobody knows whether it was before.
        if not one.due_at <= tried[old.id].at <= now + _SLACK
    }
    late = _threads([one for one in waiting if one.id not in anew])
    held = _threads([])
    going: list[Waiting] = []
    for one in sorted({one.id: one for one in (*due, *anew.values())}.values(), key=happened):
        mine = None if one.id in anew else tried.get(one.id)
        if _before(one, held) or any(_holds(tried[old.id], mine) for old in _before(one, late)):
            for alert in one.alerts:
                held[alert].append(one)
        else:
            going.append(one)
    return Turn(tuple(going), frozenset(one.id for one in going if one.id in anew))


def overtaken(arrived: Waiting, behind: Sequence[Waiting]) -> tuple[str, ...]:
    """The ids of those that say earlier what the one which arrived says later: they would be read as news.

    A group that tells of other alerts as well is not among them: of these it is the only word. What is left for single
    recipients goes on: a mailbox that takes one mail may have been full for another.

    Args:
        behind: of its channel, what failed and waits, and tells of an alert that it tells of.
    """
    return tuple(
        one.id
        for one in behind
        if not (one.recipient or arrived.recipient)
        and one.alerts
        and one.alerts <= arrived.alerts
        and happened(one) < happened(arrived)
    )


def _holds(earlier: Tried, mine: Tried | None) -> bool:
    """Whether a message waits for an earlier one that failed and waits itself."""
    if earlier.attempts < (_TRIES_OF_REFUSED if earlier.outcome in _REFUSED else _TRIES):
        return True
    return mine is not None and mine.place > earlier.place


def _threads(waiting: Sequence[Waiting]) -> _Threads:
    """By alert what tells of it."""
    threads: _Threads = defaultdict(list)
    for one in waiting:
        for alert in one.alerts:
            threads[alert].append(one)
    return threads


def _before(one: Waiting, threads: _Threads) -> list[Waiting]:
    """What tells of one of its alerts, to the same, and happened before it."""
    return [
        old
        for alert in one.alerts
        for old in threads.get(alert, ())
        if old.recipient == one.recipient and happened(old) < happened(one)
    ]
