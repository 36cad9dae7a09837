"""The invented publishers' web server, on loopback.

takes  a `Storyline`, and the simulated now, which it is told
gives  one feed a publisher over real HTTP: ETag, Last-Modified, 304
never  listens beyond 127.0.0.1, and never serves an item before its time
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from monitor.demo.formats import Document, document
from monitor.demo.storyline import PUBLISHERS, Item, Storyline

LOOPBACK = "127.0.0.1"
_CARRIED = 40  # newest items that a feed carries


@dataclass(frozen=True, slots=True)
class Served:
    """How many answers the newsroom gave, by kind."""

    full: int = 0
    unchanged: int = 0
    refused: int = 0


class Newsroom:
    """A context manager: serves from entry to exit, at a port of the system's choice."""

    def __init__(self, story: Storyline) -> None:
        self._items: dict[str, list[Item]] = {p.id: [i for i in story.items if i.publisher == p.id] for p in PUBLISHERS}
        self._times = {publisher: [item.at for item in items] for publisher, items in self._items.items()}
        self._publishers = {publisher.id: publisher for publisher in PUBLISHERS}
        self._starts, self._now = story.starts, story.starts
        self._lock = threading.Lock()
        self._counts = {HTTPStatus.OK: 0, HTTPStatus.NOT_MODIFIED: 0, HTTPStatus.NOT_FOUND: 0}
        self._documents: dict[tuple[str, int], Document] = {}
        self._server = ThreadingHTTPServer((LOOPBACK, 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="newsroom", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def clock(self, now: datetime) -> None:
        """From here on, serve what is published until `now` (aware UTC)."""
        with self._lock:
            self._now = now

    def url(self, publisher: str) -> str:
        """The address of a publisher's feed."""
        return f"http://{LOOPBACK}:{self._server.server_port}/{publisher}/feed"

    @property
    def served(self) -> Served:
        """What was answered so far."""
        with self._lock:
            return Served(*self._counts.values())

    def answer(self, path: str, if_none_match: str, if_modified_since: str) -> tuple[HTTPStatus, Document | None]:
        """The answer to a GET: 200 with the feed, 304 when the reader has it already, 404 for another path."""
        publisher = path.removesuffix("/feed").strip("/")
        with self._lock:
            status, found = HTTPStatus.NOT_FOUND, None
            if path.endswith("/feed") and publisher in self._publishers:
                found = self._current(publisher)
                status = HTTPStatus.NOT_MODIFIED if _has(found, if_none_match, if_modified_since) else HTTPStatus.OK
            self._counts[status] += 1
        return status, found

    def _current(self, publisher: str) -> Document:
        until = bisect_right(self._times[publisher], self._now)
        key = (publisher, until)
        if key not in self._documents:
            items = self._items[publisher][max(0, until - _CARRIED) : until][::-1]
            self._documents[key] = document(self._publishers[publisher], items, self.url(publisher), self._starts)
        return self._documents[key]


def _has(current: Document, if_none_match: str, if_modified_since: str) -> bool:
    """Whether the reader's validators match; the tag decides where there is one (RFC 9110, 13.1.3)."""
    if if_none_match:
        tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
        return current.etag in tags or "*" in tags
    if not if_modified_since:
        return False
    try:
        return parsedate_to_datetime(current.last_modified) <= parsedate_to_datetime(if_modified_since)
    except (TypeError, ValueError):
        return False


def _handler(newsroom: Newsroom) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps the poller's connections open
        server_version = "SquallDemo"

        def do_GET(self) -> None:
            tag, since = self.headers.get("If-None-Match", ""), self.headers.get("If-Modified-Since", "")
            status, found = newsroom.answer(self.path, tag, since)
            body = found.body if found and status is HTTPStatus.OK else b""
            self.send_response(status)
            if found:
                self.send_header("ETag", found.etag)
                self.send_header("Last-Modified", found.last_modified)
                self.send_header("Content-Type", found.content_type)
            if status is not HTTPStatus.NOT_MODIFIED:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Say nothing: the demo's own progress is what people read."""

    return Handler
