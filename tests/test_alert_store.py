"""What detection and delivery remember: frames, evidence, open alerts, and an outbox that repeats nothing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
from alerts.sending.delivery import Attempt, AttemptOutcome, Delivery, DeliveryState, Outbox, delivery_id, redeliver
from alerts.telling.grouping import sealed
from alerts.telling.notices import Choice, Decision, Escalation
from alerts.texts.messages import sample_message
from models.score import Score
from monitor.desk.actions import send_again
from monitor.news.headlines import Headline, Standing
from monitor.storage.alert_store import AlertStore
from monitor.storage.sending import ENDPOINT
from monitor.storage.store import Batch, Scored, Store

ROOT = Path(__file__).parents[1]
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
PAYLOAD = sample_message(NOON).model_dump_json()


def keep(store: Store, id_: int, negative: float, at: datetime = NOON, **changes: Any) -> None:
    plain = Headline(
        id=id_,
        feed="wire",
        publisher="wire",
        title=f"Bank {id_} in trouble",
        summary="",
        link=f"https://news.example/{id_}",
        language="en",
        published=at,
        fetched=at,
        effective=at,
        standing=Standing.FRESH,
        companies=(),
        story=id_,
    )
    rest = (1 - negative) / 2
    score = Scored(Score(negative, rest, rest, (("Macro", 0.5),), "model-1"))
    store.append(Batch(headlines=[replace(plain, **changes)], scores={id_: score}), NOON)


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


def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    with store.database.reading() as cursor:
        frame: pl.DataFrame = cursor.sql(query).pl()
    return frame.rows()


@pytest.fixture
def store() -> Any:
    with Store.open(":memory:", NOON) as opened:
        yield opened


@pytest.fixture
def alerts(store: Store) -> AlertStore:
    return AlertStore(store)


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


# The outbox


def test_due_is_pending_of_that_channel_and_time_longest_due_first(alerts: AlertStore) -> None:
    alerts.commit(
        [],
        [
            delivery("msg_late", next_attempt_at=NOON - MINUTE),
            delivery("msg_later", next_attempt_at=NOON - 2 * MINUTE),
            delivery("msg_now"),
            delivery("msg_soon", next_attempt_at=NOON + MINUTE),
            delivery("msg_mail", "mail"),
        ],
    )
    assert [each.id for each in alerts.due("desk", NOON, 9)] == ["msg_later", "msg_late", "msg_now"]
    assert [each.id for each in alerts.due("desk", NOON, 1)] == ["msg_later"]
    assert alerts.due("desk", NOON, 9)[2] == delivery("msg_now")


def test_an_attempt_is_kept_with_what_became_of_the_delivery(store: Store, alerts: AlertStore) -> None:
    alerts.commit([fired(alert())], [delivery()])
    waiting = delivery(attempts=1, next_attempt_at=NOON + MINUTE, outcome="timed_out")
    alerts.record(waiting, Attempt(NOON, AttemptOutcome.TIMED_OUT, "no answer in 10 s", 10_000))
    assert alerts.due("desk", NOON, 9) == ()
    assert alerts.due("desk", NOON + MINUTE, 9) == (waiting,)
    found = rows(store, 'SELECT delivery, "at", outcome, reason, millis FROM attempts')
    assert found == [("msg_1", NOON, "timed_out", "no answer in 10 s", 10_000)]


def test_what_is_held_is_not_due_until_it_is_sealed(alerts: AlertStore) -> None:
    held = [delivery(f"msg_{n}", bundle="night/quiet", payload=PAYLOAD) for n in range(2)]
    alerts.commit([fired(alert())], held)
    assert alerts.due("desk", NOON + HOUR, 9) == ()
    assert alerts.held() == tuple(held)
    assert alerts.ripe("desk", NOON - MINUTE) == ()
    sealing = sealed(alerts.ripe("desk", NOON), NOON)
    for _ in range(2):
        alerts.seal(sealing)
    assert alerts.due("desk", NOON, 9) == sealing.groups
    assert (alerts.held(), alerts.delivery("msg_0")) == ((), sealing.members[0])


def test_what_was_attempted_meanwhile_is_not_withdrawn(alerts: AlertStore) -> None:
    alerts.commit([fired(alert())], [delivery()])
    tried = delivery(attempts=1, next_attempt_at=NOON + MINUTE, outcome="timed_out")
    alerts.record(tried, Attempt(NOON, AttemptOutcome.TIMED_OUT, "no answer in 10 s", 10_000))
    withdrawn = delivery(state=DeliveryState.WITHDRAWN, next_attempt_at=None, finished_at=NOON, outcome="superseded")
    alerts.commit((), (), withdrawn=[withdrawn])
    assert alerts.delivery("msg_1") == tried


def test_decisions_are_kept_once(store: Store, alerts: AlertStore) -> None:
    silent = Decision("alert_1", NOON, "fired", "desk", Choice.SILENCED, "by ann")
    for _ in range(2):
        alerts.commit((), (), [silent, Decision("alert_1", NOON, "fired", "mail", Choice.SILENCED, "by ann")])
    assert rows(store, "SELECT channel, choice, words FROM decisions ORDER BY channel") == [
        ("desk", "silenced", "by ann"),
        ("mail", "silenced", "by ann"),
    ]


def test_a_dead_letter_is_listed_and_sent_again(alerts: AlertStore) -> None:
    dead = delivery(state=DeliveryState.DEAD, attempts=11, next_attempt_at=None, finished_at=NOON, outcome="refused")
    alerts.commit([], [delivery()])
    alerts.record(dead, Attempt(NOON, AttemptOutcome.REFUSED, "403: check the key", 40))
    assert alerts.dead_letters("desk") == (dead,)
    alerts.update_deliveries([redeliver(dead, NOON + HOUR)])
    assert alerts.dead_letters("desk") == ()
    assert [each.id for each in alerts.due("desk", NOON + HOUR, 9)] == ["msg_1"]


def test_all_that_a_channel_was_given_up_is_sent_again_whatever_others_left_behind(
    store: Store, alerts: AlertStore
) -> None:
    """A channel that was mended after another one left thousands behind, over months."""
    given_up: dict[str, Any] = {
        "state": DeliveryState.DEAD,
        "attempts": 1,
        "next_attempt_at": None,
        "outcome": "refused",
    }
    letters = [
        delivery(f"msg_{n}", channel="desk" if n < 1100 else "mail", finished_at=NOON + n * MINUTE, **given_up)
        for n in range(2200)
    ]
    alerts.commit((), letters)
    store.note(f"{ENDPOINT}desk", "where it is")
    told = send_again(store, {"channel": "desk"}, NOON + HOUR)
    assert told["deliveries"] == [f"msg_{n}" for n in reversed(range(1100))]
    assert len(alerts.due("desk", NOON + HOUR, 9999)) == 1100
    assert len(alerts.dead_letters("mail")) == 1100


def test_attempts_of_what_arrived_are_forgotten_after_their_time(store: Store, alerts: AlertStore) -> None:
    ended: dict[str, Any] = {"next_attempt_at": None, "finished_at": NOON, "attempts": 1, "outcome": "x"}
    arrived = delivery("msg_a", state=DeliveryState.DELIVERED, **ended)
    dead = delivery("msg_d", state=DeliveryState.DEAD, **ended)
    for told in (arrived, dead):
        alerts.record(told, Attempt(NOON - timedelta(days=91), AttemptOutcome.REFUSED, "no", 1))
        alerts.record(told, Attempt(NOON - timedelta(days=89), AttemptOutcome.DELIVERED, "", 1))
    store.maintain(NOON)
    assert rows(store, "SELECT delivery, count(*) FROM attempts GROUP BY ALL ORDER BY ALL") == [
        ("msg_a", 1),
        ("msg_d", 2),
    ]


COMMITTER = """
import sys
sys.path.insert(0, "tests")
from test_alert_store import NOON, alert, delivery, fired
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Store

alerts = AlertStore(Store.open(sys.argv[1], NOON))
for number in range(100_000):
    told = alert(f"alert_{number}")
    alerts.commit([fired(told)], [delivery(f"msg_{number}_{channel}", channel) for channel in ("desk", "mail")])
    print(number, flush=True)
"""


def test_a_kill_parts_no_change_from_its_deliveries(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    writer = subprocess.Popen([sys.executable, "-c", COMMITTER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    last = [writer.stdout.readline() for _ in range(15)][-1]
    writer.kill()
    rest, _ = writer.communicate()
    acknowledged = [int(line) for line in (last + rest).split("\n")[:-1]][-1] + 1
    with Store.open(path, NOON) as store:
        committed = len(AlertStore(store).open_alerts())
        assert acknowledged <= committed <= acknowledged + 1
        assert rows(store, "SELECT count(*) FROM changes") == [(committed,)]
        assert rows(store, "SELECT count(*) FROM deliveries") == [(2 * committed,)]
