"""What detection remembers: frames, evidence, open alerts and every change of them, each once."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detection.windows import HISTORY, SIGHTINGS, WATCHED, windows
from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from alerts.memory import Memory
from alerts.rules import Rules
from alerts.sending.delivery import Attempt, AttemptOutcome, DeliveryState, Outbox, delivery_id
from alerts.telling.notices import Escalation
from monitor.news.headlines import Standing
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("alert_store_scene.py")))
HOUR, MINUTE, NOON, alert, alerts = (SCENE[name] for name in ("HOUR", "MINUTE", "NOON", "alert", "alerts"))
delivery, fired, keep = (SCENE[name] for name in ("delivery", "fired", "keep"))
STORE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
rows = STORE["rows"]


def test_it_is_what_detection_and_delivery_ask_for(alerts: AlertStore) -> None:
    memory: Memory = alerts
    outbox: Outbox = alerts
    assert memory.open_alerts() == ()
    assert outbox.due("desk", NOON, 5) == ()


# Frames


def test_frames_bear_the_declared_columns_and_types_even_when_empty(store: Store, alerts: AlertStore) -> None:
    for _ in range(2):
        assert dict(alerts.history(NOON - HOUR, NOON).schema) == dict(HISTORY)
        assert dict(alerts.sightings(NOON - HOUR, NOON).schema) == dict(SIGHTINGS)
        assert dict(alerts.watched().schema) == dict(WATCHED)
        keep(store, 1, 0.9)
        store.watch(["market"], NOON)
    assert windows(
        alerts.history(NOON - HOUR, NOON), alerts.sightings(NOON - HOUR, NOON), alerts.watched(), NOON, Rules()
    )


def test_history_holds_hours_with_stories_in_the_range(store: Store, alerts: AlertStore) -> None:
    keep(store, 1, 0.9, NOON - 2 * HOUR, story=1)
    keep(store, 2, 0.1, NOON - HOUR, story=1)  # a copy: no story of its own
    keep(store, 3, 0.1, NOON + 30 * MINUTE)
    keep(store, 4, 0.9, NOON - 9 * HOUR)
    history = alerts.history(NOON - 2 * HOUR, NOON).filter(pl.col("series") == "market")
    assert history.rows() == [("market", NOON - 2 * HOUR, 1, 1), ("market", NOON, 1, 0)]


def test_sightings_are_fresh_negative_stories_of_the_range(store: Store, alerts: AlertStore) -> None:
    keep(store, 1, 0.9, story=1)
    keep(store, 2, 0.9, story=1, publisher="other")
    keep(store, 3, 0.1)
    keep(store, 4, 0.9, standing=Standing.FIRST_FETCH)
    keep(store, 5, 0.9, standing=Standing.ARCHIVE)
    keep(store, 6, 0.9, NOON - 5 * HOUR)
    found = alerts.sightings(NOON - HOUR, NOON).filter(pl.col("series") == "market")
    assert found.rows() == [("market", 1, NOON, ["wire", "other"])]
    assert alerts.sightings(NOON + MINUTE, NOON + HOUR).is_empty()


def test_evidence_is_the_first_negative_headline_and_every_publisher(store: Store, alerts: AlertStore) -> None:
    keep(store, 1, 0.1, NOON - 3 * HOUR, story=7, publisher="calm")
    keep(store, 2, 0.75, NOON - 2 * HOUR, story=7, publisher="first")
    keep(store, 3, 0.9, NOON - HOUR, story=7, publisher="graver")
    keep(store, 4, 0.9, NOON - HOUR, story=7, publisher="first")
    keep(store, 5, 0.9, story=8)
    keep(store, 6, 0.1, story=9)
    keep(store, 7, 0.9, story=10, companies=("JPM",))
    found = alerts.evidence("market", [8, 7, 9, 11, 8])
    assert found == (
        Evidence(8, "Bank 5 in trouble", ("wire",), "https://news.example/5", NOON, pytest.approx(0.9)),  # type: ignore[arg-type]  # approx stands for the number
        Evidence(7, "Bank 2 in trouble", ("first", "calm", "graver"), "https://news.example/2", NOON - 2 * HOUR, 0.75),
    )
    assert [each.story for each in alerts.evidence("company:JPM", [7, 10])] == [10]
    assert alerts.evidence("market", []) == ()
    many = [("company:JPM", [7, 10]), ("market", [8, 7, 9, 11, 8]), ("market", []), ("market", [10, 8])]
    assert alerts.evidences(many) == [alerts.evidence(*one) for one in many], "asked together, each is as if alone"


# Alerts


INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds must be naive
TEXTS = st.text(max_size=30)


@given(
    st.builds(
        alert,
        st.text(min_size=1, max_size=20),
        series=TEXTS,
        severity=st.sampled_from(Severity),
        opened_at=INSTANTS,
        fired_at=INSTANTS,
        last_spike_at=INSTANTS,
        hours=st.integers(1, 400),
        observed=st.integers(0, 2**31 - 1),
        expected=st.floats(0, 1e9),
        p_value=st.floats(0, 1),
        peak_at=INSTANTS,
        evidence=st.lists(
            st.builds(
                Evidence,
                story=st.integers(0, 2**64 - 1),
                title=TEXTS,
                publishers=st.lists(TEXTS, max_size=3).map(tuple),
                link=TEXTS,
                at=INSTANTS,
                negative=st.floats(0, 1),
            ),
            max_size=3,
        ).map(tuple),
    )
)
@settings(max_examples=30, deadline=None)
def test_alerts_come_back_as_they_went_in(shared: AlertStore, told: Alert) -> None:
    shared.commit([fired(told)], [])
    assert shared.alert(told.id) == told
    assert told in shared.open_alerts()


@pytest.fixture(scope="module")
def shared() -> Any:
    with Store.open(":memory:", NOON) as opened:
        yield AlertStore(opened)


def test_only_open_alerts_are_handed_to_detection(alerts: AlertStore) -> None:
    pending = alert("alert_p", state=State.PENDING, fired_at=None)
    recovering = alert("alert_r", state=State.RECOVERING, opened_at=NOON - HOUR)
    resolved = alert("alert_x", state=State.RESOLVED, resolved_at=NOON)
    unseen = alert("alert_n", state=State.NO_DATA, sighted_at=NOON, opened_at=NOON + HOUR)
    alerts.commit([fired(each) for each in (pending, recovering, resolved, alert(), unseen)], [])
    assert {each.id for each in alerts.open_alerts()} == {"alert_p", "alert_r", "alert_1", "alert_n"}
    alerts.commit([fired(replace(unseen, state=State.RESOLVED, resolved_at=NOON - HOUR))], [])
    assert alerts.open_alerts()[0] == recovering
    assert [each.id for each in alerts.alerts(NOON + HOUR, 9)] == ["alert_1", "alert_p", "alert_r"]
    assert len(alerts.alerts(NOON, 9)) == 4
    assert alerts.alert("alert_unknown") is None


def test_the_last_change_of_an_alert_counts_and_every_change_is_kept(store: Store, alerts: AlertStore) -> None:
    opened = alert(state=State.PENDING, fired_at=None)
    changes = [Change(opened, State.QUIET, ChangeReason.OPENED, NOON), fired(alert())]
    alerts.commit(changes, [delivery()])
    assert alerts.open_alerts() == (alert(),)
    audit = rows(store, "SELECT reason, state_before, state_after FROM changes ORDER BY rowid")
    assert audit == [("opened", "quiet", "pending"), ("fired", "pending", "firing")]


def test_a_repeated_commit_changes_nothing(store: Store, alerts: AlertStore) -> None:
    alerts.commit([fired(alert())], [delivery()])
    sent = delivery(
        state=DeliveryState.DELIVERED, attempts=1, next_attempt_at=None, finished_at=NOON, outcome="delivered"
    )
    alerts.record(sent, Attempt(NOON, AttemptOutcome.DELIVERED, "", 12))
    alerts.commit([fired(alert())], [delivery(), delivery("msg_2", "mail")])
    assert alerts.delivery("msg_1") == sent
    assert rows(store, "SELECT count(*) FROM changes") == [(1,)]
    assert [each.id for each in alerts.due("mail", NOON, 9)] == ["msg_2"]
    assert alerts.due("desk", NOON, 9) == ()


def test_a_change_and_its_deliveries_are_kept_together_or_not_at_all(store: Store, alerts: AlertStore) -> None:
    nameless = delivery(outcome=None)  # a column of the last table written refuses it
    with pytest.raises(duckdb.ConstraintException):
        alerts.commit([fired(alert())], [nameless])
    assert alerts.open_alerts() == ()
    assert rows(store, "SELECT count(*) FROM changes") == [(0,)]


def test_who_heard_how_grave_an_alert_has_become(alerts: AlertStore) -> None:
    critical = alert(severity=Severity.CRITICAL)
    at = NOON + MINUTE
    steps = [
        Change(alert(), State.FIRING, ChangeReason.ESCALATED, NOON),
        Change(critical, State.FIRING, ChangeReason.ESCALATED, at),
    ]
    withdrawn = {"state": DeliveryState.WITHDRAWN, "next_attempt_at": None, "finished_at": at, "outcome": "silenced"}
    told = [
        delivery("msg_before", "before", created_at=NOON),
        delivery(delivery_id("alert_1", "escalated", at, "then"), "then", reason="escalated", created_at=NOON),
        delivery("msg_since", "since", reason="reminded", created_at=at + HOUR),
        delivery("msg_back", "back", created_at=at, **withdrawn),
    ]
    alerts.commit([fired(alert("alert_2")), *steps], told)
    assert alerts.escalated(["alert_1", "alert_2"]) == {"alert_1": Escalation(at, frozenset({"then", "since"}))}
    assert alerts.escalated(["alert_2"]) == {}
