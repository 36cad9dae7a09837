"""Squall's webhooks, verified by the Standard Webhooks library of another language."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from alerts.sending.attempt import Attempt, AttemptOutcome
from alerts.sending.channels import ChannelSettings, open_channel
from alerts.sending.delivery import Delivery, plan

NODE = Path(__file__).with_name("node")
KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with receiver.js and what it needs."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm, to verify a webhook in another language")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "receiver.js"):
        shutil.copy(NODE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not bring the package standardwebhooks within two minutes")
    if done.returncode:
        pytest.skip(f"npm cannot bring the package standardwebhooks here: {done.stderr.strip().splitlines()[-1:]}")
    return folder


@contextmanager
def listening(folder: Path, secret: str) -> Iterator[tuple[str, Any]]:
    """The receiver's address, and what it says."""
    process = subprocess.Popen(
        ["node", "receiver.js"], cwd=folder, env={**os.environ, "SECRET": secret}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/hook", process.stdout
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def notice(now: datetime) -> Delivery:
    """With a title in several scripts, and characters that JSON may write in two ways."""
    story = Evidence(2**64 - 1, 'Großbank fällt · 銀行危機 · Банк 🏦 "</b> \\ é', ("ft",), "https://e.com/1", now, 0.9)
    alert = Alert(
        id="alert_1",
        series="theme:bank-stress",
        state=State.FIRING,
        severity=Severity.CRITICAL,
        opened_at=now,
        fired_at=now,
        last_spike_at=now,
        resolved_at=None,
        hours=12,
        observed=37,
        expected=4.2,
        p_value=1e-9,
        peak_observed=37,
        peak_expected=4.2,
        peak_p_value=1e-9,
        peak_at=now,
        evidence=(story,),
    )
    return plan([Change(alert, State.PENDING, ChangeReason.FIRED, now)], ["desk"], now)[0]


def post(url: str, delivery: Delivery, now: datetime, **more: str) -> Attempt:
    table = {"type": "webhook", "name": "desk", "url": url, "secret": "env:SQUALL_KEY", **more}
    settings = TypeAdapter(ChannelSettings).validate_python({**table, "allow_private_addresses": ["127.0.0.1"]})
    return open_channel(settings).send(delivery, now)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUALL_KEY", KEY)
    monkeypatch.setenv("SQUALL_OTHER", OTHER)


def test_a_receiver_in_another_language_verifies_and_reads_a_notice(receiver: Path) -> None:
    now = datetime.now(UTC)
    delivery = notice(now)
    with listening(receiver, KEY) as (url, said):
        assert post(url, delivery, now).outcome is AttemptOutcome.DELIVERED
        told = json.loads(said.readline())
    assert told == {"id": delivery.id, "payload": json.loads(delivery.payload)}


def test_while_a_secret_is_rotated_both_sides_may_be_late(receiver: Path) -> None:
    now = datetime.now(UTC)
    for held in (KEY, OTHER):
        with listening(receiver, held) as (url, said):
            assert post(url, notice(now), now, old_secret="env:SQUALL_OTHER").outcome is AttemptOutcome.DELIVERED
            assert "payload" in json.loads(said.readline())


def test_a_wrong_key_and_an_old_time_are_refused(receiver: Path) -> None:
    now = datetime.now(UTC)
    with listening(receiver, OTHER) as (url, said):
        assert post(url, notice(now), now).outcome is AttemptOutcome.REFUSED
        assert json.loads(said.readline()) == {"refused": "No matching signature found"}
    with listening(receiver, KEY) as (url, said):
        assert post(url, notice(now), now - timedelta(minutes=6)).outcome is AttemptOutcome.REFUSED
        assert json.loads(said.readline()) == {"refused": "Message timestamp too old"}
