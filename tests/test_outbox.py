"""The outbox: what is due is handed out, what became of it is kept, and nothing is lost or repeated."""

from __future__ import annotations

import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from alerts.sending.delivery import Attempt, AttemptOutcome, DeliveryState, redeliver
from alerts.telling.grouping import sealed
from alerts.telling.notices import Choice, Decision
from alerts.texts.messages import sample_message
from monitor.desk.actions import send_again
from monitor.storage.alert_store import AlertStore
from monitor.storage.sending import ENDPOINT
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("alert_store_scene.py")))
HOUR, MINUTE, NOON, alert, alerts = (SCENE[name] for name in ("HOUR", "MINUTE", "NOON", "alert", "alerts"))
delivery, fired = (SCENE[name] for name in ("delivery", "fired"))
STORE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
rows = STORE["rows"]

ROOT = Path(__file__).parents[1]
PAYLOAD = sample_message(NOON).model_dump_json()


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
from alert_store_scene import NOON, alert, delivery, fired
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
