"""Mail against a real SMTP server on loopback: threads, encryption, refusals of every kind, servers that hang."""

from __future__ import annotations

import asyncio
import email
import logging
import runpy
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from alerts.errors import ChannelUnusable
from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from alerts.sending import delivery as delivering
from alerts.sending.channels import ChannelSettings, open_channel
from alerts.sending.delivery import (
    Attempt,
    AttemptOutcome,
    Channel,
    Delivery,
    DeliveryState,
    Schedule,
    after,
    parts,
    plan,
)
from alerts.sending.mail import MailSettings
from alerts.sending.mailboxes import Mailbox as Recipient
from alerts.telling.grouping import sealed
from alerts.texts.messages import Trend

SETTINGS: TypeAdapter[ChannelSettings] = TypeAdapter(ChannelSettings)
SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
PASSWORD = "p4ssw0rd-of-the-desk"


class Mailbox:
    """Takes mail, unless told what to say instead: to a recipient, or after the data."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.to_recipient: dict[str, str] = {}
        self.after_data: list[str] = []
        self.hang_up = False

    async def handle_RCPT(  # noqa: N802 # aiosmtpd names its hooks so
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.to_recipient:
            return self.to_recipient[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 # as above
        if self.hang_up:
            server.transport.abort()
        if self.after_data:
            return self.after_data.pop(0)
        self.taken.append(envelope)
        return "250 OK"

    def mails(self) -> list[EmailMessage]:
        found = []
        for envelope in self.taken:
            assert isinstance(envelope.content, bytes)
            mail = email.message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            found.append(mail)
        return found


class LoopbackController(Controller):
    """A controller that lets the system choose the port."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd leaves this one untyped


