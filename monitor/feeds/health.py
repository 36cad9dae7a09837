"""How a feed is doing, in one word and in a sentence.

takes  a feed, what is remembered of it, `now`
gives  `Health`: a state with its reason, and when the feed is asked next
never  fetches, and never calls well what was not looked at
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.feeds.feed import Feed, FeedState, Guids, Outcome
from monitor.feeds.habits import Dates, habit_of
from monitor.feeds.politeness import Pace

# Longer than this for one check, on average, is slow: a person would have gone away.
_SLOW = timedelta(seconds=5)
# Past due by so much, although it is watched: whoever should look does not.
_OVERDUE = timedelta(hours=1)


class HealthState(StrEnum):
    """What a user should know of a feed at a glance."""

    OK = "ok"
    SLOW = "slow"  # answers, and takes long
    FAILING = "failing"  # its last check failed
    SILENT = "silent"  # answers, and has published nothing for longer than it ever used to
    UNDATED = "undated"  # its dates are worth nothing, so that its headlines are not counted
    RENAMING = "renaming"  # it renames what it published: its entries are matched by link and title
    EMPTY = "empty"  # answers, and carries nothing
    MUTED = "muted"  # disabled by the user, or gone for good by its own word
    NEW = "new"  # was never checked

    @property
    def well(self) -> bool:
        """Whether nobody needs to look."""
        return self in {HealthState.OK, HealthState.NEW}


_DATES = {
    Dates.UNDATED: "most of its entries carry no date",
    Dates.EPOCH: "its dates lie before 1990: its clock was never set",
    Dates.FUTURE: "its dates lie ahead of now: its clock or its time zone is wrong",
    Dates.CONSTANT: "all its entries bear one and the same date: that of the feed, not theirs",
}
_PACES = {
    Pace.USUAL: "as often as its every_minutes says",
    Pace.BUSY: "more often than its every_minutes, lest headlines fall out of it",
    Pace.CALM: "more seldom than its every_minutes, as it publishes seldom",
    Pace.ASKED: "not earlier, as the feed or its server asks (ttl, max-age, Expires)",
    Pace.RETRY_AFTER: "not earlier, as its server asks (Retry-After)",
    Pace.BACKING_OFF: "later after each failure",
    Pace.MUTED: "once a week, as it said that it is gone for good",
}


@dataclass(frozen=True, slots=True)
class Health:
    """State, reason in words ("" when all is well), when the next check is due (None: none is planned), and why then.

    Raises:
        ValueError: on a state that needs a reason and has none.
    """

    state: HealthState
    reason: str
    next_check_at: datetime | None
    pace: str = ""

    def __post_init__(self) -> None:
        if not self.state.well and not self.reason:
            raise ValueError(f"the state {self.state} needs a reason")


def health(feed: Feed, state: FeedState | None, now: datetime) -> Health:
    """How the feed is doing at `now` (aware UTC); what weighs most comes first.

    Args:
        state: None for a feed that was never checked.
    """
    if not feed.enabled:
        return Health(HealthState.MUTED, "it is disabled; `squall feeds mute --off` hears it again", None)
    if state is None or state.last_check_at is None or state.url != feed.url:
        return Health(HealthState.NEW, "", None if state is None else state.next_check_at)
    found, reason = _judged(state, now)
    pace = _PACES[Pace(state.pace)] if state.pace else ""
    if found is HealthState.OK and state.next_check_at is not None and now - state.next_check_at > _OVERDUE:
        reason = "its check is overdue: no daemon is running"
    return Health(found, reason, state.next_check_at, pace)


def _judged(state: FeedState, now: datetime) -> tuple[HealthState, str]:
    if state.muted_at is not None:
        return HealthState.MUTED, state.reason or "it said that it is gone for good (410)"
    if state.failures:
        times = "" if state.failures == 1 else f"{state.failures} checks in a row failed: "
        return HealthState.FAILING, times + (state.reason or "its last check failed")
    if state.outcome == Outcome.EMPTY.value:
        return HealthState.EMPTY, "it is a proper feed, and carries no entries"
    if state.dates and Dates(state.dates) in _DATES:
        return (
            HealthState.UNDATED,
            f"{_DATES[Dates(state.dates)]}; its headlines are kept, not counted, and never alert",
        )
    if state.guids == Guids.CHURNING.value:
        return HealthState.RENAMING, "it renames what it published before: its entries are matched by link and title"
    habit = habit_of(state)
    since = habit.silent_since(now)
    if since is not None and habit.longest_gap is not None:
        return HealthState.SILENT, (
            f"its latest headline is of {since:%Y-%m-%d %H:%M} UTC, {_span(now - since)} ago; "
            f"it never used to pause for longer than {_span(habit.longest_gap)}"
        )
    if state.millis is not None and state.millis > _SLOW.total_seconds() * 1_000:
        return HealthState.SLOW, f"a check of it takes {state.millis / 1_000:.1f} s"
    return HealthState.OK, ""


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3_600
    if hours < 2:
        return f"{round(hours * 60)} minutes"
    return f"{round(hours)} hours" if hours < 48 else f"{round(hours / 24)} days"
