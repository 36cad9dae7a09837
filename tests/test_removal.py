"""Channels and stages that were taken out of the settings: what waited for them, and what people were told of them."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from structlog.testing import capture_logs

from alerts.sending.attempt import Attempt, AttemptOutcome
from alerts.sending.delivery import DeliveryState, Schedule, after
from alerts.telling.conditions import Condition, Health
from alerts.telling.removal import ended, given_up
from alerts.texts.messages import read_message
from alerts.texts.prose import plain_text
from monitor.errors import InputUnusable
from monitor.service.stages import Stages
from monitor.service.status import Status, status
from monitor.storage.alert_store import AlertStore
from monitor.storage.queries import QUERIES
from monitor.storage.readservice import answer
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
BANKS, HOUR, MINUTE, START = (SCENE[name] for name in ("BANKS", "HOUR", "MINUTE", "START"))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))
DAY = 24 * HOUR
Hook = Any  # desk_scene.Hook


def subjects(one: Hook) -> list[str]:
    return [payload["bulletin"]["subject"] for _, payload in one.taken if payload.get("bulletin")]


def letters(house: Any) -> set[tuple[str, str, str]]:
    return {(row["reason"], row["state"], row["outcome"]) for row in house.query("deliveries", state="", limit=99)}


# Letters


def test_what_waited_for_a_channel_that_is_gone_does_not_come_when_its_name_is_back(store: Store) -> None:
    with hook() as desk, hook() as ops:
        desk.status = 500
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START, spike())
        house.send(START)
        with capture_logs() as log:
            house = House(store, {"ops": ops})
        (line,) = [line for line in log if line["event"] == "channel_removed"]
        assert (line["log_level"], line["channel"], line["messages"]) == ("warning", "desk", 1)
        assert "squall alerts redeliver --channel desk" in line["way_out"]
        assert letters(house) == {("fired", "delivered", "delivered"), ("fired", "dead", "channel_removed")}
        assert house.choices() == ["channel_removed"]
        house.look(START + HOUR)
        house.look(START + 3 * HOUR)
        desk.status = 204
        desk.taken.clear()
        house = House(store, {"desk": desk, "ops": ops})
        house.oversee(START + 90 * DAY)
    assert desk.taken == []
    assert AlertStore(store).open_alerts() == ()


def test_held_notices_and_those_of_a_group_are_each_on_record(store: Store) -> None:
    route = {"name": "room", "group_minutes": 10}
    with hook() as desk:
        desk.status = 500
        house = House(store, {"desk": desk}, routes=[route])
        house.look(START, spike(), spike(series="company:JPM"))
        house.send(START + 10 * MINUTE)
        house.look(START + 11 * MINUTE, spike(), spike(series="company:JPM"), spike(series="company:BAC"))
        house = House(store, {}, routes=[route])
    dead = house.query("deliveries", state="dead", limit=9)
    assert sorted((row["reason"], row["outcome"]) for row in dead) == [
        ("fired", "channel_removed"),
        ("group", "channel_removed"),
    ]
    removed = [row for row in house.query("decisions", limit=99) if row["choice"] == "channel_removed"]
    assert {row["series"] for row in removed} == {BANKS, "company:JPM", "company:BAC"}
    assert {row["words"] for row in removed} == {"channel desk was taken out of the settings"}
    assert AlertStore(store).held() == ()


def test_a_digest_that_waits_is_given_up_and_is_no_decision(store: Store) -> None:
    with hook() as desk:
        desk.status = 500
        house = House(store, {"desk": desk}, digests=[{"name": "morning"}])
        house.oversee(START + DAY)
        house = House(store, {})
    assert letters(house) == {("digest", "dead", "channel_removed")}
    assert house.choices() == []


def test_what_was_on_its_way_when_the_settings_were_read_is_given_up_at_the_next_look(store: Store) -> None:
    with hook() as desk, hook() as ops:
        alerts = AlertStore(store)
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START, spike())
        (in_hand,) = alerts.due("desk", START, 9)
        house = House(store, {"ops": ops})
        refused = Attempt(START, AttemptOutcome.REFUSED, "the desk answered 500", 9)
        alerts.record(after(in_hand, refused, Schedule(), 0), refused)
        assert ("fired", "pending", "refused") in letters(house)
        for minutes in (0, 1):
            house.oversee(START + minutes * MINUTE)
    assert ("fired", "dead", "channel_removed") in letters(house)
    assert house.choices() == ["channel_removed"]


def test_what_arrived_meanwhile_stays_delivered(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike())
        waiting = house.desk.waiting_elsewhere(())
        house.send(START)
        house.desk.give_up(given_up(waiting, START))
    assert letters(house) == {("fired", "delivered", "delivered")}


def test_a_letter_is_put_back_once_its_channel_is_named_again(store: Store) -> None:
    with hook() as desk, hook() as ops:
        desk.status = 500
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START, spike())
        house.send(START)
        (id_,) = {id_ for id_, _ in desk.taken}
        house = House(store, {"dsek": desk, "ops": ops})
        for asked in ({"channel": "desk"}, {"delivery": id_}):
            with pytest.raises(
                InputUnusable, match="channel desk is not in the settings any more: name it there again"
            ):
                house.act("redeliver", START + MINUTE, **asked)
        with pytest.raises(InputUnusable, match="there is no channel 'chat'; channels: dsek, ops"):
            house.act("redeliver", START + MINUTE, channel="chat")
        desk.status = 204
        house = House(store, {"desk": desk, "ops": ops})
        assert house.act("redeliver", START + 2 * MINUTE, channel="desk")["deliveries"] == [id_]
        house.send(START + 2 * MINUTE)
    assert desk.taken[-1][0] == id_


def seen(house: Any, now: Any) -> Status:
    class Asked:
        live = False

        def query(self, name: str, **params: object) -> pl.DataFrame:
            found = pl.from_arrow(answer(house.store.database, QUERIES[name], params))
            assert isinstance(found, pl.DataFrame)
            return found

        def act(self, name: str, **body: object) -> object:
            raise AssertionError("no daemon runs")

    return status(Asked(), house.settings, now)


def test_status_tells_for_a_week_what_a_channel_left_behind(store: Store) -> None:
    with hook() as desk, hook() as ops:
        desk.status = 500
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START, spike())
        house.send(START)
        assert not any("taken out" in trouble for trouble in seen(house, START).troubles)
        house = House(store, {"ops": ops})
    (told,) = [trouble for trouble in seen(house, START + 6 * DAY).troubles if "desk" in trouble]
    assert told.startswith("channel desk was taken out of the settings: 1 message for it was given up")
    assert "`squall alerts redeliver --channel desk` sends" in told
    assert [trouble for trouble in seen(house, START + 8 * DAY).troubles if "desk" in trouble] == []


# Troubles


def failing(subject: str, told: bool = True) -> Condition:
    return Condition(subject, Health.FAILING, START - DAY, "it rains", told_at=START if told else None)


def test_who_heard_of_a_trouble_hears_that_nobody_looks_any_more() -> None:
    gone = [
        failing("channel:desk"),
        failing("stage:heartbeat", told=False),
        Condition("channel:old", Health.WELL, START),
    ]
    made = ended(gone, ["ops", "mail"], START + HOUR)
    assert [(one.subject, one.health) for one in made.conditions] == [
        ("channel:desk", Health.WELL),
        ("stage:heartbeat", Health.WELL),
    ]
    assert [(one.channel, one.reason) for one in made.deliveries] == [("ops", "removed"), ("mail", "removed")]
    message = read_message(made.deliveries[0].payload)
    assert message.type == "squall.condition.removed"
    text = plain_text(message)
    assert "had been in trouble for 1 day 1 hour. Nobody looks at it any more." in text
    assert "works again" not in text
    again = ended(gone, ["ops", "mail"], START + 2 * HOUR)
    assert [one.id for one in again.deliveries] == [one.id for one in made.deliveries], "after a crash between the two"


def test_the_trouble_of_a_channel_ends_with_it_and_is_not_there_when_its_name_is_back(store: Store) -> None:
    with hook() as desk, hook() as ops:
        desk.status = 500
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START, spike())
        for minutes in range(0, 50, 10):
            house.oversee(START + minutes * MINUTE)
        house = House(store, {"ops": ops})
        for minutes in (50, 51):
            house.oversee(START + minutes * MINUTE)
        assert subjects(ops) == [
            "[Squall] Channel desk: messages do not arrive",
            "[Squall] Channel desk was taken out of the settings",
        ]
        assert house.desk.conditions()["channel:desk"].health is Health.WELL
        house.look(START + HOUR)
        house.look(START + 3 * HOUR)
        house = House(store, {"desk": desk, "ops": ops})
        house.oversee(START + 9 * DAY)
    assert len(subjects(ops)) == 2, "of how it is now nothing is known yet"


def test_a_channel_that_failed_for_a_moment_before_it_was_taken_out_begins_anew(store: Store) -> None:
    with hook() as desk, hook() as ops:
        desk.status = 500
        house = House(store, {"desk": desk, "ops": ops})
        house.look(START - HOUR, spike())
        house.send(START - HOUR)
        House(store, {"ops": ops}).oversee(START)
        house = House(store, {"desk": desk, "ops": ops})
        house.oversee(START + MINUTE)
    assert subjects(ops) == []


def test_a_stage_that_is_gone_fails_no_more_and_one_that_waits_for_its_first_turn_still_does(store: Store) -> None:
    stages = Stages()
    stages.forget_others({"detect", "heartbeat"}, store)
    for name in ("detect", "heartbeat"):
        stages.failed(name, START, "it rains")
    stages.write(store)

    def reasons() -> dict[str, str]:
        return {name: stage.reason for name, stage in stages.all().items()}

    with hook() as desk:
        house = House(store, {"desk": desk})
        for minutes in (0, 30):
            house.oversee(START + minutes * MINUTE, **reasons())
        stages = Stages()  # the daemon is begun anew, without a heartbeat
        stages.forget_others({"detect"}, store)
        house.oversee(START + 31 * MINUTE, **reasons())
        assert {name: one.health for name, one in house.desk.conditions().items()} == {
            "stage:detect": Health.FAILING,
            "stage:heartbeat": Health.WELL,
        }
        stages.went_well("detect", START + 32 * MINUTE)
        house.oversee(START + 32 * MINUTE, **reasons())
    assert sorted(subjects(desk)) == [
        "[Squall] Stage detect works again",
        "[Squall] Stage detect: fails, so no alert begins or ends",
        "[Squall] Stage heartbeat was taken out of the settings",
        "[Squall] Stage heartbeat: fails, so nobody hears that Squall is at work",
    ]


# Memory of the daemon


def test_a_run_in_hand_of_a_stage_that_is_gone_brings_nothing_back(store: Store) -> None:
    stages = Stages()
    stages.forget_others({"poll", "heartbeat"}, store)
    assert stages.failed("heartbeat", START, "it rains")
    stages.write(store)
    stages.forget_others({"poll"}, store)
    assert stages.all() == {}
    assert not stages.failed("heartbeat", START + MINUTE, "it rains on")
    assert not stages.went_well("heartbeat", START + MINUTE)
    stages.write(store)
    assert stages.all() == {}
    stages.forget_others({"poll", "heartbeat"}, store)
    assert stages.went_well("heartbeat", START + HOUR), "it is named again"
    assert stages.failed("clock", START, "it was never named, and never taken out")


def test_a_dead_letter_is_what_it_was_but_for_its_end(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike())
    (waiting,) = house.desk.waiting_elsewhere(())
    held = replace(waiting, bundle="night/quiet", next_attempt_at=START + timedelta(hours=9))
    for one in (waiting, held):
        (letter,) = given_up([one], START + HOUR).letters
        assert letter == replace(
            waiting,
            state=DeliveryState.DEAD,
            next_attempt_at=None,
            finished_at=START + HOUR,
            outcome="channel_removed",
        )
