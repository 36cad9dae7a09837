"""Alerts and deliveries for tests, and the store that remembers them."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from alerts.sending.delivery import Delivery, DeliveryState
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Store

STORE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
append, headline, scored = (STORE[name] for name in ("append", "headline", "scored"))

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def keep(store: Store, id_: int, negative: float, at: datetime = NOON, **changes: Any) -> None:
    append(store, (headline(id_, at, **changes), scored(negative)))


def evidence(story: int = 2**64 - 1) -> Evidence:
    return Evidence(story, 'Bank "run" in 東京 <b>', ("a", "b"), "https://news.example/1", NOON, 0.75)


def alert(id_: str = "alert_1", **changes: Any) -> Alert:
    plain = Alert(
        id=id_,
        series="market",
        state=State.FIRING,
        severity=Severity.WARNING,
        opened_at=NOON,
        fired_at=NOON,
        last_spike_at=NOON,
        resolved_at=None,
        hours=3,
        observed=9,
        expected=1.5,
        p_value=1e-9,
        peak_observed=9,
        peak_expected=1.5,
        peak_p_value=1e-9,
        peak_at=NOON,
        evidence=(evidence(),),
    )
    return replace(plain, **changes)


def fired(told: Alert) -> Change:
    return Change(told, State.PENDING, ChangeReason.FIRED, NOON)


def delivery(id_: str = "msg_1", channel: str = "desk", **changes: Any) -> Delivery:
    plain = Delivery(
        id=id_,
        alert="alert_1",
        reason="fired",
        channel=channel,
        state=DeliveryState.PENDING,
        created_at=NOON,
        attempts=0,
        next_attempt_at=NOON,
        finished_at=None,
        outcome="",
        payload='{"version": 1,  "title": "\\u6771 <b>"}',
    )
    return replace(plain, **changes)


@pytest.fixture
def alerts(store: Store) -> AlertStore:
    return AlertStore(store)