@contextmanager
def smtp_server(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    controller = LoopbackController(mailbox, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUALL_MAIL", PASSWORD)


def channel(port: int, **more: object) -> Channel:
    table = {
        "type": "mail",
        "name": "desk",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "Squall <squall@example.com>",
        "recipients": ["Ann <ann@example.com>", "bo@example.com"],
        "timeout_seconds": 5,
    }
    return open_channel(SETTINGS.validate_python({**table, **more}))


def send(port: int, now: datetime, **more: object) -> Attempt:
    return channel(port, **more).send(delivering.test_delivery("desk", now), now)


def story_of_an_alert(now: datetime, title: str = "Bank falls") -> tuple[Delivery, ...]:
    """Fired, escalated, resolved."""
    evidence = (Evidence(7, title, ("ft", "dow-jones"), "https://example.com/7", now, 0.9),)
    hour = timedelta(hours=1)

    def alert(severity: Severity, resolved: datetime | None) -> Alert:
        told = {"state": State.RESOLVED, "resolved_at": resolved, "last_spike_at": now + 8 * hour} if resolved else {}
        counts = {"hours": 24, "observed": 12, "expected": 4.0, "peak_observed": 37, "peak_expected": 4.2}
        made: Alert = SCENE["alert"](now, severity=severity, evidence=evidence, **counts, **told)
        return made

    changes = [
        Change(alert=alert(Severity.WARNING, None), before=State.PENDING, reason=ChangeReason.FIRED, at=now),
        Change(alert=alert(Severity.CRITICAL, None), before=State.FIRING, reason=ChangeReason.ESCALATED, at=now + hour),
        Change(
            alert=alert(Severity.CRITICAL, now + 20 * hour),
            before=State.RECOVERING,
            reason=ChangeReason.RESOLVED,
            at=now + 20 * hour,
        ),
    ]
    return plan(changes, ["desk"], now)


def test_an_alert_arrives_as_one_thread_of_text_and_html(now: datetime) -> None:
    mailbox = Mailbox()
    with smtp_server(mailbox) as port:
        deliveries = story_of_an_alert(now)
        for number, delivery in enumerate(deliveries):
            assert channel(port).send(delivery, now + timedelta(minutes=number)).outcome.ok
    fired, escalated, resolved = mailbox.mails()
    assert fired["Message-ID"] == f"<{deliveries[0].id}@example.com>"
    assert fired["In-Reply-To"] is None
    for mail in (escalated, resolved):
        assert mail["In-Reply-To"] == mail["References"] == fired["Message-ID"]
    assert len({mail["Message-ID"] for mail in (fired, escalated, resolved)}) == 3
    assert fired["Subject"] == "[WARNING] Bank stress: 12 negative stories in 24 hours, usual 4"
    assert resolved["Subject"] == "[resolved] Bank stress: over after 8 hours, peak 37 negative stories"
    assert fired["From"] == "Squall <squall@example.com>"
    assert fired["To"] == "Ann <ann@example.com>, bo@example.com"
    assert fired["Auto-Submitted"] == "auto-generated"
    assert fired["Date"].datetime == now
    assert [part.get_content_type() for part in fired.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    for kind in ("plain", "html"):
        body = fired.get_body((kind,))
        assert body is not None
        assert "Bank falls" in body.get_content()
    assert mailbox.taken[0].mail_from == "squall@example.com"
    assert mailbox.taken[0].rcpt_tos == ["ann@example.com", "bo@example.com"]


def test_a_mail_that_comes_hours_after_it_was_written_says_so_above_all_else(now: datetime) -> None:
    """Else "in the last 24 hours" would be read as those before the mail came."""
    delivery, note = story_of_an_alert(now)[0], "Written 10 Mar 2026, 12:00 UTC, 8 hours before it was sent"
    for late, told in ((timedelta(minutes=29), False), (timedelta(hours=8), True)):
        mailbox = Mailbox()
        with smtp_server(mailbox) as port:
            assert channel(port).send(delivery, now + late).outcome.ok
        (mail,) = mailbox.mails()
        assert mail["Subject"].endswith(" (written 8 hours ago)" if told else "usual 4")
        for kind in ("plain", "html"):
            body = mail.get_body((kind,))
            assert body is not None
            assert (note in body.get_content()) == told
            assert not told or body.get_content().index(note) < body.get_content().index("In the last")


def test_a_mail_carries_the_picture_that_its_page_shows(now: datetime) -> None:
    mailbox = Mailbox()
    trend = Trend(since=now - timedelta(days=7), hours_per_bar=3, negative=(*(0,) * 50, 1, 2, 4, 9, 12, 7))
    delivery = plan([_change_of(now, "Bank falls")], ["desk"], now, trends={"theme:bank-stress": trend})[0]
    with smtp_server(mailbox) as port:
        assert channel(port).send(delivery, now).outcome.ok
    (mail,) = mailbox.mails()
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    page, picture = (part for part in mail.walk() if part.get_content_type() in ("text/html", "image/png"))
    cid = picture["Content-ID"].strip("<>")
    assert f'<img src="cid:{cid}"' in page.get_content()
    assert picture.get_content_disposition() == "inline"
    assert picture.get_content().startswith(b"\x89PNG")
    assert (mailbox.taken[0].original_content or b"").isascii()


def test_a_group_belongs_to_the_threads_of_all_its_alerts(now: datetime) -> None:
    mailbox = Mailbox()
    fired, escalated, _ = story_of_an_alert(now)
    held = [replace(one, bundle="night/quiet") for one in (escalated, plan([_change_of(now, "x")], ["desk"], now)[0])]
    (group,) = sealed(held, now).groups
    with smtp_server(mailbox) as port:
        assert channel(port).send(group, now).outcome.ok
    (mail,) = mailbox.mails()
    assert mail["Subject"] == "[CRITICAL] 2 alerts: Bank stress, Bank stress"
    threads = [f"<{one.id}@example.com>" for one in (fired, held[1])]
    assert sorted(mail["References"].split()) == sorted(threads)
    body = mail.get_body(("html",))
    assert body is not None
    assert "The alerts, gravest first" in body.get_content()


def test_a_title_becomes_neither_a_header_nor_markup(now: datetime) -> None:
    mailbox = Mailbox()
    title = "Bank\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script> & <a href='https://evil.example'>x</a>\u202e"
    names = {"theme:bank-stress": title}
    delivery = story_of_an_alert(now, title)[0]
    hostile = plan([_change_of(now, title)], ["desk"], now, names=names)[0]
    with smtp_server(mailbox) as port:
        for item in (delivery, hostile):
            assert channel(port).send(item, now).outcome.ok
    for mail in mailbox.mails():
        assert mail["Bcc"] is None
        assert "\n" not in mail["Subject"]
        page = mail.get_body(("html",))
        assert page is not None
        text = page.get_content()
        assert "<script" not in text
        assert "<a href='https://evil" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in text
        assert "\u202e" not in text
    assert all(envelope.rcpt_tos == ["ann@example.com", "bo@example.com"] for envelope in mailbox.taken)


def test_a_subject_of_any_length_arrives_without_a_space_before_it(now: datetime) -> None:
    """At about 78 characters the library would fold it as a whole behind "Subject:"."""
    mailbox = Mailbox()
    with smtp_server(mailbox) as port:
        for length in range(1, 160, 5):
            names = {"theme:bank-stress": ("word " * 40)[:length].strip()}
            told = plan([_change_of(now, "Bank falls")], ["desk"], now, names=names)[0]
            assert channel(port).send(told, now).outcome.ok
    for envelope in mailbox.taken:
        head = (envelope.original_content or b"").split(b"\r\n\r\n", 1)[0].split(b"\r\n")
        assert all(line.partition(b":")[2].strip() for line in head if not line.startswith(b" ")), head


def _change_of(now: datetime, title: str) -> Change:
    evidence = (Evidence(7, title, (title,), "javascript:alert(1)", now, 0.9),)
    alert = SCENE["alert"](now, id="a2", severity=Severity.INFO, evidence=evidence)
    return Change(alert=alert, before=State.PENDING, reason=ChangeReason.FIRED, at=now)


def test_titles_in_any_script_arrive_as_they_were(now: datetime) -> None:
    mailbox, title = Mailbox(), "Großbank fällt · 銀行危機 · Банк 🏦 " + "x" * 200
    with smtp_server(mailbox) as port:
        assert channel(port).send(story_of_an_alert(now, title)[0], now).outcome.ok
    body = mailbox.mails()[0].get_body(("plain",))
    assert body is not None
    assert title in body.get_content()
    assert (mailbox.taken[0].original_content or b"").isascii()


# Names and mailboxes


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Doe, John <john@example.com>", "Doe, John"),
        ('"Doe, John" <john@example.com>', "Doe, John"),
        ("Müller, Hans (EU) <john@example.com>", "Müller, Hans (EU)"),
        ("Risk: desk; Zürich [EU] <john@example.com>", "Risk: desk; Zürich [EU]"),
        ('Bo "the boss" Roe <john@example.com>', 'Bo "the boss" Roe'),
        ("銀行危機 <john@example.com>", "銀行危機"),
        ("<john@example.com>", ""),
        ("john@example.com", ""),
    ],
)
def test_a_mail_goes_to_the_mailbox_whatever_stands_in_the_name(now: datetime, written: str, name: str) -> None:
    mailbox = Mailbox()
    recipients = [written, "Roe, Jane <jane@example.com>", "Doe, Ann <ann@example.com>"]
    with smtp_server(mailbox) as port:
        assert send(port, now, recipients=recipients, sender=written).outcome.ok
    assert mailbox.taken[0].mail_from == "john@example.com"
    assert mailbox.taken[0].rcpt_tos == ["john@example.com", "jane@example.com", "ann@example.com"]
    (mail,) = mailbox.mails()
    told = [(one.display_name, one.addr_spec) for one in mail["To"].addresses]
    assert told == [(name, "john@example.com"), ("Roe, Jane", "jane@example.com"), ("Doe, Ann", "ann@example.com")]
    assert [(one.display_name, one.addr_spec) for one in mail["From"].addresses] == told[:1]
    assert mail["Message-ID"].endswith("@example.com>")
    assert (mailbox.taken[0].original_content or b"").isascii()


def test_many_long_names_are_folded_between_recipients(now: datetime) -> None:
    mailbox = Mailbox()
    recipients = [f"Müller, Hans (desk {number}) <hans{number}@example.com>" for number in range(100)]
    with smtp_server(mailbox) as port:
        assert send(port, now, recipients=recipients).outcome.ok
    told = [str(one) for one in mailbox.mails()[0]["To"].addresses]
    assert told == [f'"Müller, Hans (desk {number})" <hans{number}@example.com>' for number in range(100)]


@given(st.text(max_size=60), st.booleans())
def test_no_name_changes_the_mailbox(name: str, quoted: bool) -> None:
    text = f'"{name}" <john@example.com>' if quoted else f"{name} <john@example.com>"
    try:
        found = Recipient.of(text)
    except ValueError:
        assert not name.isprintable() or set(name) & set("<>@")
        return
    assert found.address == "john@example.com"
    assert Recipient.of(str(found)) == found, "settings that are shown can be written again"
    mail = EmailMessage(policy=default)
    mail["To"] = found.header
    (told,) = email.message_from_bytes(mail.as_bytes(), policy=default)["To"].addresses
    assert told.addr_spec == "john@example.com"


def test_one_recipient_written_twice_gets_one_mail() -> None:
    table = {"type": "mail", "name": "desk", "host": "localhost", "sender": "a@example.com"}
    twice = ['"Doe, John" <john@example.com>', "Doe,  John <john@example.com>", "Doe, Jane <jane@example.com>"]
    settings = SETTINGS.validate_python({**table, "recipients": twice})
    assert isinstance(settings, MailSettings)
    assert settings.recipients == ('"Doe, John" <john@example.com>', '"Doe, Jane" <jane@example.com>')


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("john", "is no mail address"),
        ("ann@example.com, Bo <bo@example.com>", "is no mail address"),
        ("Bo <bo@example.com> <ann@example.com>", "is no mail address"),
        ("Bo\n <bo@example.com>", "is no mail address"),
        ("Bo bo@example.com", "is no mail address"),
        ("user@münchen.de", 'write the domain in its "xn--" form'),
        ("Jörg <jörg@example.com>", "has letters beyond ASCII"),
        ("Bo \u202e<bo@example.com>", "is no mail address"),
        ("Bo\r\nBcc: cy@example.com <bo@example.com>", "is no mail address"),
        (f"{'b' * 65}@example.com", "longer than mail servers take: 64"),
        (f"bo@{'example.' * 33}com", "longer than mail servers take"),
    ],
)
@pytest.mark.parametrize("key", ["sender", "recipients"])
def test_what_is_no_mailbox_is_refused_with_the_settings(key: str, written: str, words: str) -> None:
    value = written if key == "sender" else [written]
    with pytest.raises(ValidationError, match=words):
        channel(25, **{key: value})


