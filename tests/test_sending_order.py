"""What is due on a channel goes in an order that helps: news first, nothing last for ever, each alert's story told
in the order in which it happened."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alerts.detection.spikes import Severity
from alerts.sending.attempt import Attempt, AttemptOutcome
from alerts.sending.delivery import Schedule, after
from alerts.sending.order import SHARE_OF_OLDEST, Waiting, in_order
from alerts.telling.conditions import Condition, Health, turn
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
HOUR, MINUTE, START = (SCENE[name] for name in ("HOUR", "MINUTE", "START"))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DONE = Attempt(NOW, AttemptOutcome.DELIVERED, "", 1)

REASONS = ("fired", "escalated", "reminded", "resolved")
minutes = st.integers(0, 60 * 24 * 4).map(lambda number: timedelta(minutes=number))


@st.composite
def queues(draw: st.DrawFn) -> list[Waiting]:
    """Some alerts with some of their messages each, in the order of their lives; groups of several, digests, news of
    Squall's own, and what is left for one recipient."""
    made: list[Waiting] = []
    for alert in range(draw(st.integers(0, 6))):
        severity = draw(st.sampled_from(Severity))
        said = [reason for reason in REASONS if draw(st.booleans())]
        recipient = draw(st.sampled_from(["", "", "bo@example.com"]))
        written = NOW - draw(minutes)
        for reason in said:
            written += timedelta(minutes=draw(st.integers(1, 300)))
            due = written + draw(st.sampled_from([timedelta(0), timedelta(hours=2), timedelta(days=1)]))
            made.append(_waiting(f"{alert}-{reason}", due, written, [reason], [f"a{alert}"], severity, recipient))
    for number in range(draw(st.integers(0, 3))):
        alerts = draw(st.lists(st.sampled_from([f"a{one}" for one in range(6)]), min_size=2, unique=True))
        reasons = draw(st.lists(st.sampled_from(REASONS), min_size=1, unique=True))
        at = NOW - draw(minutes)
        made.append(_waiting(f"group-{number}", at, at, reasons, alerts, draw(st.sampled_from(Severity))))
    for number in range(draw(st.integers(0, 4))):
        at = NOW - draw(minutes)
        made.append(_waiting(f"other-{number}", at, at, [draw(st.sampled_from(["digest", "failing", "well"]))]))
    return list(draw(st.permutations(made)))


def _waiting(
    id_: str,
    due: datetime,
    written: datetime,
    reasons: list[str],
    alerts: list[str] | None = None,
    severity: Severity | None = None,
    recipient: str = "",
) -> Waiting:
    return Waiting(id_, due, written, recipient, frozenset(reasons), frozenset(alerts or ()), severity)


def order(due: list[Waiting], gone: int = 0) -> list[str]:
    return list(in_order(due, NOW, gone))


@given(queues(), st.integers(0, 9))
def test_everything_that_is_due_goes_once_whatever_order_it_was_found_in(due: list[Waiting], gone: int) -> None:
    made = order(due, gone)
    assert sorted(made) == sorted(one.id for one in due)
    assert made == order(list(reversed(due)), gone)


@given(queues(), st.integers(0, 9))
def test_what_is_told_of_one_alert_goes_in_the_order_in_which_it_happened(due: list[Waiting], gone: int) -> None:
    place = {id_: number for number, id_ in enumerate(order(due, gone))}
    single = [one for one in due if len(one.alerts) == 1]
    for one in single:
        for other in single:
            if (one.alerts, one.recipient) == (other.alerts, other.recipient) and one.created_at < other.created_at:
                assert place[one.id] < place[other.id]


@given(queues(), st.integers(0, 9))
def test_a_message_alone_and_the_group_that_tells_of_its_alert_go_as_they_were_written(
    due: list[Waiting], gone: int
) -> None:
    place = {id_: number for number, id_ in enumerate(order(due, gone))}
    for group in (one for one in due if len(one.alerts) > 1 and len(one.reasons) > 1):
        for one in due:
            neither_first_nor_last = not one.reasons <= {"fired", "resolved"}
            if one.recipient == "" and one.alerts & group.alerts and len(one.alerts) == 1 and neither_first_nor_last:
                sooner = place[one.id] < place[group.id]
                assert one.created_at == group.created_at or sooner == (one.created_at < group.created_at)


@given(queues(), st.integers(0, 9))
def test_news_of_the_last_hour_waits_for_nothing_else_but_what_was_said_of_its_alert_and_every_fourth_place(
    due: list[Waiting], gone: int
) -> None:
    written = min((one.created_at for one in due), default=NOW)
    news = _waiting("news", NOW, NOW - MINUTE, ["fired"], ["new"], Severity.CRITICAL)
    graver = [
        one
        for one in due
        if one.reasons & {"fired", "escalated"} and one.severity is Severity.CRITICAL and NOW - one.created_at <= HOUR
    ]
    if any(one.recipient == "" for one in graver) or written > NOW:
        return
    assert "news" in order([*due, news], gone)[:2], "one place may be that of the longest due"


