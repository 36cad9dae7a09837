"""The lenient parser in a process of its own, which can be ended when it takes too long.

takes  bytes that the plain reader cannot read
gives  `Parsed`, or None when it was not done within its time
never  lets hostile bytes hold up the event loop, or take more memory than its limit

Run as `python -m monitor.feeds.lenient` it is that process: a line of JSON and so many bytes in, a line of JSON out.
Nothing is pickled: what a hostile feed may have taken over must not be able to speak in code.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from monitor.feeds.feed import Entry, Feed
from monitor.feeds.pages import read_page
from monitor.feeds.parsing import Kind, Parsed, parse_leniently

_MEMORY = 1024 * 2**20
_LONGEST_LINE = 64 * 2**20
# Python and feedparser load in less than half a second on an idle machine; a busy one must not count that as a hang.
_START_SECONDS = 20.0
# An idle process holds some 35 MiB: broken feeds come one after the other in a round, and then not for minutes.
_IDLE_SECONDS = 30.0
# To begin another process costs as much as some thirty documents: it is for when one is held up.
_PATIENCE_SECONDS = 1.0


class LenientParser:
    """Up to `most` processes, begun when they are needed and ended when they are not. Belongs to one event loop.

    Args:
        seconds: that one document may take; its process is ended then.
        most: documents parsed at once.
        idle: seconds that a process waits for another document.
    """

    def __init__(self, seconds: float, most: int = 2, idle: float = _IDLE_SECONDS) -> None:
        self._seconds = seconds
        self._idle = idle
        # Those that wait for a document, the latest last, each with the call that will end it.
        self._free: dict[asyncio.subprocess.Process, asyncio.TimerHandle] = {}
        self._places = asyncio.Semaphore(most)
        self._at_work = 0
        self._done = asyncio.Event()

    async def parse(
        self, body: bytes, content_type: str, feed: Feed, fetched: datetime, max_entries: int
    ) -> Parsed | None:
        """As `monitor.feeds.parsing.parse_leniently`; None when it took too long, or its process died of it."""
        asked = {"size": len(body), "type": content_type, "url": feed.url, "most": max_entries}
        async with self._places:
            waiting = await self._soon()
            self._at_work += 1
            try:
                if waiting is not None:
                    with suppress(EOFError, ConnectionError):
                        return await self._read(waiting, asked, feed, fetched, body)
                # There was none, or it died: while it waited, where memory is short, or of this document.
                with suppress(EOFError, OSError):
                    return await self._read(await _begin(), asked, feed, fetched, body)
            finally:
                self._at_work -= 1
                self._done.set()
        return None

    async def _soon(self) -> asyncio.subprocess.Process | None:
        """A process that waits for a document, or will within a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while self._at_work and not self._free:
                    self._done.clear()
                    await self._done.wait()
        return self._taken()

    async def _read(
        self, process: asyncio.subprocess.Process, asked: dict[str, object], feed: Feed, fetched: datetime, body: bytes
    ) -> Parsed | None:
        """None when it took too long, or what came back is no answer; the process is ended then, and else kept.

        Raises:
            EOFError, OSError: when the process died.
        """
        done = False
        try:
            async with asyncio.timeout(self._seconds):
                told = await _ask(process, asked, body)
            found = _parsed(told, feed, fetched, body)
            done = True
        except (TimeoutError, ValueError, TypeError, KeyError):
            return None
        finally:
            if done:
                self._free[process] = asyncio.get_running_loop().call_later(self._idle, self._dismiss, process)
            else:
                await _end(process)
        return found

    async def aclose(self) -> None:
        """End the processes."""
        while process := self._taken():
            await _end(process)

    def _taken(self) -> asyncio.subprocess.Process | None:
        """A process that waits for a document."""
        if not self._free:
            return None
        process, dismissal = self._free.popitem()
        dismissal.cancel()
        return process

    def _dismiss(self, process: asyncio.subprocess.Process) -> None:
        self._free.pop(process, None)
        # The loop reaps it.
        with suppress(ProcessLookupError):
            process.kill()


async def _begin() -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "monitor.feeds.lenient",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LONGEST_LINE,
        # Ctrl-C is for the daemon, which ends its helpers itself.
        start_new_session=True,
    )
    if process.stdout is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                await process.stdout.readline()
    return process


async def _ask(process: asyncio.subprocess.Process, asked: dict[str, object], body: bytes) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    process.stdin.write(body)
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line:
        raise EOFError
    told = json.loads(line)
    if not isinstance(told, dict):
        raise ValueError("the answer is no object")  # what is said is wrong, not our use of it
    return told


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _parsed(told: dict[str, Any], feed: Feed, fetched: datetime, body: bytes) -> Parsed:
    kind = Kind(told["kind"])
    entries = tuple(
        Entry(
            feed=feed.id,
            publisher=feed.publisher,
            language=feed.language,
            guid=guid,
            link=link,
            title=title,
            summary=summary,
            published=datetime.fromtimestamp(published, UTC) if published is not None else None,
            fetched=fetched,
        )
        for guid, link, title, summary, published in told["entries"]
    )
    ttl = timedelta(seconds=told["ttl"]) if told["ttl"] else None
    page = read_page(body, feed.url) if kind is Kind.HTML else None
    return Parsed(entries, tuple(told["problems"]), kind, told["title"], ttl, page, whole=told["whole"])


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer one document after the other, until nobody asks any more."""
    import feedparser  # noqa: F401  # loaded before the first document's time runs

    sink.write(b"ready\n")
    sink.flush()
    now = datetime.now(UTC)
    while line := source.readline():
        asked = json.loads(line)
        body = source.read(asked["size"])
        feed = Feed(id="feed", url=asked["url"], name="feed", publisher="feed")
        found = parse_leniently(body, asked["type"], feed, now, max_entries=asked["most"])
        rows = [
            (one.guid, one.link, one.title, one.summary, one.published and one.published.timestamp())
            for one in found.entries
        ]
        told = {
            "kind": found.kind.value,
            "title": found.title,
            "ttl": found.ttl and found.ttl.total_seconds(),
            "problems": found.problems,
            "entries": rows,
            "whole": found.whole,
        }
        sink.write(json.dumps(told).encode() + b"\n")
        sink.flush()


def _main() -> None:
    import resource

    # The daemon has the user's memory to itself; a document that unfolds in here ends this process alone.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    with suppress(OSError):
        os.nice(5)
    with suppress(BrokenPipeError, KeyboardInterrupt):
        _serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    _main()
