"""What one check of a feed comes to.

takes  what was remembered of the feed, what its server answered and what was parsed, `now`
gives  a `Check` with the state to remember
never  fetches, parses or stores
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.feeds.feed import Check, Entry, Feed, FeedState, Outcome, carries_backlog, failed, succeeded
from monitor.feeds.fetching import Fetched
from monitor.feeds.habits import Dates, habit_of, judge_dates, learned
from monitor.feeds.pages import PageKind
from monitor.feeds.parsing import Kind, Parsed
from monitor.feeds.politeness import LONGEST_RETRY_AFTER, MUTED_FOR, Wait, backoff, moving, muting, next_wait
from monitor.feeds.reach import UNREACHED

_LONGEST_REASON = 1_000
# A new duration moves the remembered one by a third.
_MILLIS_BLEND = 3

# What a person can do about each kind of failure; ends the reason of the check.
_WAY_OUT: dict[Outcome, str] = {
    Outcome.NOT_FOUND: "Look up the feed's new address on the publisher's site, or remove the feed.",
    Outcome.GONE: f"It is muted, and asked again in {MUTED_FOR.days} days. Look up whether the publisher has another "
    "feed, or remove this one.",
    Outcome.FORBIDDEN: "Set [polling] user_agent to one with your contact, use another feed, or remove this one.",
    Outcome.THROTTLED: "Raise the feed's every_minutes.",
    Outcome.HTTP_ERROR: "Open the address in a browser to see what it is now.",
    Outcome.SERVER_ERROR: "Nothing to do unless it lasts for days.",
    Outcome.HTML_PAGE: "Look up the address of the feed itself on that page, or let `squall feeds add` find it.",
    Outcome.CHALLENGE_PAGE: "Set [polling] user_agent to one with your contact, ask the publisher to let feed readers "
    "in, or use another feed.",
    Outcome.LOGIN_PAGE: "The feed is for subscribers: look up whether the publisher has an open one.",
    Outcome.MOVED_PAGE: "Look up the feed's new address on the publisher's site, or let `squall feeds add` find it.",
    Outcome.NOT_A_FEED: "Open the address to see what it is now; it must be RSS, Atom, RDF or JSON Feed.",
    Outcome.TOO_HARD: "Raise [polling] parse_seconds if this feed is meant to be so large.",
    Outcome.TOO_LARGE: "Raise [polling] max_bytes if this feed is meant to be so large.",
    Outcome.TIMEOUT: "Raise [polling] timeout_seconds if this server is always slow.",
    Outcome.NO_SUCH_HOST: "Check the spelling of the address, and that this machine's DNS works.",
    Outcome.UNREACHABLE: "Check that this machine reaches the internet; otherwise wait.",
    Outcome.REFUSED_ADDRESS: "If this host is meant, name it in [polling] allow_private_addresses.",
    Outcome.BAD_REDIRECT: "Open the address in a browser and put the address where it ends into the settings.",
    Outcome.BAD_ANSWER: "Nothing to do unless it lasts for days.",
}
_PAGES: dict[PageKind, tuple[Outcome, str]] = {
    PageKind.CHALLENGE: (
        Outcome.CHALLENGE_PAGE,
        "it answered with a challenge page that asks whether this is a person",
    ),
    PageKind.LOGIN: (Outcome.LOGIN_PAGE, "it answered with a login page"),
    PageKind.MOVED: (Outcome.MOVED_PAGE, "it answered with a page that says that the feed is gone or has moved"),
    PageKind.OTHER: (Outcome.HTML_PAGE, "it answered with a web page"),
}


@dataclass(frozen=True, slots=True)
class Pacing:
    """What the settings say of the time between two checks."""

    backoff_max: timedelta
    slowest_factor: float
    longest_floor: timedelta


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check makes of a fetch: outcome, words of the failure, what was parsed, the hash of the body."""

    outcome: Outcome
    words: str = ""
    parsed: Parsed | None = None
    body: int | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Entries in the order of the feed."""
        return () if self.parsed is None else self.parsed.entries


def hash_of(body: bytes) -> int:
    """64 bits that tell one body from another."""
    return int.from_bytes(hashlib.blake2b(body, digest_size=8).digest(), "big")


def judged(parsed: Parsed | None, body: int) -> Answer:
    """What a parsed body means for the check; None: it was not parsed within its time."""
    if parsed is None:
        return Answer(Outcome.TOO_HARD, "it is so broken that it could not be read in the time for it")
    if parsed.kind is Kind.HTML:
        outcome, words = _PAGES[parsed.page.kind if parsed.page else PageKind.OTHER]
        return Answer(outcome, f"{words}, {'; '.join(parsed.problems)}")
    if parsed.kind is Kind.UNKNOWN:
        return Answer(Outcome.NOT_A_FEED, "it answered with something that is no feed: " + "; ".join(parsed.problems))
    return Answer(Outcome.NEW if parsed.entries else Outcome.EMPTY, parsed=parsed, body=body)


def concluded(
    feed: Feed,
    state: FeedState,
    now: datetime,
    fetched: Fetched,
    answer: Answer,
    millis: int,
    pacing: Pacing,
    jitter: float,
    *,
    lost: bool = False,
) -> Check:
    """The check, with the state after it.

    Args:
        now: aware UTC; when the check began.
        millis: how long it took.
        jitter: in [0, 1).
        lost: whether nothing can be reached at all: then a failure to reach this feed says nothing of it.
    """
    notice = ""
    smoothed = millis if state.millis is None else (state.millis * (_MILLIS_BLEND - 1) + millis) // _MILLIS_BLEND
    if answer.outcome.ok:
        reason = ""
        after, notice = _well(feed, state, now, fetched, answer, smoothed, pacing, jitter)
    else:
        reason = _reason(feed, fetched.url, answer)
        counted = 0 if lost and answer.outcome in UNREACHED else state.failures
        wait = muting(answer.outcome) or backoff(feed, counted + 1, pacing.backoff_max, jitter, fetched.retry_after)
        after = _ill(state, now, fetched, answer, reason, smoothed, wait)
        if after.muted_at is not None and state.muted_at is None:
            notice = reason
    return Check(
        feed=feed.id,
        at=now,
        outcome=answer.outcome,
        reason=reason,
        status=fetched.status,
        bytes=fetched.read,
        millis=millis,
        entries=_credible(answer.entries, after.dates),
        state=after,
        first_fetch=carries_backlog(feed, state, now),
        notice=_printable(notice),
    )


def _well(
    feed: Feed,
    state: FeedState,
    now: datetime,
    fetched: Fetched,
    answer: Answer,
    millis: int,
    pacing: Pacing,
    jitter: float,
) -> tuple[FeedState, str]:
    unchanged = answer.outcome is Outcome.UNCHANGED
    dates = judge_dates(answer.entries, now)
    habit = learned(habit_of(state), answer.entries, dates, now)
    ttl = state.ttl_seconds if unchanged else _seconds(answer.parsed.ttl if answer.parsed else None)
    wait = next_wait(
        feed,
        habit,
        now,
        _floor(ttl, fetched.fresh_for),
        jitter,
        slowest_factor=pacing.slowest_factor,
        longest_floor=pacing.longest_floor,
    )
    etag, last_modified, body = _last_answer(state, fetched, answer)
    after = succeeded(feed, state, now, answer.outcome, etag=etag, last_modified=last_modified, wait=wait.until)
    after = replace(
        after,
        millis=millis,
        body=body,
        ttl_seconds=ttl,
        pace=wait.pace.value,
        dates=dates.value if dates else state.dates,
        newest_at=habit.newest,
        gap_seconds=_total(habit.gap),
        longest_gap_seconds=_total(habit.longest_gap),
    )
    return moving(feed, state, after, fetched.moved_to, now)


def _last_answer(state: FeedState, fetched: Fetched, answer: Answer) -> tuple[str | None, str | None, int | None]:
    """What to know the last full answer by: ETag, Last-Modified, hash of the body."""
    if fetched.status == 304:
        return state.etag, state.last_modified, state.body
    if answer.parsed is not None and not answer.parsed.whole:
        # What broke off must be heard in full the next time: what is missing of it was never read.
        return None, None, None
    body = state.body if answer.outcome is Outcome.UNCHANGED else answer.body
    return fetched.etag, fetched.last_modified, body


def _ill(
    state: FeedState, now: datetime, fetched: Fetched, answer: Answer, reason: str, millis: int, wait: Wait
) -> FeedState:
    after = failed(state, now, answer.outcome, reason, wait=wait.until)
    # How long we stay away of our own accord is this feed's affair; what its server asked for may hold the whole site.
    asked = None if fetched.retry_after is None else min(fetched.retry_after, LONGEST_RETRY_AFTER)
    return replace(
        after,
        millis=millis,
        pace=wait.pace.value,
        retry_at=None if asked is None else now + asked,
        muted_at=(state.muted_at or now) if answer.outcome is Outcome.GONE else None,
    )


def _credible(entries: tuple[Entry, ...], dates: str | None) -> tuple[Entry, ...]:
    """The entries; without their dates where the feed gives all of them the same."""
    if dates is None or Dates(dates).credible:
        return entries
    return tuple(replace(entry, published=None) for entry in entries)


def _floor(ttl: int | None, fresh_for: timedelta | None) -> timedelta | None:
    told = [span for span in (timedelta(seconds=ttl) if ttl else None, fresh_for) if span is not None]
    return max(told, default=None)


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds())


def _total(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _reason(feed: Feed, url: str, answer: Answer) -> str:
    """Words that name the feed, its address (and where it led) and the way out."""
    led = "" if url == feed.url else f" (led to {url[:300]})"
    return _printable(f"{feed.name}, {feed.url[:300]}{led}: {answer.words}. {_WAY_OUT[answer.outcome]}")


def _printable(words: str) -> str:
    # Parts of it come from a server: nothing in it may steer a terminal or start a new line in a log.
    return "".join(c if c.isprintable() else " " for c in words)[:_LONGEST_REASON]
