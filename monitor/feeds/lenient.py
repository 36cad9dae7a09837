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


class LenientParser:
    """Up to `most` processes, begun when they are first needed. Belongs to one event loop.

    Args:
        seconds: that one document may take; its process is ended then.
        most: documents parsed at once.
    """

    def __init__(self, seconds: float, most: int = 2) -> None:
        self._seconds = seconds
        self._free: list[asyncio.subprocess.Process] = []
        self._places = asyncio.Semaphore(most)

    async def parse(
        self, body: bytes, content_type: str, feed: Feed, fetched: datetime, max_entries: int
    ) -> Parsed | None:
        """As `monitor.feeds.parsing.parse_leniently`; None when it took too long, or its process died of it."""
        async with self._places:
            process: asyncio.subprocess.Process | None = None
            done = False
            try:
                process = self._free.pop() if self._free else await _begin()
                asked = {"size": len(body), "type": content_type, "url": feed.url, "most": max_entries}
                async with asyncio.timeout(self._seconds):
                    told = await _ask(process, asked, body)
                found = _parsed(told, feed, fetched, body)
                done = True
            except (TimeoutError, OSError, ValueError, TypeError, KeyError, EOFError):
                return None
            finally:
                if process is not None and done:
                    self._free.append(process)
                elif process is not None:
                    await _end(process)
        return found

    async def aclose(self) -> None:
        """End the processes."""
        while self._free:
            await _end(self._free.pop())


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
