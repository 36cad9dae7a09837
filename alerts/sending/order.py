"""Which of the messages that are due on a channel goes first.

takes  what is known of each message that is due, `now`, and how many went before
gives  their ids in the order in which they go
never  leaves one for last for ever, and never lets a later word on an alert overtake an earlier one that is due as well
       (of one that is not, `alerts.sending.following` knows)

After an outage of hours hundreds of messages are due at once, and a mail server takes some seconds for each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.detection.spikes import Severity
from alerts.lifecycle import ChangeReason

# So long after it was written a message is news.
_NEWS_FOR = timedelta(hours=1)
# Every so many messages it is the turn of the one that was due for longest, whatever it says.
SHARE_OF_OLDEST = 4
_NEWS = frozenset({ChangeReason.FIRED.value, ChangeReason.ESCALATED.value})
_CAN_WAIT = frozenset({ChangeReason.REMINDED.value, "digest"})
_NOT_NEWS, _LATER, _FOR_ONE = (len(Severity) + step for step in range(3))


@dataclass(frozen=True, slots=True)
class Waiting:
    """What bears on when a message that is due goes; a group has the alerts and reasons of all that it is made of.

    Attributes:
        id: of the delivery.
        due_at, created_at: since when it is due, and when it was written.
        recipient: the one that it is for; empty when it is for all of the channel.
        reasons: why it is sent, such as "fired" or "digest".
        alerts: that it tells of.
        severity: of the gravest of these; None where it tells of none.
    """

    id: str
    due_at: datetime
    created_at: datetime
    recipient: str = ""
    reasons: frozenset[str] = frozenset()
    alerts: frozenset[str] = frozenset()
    severity: Severity | None = None


def in_order(due: Sequence[Waiting], now: datetime, gone: int = 0) -> Iterator[str]:
    """The ids of all, the one that goes first before the others.

    News of the last hour goes first, graver before less grave; then everything else, longest due first; then reminders
    and digests; then what is left for single recipients. What tells of one alert goes in the order in which it
    happened, so a message takes the earlier ones with it. Every fourth place is that of the longest due.

    Args:
        due: without a bundle, of one channel.
        now: aware UTC.
        gone: how many messages the channel sent so far: of the four places the next one takes that of this number.
    """
    by_urgency = iter(sorted(due, key=lambda one: (_rank(one, now), *_longest_due(one))))
    by_age = iter(sorted(due, key=_longest_due))
    threads = _threads(due)
    left = {one.id for one in due}
    place = gone
    wanted: dict[bool, Waiting] = {}
    while left:
        place += 1
        oldest = place % SHARE_OF_OLDEST == 0
        # Whoever was to go at an earlier place of this kind, and let an earlier word go instead, is still first.
        if oldest not in wanted or wanted[oldest].id not in left:
            wanted[oldest] = next(one for one in (by_age if oldest else by_urgency) if one.id in left)
        chosen = _first_word(wanted[oldest], threads, left)
        left.discard(chosen.id)
        yield chosen.id


def _rank(one: Waiting, now: datetime) -> int:
    """The lower, the sooner."""
    if one.recipient:
        return _FOR_ONE
    if one.reasons & _NEWS and one.severity is not None and now - one.created_at <= _NEWS_FOR:
        return len(Severity) - 1 - one.severity.rank
    return _LATER if one.reasons and one.reasons <= _CAN_WAIT else _NOT_NEWS


def _longest_due(one: Waiting) -> tuple[datetime, datetime, str]:
    return one.due_at, one.created_at, one.id


def _threads(due: Sequence[Waiting]) -> Mapping[tuple[str, str], list[Waiting]]:
    """By alert and recipient what tells of it, the latest first."""
    threads: dict[tuple[str, str], list[Waiting]] = defaultdict(list)
    for one in sorted(due, key=happened, reverse=True):
        for alert in one.alerts:
            threads[alert, one.recipient].append(one)
    return threads


def _first_word(chosen: Waiting, threads: Mapping[tuple[str, str], list[Waiting]], left: set[str]) -> Waiting:
    """The earliest that must go before it, or itself: a group's parts may follow words on other alerts in turn."""
    while True:
        earlier = [_earliest(threads[alert, chosen.recipient], left) for alert in sorted(chosen.alerts)]
        first = min([chosen, *earlier], key=happened)
        if first is chosen:
            return chosen
        chosen = first


def _earliest(thread: list[Waiting], left: set[str]) -> Waiting:
    while thread[-1].id not in left:
        thread.pop()
    return thread[-1]


def happened(one: Waiting) -> tuple[int, datetime, datetime, str]:
    """Sorts what is told of one alert: its beginning before all else, its end after it, also by a clock set back."""
    begins = one.reasons == {ChangeReason.FIRED.value}
    ends = one.reasons == {ChangeReason.RESOLVED.value}
    return -1 if begins else int(ends), one.created_at, one.due_at, one.id