@pytest.mark.parametrize(
    ("key", "written", "words"),
    [
        ("host", "a" * 5000, "at most 253 characters"),
        ("host", "a" * 64 + ".example.com", "must be the name or the address of the mail server alone"),
        ("host", "smtp..example.com", "must be the name or the address"),
        ("host", "smtp.example.com:587", "`port` is a key of its own"),
        ("host", ":", "must be the name or the address"),
        ("user", "desk\r\nMAIL FROM", "holds a line break or a hidden character"),
        ("user", "desk\u202e", "holds a line break or a hidden character"),
        ("user", "", "at least 1 character"),
    ],
)
def test_a_server_or_login_that_can_be_none_is_refused_with_the_settings(key: str, written: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        channel(25, **{"security": "tls", "user": "desk", "password": "env:HOME", key: written})
    for host in ("localhost", "smtp.example.com.", "mail_1.intranet", "::1", "10.0.0.5"):
        channel(25, host=host)


# Login and encryption


def _login(accept: bool) -> dict[str, Any]:
    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=accept and data.password == PASSWORD.encode(), handled=False)

    return {"authenticator": authenticate, "auth_require_tls": False, "auth_required": True}


def test_a_login_that_is_taken_delivers(now: datetime) -> None:
    mailbox = Mailbox()
    with smtp_server(mailbox, **_login(True)) as port:
        assert send(port, now, user="desk", password="env:SQUALL_MAIL").outcome.ok
    assert len(mailbox.taken) == 1


