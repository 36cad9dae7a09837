"""What a feed is, what is remembered of it between two checks, and what one check brought.

takes  feeds of the settings, states of the store, `now`
gives  `Feed`, `Entry`, `FeedState`, `Check`, and the next state after a check
never  fetches, and never decides when: `monitor.feeds.politeness` does
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

# After this long without a success, what a feed carries is its backlog, as at the first fetch: it must not alert.
# It holds for a feed that was away, for a daemon that was off, and for a store that was restored from a backup.
AWAY_AFTER = timedelta(hours=6)

_NOTHING = timedelta(0)

# A feed that names its own pace may be silent for longer than that and still be well.
_AWAY_INTERVALS = 3


class Feed(BaseModel):
    """One feed, as the settings or a feed list name it.

    Attributes:
        id: slug of `a-z`, `0-9` and `-`; unique among the feeds.
        url: http or https address, with a host and without a password.
        name: as people call it.
        publisher: family of the publisher: two outlets of one house are one voice, e.g. `dow-jones`.
        language: code of the language that its headlines are in.
        category: free word that groups feeds in lists.
        every_minutes: minutes between two checks while all is well.
        enabled: whether it is checked at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
    url: Annotated[str, Field(max_length=2_000)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    publisher: Annotated[str, Field(min_length=1, max_length=100)]
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")] = "en"
    category: Annotated[str, Field(min_length=1, max_length=100)] = "news"
    every_minutes: Annotated[int, Field(ge=1, le=1440)] = 10
    enabled: bool = True

    @field_validator("url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"{url!r} is no web address: {error}") from error
        if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no web address: it must begin with http:// or https:// and name a host")
        if parts.username or parts.password:
            raise ValueError("a feed address must not carry a user name or password: they would end up in logs")
        if any(c.isspace() or not c.isprintable() for c in url):
            raise ValueError(f"{url!r} holds spaces or control characters; encode them as %20 and the like")
        return url

    @field_validator("name", "publisher", "category")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must not be empty")
        return text


class Guids(StrEnum):
    """Whether a feed's guids can be believed."""

    LASTING = "lasting"
    CHURNING = "churning"  # it renames what it published before


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of one feed, as published: markup, entities and all.

    Attributes:
        feed, publisher, language: of the feed that carried it.
        guid: identity that the feed gave it; "" when absent.
        link, title, summary: "" when absent.
        published: aware UTC; None when absent or unreadable.
        fetched: aware UTC.

    Raises:
        ValueError: on a time that is not aware UTC.
    """

    feed: str
    publisher: str
    language: str
    guid: str
    link: str
    title: str
    summary: str
    published: datetime | None
    fetched: datetime

    def __post_init__(self) -> None:
        _demand_utc(published=self.published, fetched=self.fetched)


class Outcome(StrEnum):
    """What came of one check of a feed."""

    NEW = "new"  # an answer with entries; whether they are known already is for the store to say
    UNCHANGED = "unchanged"  # 304, or the feed says so
    EMPTY = "empty"  # a proper feed without entries
    NOT_FOUND = "not_found"  # 404
    GONE = "gone"  # 410
    FORBIDDEN = "forbidden"  # 401, 403, 451
    THROTTLED = "throttled"  # 429
    HTTP_ERROR = "http_error"  # any other status that is no success
    SERVER_ERROR = "server_error"  # 5xx
    HTML_PAGE = "html_page"  # a web page where a feed should be
    CHALLENGE_PAGE = "challenge_page"  # a page that asks whether this is a person
    LOGIN_PAGE = "login_page"  # a page that asks who this is
    MOVED_PAGE = "moved_page"  # a page that says that the feed is gone, or lives elsewhere
    NOT_A_FEED = "not_a_feed"  # neither feed nor web page
    TOO_HARD = "too_hard"  # so broken that it was not read within the time for it
    TOO_LARGE = "too_large"  # on the wire or once unpacked
    TIMEOUT = "timeout"
    NO_SUCH_HOST = "no_such_host"  # DNS knows no such name
    UNREACHABLE = "unreachable"  # no connection, or it broke, or its certificate is bad
    REFUSED_ADDRESS = "refused_address"  # it leads into a private network
    BAD_REDIRECT = "bad_redirect"  # too many, in a circle, or to no web address
    BAD_ANSWER = "bad_answer"  # no proper HTTP, or a body that cannot be unpacked

    @property
    def ok(self) -> bool:
        """Whether the feed answered as a feed should."""
        return self in {Outcome.NEW, Outcome.UNCHANGED, Outcome.EMPTY}


@dataclass(frozen=True, slots=True)
class FeedState:
    """What is remembered of a feed between two checks: one row of table `feeds`.

    Attributes:
        etag, last_modified: validators of the last full answer, for the next conditional request.
        first_success_at: None until the feed has answered once; until then its entries are a first fetch.
        last_entry_at: when a check last brought entries.
        next_check_at: None when it was never checked: it is due at once.
        failures: failed checks since the last success.
        outcome, reason: of the last check.
        body: 64-bit hash of the last full answer; the same body again is not parsed again.
        millis: how long a check takes, smoothed.
        ttl_seconds: how long the feed itself asks to be left alone (RSS ttl).
        pace: why the next check is when it is: a `monitor.feeds.politeness.Pace`.
        dates: what its dates are worth: a `monitor.feeds.habits.Dates`.
        newest_at: the latest credible date that it published.
        gap_seconds, longest_gap_seconds: between two of its headlines, usually and at most.
        guids: whether its guids last: a `Guids`.
        moved_to: where permanent redirects lead, seen `moved_seen` times in a row since `moved_since`.
        retry_at: until when its server asked to be left alone.
        muted_at: when it said that it is gone for good (410).
        paused_at: when it was seen disabled, muted by the user or taken out; None while it is watched.

    Raises:
        ValueError: on a time that is not aware UTC, or on negative failures.
    """

    feed: str
    url: str
    name: str
    publisher: str
    etag: str | None
    last_modified: str | None
    added_at: datetime
    first_success_at: datetime | None
    last_check_at: datetime | None
    last_success_at: datetime | None
    last_entry_at: datetime | None
    next_check_at: datetime | None
    failures: int
    outcome: str | None
    reason: str | None
    body: int | None = None
    millis: int | None = None
    ttl_seconds: int | None = None
    pace: str | None = None
    dates: str | None = None
    newest_at: datetime | None = None
    gap_seconds: float | None = None
    longest_gap_seconds: float | None = None
    guids: str | None = None
    moved_to: str | None = None
    moved_since: datetime | None = None
    moved_seen: int = 0
    retry_at: datetime | None = None
    muted_at: datetime | None = None
    paused_at: datetime | None = None

    def __post_init__(self) -> None:
        _demand_utc(
            added_at=self.added_at,
            first_success_at=self.first_success_at,
            last_check_at=self.last_check_at,
            last_success_at=self.last_success_at,
            last_entry_at=self.last_entry_at,
            next_check_at=self.next_check_at,
            newest_at=self.newest_at,
            moved_since=self.moved_since,
            retry_at=self.retry_at,
            muted_at=self.muted_at,
            paused_at=self.paused_at,
        )
        if self.failures < 0 or self.moved_seen < 0:
            raise ValueError(f"counts cannot be negative: {self.failures} failures, {self.moved_seen} redirects")


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: a value even when the feed is dead.

    Attributes:
        reason: words that name the feed, its address and the way out; "" when `outcome.ok`.
        status: of the last HTTP answer; None when there was none.
        bytes: of the body, once unpacked, as far as it was read.
        millis: how long the check took.
        entries: in the order of the feed.
        state: what to remember.
        first_fetch: whether the entries are the backlog of a feed that never answered before, was not watched, or
            did not answer for `AWAY_AFTER`; they are stored, and must not alert.
        notice: words for a change that the user should hear of although the check went well or ill: a new address
            that was adopted, a feed that was muted; "" otherwise.

    Raises:
        ValueError: on a failure without a reason, a success with one, or a time that is not aware UTC.
    """

    feed: str
    at: datetime
    outcome: Outcome
    reason: str
    status: int | None
    bytes: int
    millis: int
    entries: tuple[Entry, ...]
    state: FeedState
    first_fetch: bool = False
    notice: str = ""

    def __post_init__(self) -> None:
        _demand_utc(at=self.at)
        if self.outcome.ok == bool(self.reason):
            raise ValueError(f"a check needs a reason exactly when it failed: {self.outcome} with {self.reason!r}")


def unseen(feed: Feed, now: datetime) -> FeedState:
    """The state of a feed that was never checked."""
    nothing = None
    return FeedState(
        feed=feed.id,
        url=feed.url,
        name=feed.name,
        publisher=feed.publisher,
        etag=nothing,
        last_modified=nothing,
        added_at=now,
        first_success_at=nothing,
        last_check_at=nothing,
        last_success_at=nothing,
        last_entry_at=nothing,
        next_check_at=nothing,
        failures=0,
        outcome=nothing,
        reason=nothing,
    )


def carries_backlog(feed: Feed, state: FeedState, now: datetime) -> bool:
    """Whether entries that a check brings now are a first fetch.

    They are when the feed never answered yet, was not watched for a while, or did not answer for `AWAY_AFTER` (three
    of its own intervals, where that is longer).
    """
    if state.last_success_at is None or state.paused_at is not None:
        return True
    usual = timedelta(minutes=feed.every_minutes) * _AWAY_INTERVALS
    return now - state.last_success_at > max(AWAY_AFTER, usual)


def succeeded(
    feed: Feed,
    state: FeedState,
    now: datetime,
    outcome: Outcome,
    *,
    etag: str | None,
    last_modified: str | None,
    wait: timedelta | None = None,
) -> FeedState:
    """The state after a check that went well: the next one is `wait` later, or `every_minutes`."""
    return replace(
        state,
        etag=etag,
        last_modified=last_modified,
        first_success_at=state.first_success_at or now,
        last_check_at=now,
        last_success_at=now,
        last_entry_at=now if outcome is Outcome.NEW else state.last_entry_at,
        next_check_at=now + (timedelta(minutes=feed.every_minutes) if wait is None else wait),
        failures=0,
        outcome=outcome.value,
        reason=None,
        retry_at=None,
        muted_at=None,
        paused_at=None,
    )


def failed(
    state: FeedState,
    now: datetime,
    outcome: Outcome,
    reason: str,
    *,
    wait: timedelta,
) -> FeedState:
    """The state after a check that failed; `wait` comes from `monitor.feeds.politeness.backoff`.

    Validators stay: the copy that they belong to is still the last that was read.
    """
    return replace(
        state,
        last_check_at=now,
        next_check_at=now + wait,
        failures=state.failures + 1,
        outcome=outcome.value,
        reason=reason,
    )


def _demand_utc(**times: datetime | None) -> None:
    for name, time in times.items():
        if time is not None and time.tzinfo is not UTC and time.utcoffset() != _NOTHING:
            raise ValueError(f"{name} must be aware UTC, not {time.isoformat()}")
