"""Messages of one alert leave a channel in the order in which they happened, and none waits for another for ever."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.detection.spikes import Severity
from alerts.lifecycle import Change, ChangeReason, State
from alerts.sending.attempt import Attempt, AttemptOutcome
from alerts.sending.delivery import Delivery, Schedule, deliver, plan
from alerts.sending.following import Tried, overtaken, turn
from alerts.sending.order import Waiting
from monitor.desk.audit import audit
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
RECIPIENTS = runpy.run_path(str(Path(__file__).with_name("test_recipients.py")))
HOUR, MINUTE, START, alert = (SCENE[name] for name in ("HOUR", "MINUTE", "START", "alert"))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))
SECOND = timedelta(seconds=1)
BEGINNING, END = "squall.alert.fired", "squall.alert.resolved"
FIRST_WORD = "No earlier message about this alert has arrived here."


def kinds(desk: Any, series: str = "") -> list[str]:
    """Of the messages that were sent, in order: those of one series, or all."""
    told = [one for _, one in desk.taken if not series or (one["data"] and one["data"]["series"] == series)]
    return [one["type"].rpartition(".")[2] for one in told]


def through(house: Any, since: datetime, minutes: float, every: timedelta = 5 * SECOND) -> None:
    """Send what is due, as the worker would, for so long."""
    now = since
    while now <= since + timedelta(minutes=minutes):
        house.send(now)
        now += every


# On the real outbox, to a real receiver


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("status", [503, 500, 301])
def test_after_an_outage_the_beginning_arrives_before_the_end_though_its_own_retry_is_hours_away(
    store: Store, status: int, grouped: bool
) -> None:
    begins = {"name": "all", "notices": ["fired", "escalated"], "group_minutes": 10 * grouped}
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[begins, {"name": "ends", "notices": ["resolved"]}])
        desk.status = status
        house.look(START, spike(), spike(series="company:JPM"))
        for hours in (0.2, 0.3, 0.5, 1, 2, 4.5):
            house.send(START + hours * HOUR)
        house.look(START + 4.6 * HOUR)
        desk.taken.clear()
        desk.status = 204
        now = START + 6 * HOUR
        assert not AlertStore(store).due("desk", now, 9), "the beginning is not due"
        house.look(now)
        house.send(now)
    assert kinds(desk) == ["group", "resolved", "resolved"] if grouped else ["fired", "resolved"] * 2


def test_while_the_receiver_is_away_an_end_costs_no_attempt_and_goes_right_behind_its_beginning(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        desk.status = 503
        house.look(START, spike())
        through(house, START, 3)
        house.look(START + HOUR)
        desk.taken.clear()
        now = START + 2 * HOUR
        house.look(now)
        through(house, now, 1)
        assert kinds(desk) == ["fired"] * 3, "at once, after 5 seconds and after 30: its schedule begins anew"
        waits = [one.words for one in audit(RECIPIENTS["Asking"](store), house.alert).receipts]
        assert waits[1] == "behind one that waits for its next attempt"
        desk.status = 204
        through(house, now + MINUTE, 3)
    assert kinds(desk)[3:] == ["fired", "resolved"]
    assert house.choices() == []


def test_what_is_refused_for_its_own_sake_holds_up_the_next_for_less_than_a_minute_and_is_kept(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        desk.status_of = lambda message: 422 if message["type"] == "squall.alert.fired" else 204
        house.look(START, spike())
        through(house, START, 3)
        house.look(START + HOUR)
        desk.taken.clear()
        now = START + 2 * HOUR
        house.look(now)
        through(house, now, 0.5)
        assert kinds(desk) == ["fired", "fired"], "the end waits"
        through(house, now + 35 * SECOND, 60, MINUTE)
        assert kinds(desk) == ["fired", "fired", "fired", "resolved"], "and nothing that is old comes after it"
        (letter,) = house.query("deliveries", state="dead", limit=9)
        assert (letter["reason"], letter["outcome"], letter["attempts"]) == ("fired", "overtaken", 3)
        assert house.choices() == ["overtaken"]
        desk.status_of = lambda _: 204
        house.act("redeliver", now + 2 * HOUR, delivery=letter["id"])
        house.send(now + 2 * HOUR)
    assert kinds(desk)[4:] == ["fired"]


def test_a_graver_word_waits_a_quarter_of_an_hour_at_most_for_one_that_never_arrives_and_other_alerts_not_at_all(
    store: Store,
) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        chokes = {"type": "squall.alert.fired", "series": "theme:bank-stress"}
        desk.status_of = lambda one: 503 if {"type": one["type"], "series": one["data"]["series"]} == chokes else 204
        house.look(START, spike())
        through(house, START, 3)
        now = START + HOUR
        house.look(now, spike(Severity.CRITICAL), spike(series="company:JPM"))
        house.send(now)
        assert kinds(desk, "company:JPM") == ["fired"]
        through(house, now, 12, 10 * SECOND)
        assert "escalated" not in kinds(desk)
        through(house, now + 12 * MINUTE, 3, 10 * SECOND)
        assert kinds(desk, "theme:bank-stress")[-1] == "escalated"
        through(house, now + 15 * MINUTE, 60, MINUTE)
    assert kinds(desk, "theme:bank-stress")[-1] == "escalated", "what it overtook is a dead letter"


def test_what_is_left_for_one_recipient_holds_up_none_of_the_others_and_keeps_its_own_order(store: Store) -> None:
    ann, bo = RECIPIENTS["ANN"], RECIPIENTS["BO"]
    with RECIPIENTS["house_of"](store, ann, bo) as (house, mailbox, _):
        mailbox.to_recipient = {bo: RECIPIENTS["BUSY"]}
        house.look(START, spike())
        through(house, START, 1)
        house.look(START + MINUTE, spike(Severity.CRITICAL))
        house.send(START + MINUTE)
        assert len(mailbox.taken) == 2, "the others have both"
        mailbox.to_recipient = {}
        through(house, START + MINUTE, 20, 10 * SECOND)
        arrived = sorted(house.query("deliveries", state="delivered", limit=9), key=lambda one: one["finished_at"])
    of_bo = [one["reason"] for one in arrived if one["recipient"]]
    assert of_bo == ["fired", "escalated"]


@pytest.mark.parametrize("ends_at_night", [True, False])
def test_an_end_says_so_where_it_is_the_first_that_arrives(store: Store, *, ends_at_night: bool) -> None:
    night = {"name": "night", "quiet_hours": "11:00-15:00" if ends_at_night else "13:30-15:00"}
    with RECIPIENTS["house_of"](store, routes=[night]) as (house, mailbox, _):
        house.look(START, spike())
        house.send(START)
        house.look(START + HOUR)
        house.look(START + 2 * HOUR)
        house.send(START + 3 * HOUR)
        said = [message_from_bytes(one.content, policy=default) for one in mailbox.taken]
    bodies = [body.get_content() for one in said if (body := one.get_body(("plain",))) is not None]
    assert [FIRST_WORD in body for body in bodies] == ([True] if ends_at_night else [False, False])


# Whatever the receiver does


class Moody:
    """A receiver that is away for some stretches of time, and never takes some messages."""

    name = endpoint = "desk"

    def __init__(self, away: list[tuple[datetime, datetime]], never: set[str], how: AttemptOutcome) -> None:
        self.away, self.never, self.how = away, never, how
        self.took: list[str] = []

    def send(self, delivery: Delivery, now: datetime) -> Attempt:
        if any(begin <= now < end for begin, end in self.away):
            return Attempt(now, self.how, "away", 0)
        if delivery.id in self.never:
            return Attempt(now, AttemptOutcome.REFUSED, "not this one", 0)
        self.took.append(delivery.id)
        return Attempt(now, AttemptOutcome.DELIVERED, "", 0)


@st.composite
def lives(draw: st.DrawFn) -> list[list[Delivery]]:
    """Of some alerts the messages, in the order in which they are written."""
    made = []
    for number in range(draw(st.integers(1, 3))):
        at = START
        plans: list[Delivery] = []
        for reason in (ChangeReason.FIRED, ChangeReason.ESCALATED, ChangeReason.RESOLVED):
            at += timedelta(minutes=draw(st.sampled_from([0.05, 1, 7, 90, 700])))
            over = {"state": State.RESOLVED, "resolved_at": at} if reason is ChangeReason.RESOLVED else {}
            one = Change(
                alert(START, id=f"alert_{number}", series=f"company:C{number}", **over), State.FIRING, reason, at
            )
            plans += plan([one], ["desk"], at)
        made.append(plans)
    return made


def lived(store: Store, receiver: Moody, told: list[list[Delivery]], how_long: timedelta) -> None:
    """Write and send everything, each at its time, until nothing is left to be sent."""
    outbox = AlertStore(store)
    to_write = sorted((one for life in told for one in life), key=lambda one: one.created_at)
    now, end = to_write[0].created_at, START + how_long
    while True:
        ready = [one for one in to_write if one.created_at <= now]
        outbox.commit((), ready)
        to_write = to_write[len(ready) :]
        while deliver(outbox, receiver, now, Schedule(), jitter=lambda: 0.5):
            pass
        with store.database.reading() as cursor:
            waits = "SELECT min(next_attempt_at) FROM deliveries WHERE state = 'pending' AND next_attempt_at > $now"
            ((due,),) = cursor.sql(waits, params={"now": now}).pl().rows()
        coming = [*(one.created_at for one in to_write[:1]), *([due] if due else [])]
        if not coming:
            return
        now = min(coming) + SECOND / 10
        assert now < end, "something waits for ever"


stretches = st.lists(st.tuples(st.integers(0, 1500), st.sampled_from([1, 20, 300, 1000])), max_size=3)


@settings(max_examples=10, deadline=None)
@given(
    lives(),
    stretches,
    st.sampled_from([one for one in AttemptOutcome if not one.ok and not one.final]),
    st.data(),
)
def test_whatever_a_receiver_does_all_arrives_in_order_or_is_a_dead_letter(
    told: list[list[Delivery]], away: list[tuple[int, int]], how: AttemptOutcome, data: st.DataObject
) -> None:
    never = {one.id for life in told for one in life if data.draw(st.integers(0, 5)) == 0}
    times = [(START + begin * MINUTE, START + (begin + length) * MINUTE) for begin, length in away]
    receiver = Moody(times, never, how)
    with Store.open(":memory:", START) as store:
        lived(store, receiver, told, timedelta(days=20))
    for life in told:
        ids = [one.id for one in life]
        arrived = [one for one in receiver.took if one in ids]
        assert arrived == sorted(arrived, key=ids.index)
        assert len(set(arrived)) == len(arrived)
        if not never & set(ids):
            assert arrived == ids, "an outage of some days costs nothing"


def test_by_a_clock_that_was_set_back_a_beginning_is_tried_all_the_same() -> None:
    begins = Waiting("begins", START + 30 * HOUR, START, reasons=frozenset({"fired"}), alerts=frozenset({"a"}))
    ends = Waiting("ends", START + HOUR, START + HOUR, reasons=frozenset({"resolved"}), alerts=frozenset({"a"}))
    ahead = Tried(9, START + 20 * HOUR, 9, AttemptOutcome.UNREACHABLE)
    assert turn([ends], [begins], {"begins": ahead}, START + HOUR).anew == {"begins"}
    since = replace(ahead, attempts=1, at=START + HOUR)
    assert turn([ends], [begins], {"begins": since}, START + HOUR).due == ()


def test_a_group_is_overtaken_only_by_what_tells_of_all_its_alerts() -> None:
    group = Waiting("group", START, START, reasons=frozenset({"fired"}), alerts=frozenset({"a", "b"}))
    one = Waiting("one", START, START + HOUR, reasons=frozenset({"resolved"}), alerts=frozenset({"a"}))
    assert overtaken(one, [group]) == ()
    assert overtaken(replace(one, alerts=group.alerts), [group]) == ("group",)