def test_a_refused_login_names_host_user_and_the_way_out(now: datetime, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mailbox = Mailbox()
    with smtp_server(mailbox, **_login(False)) as port:
        attempt = send(port, now, user="desk-user", password="env:SQUALL_MAIL")
    assert attempt.outcome is AttemptOutcome.MISCONFIGURED
    for word in (f"127.0.0.1:{port}", "desk-user", "535", "check user", "env:SQUALL_MAIL"):
        assert word in attempt.reason
    assert PASSWORD not in attempt.reason
    assert mailbox.taken == []
    later = after(delivering.test_delivery("desk", now), attempt, Schedule(), 0)
    assert later.state is DeliveryState.PENDING, "it is sent once the password is put right"


@pytest.mark.parametrize(("user", "password"), [("desk", "pässwort"), ("deské", PASSWORD)])
def test_a_login_that_cannot_be_said_is_refused_in_words(
    now: datetime, monkeypatch: pytest.MonkeyPatch, user: str, password: str
) -> None:
    monkeypatch.setenv("SQUALL_MAIL", password)
    with pytest.raises(ChannelUnusable, match="env:SQUALL_MAIL, has letters beyond ASCII") as refused:
        channel(25, user=user, password="env:SQUALL_MAIL")
    assert password not in str(refused.value)


def test_a_password_that_is_changed_to_one_that_cannot_be_said_is_named(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = Mailbox()
    with smtp_server(mailbox, **_login(True)) as port:
        mail = channel(port, user="desk", password="env:SQUALL_MAIL")
        monkeypatch.setenv("SQUALL_MAIL", "pässwort")
        attempt = mail.send(delivering.test_delivery("desk", now), now)
    assert attempt.outcome is AttemptOutcome.MISCONFIGURED
    assert "choose a password of ASCII letters" in attempt.reason
    assert "pässwort" not in attempt.reason


def test_a_server_without_login_or_starttls_says_so(now: datetime) -> None:
    with smtp_server(Mailbox()) as port:
        no_login = send(port, now, user="desk", password="env:SQUALL_MAIL")
        no_tls = send(port, now, security="starttls")
    for attempt in (no_login, no_tls):
        assert attempt.outcome is AttemptOutcome.MISCONFIGURED
        assert "see security, port and user" in attempt.reason


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return folder_with_certificate(tmp_path_factory.mktemp("tls"))


def folder_with_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    folder.mkdir(exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_encrypted_mail_asks_for_a_certificate_that_is_trusted(
    now: datetime, certificate: tuple[Path, Path], security: str
) -> None:
    cert, key = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    mailbox = Mailbox()
    options = {"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
    with smtp_server(mailbox, **options) as port:
        assert send(port, now, security=security, ca_file=str(cert)).outcome.ok
        stranger = send(port, now, security=security)
        wrong_port = send(port, now, security="none" if security == "starttls" else "starttls", timeout_seconds=0.5)
    assert len(mailbox.taken) == 1
    assert stranger.outcome is AttemptOutcome.MISCONFIGURED
    assert "is not trusted" in stranger.reason
    assert "set ca_file" in stranger.reason
    assert not wrong_port.outcome.ok


@pytest.mark.parametrize("system", [False, True])
def test_certificates_that_are_renewed_are_trusted_without_a_restart(
    now: datetime, certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: bool
) -> None:
    cert, key = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    trusted = tmp_path / "ca.pem"
    before = folder_with_certificate(tmp_path / "before")[0]
    shutil.copy(before, trusted)
    mailbox = Mailbox()
    with smtp_server(mailbox, tls_context=context) as port:
        if system:
            monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        mail = channel(port, security="starttls", **({} if system else {"ca_file": str(trusted)}))
        assert mail.send(delivering.test_delivery("desk", now), now).outcome is AttemptOutcome.MISCONFIGURED
        trusted.write_text("half a certif")
        words = "is not trusted" if system else "ca.pem holds no certificates"
        assert words in mail.send(delivering.test_delivery("desk", now), now).reason
        shutil.copy(cert, trusted)
        assert mail.send(delivering.test_delivery("desk", now), now).outcome.ok


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "absent.pem"):
        with pytest.raises(ChannelUnusable, match=name):
            channel(25, ca_file=str(tmp_path / name))


# Refusals


def test_greylisting_is_tried_again_and_then_delivers(now: datetime) -> None:
    mailbox = Mailbox()
    mailbox.after_data = ["451 4.7.1 Greylisted, come back later"]
    delivery = delivering.test_delivery("desk", now)
    with smtp_server(mailbox) as port:
        mail = channel(port)
        first = mail.send(delivery, now)
        waiting = after(delivery, first, Schedule(), 0)
        assert waiting.next_attempt_at is not None
        second = mail.send(waiting, waiting.next_attempt_at)
    assert first.outcome is AttemptOutcome.THROTTLED
    assert "Greylisted, come back later" in first.reason
    assert after(waiting, second, Schedule(), 0).state is DeliveryState.DELIVERED
    assert mailbox.mails()[0]["Message-ID"] == f"<{delivery.id}@example.com>"


def test_an_attempt_that_only_some_recipients_took_names_the_others(now: datetime) -> None:
    mailbox = Mailbox()
    mailbox.to_recipient = {"bo@example.com": "450 4.2.1 Mailbox busy"}
    delivery = delivering.test_delivery("desk", now)
    with smtp_server(mailbox) as port:
        mail = channel(port)
        first = mail.send(delivery, now)
        ((left, tried),) = parts(delivery, first, Schedule(), 0)
        mailbox.to_recipient.clear()
        second = mail.send(left, now)
    assert first.outcome.ok
    assert "not for all" in first.reason
    assert tried.outcome is AttemptOutcome.THROTTLED
    assert tried.reason.endswith("said 450 to recipient bo@example.com: 4.2.1 Mailbox busy")
    assert second.outcome.ok
    assert [envelope.rcpt_tos for envelope in mailbox.taken] == [["ann@example.com"], ["bo@example.com"]]
    assert len({mail["Message-ID"] for mail in mailbox.mails()}) == 1


def test_recipients_who_do_not_exist_are_a_refusal_in_words(now: datetime) -> None:
    mailbox = Mailbox()
    mailbox.to_recipient = dict.fromkeys(("ann@example.com", "bo@example.com"), "550 5.1.1 No such\tuser\u202e here")
    with smtp_server(mailbox) as port:
        attempt = send(port, now)
    assert attempt.outcome is AttemptOutcome.REFUSED
    assert attempt.reason.startswith(
        f"127.0.0.1:{port} said 550 to recipient ann@example.com and 1 more: 5.1.1 No such user"
    )
    assert mailbox.taken == []


def test_a_message_that_is_refused_is_a_refusal_in_words(now: datetime) -> None:
    mailbox = Mailbox()
    mailbox.after_data = ["554 5.7.1 Rejected as spam"]
    with smtp_server(mailbox) as port:
        attempt = send(port, now)
    assert (attempt.outcome, "554: 5.7.1 Rejected as spam" in attempt.reason) == (AttemptOutcome.REFUSED, True)


def test_a_connection_dropped_in_the_middle_is_a_value(now: datetime) -> None:
    mailbox = Mailbox()
    mailbox.hang_up = True
    with smtp_server(mailbox) as port:
        attempt = send(port, now)
    assert attempt.outcome is AttemptOutcome.UNREACHABLE
    assert f"127.0.0.1:{port} closed the connection" in attempt.reason


@contextmanager
def silent_server(greeting: bytes) -> Iterator[int]:
    """Accepts, sends the greeting a byte at a time without ever ending the line, and keeps the connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(listener.accept()[0])
                for byte in greeting:
                    connection.sendall(bytes([byte]))
                    if stop.wait(0.05):
                        return
                stop.wait(30)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(("greeting", "security"), [(b"", "none"), (b"220-" + b"x" * 500, "none"), (b"", "tls")])
def test_a_server_that_hangs_or_drips_costs_no_more_than_the_time_limit(
    now: datetime, greeting: bytes, security: str
) -> None:
    with silent_server(greeting) as port:
        attempt = send(port, now, timeout_seconds=0.4, security=security)
    assert attempt.outcome is AttemptOutcome.TIMED_OUT
    assert f"127.0.0.1:{port} did not answer within 0.4 s" in attempt.reason
    assert 350 <= attempt.millis < 2500


def test_nobody_listening_and_nobody_there_are_values(now: datetime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert send(port, now).outcome is AttemptOutcome.UNREACHABLE
    nowhere = send(25, now, host="mail.invalid")
    assert (nowhere.outcome, nowhere.reason) == (
        AttemptOutcome.UNREACHABLE,
        "mail.invalid has no address: check its name",
    )


def test_a_test_mail_says_that_it_is_one() -> None:
    mailbox, now = Mailbox(), datetime(2026, 3, 10, tzinfo=UTC)
    with smtp_server(mailbox) as port:
        assert send(port, now).outcome.ok
    assert mailbox.mails()[0]["Subject"] == "[Squall] Test notification"
