"""Mail servers that say what none should: every one of them is an outcome with words, and none costs memory."""

from __future__ import annotations

import resource
import runpy
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts.sending.attempt import Attempt

MAIL = runpy.run_path(str(Path(__file__).with_name("test_mail.py")))
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
Script = Callable[[socket.socket], None]


def says(*answers: bytes) -> Script:
    """Says the first unasked, and each other one when a line came in; of a mail's own lines none is answered."""

    def script(connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        for number, words in enumerate(answers):
            if number:
                lines.readline()
            connection.sendall(words)
        lines.read()

    return script


def floods(connection: socket.socket) -> None:
    """A greeting that never ends."""
    lines = (b"220-" + b"x" * 500 + b"\r\n") * 200
    while True:
        connection.sendall(lines)


@contextmanager
def server(script: Script) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            script(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(20)
        listener.close()


def sent(script: Script, **more: object) -> Attempt:
    with server(script) as port:
        attempt: Attempt = MAIL["send"](port, NOW, **more)
    return attempt


GREETS = (b"220 here\r\n", b"250 here\r\n", b"250 from\r\n")


@pytest.mark.parametrize(
    ("script", "more", "outcome", "words"),
    [
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), {}, "misconfigured", "is no mail server"),
        (says(b"\xff\xfe\x00\x80\r\n"), {}, "misconfigured", "is no mail server"),
        (says(b"421-going\r\n421 down\r\n"), {}, "throttled", "said 421: going down"),
        (
            says(b"220 here\r\n", b"250-here\r\n250 AUTH XOAUTH2 GSSAPI\r\n"),
            {"user": "squall", "password": "env:SQUALL_MAIL"},
            "misconfigured",
            "takes no password in a way known here",
        ),
        (says(*GREETS, b"250 ann\r\n", b"421 too many\r\n"), {}, "throttled", "said 421 to recipient bo@example.com"),
        (says(*GREETS, b"250 ann\r\n", b"550 bo\r\n", b"554 no data\r\n", b"250\r\n"), {}, "refused", "said 554"),
    ],
)
def test_an_odd_mail_server_is_an_outcome_with_words(
    monkeypatch: pytest.MonkeyPatch, script: Script, more: dict[str, object], outcome: str, words: str
) -> None:
    monkeypatch.setenv("SQUALL_MAIL", "a password")
    attempt = sent(script, **more)
    assert (attempt.outcome.value, words in attempt.reason) == (outcome, True), attempt
    assert attempt.refused == (), "nobody has a mail whose text was not taken"


def test_a_greeting_without_an_end_costs_neither_time_nor_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attempt = sent(floods, timeout_seconds=20)
    assert (attempt.outcome.value, "an answer without an end" in attempt.reason) == ("refused", True)
    assert attempt.millis < 10_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"
