"""Each way in which a feed's server can misbehave has its own outcome, within its limits, and holds up nobody else."""

from __future__ import annotations

import asyncio
import random
import runpy
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.feeds.autodiscovery import Discovery, discover
from monitor.feeds.feed import Check, Feed, FeedState, Outcome, unseen
from monitor.feeds.politeness import RetryScope
from monitor.feeds.poll_settings import PollSettings
from monitor.feeds.polling import Poller

SERVER = runpy.run_path(str(Path(__file__).with_name("misbehaving_server.py")))
FEED, WAYS, started, port_of = (SERVER[name] for name in ("FEED", "WAYS", "started", "port_of"))
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SETTINGS = PollSettings(
    timeout_seconds=3,
    read_seconds=1,
    connect_seconds=1,
    parse_seconds=2,
    max_bytes=2**20,
    max_entries=100,
    allow_private_addresses=("127.0.0.1", "localhost"),
    per_host=20,
    host_spacing_seconds=0,
)


def feed_at(port: int, path: str) -> Feed:
    return Feed(id=path.strip("/"), url=f"http://127.0.0.1:{port}{path}", name=path, publisher="house")


def checked(paths: Sequence[str], settings: PollSettings = SETTINGS) -> dict[str, Check]:
    async def go() -> dict[str, Check]:
        server = await started()
        async with server, Poller(settings, random.Random(1)) as poller:
            feeds = [feed_at(port_of(server), path) for path in paths]
            checks = await poller.poll([(feed, unseen(feed, NOW)) for feed in feeds], NOW)
            return dict(zip(paths, checks, strict=True))

    return asyncio.run(go())


EXPECTED: dict[str, tuple[Outcome, str]] = {
    "/good": (Outcome.NEW, ""),
    "/to-loopback": (Outcome.REFUSED_ADDRESS, "a loopback address"),
    "/to-private": (Outcome.REFUSED_ADDRESS, "a private address"),
    "/to-link-local": (Outcome.REFUSED_ADDRESS, "a link-local address"),
    "/to-metadata": (Outcome.REFUSED_ADDRESS, "a cloud metadata address"),
    "/to-multicast": (Outcome.REFUSED_ADDRESS, "a multicast address"),
    "/to-carrier": (Outcome.REFUSED_ADDRESS, "a carrier's shared address"),
    "/to-mapped": (Outcome.REFUSED_ADDRESS, "a private address"),
    "/to-decimal": (Outcome.REFUSED_ADDRESS, "a loopback address"),
    "/to-nothing": (Outcome.REFUSED_ADDRESS, "a loopback address"),
    "/to-file": (Outcome.BAD_REDIRECT, "no web address"),
    "/to-itself": (Outcome.BAD_REDIRECT, "more than 5 times"),
    "/silent": (Outcome.TIMEOUT, "fell silent"),
    "/drips-headers": (Outcome.TIMEOUT, "after 3 s"),
    "/drips-body": (Outcome.TIMEOUT, "after 3 s"),
    "/floods": (Outcome.TOO_LARGE, "larger than the limit"),
    "/floods-headers": (Outcome.BAD_ANSWER, "no proper HTTP"),
    "/announces": (Outcome.TOO_LARGE, "announces"),
    "/bomb-gzip": (Outcome.TOO_LARGE, "unpacks to more"),
    "/bomb-deflate": (Outcome.TOO_LARGE, "unpacks to more"),
    "/bomb-twice": (Outcome.TOO_LARGE, "unpacks to more"),
    "/bomb-hollow": (Outcome.TOO_LARGE, "unpacks to more"),
    "/entries": (Outcome.NEW, ""),
    "/packed-in-parts": (Outcome.NEW, ""),
    "/packed-as-text": (Outcome.NEW, ""),
    "/packed-twice": (Outcome.NEW, ""),
    "/packed-unsaid": (Outcome.NEW, ""),
    "/packed-as-other": (Outcome.NEW, ""),
    "/packed-often": (Outcome.BAD_ANSWER, "'gzip, gzip, gzip'"),
    "/nested": (Outcome.NEW, ""),
    "/broken": (Outcome.NEW, ""),
    "/hard": (Outcome.TOO_HARD, "could not be read in the time for it"),
    "/entities": (Outcome.NEW, ""),
    "/cuts-off": (Outcome.BAD_ANSWER, "no proper HTTP"),
    "/hangs-up": (Outcome.BAD_ANSWER, "no proper HTTP"),
    "/babbles": (Outcome.BAD_ANSWER, "no proper HTTP"),
    "/not-gzip": (Outcome.BAD_ANSWER, "broken"),
    "/brotli": (Outcome.BAD_ANSWER, "'br'"),
    "/noise": (Outcome.NOT_A_FEED, "no feed"),
    "/challenge": (Outcome.CHALLENGE_PAGE, "'Just a moment...'"),
    "/challenge-403": (Outcome.CHALLENGE_PAGE, "403"),
    "/login": (Outcome.LOGIN_PAGE, "'Members'"),
    "/moved": (Outcome.MOVED_PAGE, "'Page not found'"),
    "/refreshes": (Outcome.MOVED_PAGE, "/good"),
    "/offers": (Outcome.HTML_PAGE, "/good"),
    "/gone": (Outcome.GONE, "muted"),
    "/busy": (Outcome.THROTTLED, "too frequent"),
    "/down": (Outcome.SERVER_ERROR, "503"),
}


