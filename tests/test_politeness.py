"""Politeness: when a feed may be asked again, for one feed, for one site, and for five hundred feeds over a day."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds.concluding import Answer, Pacing, concluded
from monitor.feeds.feed import Check, Entry, Feed, FeedState, Outcome, unseen
from monitor.feeds.fetching import Fetched
from monitor.feeds.gates import Gate, SiteHeld
from monitor.feeds.habits import Habit
from monitor.feeds.parsing import Kind, Parsed
from monitor.feeds.politeness import (
    ADOPT_AFTER,
    MUTED_FOR,
    Pace,
    RetryScope,
    Spacing,
    address_of,
    due,
    next_wait,
    paused,
    site_of,
    validators,
)
from monitor.feeds.reach import Reach
from monitor.feeds.wishes import fresh_for, retry_after

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
PACING = Pacing(timedelta(hours=6), 3.0, HOUR)


def feed(**changes: object) -> Feed:
    plain = {"id": "wire", "url": "https://feeds.wire.example/rss", "name": "The Wire", "publisher": "house"}
    return Feed.model_validate(plain | changes)


def entry(at: datetime | None, number: int = 0, fetched: datetime = NOW) -> Entry:
    link = f"https://wire.example/{number}"
    return Entry("wire", "house", "en", f"g{number}", link, f"Bank {number} in trouble", "", at, fetched)


def answered(
    state: FeedState,
    now: datetime,
    entries: tuple[Entry, ...] = (),
    *,
    of: Feed | None = None,
    fetched: Fetched | None = None,
    ttl: timedelta | None = None,
    outcome: Outcome = Outcome.NEW,
    jitter: float = 0.0,
) -> Check:
    feed_ = of or feed()
    got = fetched or Fetched(None, "", feed_.url, 200)
    parsed = Parsed(entries, (), Kind.RSS, ttl=ttl) if outcome.ok else None
    words = "" if outcome.ok else "it failed"
    return concluded(feed_, state, now, got, Answer(outcome, words, parsed, 7), 20, PACING, jitter)


def wait_of(check: Check) -> timedelta:
    assert check.state.next_check_at is not None
    return check.state.next_check_at - check.at


# What servers ask for


@pytest.mark.parametrize(
    ("header", "date", "seconds"),
    [
        ("120", None, 120),
        ("120.5", None, 120),
        ("120.soon", None, None),
        ("Tue, 10 Mar 2026 12:05:00 GMT", None, 300),
        # The server's clock runs an hour ahead: by it, five minutes.
        ("Tue, 10 Mar 2026 13:05:00 GMT", "Tue, 10 Mar 2026 13:00:00 GMT", 300),
        ("Tue, 10 Mar 2026 11:05:00 GMT", "Tue, 10 Mar 2026 11:00:00 GMT", 300),
        ("Tue, 10 Mar 2026 11:05:00 GMT", None, None),
        ("soon", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date_by_the_servers_own_clock(
    header: str | None, date: str | None, seconds: int | None
) -> None:
    wait = retry_after(header, NOW, date)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"cache-control": "public, max-age=900"}, 900),
        ({"cache-control": "max-age=900", "age": "300"}, 600),
        ({"cache-control": "max-age=60", "expires": "Tue, 10 Mar 2026 12:10:00 GMT"}, 600),
        ({"expires": "Tue, 10 Mar 2026 14:10:00 GMT", "date": "Tue, 10 Mar 2026 14:00:00 GMT"}, 600),
        ({"cache-control": "no-cache, max-age=900"}, None),
        ({"cache-control": "s-maxage=900"}, None),
        ({"expires": "0"}, None),
        ({"expires": "Tue, 10 Mar 2020 14:10:00 GMT"}, None),
        ({}, None),
    ],
)
def test_how_long_an_answer_is_good(headers: dict[str, str], seconds: int | None) -> None:
    wait = fresh_for(headers, NOW)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


@given(st.dictionaries(st.sampled_from(["cache-control", "expires", "age", "date", "retry-after"]), st.text()))
def test_any_header_is_read(headers: dict[str, str]) -> None:
    assert fresh_for(headers, NOW) is None or fresh_for(headers, NOW) > timedelta(0)  # type: ignore[operator]  # None is told apart before
    wait = retry_after(headers.get("retry-after"), NOW, headers.get("date"))
    assert wait is None or wait >= timedelta(0)


# The next check of a feed that is well


def test_the_floor_is_the_longest_of_ttl_and_headers_and_is_capped() -> None:
    fetched = Fetched(None, "", feed().url, 200, fresh_for=20 * MINUTE)
    check = answered(unseen(feed(), NOW), NOW, fetched=fetched, ttl=30 * MINUTE, outcome=Outcome.EMPTY)
    assert (wait_of(check), check.state.pace) == (30 * MINUTE, Pace.ASKED.value)
    longer = replace(fetched, fresh_for=45 * MINUTE)
    assert wait_of(answered(unseen(feed(), NOW), NOW, fetched=longer, ttl=30 * MINUTE)) == 45 * MINUTE
    for_a_day = replace(fetched, fresh_for=24 * HOUR)
    assert wait_of(answered(unseen(feed(), NOW), NOW, fetched=for_a_day)) == HOUR


def test_a_304_brings_no_ttl_and_keeps_the_old_one() -> None:
    state = answered(unseen(feed(), NOW), NOW, ttl=30 * MINUTE).state
    again = answered(
        state, NOW + HOUR, fetched=Fetched(Outcome.UNCHANGED, "", feed().url, 304), outcome=Outcome.UNCHANGED
    )
    assert (again.state.ttl_seconds, wait_of(again)) == (1_800, 30 * MINUTE)


def test_a_feed_that_publishes_seldom_is_asked_more_seldom_up_to_the_factor() -> None:
    daily = tuple(entry(NOW - n * timedelta(days=1), n) for n in range(10))
    check = answered(unseen(feed(), NOW), NOW, daily)
    assert (wait_of(check), check.state.pace) == (30 * MINUTE, Pace.CALM.value)
    hourly = tuple(entry(NOW - n * HOUR, n) for n in range(10))
    assert wait_of(answered(unseen(feed(), NOW), NOW, hourly)) == 15 * MINUTE
    busy = tuple(entry(NOW - n * 20 * MINUTE, n) for n in range(10))
    assert wait_of(answered(unseen(feed(), NOW), NOW, busy)) == 10 * MINUTE


def test_a_feed_that_falls_quiet_is_asked_more_seldom_by_and_by() -> None:
    state = answered(unseen(feed(), NOW), NOW, tuple(entry(NOW - n * 20 * MINUTE, n) for n in range(10))).state
    later = answered(state, NOW + 3 * HOUR, outcome=Outcome.UNCHANGED)
    assert 10 * MINUTE < wait_of(later) <= 30 * MINUTE


def test_a_feed_whose_headlines_would_fall_out_of_it_is_asked_more_often() -> None:
    torrent = tuple(entry(NOW - n * timedelta(seconds=20), n) for n in range(25))
    check = answered(unseen(feed(), NOW), NOW, torrent)
    assert (wait_of(check), check.state.pace) == (4 * MINUTE, Pace.BUSY.value)


@given(
    every=st.integers(1, 1440),
    gap=st.none() | st.integers(0, 10**7),
    window=st.none() | st.integers(0, 10**7),
    quiet=st.integers(0, 10**7),
    floor=st.none() | st.integers(0, 10**7),
    jitter=st.floats(0, 1, exclude_max=True),
    factor=st.floats(1, 100),
)
def test_every_wait_lies_between_its_bounds(
    every: int, gap: int | None, window: int | None, quiet: int, floor: int | None, jitter: float, factor: float
) -> None:
    def span(seconds: int | None) -> timedelta | None:
        return None if seconds is None else timedelta(seconds=seconds)

    habit = Habit(NOW - timedelta(seconds=quiet), span(gap), span(gap), span(window))
    wait = next_wait(
        feed(every_minutes=every), habit, NOW, span(floor), jitter, slowest_factor=factor, longest_floor=HOUR
    ).until
    asked = min(span(floor) or timedelta(0), HOUR)
    assert wait >= asked
    assert wait >= min(MINUTE, every * MINUTE) * 0.89
    assert wait <= max(every * MINUTE * factor, asked * 1.1) + timedelta(seconds=1)


# What may lie far off, and what may not


@given(every=st.integers(1, 1440), gap=st.integers(0, 10**7), failed=st.booleans(), jitter=st.floats(0, 0.99))
def test_no_feed_is_asked_before_its_time_however_long_that_is(
    every: int, gap: int, failed: bool, jitter: float
) -> None:
    one = feed(every_minutes=every)
    news = tuple(entry(NOW - n * timedelta(seconds=gap), n) for n in range(9))
    outcome = Outcome.GONE if failed else Outcome.NEW
    state = answered(unseen(one, NOW), NOW, news, of=one, outcome=outcome, jitter=jitter).state
    wait = (state.next_check_at or NOW) - NOW
    for share in (0.0, 0.3, 0.999):
        assert due([one], {"wire": state}, NOW + wait * share) == []
    assert due([one], {"wire": state}, NOW + wait) != []


def test_a_feed_that_fails_for_weeks_is_asked_as_seldom_as_the_settings_say() -> None:
    pacing, state, asked = replace(PACING, backoff_max=timedelta(days=3)), unseen(feed(), NOW), []
    for minutes in range(0, 30 * 24 * 60, 30):
        now = NOW + minutes * MINUTE
        for one, before in due([feed()], {"wire": state}, now):
            asked.append(now)
            down = Fetched(Outcome.SERVER_ERROR, "down", one.url, 503)
            state = concluded(one, before, now, down, Answer(Outcome.SERVER_ERROR, "down"), 9, pacing, 0.0).state
    assert {later - earlier for earlier, later in list(pairwise(asked))[-4:]} == {timedelta(days=3)}


def test_what_a_clock_that_was_ahead_put_off_is_due_once_it_is_set_back() -> None:
    seldom = feed(every_minutes=1440)
    calm = tuple(entry(NOW - n * timedelta(days=20), n) for n in range(9))
    state = answered(unseen(seldom, NOW), NOW + timedelta(days=5), calm, of=seldom).state
    assert (state.pace, len(due([seldom], {"wire": state}, NOW))) == (Pace.CALM.value, 1)
    assert due([seldom], {"wire": state}, NOW + timedelta(days=5)) == []


def test_an_interval_that_was_made_shorter_holds_at_once() -> None:
    state = answered(unseen(feed(), NOW), NOW, of=feed(every_minutes=1440)).state
    assert (state.pace, wait_of(answered(state, NOW, of=feed(every_minutes=1440)))) == (Pace.USUAL.value, 24 * HOUR)
    assert due([feed(every_minutes=1440)], {"wire": state}, NOW + MINUTE) == []
    assert len(due([feed(every_minutes=10)], {"wire": state}, NOW + MINUTE)) == 1


def test_each_feed_is_asked_in_full_once_a_day() -> None:
    """A server that takes what has changed for unchanged is heard again the next day."""
    in_full = []
    for name in ("wire", "other"):
        state = replace(unseen(feed(id=name), NOW), etag="a", last_modified="b", last_success_at=NOW)
        asked = [
            n
            for n in range(1, 72)
            if validators(replace(state, last_success_at=NOW + (n - 1) * HOUR), NOW + n * HOUR)[0] is None
        ]
        assert [later - earlier for earlier, later in pairwise(asked)] == [24, 24]
        in_full.append(asked[0])
        assert validators(replace(state, last_success_at=NOW - 24 * HOUR), NOW) == (None, None)
    assert in_full[0] != in_full[1]


def test_what_broke_off_is_asked_for_in_full_the_next_time() -> None:
    got = Fetched(None, "", feed().url, 200, etag="v2", last_modified="today")
    for whole, kept in ((True, ("v2", "today", 7)), (False, (None, None, None))):
        parsed = Parsed((entry(NOW),), (), Kind.RSS, whole=whole)
        after = concluded(
            feed(), unseen(feed(), NOW), NOW, got, Answer(Outcome.NEW, "", parsed, 7), 20, PACING, 0.0
        ).state
        assert (after.etag, after.last_modified, after.body) == kept


# Our own network


def test_while_nothing_is_reached_a_feed_is_asked_as_often_as_ever() -> None:
    dead = Answer(Outcome.NO_SUCH_HOST, "it failed")
    got = Fetched(Outcome.NO_SUCH_HOST, "", feed().url)
    state = replace(unseen(feed(), NOW), failures=20)
    waits = [wait_of(concluded(feed(), state, NOW, got, dead, 20, PACING, 0.0, lost=lost)) for lost in (False, True)]
    assert waits == [6 * HOUR, 10 * MINUTE]
    down = Answer(Outcome.SERVER_ERROR, "it failed")
    assert wait_of(concluded(feed(), state, NOW, got, down, 20, PACING, 0.0, lost=True)) == 6 * HOUR


def test_three_sites_in_a_row_are_our_own_network_unless_one_answered_shortly_before() -> None:
    reach = Reach()
    for site in ("a.example", "a.example", "b.example"):
        reach.missed(site)
        assert not reach.lost(NOW)
    reach.missed("c.example")
    assert reach.lost(NOW)
    reach.answered(NOW)
    for site in ("a.example", "b.example", "c.example"):
        assert not reach.lost(NOW + HOUR)
        reach.missed(site)
    assert [reach.lost(NOW + n * MINUTE) for n in (0, 9, 10)] == [False, False, True]


# Moving for good, and going for good


def moved(target: str | None) -> Fetched:
    return Fetched(None, "", target or feed().url, 200, moved_to=target)


def test_a_permanent_redirect_is_adopted_after_repeats_over_a_day_and_told() -> None:
    state, notices = unseen(feed(), NOW), []
    for step in range(6):
        check = answered(state, NOW + step * 6 * HOUR, fetched=moved("https://new.example/rss"))
        state = check.state
        notices.append(check.notice)
        assert (address_of(feed(), state) == "https://new.example/rss") == (step * 6 * HOUR >= ADOPT_AFTER)
    assert [bool(notice) for notice in notices] == [False, False, False, False, True, False]
    assert "https://new.example/rss" in notices[4]
    # There it answers without a redirect, and stays.
    settled = answered(state, NOW + 48 * HOUR, fetched=moved(None)).state
    assert address_of(feed(), settled) == "https://new.example/rss"


def test_a_redirect_that_is_not_repeated_is_forgotten() -> None:
    state = answered(unseen(feed(), NOW), NOW, fetched=moved("https://portal.example/")).state
    state = answered(state, NOW + 30 * HOUR, fetched=moved(None)).state
    state = answered(state, NOW + 31 * HOUR, fetched=moved("https://portal.example/")).state
    assert (state.moved_seen, address_of(feed(), state)) == (1, feed().url)


def test_an_adopted_address_that_fails_is_given_up_for_the_one_in_the_settings() -> None:
    state = replace(
        unseen(feed(), NOW),
        moved_to="https://new.example/rss",
        moved_seen=5,
        moved_since=NOW - 48 * HOUR,
        last_check_at=NOW,
        last_success_at=NOW,
    )
    assert address_of(feed(), state) == "https://new.example/rss"
    for step in range(3):
        state = answered(state, NOW + step * HOUR, outcome=Outcome.NOT_FOUND).state
    assert address_of(feed(), state) == feed().url
    assert answered(state, NOW + 9 * HOUR, fetched=moved(None)).state.moved_to is None


def test_gone_mutes_with_a_notice_and_is_asked_again_in_a_week() -> None:
    check = answered(replace(unseen(feed(), NOW), last_success_at=NOW), NOW, outcome=Outcome.GONE)
    assert (wait_of(check), check.state.muted_at, check.state.pace) == (MUTED_FOR, NOW, Pace.MUTED.value)
    assert "muted" in check.notice
    again = answered(check.state, NOW + MUTED_FOR, outcome=Outcome.GONE)
    assert (again.notice, again.state.muted_at) == ("", NOW)
    back = answered(check.state, NOW + MUTED_FOR, (entry(NOW + MUTED_FOR, 1, NOW + MUTED_FOR),))
    assert (back.state.muted_at, back.first_fetch) == (None, True)


# Several feeds


def test_retry_after_holds_the_feed_or_the_whole_site() -> None:
    feeds = [feed(id="a", url="https://a.wire.co.uk/1"), feed(id="b", url="https://b.wire.co.uk/2"), feed(id="c")]
    busy = Fetched(Outcome.THROTTLED, "too often", feeds[0].url, 429, retry_after=2 * HOUR)
    state = answered(unseen(feeds[0], NOW), NOW, of=feeds[0], fetched=busy, outcome=Outcome.THROTTLED).state
    states = {"a": state}
    assert [one.id for one, _ in due(feeds, states, NOW + HOUR)] == ["b", "c"]
    assert [one.id for one, _ in due(feeds, states, NOW + HOUR, RetryScope.HOST)] == ["c"]
    assert {one.id for one, _ in due(feeds, states, NOW + 2 * HOUR, RetryScope.HOST)} == {"a", "b", "c"}
    # A server cannot hold its site for longer than a day.
    endless = replace(state, retry_at=NOW + 400 * HOUR)
    assert {one.id for one, _ in due(feeds[1:], {"a": endless}, NOW, RetryScope.HOST)} == {"b", "c"}


def test_a_site_is_held_for_as_long_as_its_server_asked_and_no_longer() -> None:
    broken, well = feed(id="broken", url="https://a.wire.example/1"), feed(id="well", url="https://b.wire.example/2")
    states = {one.id: unseen(one, NOW) for one in (broken, well)}
    asked: dict[str, list[datetime]] = defaultdict(list)
    busy = Fetched(Outcome.SERVER_ERROR, "busy", broken.url, 503, retry_after=timedelta(seconds=90))
    for minutes in range(24 * 60):
        now = NOW + minutes * MINUTE
        for one, state in due([broken, well], states, now, RetryScope.HOST):
            asked[one.id].append(now)
            if one == broken:
                after = answered(state, now, of=one, fetched=busy, outcome=Outcome.SERVER_ERROR).state
                assert after.retry_at == now + timedelta(seconds=90)
            else:
                after = answered(state, now, of=one, outcome=Outcome.UNCHANGED).state
            states[one.id] = after
    assert states["broken"].pace == Pace.BACKING_OFF.value
    assert [later - earlier for earlier, later in pairwise(asked["broken"])][-1] == 6 * HOUR
    assert max(later - earlier for earlier, later in pairwise(asked["well"])) <= 12 * MINUTE


def test_a_site_is_held_for_a_day_at_most_however_its_feed_failed() -> None:
    for outcome in (Outcome.THROTTLED, Outcome.GONE):
        endless = Fetched(outcome, "go away", feed().url, 429, retry_after=400 * HOUR)
        state = answered(unseen(feed(), NOW), NOW, fetched=endless, outcome=outcome).state
        assert state.retry_at == NOW + 24 * HOUR


def test_what_is_not_watched_is_remembered_as_paused_once() -> None:
    feeds = [feed(id="on"), feed(id="off", enabled=False)]
    states = {name: unseen(feed(id=name), NOW) for name in ("on", "off", "removed")}
    idle = paused(feeds, states, NOW)
    assert {state.feed for state in idle} == {"off", "removed"}
    assert paused(feeds, states | {state.feed: state for state in idle}, NOW) == []


def test_a_site_is_a_registrable_domain() -> None:
    assert site_of("https://feeds.bbci.co.uk/news") == site_of("http://www.bbci.co.uk:8080/") == "bbci.co.uk"
    assert site_of("http://127.0.0.1:9/") == "127.0.0.1"
    assert site_of("http://localhost/") == "localhost"
    assert site_of("http://[broken/") == ""
    assert site_of("http://[2001:db8::1]:80/x") == "2001:db8::1"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), max_size=60), st.floats(0, 10))
def test_requests_to_one_site_begin_apart(asked: list[tuple[str, float]], seconds: float) -> None:
    spacing, now = Spacing(seconds), 0.0
    begun: dict[str, list[float]] = defaultdict(list)
    for site, pause in asked:
        now += pause
        start = spacing.reserve(site, now)
        assert start >= now
        begun[site].append(start)
    for starts in begun.values():
        assert all(later - earlier >= seconds - 1e-9 for earlier, later in pairwise(starts))


# A day of five hundred feeds


class Clockwork(asyncio.SelectorEventLoop):
    """An event loop whose time passes at once: what would be slept through is skipped."""

    def __init__(self) -> None:
        self.passed = 0.0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        return self.passed


class _Skipping(selectors.SelectSelector):
    def __init__(self, loop: Clockwork) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.passed += timeout or 0.0
        return super().select(0)


@dataclass
class Server:
    """Every site of the day: answers as it likes, and watches over its limits."""

    at_once: int
    spacing: float
    scope: RetryScope
    random: random.Random
    under_way: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    last_begun: dict[str, float] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    breaches: list[str] = field(default_factory=list)

    async def get(self, url: str, now: datetime) -> tuple[Fetched, Outcome]:
        loop = asyncio.get_running_loop()
        site, at = site_of(url), loop.time()
        self.requests += 1
        self.under_way[site] += 1
        if self.under_way[site] > self.at_once:
            self.breaches.append(f"{self.under_way[site]} requests at once at {site}")
        if at - self.last_begun.get(site, -1e9) < self.spacing - 1e-6:
            self.breaches.append(f"two requests within {at - self.last_begun[site]:.3f} s at {site}")
        held = site if self.scope is RetryScope.HOST else url
        if at < self.not_before.get(held, 0.0) - 1e-3 or at < self.not_before.get(url, 0.0) - 1e-3:
            self.breaches.append(f"{url} was asked before its time")
        self.last_begun[site] = at
        await asyncio.sleep(self.random.choice((0.05, 0.3, 2.0, 28.0)))
        self.under_way[site] -= 1
        return self._answer(url, held, loop.time(), now)

    def _answer(self, url: str, held: str, at: float, now: datetime) -> tuple[Fetched, Outcome]:
        chance = self.random.random()
        if chance < 0.02:
            asked = self.random.choice((30, 600, 7_200))
            # The poller counts from the beginning of its round, which is a little earlier than the answer.
            self.not_before[held] = max(self.not_before.get(held, 0.0), at + asked - 120)
            wait = timedelta(seconds=asked)
            return Fetched(Outcome.THROTTLED, "busy", url, 429, retry_after=wait), Outcome.THROTTLED
        if chance < 0.06:
            return Fetched(Outcome.SERVER_ERROR, "trouble", url, 500), Outcome.SERVER_ERROR
        good = timedelta(seconds=self.random.choice((0, 0, 300, 1_800)))
        self.not_before[url] = at + good.total_seconds() - 120
        outcome = Outcome.NEW if chance < 0.3 else Outcome.UNCHANGED
        fetched = Fetched(None if outcome is Outcome.NEW else outcome, "", url, 200, fresh_for=good or None)
        return fetched, outcome


async def day(server: Server, feeds: list[Feed], hours: int) -> dict[str, FeedState]:
    gate = Gate(40, server.at_once, server.spacing)
    states: dict[str, FeedState] = {}
    under_way: set[str] = set()
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()

    async def check(one: Feed, state: FeedState, now: datetime) -> None:
        try:
            async with gate.turn(address_of(one, state)):
                fetched, outcome = await server.get(one.url, now)
        except SiteHeld:
            under_way.discard(one.id)
            return
        if fetched.retry_after is not None and server.scope is RetryScope.HOST:
            gate.hold(one.url, fetched.retry_after.total_seconds())
        news = tuple(entry(now - n * 7 * MINUTE, n, now) for n in range(5)) if outcome is Outcome.NEW else ()
        states[one.id] = answered(
            state, now, news, of=one, fetched=fetched, outcome=outcome, jitter=server.random.random()
        ).state
        under_way.discard(one.id)

    while loop.time() < hours * 3_600:
        now = NOW + timedelta(seconds=loop.time())
        for one, state in due(feeds, states, now, server.scope):
            if one.id not in under_way:
                under_way.add(one.id)
                task = asyncio.create_task(check(one, state, now))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        await asyncio.sleep(60)
    await asyncio.gather(*tasks)
    return states


@pytest.mark.parametrize(("scope", "hours"), [(RetryScope.HOST, 24), (RetryScope.FEED, 6)])
def test_a_day_of_five_hundred_feeds_breaks_no_hosts_limits(scope: RetryScope, hours: int) -> None:
    feeds = [
        feed(id=f"f{n}", url=f"https://d{n}.site{n % 60}.example/rss", every_minutes=(5, 10, 30)[n % 3])
        for n in range(500)
    ]
    server = Server(2, 0.5, scope, random.Random(3))
    with asyncio.Runner(loop_factory=Clockwork) as runner:
        states = runner.run(day(server, feeds, hours))
    assert server.breaches == []
    assert server.requests > 500 * hours
    # Nobody is forgotten either: each feed was asked within its longest wait.
    asked = [state.last_check_at for state in states.values() if state.last_check_at is not None]
    assert len(asked) == len(feeds)
    assert min(asked) >= NOW + (hours - 6) * HOUR


def test_a_gate_forgets_the_sites_that_nobody_asks() -> None:
    async def go() -> int:
        gate = Gate(5, 2, 0)
        for n in range(50):
            async with gate.turn(f"https://site{n}.example/"):
                pass
        return len(gate._sites)

    assert asyncio.run(go()) == 0


@pytest.mark.parametrize("stage", ["the site", "any place", "room", "the pause"])
def test_who_gives_up_waiting_for_a_turn_gives_back_what_it_held(stage: str) -> None:
    async def go() -> int:
        gate = Gate(1, 1, 60.0 if stage == "the pause" else 0.0)
        url, never = "https://a.example/", asyncio.Event()

        async def room() -> None:
            if stage == "room":
                await never.wait()

        first = gate.turn("https://b.example/" if stage == "any place" else url)
        await first.wait()
        if stage in {"room", "the pause"}:
            first.end()
        waiting = asyncio.create_task(gate.turn(url, room).wait())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        # As long as somebody else waits for the site, its places are remembered.
        behind = asyncio.create_task(gate.turn(url).wait()) if stage == "any place" else None
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        if behind is not None:
            first.end()
            async with asyncio.timeout(20):
                await behind
            return 0
        # A second end gives back nothing twice: there is one place still, and one alone.
        first.end()
        first.end()
        async with asyncio.timeout(20), gate.turn("https://c.example/"):
            other = asyncio.create_task(gate.turn("https://d.example/").wait())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not other.done()
            other.cancel()
        await asyncio.gather(other, return_exceptions=True)
        return len(gate._sites)

    assert asyncio.run(go()) == 0


def test_a_server_in_another_zone_is_understood() -> None:
    later = NOW.astimezone().replace(microsecond=0) + HOUR
    assert retry_after(format_datetime(later), NOW) == HOUR
