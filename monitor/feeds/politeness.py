"""When a feed may be asked again: how often, how long not, and how much at once from one site.

takes  feeds, what is remembered of them, what servers asked for, `now`
gives  the feeds that are due, and waits with a named reason (`Pace`)
never  fetches or sleeps, and never gives a feed up: a dead feed is asked ever more seldom
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit
from zlib import crc32

from monitor.feeds.feed import Feed, FeedState, Outcome, unseen
from monitor.feeds.habits import Habit
from monitor.feeds.sites import registrable

# A server that asks for years of silence gets a day: nothing is given up for good.
LONGEST_RETRY_AFTER = timedelta(hours=24)

# What answered 410 is asked once a week whether that still holds: servers err, and publishers come back.
MUTED_FOR = timedelta(days=7)

# A permanent redirect is believed when it was met so often, over so long: captive portals and hijacked names pass.
ADOPT_AFTER_SEEN = 3
ADOPT_AFTER = timedelta(hours=24)

# An adopted address that fails so often is given up for the one in the settings.
_DISTRUST_AFTER = 3

# A quarter of the usual gap: a headline is on average an eighth of a gap late, and most checks still find nothing.
_CHECKS_A_GAP = 4
_SHORTEST = timedelta(minutes=1)
_DAY_SECONDS = 86_400
# Feeds that were added together, or answered together after an outage, drift apart by up to a tenth. Earlier rather
# than later, or an hourly `squall once` would miss a feed of every hour; what a server asked for is only exceeded.
_SPREAD = 0.1


class Pace(StrEnum):
    """Why the next check of a feed is when it is."""

    USUAL = "usual"  # every_minutes, as the settings say
    BUSY = "busy"  # it publishes so much that headlines would fall out of it between two checks
    CALM = "calm"  # it publishes seldom
    ASKED = "asked"  # it, or its server, says for how long an answer is good: ttl, max-age, Expires
    RETRY_AFTER = "retry_after"  # its server asked to be left alone
    BACKING_OFF = "backing_off"  # it failed
    MUTED = "muted"  # it said that it is gone for good


# Waits of these are no longer than the interval that was asked for.
_SHORT = frozenset({Pace.USUAL, Pace.BUSY})


class RetryScope(StrEnum):
    """Who waits when a server sends Retry-After."""

    FEED = "feed"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Wait:
    """How long until the next check, and why.

    Raises:
        ValueError: when it is not longer than nothing.
    """

    until: timedelta
    pace: Pace

    def __post_init__(self) -> None:
        if self.until <= timedelta(0):
            raise ValueError(f"a wait must be longer than nothing, not {self.until}")


@lru_cache(maxsize=10_000)
def site_of(url: str) -> str:
    """The registrable domain that an address belongs to; the host itself where that is an IP address or one label.

    What is registered under a provider's name (example.github.io) is that provider's site: one house's machines answer.
    """
    try:
        host = (urlsplit(url).hostname or "").lower().rstrip(".")
    except ValueError:
        return ""
    # Not under a public suffix: an address stands for itself, of a name within a house the last two labels.
    return registrable(host) or (host if _is_address(host) else ".".join(host.split(".")[-2:]))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def due(
    feeds: Sequence[Feed],
    states: Mapping[str, FeedState],
    now: datetime,
    scope: RetryScope = RetryScope.FEED,
) -> list[tuple[Feed, FeedState]]:
    """The enabled feeds whose next check is not later than `now`, longest overdue first.

    A feed without a state, or whose address was changed, is due at once and starts anew: validators and backlog
    belong to an address. Name and publisher follow the settings.

    Args:
        states: by feed id; states of feeds that are not in `feeds` are ignored.
        now: aware UTC.
        scope: with `HOST`, no feed of a site is due while the site's Retry-After to one of them runs.
    """
    held = _held(states, now) if scope is RetryScope.HOST else {}
    chosen: list[tuple[Feed, FeedState]] = []
    for feed in feeds:
        if not feed.enabled:
            continue
        state = states.get(feed.id)
        if state is None or state.url != feed.url:
            state = unseen(feed, now)
        elif state.next_check_at is not None and state.next_check_at > now and not _runs_ahead(state, feed, now):
            continue
        elif (state.name, state.publisher) != (feed.name, feed.publisher):
            state = replace(state, name=feed.name, publisher=feed.publisher)
        if not held or site_of(address_of(feed, state)) not in held:
            chosen.append((feed, state))
    return sorted(chosen, key=lambda pair: (pair[1].next_check_at or pair[1].added_at, pair[0].id))


def _held(states: Mapping[str, FeedState], now: datetime) -> set[str]:
    return {
        site_of(state.url)
        for state in states.values()
        if state.retry_at is not None and now < state.retry_at <= now + LONGEST_RETRY_AFTER
    }


def paused(feeds: Sequence[Feed], states: Mapping[str, FeedState], now: datetime) -> list[FeedState]:
    """States to remember of feeds that are known, but not watched any more: what they bring later is backlog."""
    watched = {feed.id for feed in feeds if feed.enabled}
    return [
        replace(state, paused_at=now)
        for state in states.values()
        if state.feed not in watched and state.paused_at is None
    ]


def address_of(feed: Feed, state: FeedState) -> str:
    """Where to ask for the feed: the address of the settings, or the one that it has moved to for good."""
    return state.moved_to if state.moved_to and _adopted(state) else feed.url


def validators(state: FeedState, now: datetime) -> tuple[str | None, str | None]:
    """ETag and Last-Modified to ask with; neither at the first check of a day.

    A server that takes what has changed for unchanged would otherwise never be heard again. Each feed has its own hour
    at which its day begins.
    """
    begins = timedelta(seconds=crc32(state.feed.encode()) % _DAY_SECONDS)
    last = state.last_success_at
    if last is None or (last - begins).date() != (now - begins).date():
        return None, None
    return state.etag, state.last_modified


def _adopted(state: FeedState) -> bool:
    if state.moved_since is None or state.last_check_at is None or state.failures >= _DISTRUST_AFTER:
        return False
    return state.moved_seen >= ADOPT_AFTER_SEEN and state.last_check_at - state.moved_since >= ADOPT_AFTER


def moving(
    feed: Feed, before: FeedState, after: FeedState, moved_to: str | None, now: datetime
) -> tuple[FeedState, str]:
    """What is remembered of permanent redirects after an answer, and a notice when an address was just adopted.

    Args:
        before, after: the state before and after the check, which went well.
        moved_to: where the answer came from when every redirect to it was permanent; None when there was none.
    """
    if moved_to is None and address_of(feed, before) != feed.url:
        return after, ""  # it was asked at its new address, and answered there
    if moved_to is None and after.moved_to is None:
        return after, ""
    if moved_to is None or moved_to == feed.url:
        return replace(after, moved_to=None, moved_since=None, moved_seen=0), ""
    if moved_to != before.moved_to:
        return replace(after, moved_to=moved_to, moved_since=now, moved_seen=1), ""
    after = replace(after, moved_seen=before.moved_seen + 1)
    if not _adopted(after) or _adopted(before):
        return after, ""
    return after, (
        f"{feed.name}, {feed.url[:300]}, has moved for good to {moved_to[:300]}: it is asked there from now on. "
        "Put the new address into the settings."
    )


def next_wait(
    feed: Feed,
    habit: Habit,
    now: datetime,
    floor: timedelta | None,
    jitter: float,
    *,
    slowest_factor: float,
    longest_floor: timedelta,
) -> Wait:
    """How long to wait after a check that went well.

    `every_minutes` is what the settings ask for. A feed that publishes seldom is asked up to `slowest_factor` times
    more seldom; one whose headlines would fall out of it before the next check, more often; and never before `floor`.

    Args:
        floor: for how long the feed or its server says that the answer is good; counted up to `longest_floor`.
        jitter: in [0, 1); takes up to a tenth away, or adds it to what was asked for.

    Raises:
        ValueError: on jitter outside [0, 1).
    """
    if not 0 <= jitter < 1:
        raise ValueError(f"jitter must be in [0, 1), not {jitter}")
    usual = timedelta(minutes=feed.every_minutes)
    wait, pace = usual, Pace.USUAL
    gap = habit.current_gap(now)
    calm = usual if gap is None else min(gap / _CHECKS_A_GAP, usual * slowest_factor)
    if calm > usual:
        wait, pace = calm, Pace.CALM
    elif _overflows(habit, usual, now) and habit.window is not None:
        wait, pace = max(_SHORTEST, habit.window / 2), Pace.BUSY
    asked = timedelta(0) if floor is None else min(floor, longest_floor)
    if asked > wait:
        return Wait(asked * (1 + _SPREAD * jitter), Pace.ASKED)
    return Wait(max(wait * (1 - _SPREAD * jitter), asked), pace)


def _overflows(habit: Habit, usual: timedelta, now: datetime) -> bool:
    """Whether headlines of a feed that is at it just now would fall out of it before the usual next check."""
    if habit.window is None or habit.newest is None:
        return False
    return habit.window / 2 < usual and usual > _SHORTEST and now - habit.newest < usual


def backoff(feed: Feed, failures: int, longest: timedelta, jitter: float, retry_after: timedelta | None = None) -> Wait:
    """How long to wait after the given number of failures in a row: doubling, capped, spread, never for ever.

    The first failure waits one interval, the second two, then four, up to `longest` (or the feed's own interval,
    if that is longer). Jitter takes up to a quarter away, so that feeds which died together do not come back
    together; `retry_after` is a floor that the server asked for, and is capped at `LONGEST_RETRY_AFTER`.

    Args:
        failures: failed checks in a row, this one included, at least 1.
        jitter: in [0, 1).

    Raises:
        ValueError: on failures below 1 or jitter outside [0, 1).
    """
    if failures < 1:
        raise ValueError(f"there is nothing to back off from after {failures} failures")
    if not 0 <= jitter < 1:
        raise ValueError(f"jitter must be in [0, 1), not {jitter}")
    interval = timedelta(minutes=feed.every_minutes)
    # 2**20 intervals of a minute are two years: past that the exponent only risks an overflow.
    wait = min(interval * (1 << min(failures - 1, 20)), max(longest, interval)) * (1 - jitter / 4)
    asked = timedelta(0) if retry_after is None else min(retry_after, LONGEST_RETRY_AFTER)
    return Wait(asked, Pace.RETRY_AFTER) if asked > wait else Wait(wait, Pace.BACKING_OFF)


def muting(outcome: Outcome) -> Wait | None:
    """The wait of a feed that said that it is gone for good; None when it did not say so."""
    return Wait(MUTED_FOR, Pace.MUTED) if outcome is Outcome.GONE else None


class Spacing:
    """When the next request to a site may begin: one after another, at least `seconds` apart.

    Args:
        seconds: between the beginnings of two requests to one site; 0 spaces nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: dict[str, float] = {}

    def reserve(self, site: str, now: float) -> float:
        """The moment at which a request to the site may begin, not before `now`; it is taken from then on.

        Args:
            now: in seconds of any steady clock, the same at every call.
        """
        start = max(now, self._last.get(site, now - self._seconds) + self._seconds)
        self._last[site] = start
        return start


def _runs_ahead(state: FeedState, feed: Feed, now: datetime) -> bool:
    """Whether the next check was put so far off by a clock that was ahead, or by an interval that was longer.

    A wait may be of days and still be meant: of a feed that publishes seldom, that fails, or that is muted. That the
    clock was set back shows in the last check, which cannot lie ahead. Set back by less than a day, it only lengthens
    a wait, and what a server asked for holds.
    """
    if state.next_check_at is None:
        return False
    left = state.next_check_at - now
    if state.pace in _SHORT:
        return left > timedelta(minutes=feed.every_minutes) * 2
    return state.last_check_at is not None and state.last_check_at > now and left > LONGEST_RETRY_AFTER
