"""The check of many feeds at once: fetch, parse, and say what came of each.

takes  feeds that are due with what is remembered of them, and `now`
gives  one `Check` per feed, whatever its server did
never  raises for a dead feed, lets one feed hold up another, or fetches more from a host at once than allowed
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Annotated, Self
from urllib.parse import urlsplit

import httpx2
from pydantic import BaseModel, ConfigDict, Field, field_validator

from monitor import __version__
from monitor.addresses import CheckedTransport
from monitor.feeds import Check, Entry, Feed, FeedState, Outcome, backoff, carries_backlog, failed, succeeded
from monitor.fetching import Caps, Fetched, fetch
from monitor.parsing import Kind, Parsed, parse

_LONGEST_REASON = 1_000

# What a person can do about each kind of failure; ends the reason of the check.
_WAY_OUT: dict[Outcome, str] = {
    Outcome.NOT_FOUND: "Look up the feed's new address on the publisher's site, or disable the feed.",
    Outcome.GONE: "Look up whether the publisher has another feed, or disable this one.",
    Outcome.FORBIDDEN: "Set [polling] user_agent to one with your contact, use another feed, or disable this one.",
    Outcome.THROTTLED: "Raise the feed's every_minutes.",
    Outcome.HTTP_ERROR: "Open the address in a browser to see what it is now.",
    Outcome.SERVER_ERROR: "Nothing to do unless it lasts for days.",
    Outcome.HTML_PAGE: "Look up the address of the feed itself on that page.",
    Outcome.NOT_A_FEED: "Open the address to see what it is now; it must be RSS, Atom, RDF or JSON Feed.",
    Outcome.TOO_LARGE: "Raise [polling] max_bytes if this feed is meant to be so large.",
    Outcome.TIMEOUT: "Raise [polling] timeout_seconds if this server is always slow.",
    Outcome.NO_SUCH_HOST: "Check the spelling of the address, and that this machine's DNS works.",
    Outcome.UNREACHABLE: "Check that this machine reaches the internet; otherwise wait.",
    Outcome.REFUSED_ADDRESS: "If this host is meant, name it in [polling] allow_private_addresses.",
    Outcome.BAD_REDIRECT: "Open the address in a browser and put the address where it ends into the settings.",
    Outcome.BAD_ANSWER: "Nothing to do unless it lasts for days.",
}


class PollSettings(BaseModel):
    """Section [polling] of the settings.

    Attributes:
        timeout_seconds: for one check in all, from connecting to the last byte.
        connect_seconds: for one connection.
        read_seconds: the longest silence within an answer.
        max_bytes: of a body, on the wire and unpacked.
        max_entries: of one feed that are taken in at one check, newest kept.
        max_redirects: followed within one check.
        concurrency: checks under way at once.
        per_host: checks under way at once on one host.
        allow_private_addresses: host names, addresses or networks that may be connected to although they are
            private, loopback, link-local or cloud metadata.
        user_agent: what servers are told; a contact in it opens doors.
        backoff_max_minutes: the longest wait between two checks of a dead feed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    connect_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    read_seconds: Annotated[float, Field(gt=0, le=600)] = 15.0
    max_bytes: Annotated[int, Field(ge=1_024, le=2**30)] = 10 * 2**20
    max_entries: Annotated[int, Field(ge=1, le=100_000)] = 500
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 5
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 20
    per_host: Annotated[int, Field(ge=1, le=100)] = 2
    allow_private_addresses: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    user_agent: Annotated[str, Field(min_length=1, max_length=300)] = f"Squall/{__version__} (feed reader)"
    backoff_max_minutes: Annotated[int, Field(ge=1, le=10_080)] = 360

    @field_validator("user_agent")
    @classmethod
    def _fits_a_header(cls, text: str) -> str:
        if not (text.isascii() and text.isprintable()):
            raise ValueError("user_agent must be printable ASCII: it is sent in a header")
        return text


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a check makes of a fetch: outcome, words of the failure, entries."""

    outcome: Outcome
    words: str = ""
    entries: tuple[Entry, ...] = ()


class Poller:
    """Checks feeds over one shared pool of connections; `async with Poller(settings) as poller`.

    Args:
        settings: section [polling].
        jitter: source of numbers in [0, 1) that spread the retries of dead feeds.
    """

    def __init__(self, settings: PollSettings, jitter: random.Random | None = None) -> None:
        self._settings = settings
        self._jitter = jitter or random.Random()  # noqa: S311  # spreads load, guards nothing
        self._caps = Caps(
            settings.connect_seconds,
            settings.read_seconds,
            settings.timeout_seconds,
            settings.max_bytes,
            settings.max_redirects,
        )
        self._client = httpx2.AsyncClient(
            transport=CheckedTransport(settings.allow_private_addresses, settings.concurrency),
            headers={"User-Agent": settings.user_agent},
            follow_redirects=False,
            # A proxy from the environment would connect in our stead, past the address checks.
            trust_env=False,
            # A feed reader has no use for cookies, and a jar that lasts for months only grows.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._client.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def poll(self, feeds: Sequence[tuple[Feed, FeedState]], now: datetime) -> list[Check]:
        """Check all feeds concurrently; the checks come in the order of `feeds`.

        Args:
            now: aware UTC; the time of every check of this round.
        """
        everywhere = asyncio.Semaphore(self._settings.concurrency)
        hosts = {_host(feed): asyncio.Semaphore(self._settings.per_host) for feed, _ in feeds}

        async def in_turn(feed: Feed, state: FeedState) -> Check:
            # The host first: who waits for a busy host must not hold a place that another host could use.
            async with hosts[_host(feed)], everywhere:
                return await self._check(feed, state, now)

        return list(await asyncio.gather(*(in_turn(feed, state) for feed, state in feeds)))

    async def _check(self, feed: Feed, state: FeedState, now: datetime) -> Check:
        started = time.monotonic()
        fetched = await fetch(self._client, feed.url, state.etag, state.last_modified, self._caps, now)
        if fetched.outcome is None:
            # Parsing is pure computation, up to seconds for a large feed: off the event loop.
            parsed = await asyncio.to_thread(
                parse, fetched.body, fetched.content_type, feed, now, max_entries=self._settings.max_entries
            )
            answer = _judged(parsed)
        else:
            answer = _Answer(fetched.outcome, fetched.words)
        millis = round((time.monotonic() - started) * 1_000)
        return self._concluded(feed, state, now, fetched, answer, millis)

    def _concluded(
        self, feed: Feed, state: FeedState, now: datetime, fetched: Fetched, answer: _Answer, millis: int
    ) -> Check:
        if answer.outcome.ok:
            reason = ""
            unchanged = answer.outcome is Outcome.UNCHANGED
            after = succeeded(
                feed,
                state,
                now,
                answer.outcome,
                etag=state.etag if unchanged else fetched.etag,
                last_modified=state.last_modified if unchanged else fetched.last_modified,
            )
        else:
            reason = _reason(feed, fetched.url, answer)
            longest = timedelta(minutes=self._settings.backoff_max_minutes)
            wait = backoff(feed, state.failures + 1, longest, self._jitter.random(), fetched.retry_after)
            after = failed(feed, state, now, answer.outcome, reason, wait=wait)
        return Check(
            feed=feed.id,
            at=now,
            outcome=answer.outcome,
            reason=reason,
            status=fetched.status,
            bytes=fetched.read,
            millis=millis,
            entries=answer.entries,
            state=after,
            first_fetch=carries_backlog(state, now),
        )


def _judged(parsed: Parsed) -> _Answer:
    """What a parsed body means for the check."""
    match parsed.kind:
        case Kind.HTML:
            return _Answer(Outcome.HTML_PAGE, "it answered with a web page: " + "; ".join(parsed.problems))
        case Kind.UNKNOWN:
            return _Answer(
                Outcome.NOT_A_FEED, "it answered with something that is no feed: " + "; ".join(parsed.problems)
            )
        case _:
            outcome = Outcome.NEW if parsed.entries else Outcome.EMPTY
            return _Answer(outcome, entries=parsed.entries)


def _reason(feed: Feed, url: str, answer: _Answer) -> str:
    """Words that name the feed, its address (and where it led) and the way out."""
    led = "" if url == feed.url else f" (led to {url[:300]})"
    words = f"{feed.name}, {feed.url[:300]}{led}: {answer.words}. {_WAY_OUT[answer.outcome]}"
    # Parts of it come from a server: nothing in it may steer a terminal or start a new line in a log.
    return "".join(c if c.isprintable() else " " for c in words)[:_LONGEST_REASON]


def _host(feed: Feed) -> str:
    return urlsplit(feed.url).hostname or ""
