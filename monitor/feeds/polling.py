"""The check of many feeds at once: fetch, parse, and say what came of each.

takes  feeds that are due with what is remembered of them, and `now`
gives  one `Check` per feed, whatever its server did, as soon as it is there
never  raises for a dead feed, lets one feed hold up another, or asks more of a site at once than allowed
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self

import structlog

from monitor.feeds.concluding import Answer, Pacing, concluded, hash_of, judged
from monitor.feeds.ended import Ended
from monitor.feeds.feed import Check, Feed, FeedState, Outcome
from monitor.feeds.fetching import Caps, Fetched, fetch
from monitor.feeds.gates import Gate, Room, SiteHeld, Turn
from monitor.feeds.lenient import LenientParser
from monitor.feeds.parsing import Parsed, parse_quickly
from monitor.feeds.politeness import RetryScope, address_of, site_of, validators
from monitor.feeds.poll_settings import PollSettings
from monitor.feeds.reach import UNREACHED, Reach
from monitor.feeds.web import Web

log = structlog.get_logger(__name__)

# Checks that end within the same second are taken in together, up to so many entries: each taking in is a transaction,
# and a feed of ten thousand holds nobody up for long.
_LINGER_SECONDS = 1.0
_ENTRIES_AT_ONCE = 2_000
# A check without entries weighs as much as this one more entry: a state to remember.
_WEIGHT = 1
# While so much waits to be taken, nobody else is asked: memory is bounded by this, not by the number of feeds.
_MOST_WAITING = 6_000
# Parsed on the event loop: smaller ones take about a millisecond, less than handing them to a thread.
_SMALL = 64 * 1024


class Poller:
    """Checks feeds over one shared pool of connections; `async with Poller(settings) as poller`.

    `poll` waits for all. `begin` and `finished` do not: a feed that hangs ends when it ends, and meanwhile the others
    are checked, taken in, and checked again.

    Args:
        settings: section [polling].
        jitter: source of numbers in [0, 1) that spread the checks of many feeds.
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
        self._pacing = Pacing(
            timedelta(minutes=settings.backoff_max_minutes),
            settings.slowest_factor,
            timedelta(minutes=settings.longest_floor_minutes),
        )
        self._gate = Gate(settings.concurrency, settings.per_host, settings.host_spacing_seconds)
        self._lenient = LenientParser(settings.parse_seconds)
        self._under_way: dict[str, asyncio.Task[Check | None]] = {}
        self._ended = Ended()
        self._reach = Reach()
        self._web = Web(settings.allow_private_addresses, settings.user_agent, settings.concurrency)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give up what is under way, and let the connections go."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for name in list(self._under_way):
            self._let_go(name)
        await self._lenient.aclose()
        await self._web.aclose()

    @property
    def under_way(self) -> frozenset[str]:
        """Ids of the feeds whose check has begun, and whose result nobody has taken yet."""
        return frozenset(self._under_way)

    def begin(self, feeds: Sequence[tuple[Feed, FeedState]], now: datetime) -> None:
        """Begin to check these feeds; one that is under way already goes on as it is.

        While `_MOST_WAITING` entries wait to be taken, no further feed is asked: `finished` must go on taking.

        Args:
            now: aware UTC; the time of these checks.
        """
        for feed, state in feeds:
            self._begin(feed, state, now, self._room)

    def _begin(self, feed: Feed, state: FeedState, now: datetime, room: Room | None) -> None:
        """Begin one check; with `room` its server is not asked before there is some for what it brings."""
        if feed.id not in self._under_way:
            if state.outcome in UNREACHED:
                # What was remembered tells too: after a start, and for who checks once an hour.
                self._reach.missed(site_of(feed.url))
            task = asyncio.create_task(self._check(feed, state, now, room), name=feed.id)
            self._under_way[feed.id] = task
            task.add_done_callback(self._note)

    async def _room(self) -> None:
        await self._ended.room(_MOST_WAITING)

    def _note(self, task: asyncio.Task[Check | None]) -> None:
        if self._under_way.get(task.get_name()) is task and not task.cancelled():
            check = task.result()
            self._ended.add(task.get_name(), _WEIGHT + (len(check.entries) if check else 0))

    async def finished(self, patience: float) -> AsyncIterator[list[Check]]:
        """The checks under way, in batches as they end, until none is left or `patience` (seconds) has passed.

        A batch holds up to `_ENTRIES_AT_ONCE` entries, or one check. What has ended when the patience does is given
        all the same; what has not goes on.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + patience
        while self._under_way:
            await self._ended.gather(1, until)
            # Wait a little for more to end, unless there is enough, or nothing else under way.
            await self._ended.gather(_ENTRIES_AT_ONCE, min(until, clock() + _LINGER_SECONDS), len(self._under_way))
            names = self._ended.take(_ENTRIES_AT_ONCE)
            # In the order in which they began, so that one round is one order.
            ended = [self._under_way.pop(name).result() for name in [one for one in self._under_way if one in names]]
            if checks := [check for check in ended if check is not None]:
                yield checks
            elif clock() >= until:
                return

    async def poll(self, feeds: Sequence[tuple[Feed, FeedState]], now: datetime) -> list[Check]:
        """Check all feeds concurrently, and wait for all; the checks come in the order of `feeds`.

        A feed whose site asked to be left alone in the meantime is left out: it stays due.

        Args:
            now: aware UTC; the time of every check of this round.
        """
        for feed, state in feeds:
            self._begin(feed, state, now, None)
        tasks = [self._under_way[feed.id] for feed, _ in feeds]
        try:
            return [check for check in await asyncio.gather(*tasks) if check is not None]
        finally:
            for feed, _ in feeds:
                self._let_go(feed.id)

    def _let_go(self, name: str) -> None:
        self._under_way.pop(name, None)
        self._ended.drop(name)

    async def probe(
        self, feed: Feed, state: FeedState, now: datetime, room: Room | None = None
    ) -> tuple[Check, Parsed | None, str]:
        """Check one feed at once: the check, what was parsed of the answer, and the address that it came from.

        Args:
            room: waited for before each request, once it would have its turn.

        Raises:
            SiteHeld: when its site asked to be left alone before it could begin.
        """
        url = address_of(feed, state)
        etag, last_modified = validators(state, now)
        # Waited for out here: thousands that wait within `fetch` would take twice the memory.
        first = self._gate.turn(url, room)
        await first.wait()
        turns = [first]

        def turn(at: str) -> Turn:
            return turns.pop() if turns else self._gate.turn(at, room)

        fetched = await fetch(self._web, url, etag, last_modified, self._caps, now, turn)
        begun = time.monotonic()
        parsed = None
        if fetched.outcome is not None:
            answer = Answer(fetched.outcome, fetched.words)
        elif (body := hash_of(fetched.body)) == state.body and state.last_success_at is not None:
            # What was read the last time, byte for byte, from a server that does not know 304.
            answer = Answer(Outcome.UNCHANGED)
        else:
            parsed = await self._parse(feed, now, fetched)
            answer = judged(parsed, body)
        millis = fetched.millis + round((time.monotonic() - begun) * 1_000)
        self._note_reach(feed, fetched, now)
        jitter = self._jitter.random()
        check = concluded(feed, state, now, fetched, answer, millis, self._pacing, jitter, lost=self._reach.lost(now))
        return check, parsed, fetched.url

    def _note_reach(self, feed: Feed, fetched: Fetched, now: datetime) -> None:
        if fetched.status is not None:
            self._reach.answered(now)
        elif fetched.outcome in UNREACHED:
            self._reach.missed(site_of(feed.url))

    async def _check(self, feed: Feed, state: FeedState, now: datetime, room: Room | None) -> Check | None:
        """The check; None when its site asked to be left alone before it could begin."""
        try:
            check, _, at = await self.probe(feed, state, now, room)
        except SiteHeld:
            return None
        except Exception as error:
            # A fault of ours that one feed's answer brings to light must not silence all others.
            log.exception("check_fault", feed=feed.id)
            fetched = Fetched(Outcome.BAD_ANSWER, "", feed.url)
            answer = Answer(Outcome.BAD_ANSWER, f"checking it failed with {type(error).__name__}, see the log")
            return concluded(feed, state, now, fetched, answer, 0, self._pacing, self._jitter.random())
        if check.state.retry_at is not None and self._settings.retry_after_scope is RetryScope.HOST:
            self._gate.hold(at, (check.state.retry_at - now).total_seconds())
        return check

    async def _parse(self, feed: Feed, now: datetime, fetched: Fetched) -> Parsed | None:
        # Relative links are relative to where the document came from.
        at = feed if fetched.url == feed.url else feed.model_copy(update={"url": fetched.url})
        body, kind, most = fetched.body, fetched.content_type, self._settings.max_entries
        quickly = partial(parse_quickly, body, at, now, max_entries=most, content_type=kind)
        # Up to a second for megabytes: off the event loop.
        parsed = quickly() if len(body) <= _SMALL else await asyncio.to_thread(quickly)
        if parsed is not None:
            return parsed
        return await self._lenient.parse(body, kind, at, now, most)
