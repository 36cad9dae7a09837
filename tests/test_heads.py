"""Heads of answers that are not as the standard has them: read where browsers read them, else refused in words."""

from __future__ import annotations

import asyncio
import runpy
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds.feed import Check, Feed, Outcome, unseen
from monitor.feeds.heads import mended
from monitor.feeds.poll_settings import PollSettings
from monitor.feeds.polling import Poller

FEED: bytes = runpy.run_path(str(Path(__file__).with_name("misbehaving_server.py")))["FEED"]
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SETTINGS = PollSettings(allow_private_addresses=("127.0.0.1",), host_spacing_seconds=0, timeout_seconds=5)
SIZE = len(FEED)
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, FEED)


def checks_of(*answers: bytes, paths: tuple[str, ...] = ("feed",), bytewise: bool = False) -> tuple[list[Check], int]:
    """What comes of feeds whose server says these things, in pieces, one after the other; how many connections it took.

    It hangs up where it says so, and after the last.
    """
    said, connections = list(answers), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while said:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            answer = said.pop(0)
            cuts = [*range(1, 200), len(answer)] if bytewise else [9, 40, len(answer)]
            for begin, end in pairwise([0, *cuts]):
                writer.write(answer[begin:end])
                await writer.drain()
                # The other end reads what there is before the next piece comes.
                await asyncio.sleep(0)
            if b"Connection: close" in answer:
                break
        writer.close()

    async def go() -> list[Check]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Poller(SETTINGS) as poller:
            feeds = [Feed(id=path, url=f"http://127.0.0.1:{port}/{path}", name="F", publisher="f") for path in paths]
            return [(await poller.poll([(feed, unseen(feed, NOW))], NOW))[0] for feed in feeds]

    return asyncio.run(go()), connections


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *lines, b"", b""])


LENGTH = b"Content-Length: %d" % SIZE
READ = {
    "length twice": head(LENGTH, LENGTH) + FEED,
    "length in a list": head(b"Content-Length: %d, %d" % (SIZE, SIZE)) + FEED,
    "length beside chunks": head(LENGTH, b"Transfer-Encoding: chunked") + CHUNKED,
    "length beside no chunks": head(LENGTH, b"Transfer-Encoding: identity") + FEED,
    "no length in the length": head(b"Content-Length: ", b"Connection: close") + FEED,
    "a word for a length": head(b"Content-Length: unknown", b"Connection: close") + FEED,
    "no name": head(LENGTH, b": nobody") + FEED,
    "no colon": head(LENGTH, b"Warning on line 3") + FEED,
    "blanks in a name": head(LENGTH, b"X My Name: me") + FEED,
    "a blank behind a name": head(b"Content-Length : %d" % SIZE, b"X-A : b") + FEED,
    "letters in a name": head(LENGTH, "X-Größe: 1".encode()) + FEED,
    "a nought": head(LENGTH, b"X-A: b\0c") + FEED,
    "returns alone": head(LENGTH, b"X-A: b\rc") + FEED,
    "feeds alone": head(LENGTH).replace(b"\r\n", b"\n") + FEED,
    "returns twice": head(LENGTH).replace(b"\r\n", b"\r\r\n") + FEED,
    "folded": head(b"X-A: b\r\n  c", LENGTH) + FEED,
    "another version": head(LENGTH, status=b"HTTP/2 200") + FEED,
    "small letters": head(LENGTH, status=b"http/1.1  200 OK") + FEED,
    "behind a hint": head(b": x", status=b"HTTP/1.1 103 Early Hints") + head(LENGTH, LENGTH) + FEED,
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["in pieces", "byte by byte"])
@pytest.mark.parametrize("answer", READ.values(), ids=READ.keys())
def test_what_browsers_read_is_read(answer: bytes, bytewise: bool) -> None:
    (check,), _ = checks_of(answer, bytewise=bytewise)
    assert (check.outcome, [entry.title for entry in check.entries]) == (Outcome.NEW, ["Bank run"]), check.reason


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (head(LENGTH, b"Content-Length: 9") + FEED, Outcome.BAD_ANSWER, "Duplicate Content-Length"),
        (head(b"Content-Length: 9, x") + FEED, Outcome.BAD_ANSWER, "Invalid character in Content-Length"),
        (b"ICY 200 OK\r\n\r\n" + FEED, Outcome.BAD_ANSWER, "Bad status line"),
        (b"SSH-2.0-x\r\n", Outcome.BAD_ANSWER, "Bad status line"),
        (head(b"Content-Length: 0", status=b"HTTP/1.1 302 Found"), Outcome.BAD_REDIRECT, "does not say where to"),
    ],
)
def test_what_nobody_can_tell_is_refused_in_words(answer: bytes, outcome: Outcome, words: str) -> None:
    (check,), _ = checks_of(answer)
    assert check.outcome is outcome
    assert words in check.reason


def test_what_had_to_be_mended_is_the_last_answer_of_its_connection() -> None:
    good, odd = head(LENGTH) + FEED, head(LENGTH, LENGTH) + FEED
    for answers, connections in (((good, good, good), 1), ((odd, odd, odd), 3), ((good, odd, good), 2)):
        checks, made = checks_of(*answers, paths=("a", "b", "c"))
        assert [check.outcome for check in checks] == [Outcome.NEW] * 3
        assert made == connections


LINES = st.sampled_from(
    [
        b"Content-Length: 5",
        b"content-length:5",
        b"Content-Length: 7",
        b"Content-Length: x",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding:",
        b"X: y",
        b" folded",
        b": y",
        b"junk",
        b"X y: z",
        b"\xff: \0",
        b"Location: /a",
        b"",
    ]
)


@given(st.lists(LINES, max_size=8), st.sampled_from([b"\r\n", b"\n", b"\r\r\n"]))
def test_what_was_mended_needs_no_mending(lines: list[bytes], ending: bytes) -> None:
    told = ending.join([b"HTTP/1.1 200 OK", *(line for line in lines if line), b"", b""])
    once = mended(told)
    assert mended(once) == once
    if once is not told:
        assert once.lower().count(b"content-length:") <= 1
        assert not (b"chunked" in once and b"ength" in once)


@pytest.mark.parametrize(
    "line", [b"\r" * 60_000 + b"x", b" " * 60_000, b"a" * 60_000, b"X:" + b" " * 60_000 + b"x", b"\n x" * 20_000]
)
def test_no_head_takes_long(line: bytes) -> None:
    begun = time.process_time()
    mended(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n")
    assert time.process_time() - begun < 1
