"""Long texts for services with a limit, against a server on loopback that keeps one: Mattermost's form of 4,000."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import apprise
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from alerts.sending import delivery as delivering
from alerts.sending.attempt import Attempt, AttemptOutcome
from alerts.sending.channels import ChannelSettings, open_channel
from alerts.sending.chat import fitting, room
from alerts.sending.delivery import Channel, message_delivery
from alerts.texts.messages import Bulletin, Item, Section, bulletin_message

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
LIMIT = 4_000


class Room(ThreadingHTTPServer):
    """Takes texts of up to `LIMIT` characters, as many as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Posts)
        self.taken: list[str] = []
        self.refused: list[str] = []
        self.takes = 1_000


class _Posts(BaseHTTPRequestHandler):
    server: Room

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["content-length"])))["text"]
        fits = len(text) <= LIMIT and len(self.server.taken) < self.server.takes
        (self.server.taken if fits else self.server.refused).append(text)
        self.send_response(200 if fits else 400)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def room_server() -> Iterator[Room]:
    server = Room()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Room]:
    with room_server() as opened:
        yield opened


def sent(
    monkeypatch: pytest.MonkeyPatch, server: Room, lines: int, query: str = "", late: timedelta = timedelta(0)
) -> Attempt:
    """Send a message of so many lines of about a hundred characters, so long after it was written."""
    monkeypatch.setenv("SQUALL_CHAT", f"mmost://127.0.0.1:{server.server_port}/3ccdd113474722377935511fc85d3dd4{query}")
    table = {"type": "chat", "name": "room", "url": "env:SQUALL_CHAT", "allow_private_addresses": ["127.0.0.1"]}
    sections = tuple(
        Section(heading="All", items=(Item(title=f"line {number} " + "word " * 18),)) for number in range(lines)
    )
    told = Bulletin(subject="Long", title="Long", lead="It is.", tone="calm", about="x", sections=sections)
    delivery = message_delivery(bulletin_message("digest", told, NOW), "long", NOW, "room", NOW)
    channel = open_channel(TypeAdapter(ChannelSettings).validate_python(table))
    return channel.send(delivery, NOW + late)


def test_a_text_over_the_limit_of_a_service_arrives_in_parts(monkeypatch: pytest.MonkeyPatch, server: Room) -> None:
    assert sent(monkeypatch, server, 100).outcome is AttemptOutcome.DELIVERED
    assert server.refused == []
    assert len(server.taken) == 3
    together = " ".join(server.taken)
    assert [number for number in range(100) if f"line {number} " not in together] == []


def test_a_text_that_fits_arrives_as_one(monkeypatch: pytest.MonkeyPatch, server: Room) -> None:
    assert sent(monkeypatch, server, 30).outcome.ok
    assert len(server.taken) == 1
    assert "Written" not in server.taken[0]


def test_a_text_that_comes_late_says_when_it_was_written(monkeypatch: pytest.MonkeyPatch, server: Room) -> None:
    assert sent(monkeypatch, server, 1, late=timedelta(hours=8)).outcome.ok
    assert "Long (written 8 hours ago)" in server.taken[0]
    assert "Written 10 Mar 2026, 12:00 UTC, 8 hours before it was sent: it says what was true then." in server.taken[0]


def test_what_is_too_long_even_for_its_parts_says_that_there_is_more(
    monkeypatch: pytest.MonkeyPatch, server: Room
) -> None:
    assert sent(monkeypatch, server, 600).outcome.ok
    assert 9 <= len(server.taken) <= 10
    assert server.taken[-1].endswith("… (more than this service takes)")


def test_a_part_that_is_refused_is_a_message_that_did_not_arrive(monkeypatch: pytest.MonkeyPatch, server: Room) -> None:
    server.takes = 1
    attempt = sent(monkeypatch, server, 100)
    assert attempt.outcome is AttemptOutcome.REFUSED
    assert "answered 400" in attempt.reason


def test_an_address_may_ask_for_less(monkeypatch: pytest.MonkeyPatch, server: Room) -> None:
    assert sent(monkeypatch, server, 100, "?overflow=truncate").outcome.ok
    assert [len(text) <= LIMIT for text in server.taken] == [True]


@pytest.mark.parametrize(
    ("address", "seconds", "parts"),
    [
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", 20, 10),
        ("pover://uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu@tttttttttttttttttttttttttttttt", 20, 3),
        ("pover://uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu@tttttttttttttttttttttttttttttt", 120, 10),
        ("pover://uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu@tttttttttttttttttttttttttttttt", 2, 1),
    ],
)
def test_there_are_no_more_parts_than_go_through_in_the_time(address: str, seconds: float, parts: int) -> None:
    service = apprise.Apprise()
    assert service.add(address)
    most = room(service[0], seconds)
    assert most == int(parts * service[0].body_maxlen * 0.875)
    assert (parts - 1) * service[0].request_rate_per_sec < seconds


@given(st.text(alphabet="ab \n", max_size=300), st.integers(0, 200))
def test_a_text_is_whole_or_short_enough(text: str, most: int) -> None:
    told = fitting(text, most)
    if not most or len(text) <= most:
        assert told == text
    else:
        assert told.endswith("(more than this service takes)")
        assert text.startswith(told.partition("\n…")[0])
        assert len(told) <= max(most, len("\n… (more than this service takes)"))


def test_a_service_that_never_ends_its_answer_holds_up_no_other_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = threading.Event()

    class Drips(_Posts):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "100000")
            self.end_headers()
            while not leave.wait(0.05):
                self.wfile.write(b"a")
                self.wfile.flush()

    def channel(name: str, server: Room, seconds: float) -> Channel:
        monkeypatch.setenv(name.upper(), f"json://127.0.0.1:{server.server_port}/")
        table = {"type": "chat", "name": name, "url": f"env:{name.upper()}", "timeout_seconds": seconds}
        allowed = {**table, "allow_private_addresses": ["127.0.0.1"]}
        return open_channel(TypeAdapter(ChannelSettings).validate_python(allowed))

    with room_server() as sick, room_server() as well:
        sick.RequestHandlerClass = Drips
        well.RequestHandlerClass = type("Takes", (_Posts,), {"do_POST": _takes})
        hangs, works = channel("sick", sick, 0.3), channel("well", well, 20)
        # More than the threads of the pool that Apprise keeps for all.
        for _ in range(40):
            assert hangs.send(delivering.test_delivery("sick", NOW), NOW).outcome is AttemptOutcome.TIMED_OUT
        assert works.send(delivering.test_delivery("well", NOW), NOW).outcome.ok
        leave.set()


def _takes(post: _Posts) -> None:
    post.rfile.read(int(post.headers["content-length"]))
    post.send_response(200)
    post.end_headers()