@pytest.fixture(scope="module")
def all_ways() -> dict[str, Check]:
    """Everything at once: what one does must not change what comes of another."""
    begun = time.monotonic()
    found = checked(list(WAYS), SETTINGS.model_copy(update={"concurrency": 50, "per_host": 50}))
    assert time.monotonic() - begun < 120
    return found


def test_every_way_of_the_server_is_expected() -> None:
    assert set(EXPECTED) == set(WAYS)


@pytest.mark.parametrize("path", EXPECTED)
def test_each_way_has_its_outcome_and_words(all_ways: dict[str, Check], path: str) -> None:
    check, (outcome, words) = all_ways[path], EXPECTED[path]
    assert (check.outcome, words in check.reason) == (outcome, True), (check.outcome, check.reason)
    assert check.reason.isprintable()
    # One piece more: what the reader gathers ahead, and what one read of a socket brings on top.
    assert check.bytes <= SETTINGS.max_bytes + (128 + 256) * 1024
    assert len(check.entries) <= SETTINGS.max_entries
    assert outcome.ok or (not check.entries and path in check.reason)


@pytest.mark.parametrize("path", ["/packed-in-parts", "/packed-twice", "/packed-unsaid", "/packed-as-other"])
def test_however_a_body_is_packed_it_is_read_whole(all_ways: dict[str, Check], path: str) -> None:
    assert [entry.title for entry in all_ways[path].entries] == ["Bank run"]
    assert all_ways[path].state.body == all_ways["/good"].state.body


