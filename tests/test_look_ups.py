"""Name servers that are silent, dead addresses and TLS that stalls: an attempt ends in its time, by every channel."""

from __future__ import annotations

import runpy
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from alerts.sending import delivery as delivering
from alerts.sending.attempt import Attempt, AttemptOutcome
from alerts.sending.channels import ChannelSettings, open_channel
from alerts.sending.delivery import Channel
from alerts.sending.look_ups import LookUps
from alerts.sending.mail_server import Names

MAIL = runpy.run_path(str(Path(__file__).with_name("test_mail.py")))
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOST = "desk.silent.example"
PATIENCE = 20.0


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The name server says nothing of names below silent.example until the event is set; then that there are none."""
    speak, real = threading.Event(), socket.getaddrinfo

    def asked(host: Any, *more: Any, **options: Any) -> Any:
        if str(host).endswith("silent.example"):
            speak.wait(60)
            raise socket.gaierror("there is no such name")
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    monkeypatch.setenv("SQUALL_NEW", "a secret of sixteen bytes")
    monkeypatch.setenv("SQUALL_CHAT", f"jsons://{HOST}/hook")
    yield speak
    speak.set()


def channel(kind: str, seconds: float) -> Channel:
    mail: dict[str, object] = {"type": "mail", "host": HOST, "sender": "a@example.com", "recipients": ["b@example.com"]}
    tables: dict[str, dict[str, object]] = {
        "webhook": {"type": "webhook", "url": f"https://{HOST}/hook", "secret": "env:SQUALL_NEW"},
        "mail": mail,
        "mail by tls": {**mail, "security": "tls"},
        "chat": {"type": "chat", "url": "env:SQUALL_CHAT"},
    }
    table = {**tables[kind], "name": "desk", "timeout_seconds": seconds}
    return open_channel(TypeAdapter(ChannelSettings).validate_python(table))


def timed(work: Callable[[], Attempt]) -> tuple[Attempt, float]:
    begun = time.monotonic()
    return work(), time.monotonic() - begun


@pytest.mark.parametrize("kind", ["webhook", "mail", "mail by tls", "chat"])
def test_a_silent_name_server_holds_no_channel_beyond_its_limit(silence: threading.Event, kind: str) -> None:
    attempt, seconds = timed(lambda: channel(kind, 0.3).send(delivering.test_delivery("desk", NOW), NOW))
    assert attempt.outcome is AttemptOutcome.TIMED_OUT
    assert seconds < PATIENCE


@pytest.mark.parametrize("kind", ["webhook", "mail", "chat"])
def test_attempts_of_a_day_without_a_name_server_cost_a_few_threads(silence: threading.Event, kind: str) -> None:
    asked = channel(kind, 0.01)
    before = threading.active_count()
    for _ in range(25):
        assert asked.send(delivering.test_delivery("desk", NOW), NOW).outcome is AttemptOutcome.TIMED_OUT
    assert threading.active_count() - before <= 10
    silence.set()
    for thread in threading.enumerate():
        if thread.name == "errand":
            thread.join(PATIENCE)
    speaking = channel(kind, PATIENCE) if kind == "chat" else asked
    if kind != "chat":  # Apprise asks again by itself
        assert speaking.send(delivering.test_delivery("desk", NOW), NOW).outcome in (
            AttemptOutcome.UNREACHABLE,
            AttemptOutcome.TIMED_OUT,
        )


def test_questions_come_to_their_answers_and_errors() -> None:
    asks = LookUps(most=1)
    assert asks.begin(lambda: "told").result(PATIENCE) == "told"
    assert asks.begin(lambda: None).result(PATIENCE) is None, "nothing is an answer, too"
    assert asks.addresses_within("127.0.0.1", 25, PATIENCE) == ["127.0.0.1"]
    with pytest.raises(ZeroDivisionError):
        asks.begin(lambda: 1 / 0).result(PATIENCE)
    hold = threading.Event()
    held = asks.begin(hold.wait)
    with pytest.raises(TimeoutError, match="earlier questions"):
        asks.begin(lambda: "told").result(PATIENCE)
    hold.set()
    assert held.result(PATIENCE)
    assert asks.begin(lambda: "told").result(PATIENCE) == "told"


def test_this_machine_s_own_name_holds_no_mail_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hold, real = threading.Event(), socket.getfqdn

    def own() -> str:  # the receiver asks for its own as well
        return str(hold.wait(60)) if threading.current_thread().name in ("errand", "MainThread") else real()

    monkeypatch.setattr(socket, "getfqdn", own)
    mailbox = MAIL["Mailbox"]()
    with MAIL["smtp_server"](mailbox) as port:
        desk = MAIL["channel"](port, timeout_seconds=PATIENCE)
        for _ in range(2):
            attempt, seconds = timed(lambda: desk.send(delivering.test_delivery("desk", NOW), NOW))
            assert attempt.outcome.ok
    assert seconds < PATIENCE / 10, "the second time nobody waits: the first question has no answer yet"
    hold.set()
    assert len(mailbox.taken) == 2


def test_a_name_that_no_name_server_can_be_asked_for_is_no_fault_of_squall() -> None:
    with pytest.raises(socket.gaierror, match="no name that can be looked up"):
        Names().addresses("smtp..example.com", 25, 5)


def leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    real = socket.getaddrinfo

    def asked(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        each = addresses if host == "mail.example.com" else (host,)
        return [entry for one in each for entry in real(one, port, *more, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", asked)


def test_a_dead_address_of_a_mail_server_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.1")
    mailbox = MAIL["Mailbox"]()
    with ExitStack() as stack:
        port = stack.enter_context(MAIL["smtp_server"](mailbox))
        full = stack.enter_context(socket.create_server(("127.0.0.3", port), backlog=0))
        for _ in range(3):  # its queue is full now: whoever comes next gets no answer at all
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        attempt, seconds = timed(lambda: MAIL["send"](port, NOW, host="mail.example.com", timeout_seconds=4))
    assert attempt.outcome.ok, attempt
    assert 1 < seconds < 4


@contextmanager
def stalling(*answers: tuple[float, bytes]) -> Iterator[int]:
    """Says each of the answers so many seconds after a line came in (the first unasked), and then nothing more."""
    listener = socket.create_server(("127.0.0.1", 0))
    leave = threading.Event()

    def serve() -> None:
        with listener.accept()[0] as connection:
            for number, (seconds, words) in enumerate(answers):
                if number:
                    connection.recv(4096)
                leave.wait(seconds)
                connection.sendall(words)
            leave.wait(60)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        leave.set()
        thread.join(PATIENCE)
        listener.close()


STARTTLS = ((0, b"220 here\r\n"), (2, b"250-here\r\n250 STARTTLS\r\n"), (0, b"220 go on\r\n"))


@pytest.mark.parametrize(("security", "answers"), [("starttls", STARTTLS), ("tls", ())])
def test_tls_that_stalls_ends_with_the_attempt_and_not_a_limit_later(
    security: str, answers: tuple[tuple[float, bytes], ...]
) -> None:
    with stalling(*answers) as port:
        attempt, seconds = timed(lambda: MAIL["send"](port, NOW, security=security, timeout_seconds=3))
    assert attempt.outcome is AttemptOutcome.TIMED_OUT, attempt
    assert seconds < 4.5
