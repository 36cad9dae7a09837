"""The demo's receivers judge real posts and real mail."""

from __future__ import annotations

import base64
import json
import smtplib
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from monitor.demo.receivers import Hook, Mailbox, Verification, verify

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"an invented key of 32 bytes only").decode()
OTHER = "whsec_" + base64.b64encode(b"another key that nobody agreed on").decode()
BODY = json.dumps({"type": "squall.alert.fired"})


def signed(secret: str = SECRET, message: str = "msg_1", at: datetime = NOW, body: str = BODY) -> dict[str, str]:
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, at, body),
    }


@pytest.mark.parametrize(
    ("headers", "body", "verdict"),
    [
        (signed(), BODY, Verification.VERIFIED),
        ({}, BODY, Verification.HEADERS_MISSING),
        (signed(OTHER), BODY, Verification.WRONG_SIGNATURE),
        (signed(), BODY + " ", Verification.WRONG_SIGNATURE),
        (signed() | {"webhook-id": "msg_2"}, BODY, Verification.WRONG_SIGNATURE),
        (signed(at=NOW - timedelta(minutes=6)), BODY, Verification.WRONG_TIME),
        (signed(at=NOW + timedelta(minutes=6)), BODY, Verification.WRONG_TIME),
        (signed() | {"webhook-timestamp": "soon"}, BODY, Verification.WRONG_TIME),
        (signed(body="no json"), "no json", Verification.NOT_JSON),
    ],
)
def test_a_post_is_judged_by_its_signature(headers: dict[str, str], body: str, verdict: Verification) -> None:
    with Hook(SECRET, NOW) as hook:
        answer = httpx2.post(hook.url, headers=headers, content=body, trust_env=False)
        assert [post.verification for post in hook.posts] == [verdict]
        assert answer.status_code == (204 if verdict is Verification.VERIFIED else 401)


def test_one_valid_signature_among_several_is_enough() -> None:
    headers = signed()
    headers["webhook-signature"] = f"{signed(OTHER)['webhook-signature']} {headers['webhook-signature']}"
    assert verify(SECRET, headers, BODY.encode(), NOW).payload == json.loads(BODY)


def test_time_is_judged_by_the_simulated_clock() -> None:
    later = NOW + timedelta(days=3)
    with Hook(SECRET, NOW) as hook:
        hook.clock(later)
        assert httpx2.post(hook.url, headers=signed(at=later), content=BODY, trust_env=False).status_code == 204
        assert httpx2.post(hook.url, headers=signed(at=NOW), content=BODY, trust_env=False).status_code == 401


@given(st.binary(max_size=200), st.dictionaries(st.sampled_from(sorted(signed())), st.text(max_size=40)))
def test_no_stranger_verifies_and_none_makes_the_receiver_fall(body: bytes, headers: dict[str, str]) -> None:
    assert verify(SECRET, headers, body, NOW).verification is not Verification.VERIFIED


def test_a_post_without_length_is_refused() -> None:
    with Hook(SECRET, NOW) as hook:
        answer = httpx2.post(hook.url, headers=signed(), content=iter([BODY.encode()]), trust_env=False)
        assert answer.status_code == 400
        assert hook.posts == ()


def test_mail_is_caught_with_both_bodies() -> None:
    mail = EmailMessage()
    mail["Subject"] = "Bank stress – surge ⚠"
    mail["From"], mail["To"] = "squall@demo.example", "desk@demo.example"
    mail["Message-ID"] = "<msg_1@demo.example>"
    mail.set_content("plain words")
    mail.add_alternative("<p>rich words</p>", subtype="html")
    with Mailbox() as mailbox:
        with smtplib.SMTP("127.0.0.1", mailbox.port, timeout=5) as smtp:
            smtp.send_message(mail)
        (caught,) = mailbox.letters
    assert caught.subject == "Bank stress – surge ⚠"
    assert caught.recipients == ("desk@demo.example",)
    assert caught.message == "<msg_1@demo.example>"
    assert caught.text.strip() == "plain words"
    assert "rich words" in caught.html


def test_a_mail_without_anything_is_caught_too() -> None:
    with Mailbox() as mailbox:
        with smtplib.SMTP("127.0.0.1", mailbox.port, timeout=5) as smtp:
            smtp.sendmail("a@demo.example", ["b@demo.example", "c@demo.example"], "")
        (caught,) = mailbox.letters
    assert (caught.subject, caught.html) == ("", "")
    assert len(caught.recipients) == 2
