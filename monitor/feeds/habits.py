"""How a feed behaves in time: how often it publishes, and what its dates are worth.

takes  the entries of one answer, what was seen of the feed before, `now`
gives  `Habit` and `Dates`
never  believes a date because it is there: undated, unset, future and constant dates are named
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from monitor.feeds.feed import Entry, FeedState

# No feed is older; an earlier date is an unset clock (1970, 1601, year 1).
OLDEST = datetime(1990, 1, 1, tzinfo=UTC)

# Publishers' clocks and time zones are a little off; more than this is a wrong date or a planned post.
CLOCK_SLACK = timedelta(minutes=15)

# So many headlines of one second are no coincidence: the feed dates them when it is made.
_CONSTANT_FROM = 5
_SAME = timedelta(seconds=1)

# A mean of fewer gaps says little.
_GAPS_FROM = 3
_NEWEST = 50
# A new answer moves the usual gap half way, and lets the longest gap shrink by a tenth.
_BLEND = 0.5
_SHRINK = 0.9

_SILENT_AT_LEAST = timedelta(hours=24)
_SILENT_GAPS = 3


class Dates(StrEnum):
    """What the dates of a feed are worth."""

    DATED = "dated"
    UNDATED = "undated"  # most entries carry no date
    EPOCH = "epoch"  # most dates lie before 1990: a clock that was never set
    FUTURE = "future"  # most dates lie ahead
    CONSTANT = "constant"  # all entries bear one and the same date

    @property
    def credible(self) -> bool:
        """Whether a date of this feed may be taken for the moment of publication."""
        return self is not Dates.CONSTANT


@dataclass(frozen=True, slots=True)
class Habit:
    """How often a feed publishes.

    Attributes:
        newest: the latest credible date that it published, aware UTC.
        gap, longest_gap: between two headlines, usually and at most; None until enough of them were seen.
        window: from the oldest to the newest headline of the last answer: what is not fetched within it is lost; None
            when the last check brought nothing.
    """

    newest: datetime | None = None
    gap: timedelta | None = None
    longest_gap: timedelta | None = None
    window: timedelta | None = None

    def current_gap(self, now: datetime) -> timedelta | None:
        """The gap to reckon with: a feed that has been quiet for longer than usual has become a slower one."""
        if self.gap is None or self.newest is None:
            return self.gap
        return max(self.gap, (now - self.newest) / 2)

    def silent_since(self, now: datetime) -> datetime | None:
        """Since when the feed is silent by its own habit; None when it is not, or has no habit yet."""
        if self.newest is None or self.longest_gap is None:
            return None
        patience = max(_SILENT_AT_LEAST, self.longest_gap * _SILENT_GAPS)
        return self.newest if now - self.newest > patience else None


def habit_of(state: FeedState) -> Habit:
    """The habit that is remembered of a feed."""
    return Habit(state.newest_at, _span(state.gap_seconds), _span(state.longest_gap_seconds))


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def judge_dates(entries: Sequence[Entry], now: datetime) -> Dates | None:
    """What the dates of these entries are worth; None when there are no entries to judge by."""
    if not entries:
        return None
    dates = [entry.published for entry in entries if entry.published is not None]
    most = len(entries) / 2
    if len(dates) < most:
        return Dates.UNDATED
    if sum(date < OLDEST for date in dates) > most:
        return Dates.EPOCH
    if sum(date > now + CLOCK_SLACK for date in dates) > most:
        return Dates.FUTURE
    told_apart = len({(entry.title, entry.link) for entry in entries if entry.published is not None})
    if told_apart >= _CONSTANT_FROM and max(dates) - min(dates) <= _SAME:
        return Dates.CONSTANT
    return Dates.DATED


def learned(before: Habit, entries: Sequence[Entry], dates: Dates | None, now: datetime) -> Habit:
    """The habit after an answer with these entries; without credible dates it stays what it was."""
    credible = sorted(
        (
            entry.published
            for entry in entries
            if entry.published is not None and OLDEST <= entry.published <= now + CLOCK_SLACK
        ),
        reverse=True,
    )[:_NEWEST]
    if dates is not Dates.DATED or not credible:
        return Habit(before.newest, before.gap, before.longest_gap)
    newest = max(credible[0], before.newest or credible[0])
    gaps = [later - earlier for later, earlier in pairwise(credible)]
    if len(gaps) < _GAPS_FROM:
        return Habit(newest, before.gap, before.longest_gap)
    gap, longest = (credible[0] - credible[-1]) / len(gaps), max(gaps)
    if before.gap is not None:
        gap = before.gap * (1 - _BLEND) + gap * _BLEND
    if before.longest_gap is not None:
        longest = max(longest, before.longest_gap * _SHRINK)
    return Habit(newest, gap, longest, credible[0] - credible[-1])
