"""Webhooks against real servers on loopback: signatures, answers of every kind, servers that hang, hosts refused."""

from __future__ import annotations

import base64
import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from alerts.errors import ChannelUnusable
from alerts.sending import delivery as delivering
from alerts.sending.addresses import refusal
from alerts.sending.channels import ChannelSettings, open_channel
from alerts.sending.delivery import (
    Attempt,
    AttemptOutcome,
    Channel,
    Delivery,
    DeliveryState,
    Part,
    Schedule,
    after,
    deliver,
)
from alerts.sending.special_addresses import Refusal
from alerts.sending.webhook import answer_of, shown

NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
OLD = "o" * 24  # not in the whsec_ form: any text will do
SETTINGS: TypeAdapter[ChannelSettings] = TypeAdapter(ChannelSettings)


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it is sent, and answers as its server was told to."""

    protocol_version = "HTTP/1.1"
    server: ReceivingServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        for name, value in self.server.answer_headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class ReceivingServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, status: int, answer_headers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.status = status
        self.answer_headers = answer_headers
        self.received: list[tuple[str, dict[str, str], bytes]] = []


@contextmanager
def receiver(status: int = 204, **headers: str) -> Iterator[ReceivingServer]:
    server = ReceivingServer(status, {name.replace("_", "-"): value for name, value in headers.items()})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUALL_NEW", NEW)
    monkeypatch.setenv("SQUALL_OLD", OLD)


def hook_at(url: str, **more: object) -> Channel:
    table = {"type": "webhook", "name": "desk", "url": url, "secret": "env:SQUALL_NEW"}
    return open_channel(SETTINGS.validate_python({"allow_private_addresses": ["127.0.0.1"], **table, **more}))


def post(url: str, now: datetime, **more: object) -> Attempt:
    return hook_at(url, **more).send(delivering.test_delivery("desk", now), now)


def at(server: ReceivingServer, path: str = "/hook") -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_delivery_is_signed_so_that_the_receiver_can_verify_it() -> None:
    now = datetime.now(UTC)  # the receiver's library compares with the clock
    with receiver() as server:
        attempt = post(at(server, "/hook?token=t0ken"), now)
    assert (attempt.outcome, attempt.reason, attempt.at) == (AttemptOutcome.DELIVERED, "", now)
    [(path, headers, body)] = server.received
    sent = delivering.test_delivery("desk", now)
    assert path == "/hook?token=t0ken"
    assert headers["webhook-id"] == sent.id
    assert headers["content-type"] == "application/json"
    assert body.decode() == sent.payload
    assert Webhook(NEW).verify(body, headers) == json.loads(sent.payload)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(body.replace(b"test", b"best"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"x" * 32).decode()).verify(body, headers)


def test_while_a_secret_is_rotated_both_verify() -> None:
    with receiver() as server:
        assert post(at(server), datetime.now(UTC), old_secret="env:SQUALL_OLD").outcome.ok
    [(_, headers, body)] = server.received
    assert headers["webhook-signature"].count(" ") == 1
    for secret in (NEW, OLD.encode()):
        assert Webhook(secret).verify(body, headers)["type"] == "squall.test"


@pytest.mark.parametrize(
    ("status", "outcome", "word"),
    [
        (200, AttemptOutcome.DELIVERED, ""),
        (202, AttemptOutcome.DELIVERED, ""),
        (301, AttemptOutcome.MISCONFIGURED, "redirects are not followed"),
        (308, AttemptOutcome.MISCONFIGURED, "redirects are not followed"),
        (400, AttemptOutcome.REFUSED, "400 Bad Request"),
        (401, AttemptOutcome.REFUSED, "same secret"),
        (410, AttemptOutcome.GONE, "change the url or remove the channel"),
        (429, AttemptOutcome.THROTTLED, "429 Too Many Requests"),
        (500, AttemptOutcome.REFUSED, "500"),
        (503, AttemptOutcome.THROTTLED, "503"),
        (599, AttemptOutcome.REFUSED, "599"),
    ],
)
def test_every_answer_has_its_outcome(now: datetime, status: int, outcome: AttemptOutcome, word: str) -> None:
    with receiver() as elsewhere, receiver(status, location=at(elsewhere)) as server:
        attempt = post(at(server), now)
    assert (attempt.outcome, len(server.received)) == (outcome, 1)
    assert word in attempt.reason
    assert elsewhere.received == [], "a redirect must not be followed"


def test_a_receiver_that_throttles_is_asked_again_when_it_said(now: datetime) -> None:
    with receiver(429, retry_after="900") as server:
        attempt = post(at(server), now)
    later = after(delivering.test_delivery("desk", now), attempt, Schedule(), 0.0)
    assert (later.state, later.next_attempt_at) == (DeliveryState.PENDING, attempt.ended + timedelta(minutes=15))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("120.5", 120),
        ("120.", 120),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, 7 * 86400),
        ("²", None),
        ("NaN", None),
        ("Mon, 10 Mar 2026 99999999999999999999:00:00 GMT", None),
        ("Mon, 10 Mar 99999 12:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds(now: datetime, header: str, seconds: int | None) -> None:
    wish = answer_of(503, header, now, "x").retry_after
    assert wish == (None if seconds is None else timedelta(seconds=seconds))


def test_retry_after_as_a_date(now: datetime) -> None:
    in_an_hour = format_datetime(now + timedelta(hours=1), usegmt=True)
    assert answer_of(503, in_an_hour, now, "x").retry_after == timedelta(hours=1)
    assert answer_of(503, in_an_hour, now + timedelta(hours=2), "x").retry_after is None


@given(st.integers(100, 999), st.none() | st.text())
def test_no_answer_is_without_an_outcome_and_words(status: int, retry_after: str | None) -> None:
    answer = answer_of(status, retry_after, datetime(2026, 3, 10, tzinfo=UTC), "https://e.com/hook")
    assert answer.outcome.ok == (200 <= status < 300)
    assert answer.outcome.ok or answer.reason.startswith(f"https://e.com/hook answered {status}")


@contextmanager
def raw_server(answer: bytes, *, drip: bool = False) -> Iterator[str]:
    """Accepts, says `answer` at once or a byte at a time until the client leaves, and then stays silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                for byte in answer if drip else b"":
                    connection.sendall(bytes([byte]))
                    if stop.wait(0.05):
                        return
                if not drip:
                    connection.sendall(answer)
                stop.wait(30)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize("drip", [False, True])