def asked_of(answer: Callable[[bytes], bytes], state: Callable[[FeedState], FeedState] = lambda told: told) -> Check:
    """What comes of a feed whose server answers by what it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                writer.write(answer(await reader.readuntil(b"\r\n\r\n")))
        writer.close()

    async def go() -> Check:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, Poller(SETTINGS) as poller:
            feed = feed_at(port_of(server), "/feed")
            (check,) = await poller.poll([(feed, state(unseen(feed, NOW)))], NOW)
        return check

    return asyncio.run(go())


def full(*headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(FEED)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + bytes(FEED)


def test_unchanged_with_a_body_that_may_not_be_there_is_asked_for_in_full() -> None:
    """Or each check of such a server would fail, and the next come hours later."""

    def answer(request: bytes) -> bytes:
        unchanged = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\nnothing new!"
        return unchanged if b"If-None-Match" in request else full('ETag: "v2"')

    check = asked_of(answer, lambda told: replace(told, etag='"v1"', last_success_at=NOW, last_check_at=NOW))
    assert (check.outcome, check.state.etag, len(check.entries)) == (Outcome.NEW, '"v2"', 1)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_who_leads_in_a_circle_without_its_cookie_gets_it_back_and_nobody_else_does(elsewhere: bool) -> None:
    asked: list[bytes] = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        host = request.partition(b"Host: ")[2].partition(b"\r\n")[0].decode()
        target = f"http://localhost:{host.partition(':')[2]}/feed" if elsewhere else "/feed"
        if b"Cookie: wall=open; a=b" in request or b"localhost" in host.encode():
            return full()
        return (
            f"HTTP/1.1 302 Found\r\nSet-Cookie: wall=open; Path=/; Domain=example.com\r\nSet-Cookie: a=b\r\n"
            f"Location: {target}\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    check = asked_of(answer)
    assert (check.outcome, len(asked)) == (Outcome.NEW, 2)
    assert (b"Cookie" in asked[1]) is not elsewhere


def test_while_our_own_network_is_away_feeds_are_asked_as_often_as_ever() -> None:
    """Also by who checks once and ends: what was remembered of the others tells, too."""

    async def go() -> list[Check]:
        server = await started()
        port = port_of(server)
        server.close()
        await server.wait_closed()
        feeds = [Feed(id=f"n{n}", url=f"http://127.0.0.{n}:{port}/", name="n", publisher="house") for n in range(1, 5)]
        settings = SETTINGS.model_copy(update={"allow_private_addresses": ("127.0.0.0/8",)})
        before = [replace(unseen(feed, NOW), failures=9, outcome=Outcome.UNREACHABLE.value) for feed in feeds]
        async with Poller(settings, random.Random(1)) as poller:
            return await poller.poll(list(zip(feeds, before, strict=True)), NOW)

    checks = asyncio.run(go())
    assert {(check.outcome, check.state.failures) for check in checks} == {(Outcome.UNREACHABLE, 10)}
    assert max(check.state.next_check_at or NOW for check in checks) <= NOW + timedelta(minutes=10)


def test_names_whose_servers_are_silent_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, ask = threading.Event(), socket.getaddrinfo

    def slow(host: str, *args: object, **kinds: object) -> object:
        if host.endswith(".silent.example"):
            ended.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return ask(host, *args, **kinds)  # type: ignore[arg-type]  # what we were given

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def go() -> list[Check]:
        server = await started()
        hung = [feed_at(1, f"/{n}").model_copy(update={"url": f"http://n{n}.silent.example/"}) for n in range(16)]
        good = feed_at(port_of(server), "/good").model_copy(update={"url": f"http://localhost:{port_of(server)}/good"})
        settings = SETTINGS.model_copy(update={"allow_private_addresses": ("localhost",)})
        async with server, Poller(settings) as poller:
            return await poller.poll([(feed, unseen(feed, NOW)) for feed in [*hung, good]], NOW)

    begun = time.monotonic()
    try:
        checks = asyncio.run(go())
    finally:
        ended.set()
    # Nor the end of the loop.
    assert time.monotonic() - begun < 15
    assert [check.outcome for check in checks] == [Outcome.TIMEOUT] * 16 + [Outcome.NEW]


def test_entities_do_not_unfold(all_ways: dict[str, Check]) -> None:
    assert all(len(entry.title) < 100 for entry in all_ways["/entities"].entries)


def test_what_servers_ask_for_is_done(all_ways: dict[str, Check]) -> None:
    # Its clock runs four hours ahead of ours; it means three hours.
    assert all_ways["/down"].state.next_check_at == NOW + timedelta(hours=3)
    assert all_ways["/busy"].state.next_check_at == NOW + timedelta(hours=2)
    assert all_ways["/gone"].state.next_check_at == NOW + timedelta(days=7)
    assert all_ways["/gone"].notice


def test_the_same_body_is_not_parsed_again() -> None:
    async def go() -> tuple[Check, Check]:
        server = await started()
        async with server, Poller(SETTINGS) as poller:
            feed = feed_at(port_of(server), "/entries")
            (first,) = await poller.poll([(feed, unseen(feed, NOW))], NOW)
            (second,) = await poller.poll([(feed, first.state)], NOW + timedelta(hours=1))
            return first, second

    first, second = asyncio.run(go())
    assert (first.outcome, second.outcome) == (Outcome.NEW, Outcome.UNCHANGED)
    assert (second.status, second.entries, second.state.body) == (200, (), first.state.body)


def test_a_feed_that_hangs_holds_up_nobody_else() -> None:
    """The good feeds are given, asked again and given again while the silent one still keeps its server waiting."""

    async def go() -> tuple[list[str], list[str], frozenset[str]]:
        server = await started()
        patient = SETTINGS.model_copy(update={"read_seconds": 60, "timeout_seconds": 60})
        async with server, Poller(patient) as poller:
            feeds = [feed_at(port_of(server), path) for path in ("/silent", "/good", "/gone")]
            states: dict[str, FeedState] = {feed.id: unseen(feed, NOW) for feed in feeds}
            rounds: list[list[str]] = []
            for number in range(2):
                poller.begin([(feed, states[feed.id]) for feed in feeds], NOW + number * timedelta(hours=1))
                seen = []
                async for checks in poller.finished(2.0):
                    states |= {check.feed: check.state for check in checks}
                    seen += [check.feed for check in checks]
                rounds.append(seen)
            return rounds[0], rounds[1], poller.under_way

    first, second, left = asyncio.run(go())
    assert sorted(first) == sorted(second) == ["gone", "good"]
    assert left == {"silent"}


def test_a_document_that_is_too_hard_holds_up_no_other_broken_one() -> None:
    found = checked(["/hard", "/broken", "/cuts-off", "/good"])
    assert found["/hard"].outcome is Outcome.TOO_HARD
    assert found["/good"].outcome is Outcome.NEW
    assert found["/broken"].outcome is Outcome.NEW


def test_a_site_that_asked_to_be_left_alone_is_asked_nothing_more_in_that_round() -> None:
    async def go(scope: RetryScope) -> list[str]:
        server = await started()
        settings = SETTINGS.model_copy(update={"per_host": 1, "retry_after_scope": scope})
        async with server, Poller(settings) as poller:
            feeds = [feed_at(port_of(server), path) for path in ("/busy", "/good")]
            return [check.feed for check in await poller.poll([(feed, unseen(feed, NOW)) for feed in feeds], NOW)]

    assert asyncio.run(go(RetryScope.HOST)) == ["busy"]
    assert asyncio.run(go(RetryScope.FEED)) == ["busy", "good"]


def found_at(path: str, take: int | None = None) -> Discovery:
    async def go() -> Discovery:
        server = await started()
        async with server:
            return await discover(f"http://127.0.0.1:{port_of(server)}{path}", SETTINGS, NOW, take)

    return asyncio.run(go())


def test_the_feed_of_a_page_is_discovered() -> None:
    found = found_at("/offers")
    assert found.url.endswith("/good")
    assert found.title == "Wire"
    assert found_at("/good").url.endswith("/good")
    assert found_at("/login").url == ""
    assert "login page" in found_at("/login").check.reason


def test_a_feed_that_was_muted_by_its_server_comes_back_as_backlog() -> None:
    async def go() -> Check:
        server = await started()
        async with server, Poller(SETTINGS) as poller:
            feed = feed_at(port_of(server), "/good")
            gone = replace(unseen(feed, NOW), last_success_at=NOW - timedelta(days=8), muted_at=NOW - timedelta(days=7))
            return (await poller.poll([(feed, gone)], NOW))[0]

    check = asyncio.run(go())
    assert (check.first_fetch, check.state.muted_at) == (True, None)
