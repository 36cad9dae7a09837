"""Feed servers and a webhook receiver on loopback, and the invented stories that the feeds bring."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape

from monitor.demo.receivers import Verification, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# Seconds that a test waits for something before it fails; a machine that is busy with other things wants more.
PATIENCE = float(os.environ.get("SQUALL_PATIENCE", "90"))

# Their combinations are different negative stories about banks, in different words.
_WHO = (
    ("Halvern", "queues form outside Lisbon branches"),
    ("Corvane", "auditors resign over hidden debt"),
    ("Ostrel", "property empire crumbles"),
    ("Pellam", "chief executive arrested at Oslo airport"),
    ("Dunmere", "farm credit turns sour"),
    ("Varrick", "crypto deposits vanish overnight"),
    ("Lothian", "pension funds demand their money"),
    ("Brasken", "shipping borrowers default"),
    ("Ulmster", "ratings cut to junk by agencies"),
    ("Kestrow", "emergency credit line exhausted"),
)
_WHAT = (
    "{} Bank collapses after savers withdraw billions: {}",
    "Shares of {} plunge 40% as losses mount, {}",
    "Troubled lender {} files for bankruptcy after failed rescue; {}",
    "Regulators seize failing {} bank, {}",
    "Trading in {} halted on insolvency fears as {}",
    "Crisis at bank {} deepens with huge writedowns while {}",
)


def surge(number: int) -> str:
    """The title of a negative story about a bank: sixty different ones."""
    name, detail = _WHO[number % len(_WHO)]
    return _WHAT[(number + number // len(_WHO)) % len(_WHAT)].format(name, detail)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of an invented feed."""

    guid: str
    title: str
    at: datetime

    @property
    def xml(self) -> str:
        link = f"https://news.example/{self.guid}"
        return (
            f"<item><guid>{self.guid}</guid><title>{escape(self.title)}</title><link>{link}</link>"
            f"<pubDate>{format_datetime(self.at)}</pubDate></item>"
        )


def rss(items: Sequence[Item]) -> bytes:
    return f'<rss version="2.0"><channel><title>x</title>{"".join(i.xml for i in items)}</channel></rss>'.encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says to a GET; a body of many chunks is sent without its length."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/rss+xml"
    repeat: int = 1


class Press(ThreadingHTTPServer):
    """Feeds by path. A path may be given a function that makes the answer, which may block until the test is over."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Feeds)
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.asked: list[str] = []
        self.change = threading.Condition()
        self.over = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def serve(self, path: str, items: Sequence[Item]) -> None:
        self.answers[path] = lambda: Answer(rss(items))


class _Feeds(BaseHTTPRequestHandler):
    server: Press

    def do_GET(self) -> None:
        path = self.path.strip("/")
        with self.server.change:
            self.server.asked.append(path)
            self.server.change.notify_all()
        answer = self.server.answers.get(path, lambda: Answer(status=404))()
        try:
            self.send_response(answer.status)
            self.send_header("content-type", answer.kind)
            if answer.repeat == 1:
                self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            for _ in range(answer.repeat):
                self.wfile.write(answer.body)
        except OSError:
            return  # the reader has gone: killed, or satisfied

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        """Keep the test's output to itself."""


@dataclass(frozen=True, slots=True)
class Post:
    """One post whose signature held."""

    id: str
    payload: dict[str, Any]


class Desk(ThreadingHTTPServer):
    """A webhook receiver: verifies by its clock, then answers, or hangs until the test is over."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Posts)
        self.now: Callable[[], datetime] = utc_now
        self.posts: list[Post] = []
        self.refused: list[str] = []
        self.status = 204
        self.hangs = False
        self.change = threading.Condition()
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/alerts"


class _Posts(BaseHTTPRequestHandler):
    server: Desk

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.status
        headers = {name.lower(): value for name, value in self.headers.items()}
        post = verify(SECRET, headers, body, self.server.now())
        with self.server.change:
            if post.verification is Verification.VERIFIED:
                self.server.posts.append(Post(post.id, post.payload))
            else:
                status = 401
                self.server.refused.append(post.verification)
            self.server.change.notify_all()
        if self.server.hangs:
            self.server.over.wait(PATIENCE)
        try:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        """Keep the test's output to itself."""


@contextmanager
def serving(server: Press | Desk) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def utc_now() -> datetime:
    return datetime.now(UTC)