def test_a_server_that_hangs_or_drips_costs_no_more_than_the_time_limit(now: datetime, drip: bool) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2000 if drip else b"", drip=drip) as url:
        attempt = post(url + "?token=t0ken", now, timeout_seconds=0.4)
    assert attempt.outcome is AttemptOutcome.TIMED_OUT
    assert attempt.reason.startswith(f"{url} did not answer within 0.4 s")
    assert 350 <= attempt.millis < 2000


def test_an_endless_body_is_not_read(now: datetime) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n" + b"y" * 1000) as url:
        attempt = post(url, now, timeout_seconds=5)
    assert attempt.outcome.ok
    assert attempt.millis < 4000


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 200 OK\r\n\x00\x01\r\n\r\n"])
def test_a_server_that_speaks_something_else_is_a_value(now: datetime, garbage: bytes) -> None:
    with raw_server(garbage) as url:
        assert post(url, now, timeout_seconds=3).outcome is AttemptOutcome.UNREACHABLE


def test_nobody_listening_is_a_value(now: datetime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    attempt = post(f"http://127.0.0.1:{port}/hook", now)
    assert attempt.outcome is AttemptOutcome.UNREACHABLE
    assert "see whether the receiver is up" in attempt.reason


def test_a_host_without_an_address_is_a_value(now: datetime) -> None:
    attempt = post("https://nowhere.invalid/hook", now)
    assert attempt.outcome is AttemptOutcome.UNREACHABLE
    assert "https://nowhere.invalid/hook has no address" in attempt.reason


def test_a_name_server_that_is_silent_costs_no_more_than_the_time_limit(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def silent(*_: object, **__: object) -> object:
        answered.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    try:
        attempt = post("https://silent.invalid/hook", now, timeout_seconds=0.4)
    finally:
        answered.set()
    assert attempt.outcome is AttemptOutcome.TIMED_OUT
    assert 350 <= attempt.millis < 10_000


def test_plain_http_behind_https_is_a_value(now: datetime) -> None:
    with receiver() as server:
        assert post(at(server).replace("http:", "https:"), now).outcome is AttemptOutcome.UNREACHABLE
    assert server.received == []


@pytest.mark.parametrize("certified", ["localhost", "elsewhere.example"])
def test_a_certificate_must_be_trusted_and_bear_the_name_although_the_connection_goes_to_an_address(
    now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certified: str
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={certified} "
        f"-addext subjectAltName=DNS:{certified} -keyout {key} -out {cert}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    with receiver() as server:
        # Handshakes happen in the connection's own thread, where a refused one troubles no other.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        url = f"https://localhost:{server.server_port}/hook"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
        desk = hook_at(url, allow_private_addresses=["localhost"])
        stranger = desk.send(delivering.test_delivery("desk", now), now)
        # The system's certificates were renewed.
        shutil.copy(cert, tmp_path / "system.pem")
        trusted = desk.send(delivering.test_delivery("desk", now), now)
    assert stranger.outcome is AttemptOutcome.MISCONFIGURED
    assert f"the certificate of {url} is not trusted" in stranger.reason
    assert trusted.outcome is (AttemptOutcome.DELIVERED if certified == "localhost" else AttemptOutcome.MISCONFIGURED)
    assert len(server.received) == (1 if certified == "localhost" else 0)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://a.example/\u202ehook", "a space or a hidden character"),
        ("https://a.example/two words", "a space or a hidden character"),
        ("https://\u2066u:p@a.example/", "a space or a hidden character"),
        (f"https://{'a' * 5000}/", "longer than any name"),
        (f"https://{'a' * 64}.example/", "longer than any name"),
        ("https://a.example:99999/", "names a port that is none"),
        ("https://a.example:0/", "names a port that is none"),
    ],
)
def test_an_address_that_can_be_none_is_refused_with_the_settings(url: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        hook_at(url)


class OneDelivery:
    """An outbox with one delivery to each channel that asks; tells when the attempt is recorded."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.recorded: dict[str, Delivery] = {}

    def due(self, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
        return () if channel in self.recorded else (delivering.test_delivery(channel, self.now),)

    def begin(self, delivery: Delivery, at: datetime) -> None:
        assert delivery.channel not in self.recorded

    def record(self, delivery: Delivery, attempt: Attempt, parts: Sequence[Part] = ()) -> None:
        self.recorded[delivery.channel] = delivery

    def hasten(self, channel: str, at: datetime, schedule: Schedule) -> int:
        return 0


def test_a_channel_that_hangs_delays_no_other(now: datetime) -> None:
    def channel(name: str, url: str) -> Channel:
        table = {"type": "webhook", "name": name, "url": url, "secret": "env:SQUALL_NEW", "timeout_seconds": 60}
        return open_channel(SETTINGS.validate_python({**table, "allow_private_addresses": ["127.0.0.1"]}))

    outbox = OneDelivery(now)
    with receiver() as server:
        with raw_server(b"") as silent:
            slow = threading.Thread(target=deliver, args=(outbox, channel("slow", silent), now, Schedule()))
            slow.start()
            assert deliver(outbox, channel("quick", at(server)), now, Schedule()) == 1
            assert slow.is_alive()
            assert outbox.recorded["quick"].state is DeliveryState.DELIVERED
            assert "slow" not in outbox.recorded
        slow.join()  # leaving the silent server's block cut its connection
    assert outbox.recorded["slow"].state is DeliveryState.PENDING
    assert outbox.recorded["slow"].outcome == "unreachable"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],  # noqa: S104 # connected to, not bound
)
def test_loopback_is_refused_however_it_is_written(now: datetime, host: str) -> None:
    with receiver() as server:
        attempt = post(f"http://{host}:{server.server_port}/x", now, allow_private_addresses=[])
    assert attempt.outcome is AttemptOutcome.MISCONFIGURED
    assert "a loopback address" in attempt.reason
    assert "allow_private_addresses names" in attempt.reason
    assert server.received == []


def test_a_private_host_may_be_allowed_by_its_name(now: datetime) -> None:
    with receiver() as server:
        url = f"http://localhost:{server.server_port}/x"
        assert post(url, now, allow_private_addresses=["LOCALHOST."]).outcome.ok
    assert server.received[0][1]["host"] == f"localhost:{server.server_port}"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.1.2.3", Refusal.PRIVATE),
        ("172.16.0.1", Refusal.PRIVATE),
        ("192.168.1.1", Refusal.PRIVATE),
        ("100.64.0.1", Refusal.SHARED),
        ("100.100.100.200", Refusal.METADATA),
        ("169.254.1.1", Refusal.LINK_LOCAL),
        ("169.254.169.254", Refusal.METADATA),
        ("168.63.129.16", Refusal.METADATA),
        ("fd00:ec2::254", Refusal.METADATA),
        ("::ffff:10.0.0.1", Refusal.PRIVATE),
        ("64:ff9b::a9fe:a9fe", Refusal.METADATA),
        ("2002:7f00:1::", Refusal.LOOPBACK),
        ("fe80::1%eth0", Refusal.LINK_LOCAL),
        ("fc00::1", Refusal.PRIVATE),
        ("fec0::1", Refusal.PRIVATE),
        ("64:ff9b:1::a9fe:a9fe", Refusal.PRIVATE),
        ("::ffff:0:7f00:1", Refusal.LOOPBACK),
        ("::7f00:1", Refusal.LOOPBACK),
        ("::1", Refusal.LOOPBACK),
        ("224.0.0.1", Refusal.MULTICAST),
        ("ff02::1", Refusal.MULTICAST),
        ("255.255.255.255", Refusal.PRIVATE),
    ],
)
def test_addresses_that_no_stranger_should_make_us_reach(address: str, why: Refusal) -> None:
    assert refusal("hooks.example.com", ["93.184.215.14", address], []) == (address, why)
    assert refusal("hooks.example.com", ["93.184.215.14", address], [address]) is None
    assert refusal("hooks.example.com", ["93.184.215.14", "2606:2800:21f::1"], []) is None


def test_what_is_secret_in_an_address_stays_out_of_reasons_reprs_and_logs(
    now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with receiver(500) as server:
        url = at(server, "/hook?token=t0ken").replace("http://", "http://user:passw0rd@")
        attempt = post(url, now)
        assert server.received[0][1]["authorization"] == "Basic " + base64.b64encode(b"user:passw0rd").decode()
    settings = SETTINGS.validate_python({"type": "webhook", "name": "d", "url": url, "secret": "env:SQUALL_NEW"})
    words = " ".join((attempt.reason, repr(settings), repr(open_channel(settings)), caplog.text))
    for secret in ("t0ken", "passw0rd", NEW, NEW.removeprefix("whsec_")):
        assert secret not in words
    assert at(server) in attempt.reason
    assert shown(httpx2.URL("https://u:p@e.com:8443/a/b?c=d#e")) == "https://e.com:8443/a/b"


@pytest.mark.parametrize("secret", ["tiny", "whsec_c2hvcnQ=", "whsec_a"])
def test_a_weak_or_broken_secret_is_refused_and_not_repeated(
    now: datetime, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("SQUALL_NEW", secret)
    with pytest.raises(ChannelUnusable, match="env:SQUALL_NEW") as caught:
        post("https://example.com", now)
    assert secret not in str(caught.value)


def test_a_secret_that_vanishes_later_is_a_value(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"type": "webhook", "name": "desk", "url": "https://example.com", "secret": "env:SQUALL_NEW"}
    channel = open_channel(SETTINGS.validate_python(table))
    monkeypatch.delenv("SQUALL_NEW")
    attempt = channel.send(delivering.test_delivery("desk", now), now)
    assert (attempt.outcome, "env:SQUALL_NEW is not set" in attempt.reason) == (AttemptOutcome.MISCONFIGURED, True)
