"""The two loopback endpoints that the demo's alerts arrive at, and what they think of them.

takes  HTTP posts signed by the Standard Webhooks specification; mail over SMTP
gives  `Post`s, each with its `Verification`; `Letter`s
never  listens beyond 127.0.0.1, and never accepts a post whose signature does not hold
"""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks import Webhook

from monitor.demo.newsroom import LOOPBACK

TOLERANCE = timedelta(minutes=5)
_LARGEST_BODY = 4 * 1024 * 1024


class Verification(StrEnum):
    """What became of a post's signature."""

    VERIFIED = "verified"
    HEADERS_MISSING = "headers_missing"
    WRONG_SIGNATURE = "wrong_signature"
    WRONG_TIME = "wrong_time"
    NOT_JSON = "not_json"


@dataclass(frozen=True, slots=True)
class Post:
    """One post to the webhook: the message's id, what the signature was worth, and the payload if it held."""

    id: str
    verification: Verification
    payload: Any


def verify(secret: str, headers: dict[str, str], body: bytes, now: datetime) -> Post:
    """Judge a post as a Standard Webhooks receiver does, at the simulated `now`.

    The library's own `verify` asks the machine's clock; the demo's clock runs weeks in minutes, so only its `sign` is
    used here and the five minutes of tolerance are measured against `now`.

    Args:
        secret: `whsec_...`.
        headers: with names in lower case.
        body: as it came.
        now: aware UTC.
    """
    message = headers.get("webhook-id", "")
    stamp, signatures = headers.get("webhook-timestamp", ""), headers.get("webhook-signature", "")
    if not (message and stamp and signatures):
        return Post(message, Verification.HEADERS_MISSING, None)
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 12):
        return Post(message, Verification.WRONG_TIME, None)
    at = datetime.fromtimestamp(int(stamp), UTC)
    try:
        expected = Webhook(secret).sign(message, at, body.decode())
    except UnicodeDecodeError:
        return Post(message, Verification.WRONG_SIGNATURE, None)
    if not any(hmac.compare_digest(expected.encode(), given.encode()) for given in signatures.split(" ")):
        return Post(message, Verification.WRONG_SIGNATURE, None)
    if abs(at - now) > TOLERANCE:
        return Post(message, Verification.WRONG_TIME, None)
    try:
        return Post(message, Verification.VERIFIED, json.loads(body))
    except ValueError:
        return Post(message, Verification.NOT_JSON, None)


class Hook:
    """The webhook endpoint, a context manager: 204 for a post that verifies, 401 for one that does not."""

    def __init__(self, secret: str, now: datetime) -> None:
        self._secret, self._now = secret, now
        self._lock = threading.Lock()
        self._posts: list[Post] = []
        self._server = ThreadingHTTPServer((LOOPBACK, 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="hook", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where posts go."""
        return f"http://{LOOPBACK}:{self._server.server_port}/alerts"

    def clock(self, now: datetime) -> None:
        """The simulated now (aware UTC) that timestamps are judged by."""
        with self._lock:
            self._now = now

    @property
    def posts(self) -> tuple[Post, ...]:
        """Every post so far, in order of arrival."""
        with self._lock:
            return tuple(self._posts)

    def receive(self, headers: dict[str, str], body: bytes) -> Post:
        """Judge and remember one post."""
        with self._lock:
            post = verify(self._secret, headers, body, self._now)
            self._posts.append(post)
        return post


def _handler(hook: Hook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "SquallDemo"

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > _LARGEST_BODY:
                self.close_connection = True
                self._answer(HTTPStatus.BAD_REQUEST)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            post = hook.receive(headers, self.rfile.read(int(length)))
            verified = post.verification is Verification.VERIFIED
            self._answer(HTTPStatus.NO_CONTENT if verified else HTTPStatus.UNAUTHORIZED)

        def _answer(self, status: HTTPStatus) -> None:
            self.send_response(status)
            if status is not HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Say nothing: the demo's own progress is what people read."""

    return Handler


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail as it arrived; `message` is the value of its Message-ID header."""

    sender: str
    recipients: tuple[str, ...]
    message: str
    subject: str
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]


def letter(sender: str, recipients: tuple[str, ...], content: bytes) -> Letter:
    """Read a mail: decoded subject and bodies; "" for a part that is not there."""
    mail = message_from_bytes(content, policy=policy.default)
    headers = tuple((name, str(value)) for name, value in mail.items())
    message, subject = str(mail["message-id"] or ""), str(mail["subject"] or "")
    return Letter(sender, recipients, message, subject, _body(mail, "plain"), _body(mail, "html"), headers)


def _body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()) if part else ""


class Mailbox:
    """The mail catcher, a context manager: accepts every mail on a loopback port and delivers none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._letters: list[Letter] = []
        # Port 0 needs help: the controller connects to its own port to start, so it must learn which one it got.
        self._controller = _Controller(self, hostname=LOOPBACK, port=0)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    @property
    def port(self) -> int:
        """Where it listens, once entered."""
        return int(self._controller.port)

    @property
    def letters(self) -> tuple[Letter, ...]:
        """Every mail so far, in order of arrival."""
        with self._lock:
            return tuple(self._letters)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Remember one mail; called by aiosmtpd."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        caught = letter(envelope.mail_from or "", tuple(envelope.rcpt_tos), content)
        with self._lock:
            self._letters.append(caught)
        return "250 caught"


class _Controller(Controller):
    def _trigger_server(self) -> None:
        if isinstance(self.server, asyncio.Server):
            self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd is untyped
