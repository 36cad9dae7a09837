"""Feeds: when they are due, how they back off, and checks against a server that misbehaves in every way."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.feeds.feed import Check, Feed, FeedState, Outcome, unseen
from monitor.feeds.politeness import backoff, due
from monitor.feeds.poll_settings import PollSettings
from monitor.feeds.polling import Poller
from monitor.feeds.wishes import retry_after

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
BODY = (
    b"<rss version='2.0'><channel><item><title>Bank run</title><guid>1</guid>"
    b"<pubDate>Tue, 10 Mar 2026 11:00:00 GMT</pubDate></item></channel></rss>"
)
SETTINGS = PollSettings(
    timeout_seconds=5,
    read_seconds=2,
    connect_seconds=2,
    max_bytes=2**20,
    allow_private_addresses=("127.0.0.1",),
    host_spacing_seconds=0,
)
Handler = Callable[[dict[str, str], asyncio.StreamWriter], Awaitable[None]]


def feed(url: str = "https://wire.example/rss", **changes: object) -> Feed:
    return Feed.model_validate({"id": "wire", "url": url, "name": "The Wire", "publisher": "house"} | changes)


def answer(status: str, body: bytes = b"", *headers: str) -> Handler:
    async def write(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)

    return write


class Site:
    """A real server on loopback: answers each path as told, and counts what it was asked and what it sent."""

    def __init__(self, pages: dict[str, Handler]) -> None:
        self.pages, self.asked, self.at_once, self.most_at_once = pages, list[dict[str, str]](), 0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
            headers["path"] = lines[0].split()[1]
            self.asked.append(headers)
            await self.pages[headers["path"]](headers, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.at_once -= 1
            writer.close()


def polled(
    pages: dict[str, Handler], settings: PollSettings = SETTINGS, state: FeedState | None = None
) -> tuple[list[Check], Site]:
    async def go() -> tuple[list[Check], Site]:
        site = Site(pages)
        server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
        async with server, Poller(settings, random.Random(1)) as poller:
            base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            feeds = [
                feed(base + path, id=f"f{n}") for n, path in enumerate(p for p in pages if not p.startswith("/to"))
            ]
            pairs = [(f, replace(state, feed=f.id, url=f.url) if state else unseen(f, NOW)) for f in feeds]
            return await poller.poll(pairs, NOW), site

    return asyncio.run(go())


def check(handler: Handler, settings: PollSettings = SETTINGS, state: FeedState | None = None) -> Check:
    return polled({"/rss": handler}, settings, state)[0][0]


def test_a_living_feed() -> None:
    result = check(answer("200 OK", BODY, 'ETag: "v1"', "Last-Modified: Tue, 10 Mar 2026 11:00:00 GMT"))
    assert (result.outcome, result.reason, result.status, result.bytes) == (Outcome.NEW, "", 200, len(BODY))
    assert [e.title for e in result.entries] == ["Bank run"]
    assert result.first_fetch
    state = result.state
    assert (state.etag, state.last_modified) == ('"v1"', "Tue, 10 Mar 2026 11:00:00 GMT")
    assert state.first_success_at == state.last_success_at == state.last_entry_at == NOW
    assert state.next_check_at is not None
    assert timedelta(minutes=9) <= state.next_check_at - NOW <= timedelta(minutes=10)


def test_unchanged_is_asked_for_and_kept() -> None:
    known = replace(
        unseen(feed(), NOW),
        etag='"v1"',
        last_modified="yesterday",
        last_success_at=NOW,
        first_success_at=NOW,
        failures=3,
    )
    (result,), site = polled({"/rss": answer("304 Not Modified")}, state=known)
    assert (site.asked[0]["if-none-match"], site.asked[0]["if-modified-since"]) == ('"v1"', "yesterday")
    assert (result.outcome, result.state.etag, result.state.failures) == (Outcome.UNCHANGED, '"v1"', 0)
    assert not result.first_fetch


def test_an_empty_feed_is_well() -> None:
    assert check(answer("200 OK", b"<rss version='2.0'><channel/></rss>")).outcome is Outcome.EMPTY


def test_the_header_says_what_a_feed_is_encoded_in() -> None:
    items = '{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", "title": "Акции упали"}]}'
    told = check(answer("200 OK", items.encode("windows-1251"), "Content-Type: application/json; charset=windows-1251"))
    assert [e.title for e in told.entries] == ["Акции упали"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw"])
def test_packed_bodies_are_unpacked(encoding: str) -> None:
    raw = zlib.compressobj(wbits=-15)
    packed = {"gzip": gzip.compress(BODY), "deflate": zlib.compress(BODY), "raw": raw.compress(BODY) + raw.flush()}
    name = "deflate" if encoding == "raw" else encoding
    assert check(answer("200 OK", packed[encoding], f"Content-Encoding: {name}")).outcome is Outcome.NEW


@pytest.mark.parametrize("header", ["Content-Encoding: gzip", "X-Nothing: of it"])
@pytest.mark.parametrize(
    ("kept", "outcome"),
    [(-8, Outcome.NEW), (-12, Outcome.BAD_ANSWER), (60, Outcome.BAD_ANSWER), (11, Outcome.BAD_ANSWER)],
    ids=["all but its checksum", "the end of the feed", "the entries", "all"],
)
def test_a_packed_body_that_breaks_off_is_no_feed_unless_the_feed_is_whole(
    kept: int, outcome: Outcome, header: str
) -> None:
    told = check(answer("200 OK", gzip.compress(BODY)[:kept], header, 'ETag: "v2"'))
    assert told.outcome is outcome, told.reason
    assert outcome is Outcome.NEW or ("breaks off" in told.reason and told.state.etag is None)


async def drop(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def babble(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-nonsense\r\n\r\n")


@pytest.mark.parametrize(
    ("handler", "outcome", "words"),
    [
        (answer("404 Not Found"), Outcome.NOT_FOUND, "new address"),
        (answer("403 Forbidden"), Outcome.FORBIDDEN, "user_agent"),
        (answer("429 Too Many Requests"), Outcome.THROTTLED, "every_minutes"),
        (answer("418 Teapot"), Outcome.HTTP_ERROR, "418"),
        (answer("304 Not Modified"), Outcome.HTTP_ERROR, "304"),
        (answer("500 Oops"), Outcome.SERVER_ERROR, "500"),
        (answer("200 OK", b"<!DOCTYPE html><html><title>Home</title></html>"), Outcome.HTML_PAGE, "Home"),
        (answer("200 OK", b"\x00\x01\x02garbage"), Outcome.NOT_A_FEED, "no feed"),
        (answer("200 OK", b"not gzip", "Content-Encoding: gzip"), Outcome.BAD_ANSWER, "broken"),
        (answer("200 OK", b"x", "Content-Encoding: br"), Outcome.BAD_ANSWER, "'br'"),
        (answer("302 Found", b"", "Location: javascript:alert(1)"), Outcome.BAD_REDIRECT, "no web address"),
        (answer("302 Found", b"", "Location: /rss"), Outcome.BAD_REDIRECT, "more than 5 times"),
        (answer("302 Found", b"", "Location: http://169.254.169.254/latest"), Outcome.REFUSED_ADDRESS, "metadata"),
        (answer("302 Found", b"", "Location: http://localhost6.localdomain.invalid/"), Outcome.NO_SUCH_HOST, "DNS"),
        (drop, Outcome.BAD_ANSWER, "no proper HTTP"),
        (babble, Outcome.BAD_ANSWER, "no proper HTTP"),
    ],
)
def test_each_misbehaviour_has_its_outcome(handler: Handler, outcome: Outcome, words: str) -> None:
    result = check(handler)
    assert result.outcome is outcome, result.reason
    assert words in result.reason
    assert "The Wire" in result.reason
    assert "http://127.0.0.1" in result.reason
    assert not result.entries
    assert (result.state.failures, result.state.first_success_at, result.state.outcome) == (1, None, outcome.value)
    assert result.state.next_check_at is not None
    assert timedelta(minutes=7.5) <= result.state.next_check_at - NOW <= timedelta(minutes=10)


def test_private_addresses_are_refused_by_default() -> None:
    (result,), site = polled({"/rss": answer("200 OK", BODY)}, PollSettings())
    assert result.outcome is Outcome.REFUSED_ADDRESS
    assert "allow_private_addresses" in result.reason
    assert site.asked == []


def test_nobody_there_is_unreachable() -> None:
    async def go() -> Check:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        dead = feed(f"http://127.0.0.1:{port}/rss")
        async with Poller(SETTINGS) as poller:
            return (await poller.poll([(dead, unseen(dead, NOW))], NOW))[0]

    assert asyncio.run(go()).outcome is Outcome.UNREACHABLE


def test_a_drip_is_cut_at_the_deadline() -> None:
    async def drip(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n<rss>")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    result = check(drip, SETTINGS.model_copy(update={"timeout_seconds": 0.5}))
    assert result.outcome is Outcome.TIMEOUT
    assert "0.5 s" in result.reason
    assert result.millis < 3_000


def test_silence_is_a_timeout() -> None:
    async def silent(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        # Returns when the client has hung up: not a byte is sent before.
        await writer.wait_closed()

    result = check(silent, SETTINGS.model_copy(update={"read_seconds": 0.3}))
    assert result.outcome is Outcome.TIMEOUT
    assert "fell silent" in result.reason


def test_a_large_body_is_not_read_to_its_end() -> None:
    sent = 0

    async def flood(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n<rss>")
        for _piece in range(60 * 16):
            writer.write(b" " * 65_536)
            await writer.drain()
            sent += 65_536

    result = check(flood)
    assert result.outcome is Outcome.TOO_LARGE
    assert sent < 20 * 2**20
    assert result.bytes < 2 * 2**20


def test_an_announced_large_body_is_not_read_at_all() -> None:
    async def announce(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 62914560\r\n\r\n<rss>")

    result = check(announce)
    assert (result.outcome, result.bytes) == (Outcome.TOO_LARGE, 0)
    assert "62,914,560" in result.reason


def test_a_gzip_bomb_is_stopped_while_it_unfolds() -> None:
    bomb = gzip.compress(b" " * 150 * 2**20, compresslevel=6)
    assert len(bomb) < 2**20
    result = check(answer("200 OK", bomb, "Content-Encoding: gzip"))
    assert result.outcome is Outcome.TOO_LARGE
    assert result.bytes < 2 * 2**20


@pytest.mark.parametrize("status", ["203 Non-Authoritative Information", "226 IM Used"])
def test_entries_are_read_also_where_a_proxy_altered_them_or_only_the_new_ones_are_sent(status: str) -> None:
    assert check(answer(status, BODY)).outcome is Outcome.NEW


def test_redirects_are_followed_and_judged() -> None:
    (result,), site = polled({"/rss": answer("301 Moved", b"", "Location: /to"), "/to": answer("200 OK", BODY)})
    assert result.outcome is Outcome.NEW
    assert [a["path"] for a in site.asked] == ["/rss", "/to"]


@pytest.mark.parametrize(
    ("header", "wait"), [("7200", 120), ("Tue, 10 Mar 2026 15:00:00 GMT", 180), ("999999999", 24 * 60)]
)
@pytest.mark.parametrize("status", ["429 Too Many", "503 Busy"])
def test_retry_after_is_honoured(header: str, wait: int, status: str) -> None:
    state = check(answer(status, b"", f"Retry-After: {header}")).state
    assert state.next_check_at == NOW + timedelta(minutes=wait)


def test_one_dead_feed_holds_up_no_other_and_hosts_are_spared() -> None:
    pages = {f"/rss{n}": answer("404 Not Found") if n == 3 else answer("200 OK", BODY) for n in range(12)}
    checks, site = polled(pages)
    assert [c.feed for c in checks] == [f"f{n}" for n in range(12)]
    assert [c.outcome for c in checks] == [Outcome.NOT_FOUND if n == 3 else Outcome.NEW for n in range(12)]
    assert site.most_at_once <= SETTINGS.per_host


def test_a_server_cannot_write_into_the_log() -> None:
    result = check(answer("200 OK", b"<!doctype html><html><title>a\x1b[31m\nb\xe2\x80\xae</title>"))
    assert result.reason.isprintable()


def test_due_is_what_is_enabled_and_not_later_than_now() -> None:
    feeds = [feed(id=name, enabled=name != "off") for name in ("off", "unseen", "later", "past")]
    states = {
        "later": replace(unseen(feeds[2], NOW), next_check_at=NOW + timedelta(minutes=1)),
        "past": replace(unseen(feeds[3], NOW), next_check_at=NOW - timedelta(minutes=1)),
    }
    assert [f.id for f, _ in due(feeds, states, NOW)] == ["past", "unseen"]


def test_a_new_address_starts_anew() -> None:
    old = replace(unseen(feed(), NOW), etag='"v1"', first_success_at=NOW, next_check_at=NOW + timedelta(hours=1))
    ((_, state),) = due([feed("https://wire.example/new")], {"wire": old}, NOW)
    assert (state.etag, state.first_success_at, state.url) == (None, None, "https://wire.example/new")


def test_a_feed_that_was_away_brings_backlog() -> None:
    away = replace(
        unseen(feed(), NOW), first_success_at=NOW - timedelta(days=9), last_success_at=NOW - timedelta(hours=7)
    )
    assert check(answer("200 OK", BODY), state=away).first_fetch
    assert not check(answer("200 OK", BODY), state=replace(away, last_success_at=NOW - timedelta(hours=5))).first_fetch


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True), st.integers(1, 1440), st.integers(0, 10**6))
def test_backoff_grows_to_its_cap_and_never_ends(failures: int, jitter: float, every: int, asked: int) -> None:
    dead, longest = feed(every_minutes=every), timedelta(hours=6)
    wait = backoff(dead, failures, longest, jitter).until
    cap = max(longest, timedelta(minutes=every))
    assert timedelta(minutes=every) * 0.74 <= wait <= cap
    assert backoff(dead, failures + 1, longest, jitter).until >= wait
    politely = backoff(dead, failures, longest, jitter, timedelta(seconds=asked)).until
    assert wait <= politely <= max(wait, timedelta(hours=24))


@given(st.text())
def test_any_retry_after_is_read(header: str) -> None:
    wait = retry_after(header, NOW)
    assert wait is None or wait >= timedelta(0)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "Not A Slug"},
        {"url": "ftp://wire.example/"},
        {"url": "https:///rss"},
        {"url": "https://me:word@wire.example/"},
        {"url": "https://wire.example/a b"},
        {"url": "https://wire.example:99999/"},
        {"every_minutes": 0},
        {"language": "English"},
        {"surprise": 1},
    ],
)
def test_nonsense_feeds_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        feed(**changes)


def test_nonsense_values_are_refused() -> None:
    state = unseen(feed(), NOW)
    with pytest.raises(ValueError, match="aware UTC"):
        replace(state, added_at=NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="negative"):
        replace(state, failures=-1)
    with pytest.raises(ValueError, match="needs a reason"):
        Check("wire", NOW, Outcome.TIMEOUT, "", None, 0, 0, (), state)
    with pytest.raises(ValidationError):
        PollSettings(user_agent="a\r\nX-Evil: 1")