@given(st.integers(1, 12), st.integers(0, 9))
def test_what_is_due_for_longest_is_not_left_for_last_however_much_news_comes(waiting: int, gone: int) -> None:
    old = [_waiting(f"old-{n}", NOW - HOUR * (n + 2), NOW - HOUR * (n + 2), ["digest"]) for n in range(waiting)]
    sent: list[str] = []
    # Each message that goes is followed by more news, so there is news at every turn.
    for turn_ in range(waiting * SHARE_OF_OLDEST):
        news = [_waiting(f"news-{turn_}-{n}", NOW, NOW, ["fired"], [f"{turn_}-{n}"], Severity.INFO) for n in range(3)]
        left = [one for one in old if one.id not in sent]
        sent += list(islice(in_order([*left, *news], NOW, gone + turn_), 1))
    assert {one.id for one in old} <= set(sent)


def test_ranks_are_as_documented() -> None:
    def at(hours: float) -> datetime:
        return NOW - timedelta(hours=hours)

    due = [
        _waiting("part", at(9), at(9), ["fired"], ["a"], Severity.CRITICAL, "bo@example.com"),
        _waiting("digest", at(8), at(8), ["digest"]),
        _waiting("reminder", at(7), at(7), ["reminded"], ["b"], Severity.CRITICAL),
        _waiting("old", at(6), at(6), ["fired"], ["c"], Severity.CRITICAL),
        _waiting("trouble", at(5), at(5), ["failing"]),
        _waiting("end", at(0.1), at(0.1), ["resolved"], ["d"], Severity.CRITICAL),
        _waiting("info", at(0.5), at(0.5), ["fired"], ["e"], Severity.INFO),
        _waiting("warning", at(0.4), at(0.4), ["escalated"], ["f"], Severity.WARNING),
        _waiting("group", at(0.2), at(0.2), ["fired", "resolved"], ["g", "h"], Severity.CRITICAL),
    ]
    shown = [id_ for number, id_ in enumerate(order(due), 1) if number % SHARE_OF_OLDEST]
    assert shown == ["group", "warning", "info", "old", "trouble", "end", "reminder"]


def test_an_end_never_precedes_the_beginning_by_a_clock_that_was_set_back() -> None:
    due = [
        _waiting("end", NOW, NOW - HOUR, ["resolved"], ["a"], Severity.INFO),
        _waiting("beginning", NOW, NOW, ["fired"], ["a"], Severity.INFO),
    ]
    assert order(due) == ["beginning", "end"]


# On the real store


def test_after_an_outage_a_new_alert_goes_first_and_takes_nothing_s_place_for_ever(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        desk.status = 503
        outage = [f"company:C{number}" for number in range(60)]
        house.look(START, *(spike(series=one) for one in outage))
        for hours in (0, 1, 2):
            for _ in range(3):
                house.send(START + hours * HOUR)
        desk.status = 204
        desk.taken.clear()
        now = START + 30 * HOUR
        house.look(now, *(spike(series=one) for one in outage), spike(Severity.CRITICAL))
        house.send(now)
        sent = [message["data"]["series"] for _, message in desk.taken]
        assert sent.index("theme:bank-stress") < 2
        while AlertStore(store).due("desk", now, 1):
            house.send(now)
        assert len({id_ for id_, _ in desk.taken}) == 61
        assert len(desk.taken) == 61


def test_what_became_graver_goes_at_once_and_after_the_alert_s_first_message(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        desk.status = 503
        outage = [f"company:C{number}" for number in range(20)]
        house.look(START, *(spike(series=one) for one in outage), spike())
        house.send(START)
        desk.status = 204
        desk.taken.clear()
        now = START + 2 * HOUR
        house.look(now, *(spike(series=one) for one in outage), spike(Severity.CRITICAL))
        house.send(now)
        told = [message["type"] for _, message in desk.taken if message["data"]["series"] == "theme:bank-stress"]
        assert told == ["squall.alert.fired", "squall.alert.escalated"]
        places = [n for n, (_, message) in enumerate(desk.taken) if message["data"]["series"] == "theme:bank-stress"]
        assert max(places) <= 2


def test_a_group_is_as_urgent_as_the_gravest_that_it_is_made_of(store: Store) -> None:
    route = {"name": "all", "group_minutes": 10}
    with hook() as desk:
        house = House(store, {"desk": desk}, routes=[route])
        trouble = [Condition(f"stage:{n}", Health.FAILING, START, "it broke") for n in range(12)]
        told = turn({}, trouble, ("desk",), START + HOUR, HOUR)
        AlertStore(store).commit((), told.deliveries)
        now = START + HOUR
        house.look(now, spike(Severity.CRITICAL), spike(series="company:JPM"))
        house.send(now + 11 * MINUTE)
        assert "squall.group" in [message["type"] for _, message in desk.taken][:2]


def test_the_store_counts_on_between_the_calls_of_a_worker_that_asks_for_one_at_a_time(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        outbox = AlertStore(store)
        trouble = [Condition(f"stage:{n}", Health.FAILING, START, "it broke") for n in range(2)]
        outbox.commit((), turn({}, trouble, ("desk",), START, timedelta(0)).deliveries)
        now = START + 5 * HOUR
        house.look(now, *(spike(series=f"company:C{number}") for number in range(9)))
        asked: list[Any] = []
        for _ in range(SHARE_OF_OLDEST):
            (one,) = outbox.due("desk", now, 1)
            asked.append(one)
            outbox.record(after(one, DONE, Schedule(), 0), DONE)
        assert [one.reason for one in asked] == ["fired", "fired", "fired", "failing"]
