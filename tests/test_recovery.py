"""After an outage: what waits for a retry goes as soon as its channel takes another message, and only then."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detection.spikes import Severity
from alerts.sending import delivery as delivering
from alerts.sending.attempt import Answer, Attempt, AttemptOutcome
from alerts.sending.delivery import DeliveryState, Schedule, after
from alerts.sending.recovery import Patience, Retry, hastened, patience
from monitor.service.page_actions import for_pages
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Store

RECIPIENTS = runpy.run_path(str(Path(__file__).with_name("test_recipients.py")))
SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
BO, BUSY, HOUR, MINUTE, START = (RECIPIENTS[name] for name in ("BO", "BUSY", "HOUR", "MINUTE", "START"))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STEPS = Schedule().steps


def retry(outcome: AttemptOutcome = AttemptOutcome.UNREACHABLE, recipient: str = "", attempts: int = 8) -> Retry:
    """One that waited each time as long as the schedule says."""
    before = NOW - STEPS[attempts - 2]
    return Retry("one", recipient, outcome, attempts, NOW + STEPS[attempts - 1], NOW, NOW, before)


# Which outcome says what


@pytest.mark.parametrize(
    ("outcome", "alone", "among_others", "of_one_recipient"),
    [
        (AttemptOutcome.UNREACHABLE, None, None, None),
        (AttemptOutcome.TIMED_OUT, None, None, None),
        (AttemptOutcome.MISCONFIGURED, None, None, None),
        (AttemptOutcome.THROTTLED, None, None, Patience.ITS_OWN),
        (AttemptOutcome.REFUSED, Patience.ITS_OWN, None, Patience.ITS_OWN),
        (AttemptOutcome.FAILED, Patience.ITS_OWN, Patience.ITS_OWN, Patience.ITS_OWN),
    ],
)
def test_what_is_said_of_the_receiver_is_over_and_what_is_said_of_the_message_is_not(
    outcome: AttemptOutcome, alone: Patience | None, among_others: Patience | None, of_one_recipient: Patience | None
) -> None:
    schedule = Schedule()
    assert patience(retry(outcome), schedule, others_refused=False) is alone
    assert patience(retry(outcome), schedule, others_refused=True) is among_others
    assert patience(retry(outcome, BO), schedule, others_refused=True) is of_one_recipient


def test_refusals_of_single_recipients_say_nothing_of_the_receiver() -> None:
    whole, part = retry(AttemptOutcome.REFUSED), replace(retry(AttemptOutcome.REFUSED, BO), id="part")
    assert hastened([whole, part], Schedule()) == ()
    assert hastened([whole, part, replace(whole, id="two")], Schedule()) == ("one", "two")


@pytest.mark.parametrize(("wait", "kept"), [(1.0, None), (1.2, None), (1.3, Patience.ASKED_FOR)])
def test_who_was_asked_to_wait_longer_than_a_step_waits(wait: float, kept: Patience | None) -> None:
    one = replace(retry(AttemptOutcome.THROTTLED), due_at=NOW + wait * STEPS[7])
    assert patience(one, Schedule(), others_refused=False) is kept


def test_one_that_was_tried_early_serves_a_whole_wait_before_it_is_again() -> None:
    early = replace(retry(), ended_before=NOW - STEPS[6] + SECOND)
    assert patience(early, Schedule(), others_refused=False) is Patience.TRIED_EARLY
    first = replace(early, attempts=1, due_at=NOW + STEPS[0], ended_before=None)
    assert patience(first, Schedule(), others_refused=False) is None


@given(st.sampled_from([AttemptOutcome.TIMED_OUT, AttemptOutcome.THROTTLED]), st.integers(1, 120), st.floats(0, 0.99))
def test_a_message_that_is_never_taken_is_not_spent_while_all_others_are(
    outcome: AttemptOutcome, minutes: int, jitter: float
) -> None:
    """Another one goes through every few minutes; each early attempt is followed by a whole wait."""
    schedule, now = Schedule(), NOW
    one, tried, others = delivering.test_delivery("desk", NOW), [NOW], NOW
    one = after(one, Attempt(now, outcome, "no", 0), schedule, jitter)
    while one.state is DeliveryState.PENDING:
        assert one.next_attempt_at is not None
        others += timedelta(minutes=minutes)
        known = Retry(
            one.id,
            "",
            outcome,
            one.attempts,
            one.next_attempt_at,
            tried[-1],
            tried[-1],
            tried[-2] if tried[1:] else None,
        )
        now = min(others, one.next_attempt_at) if hastened([known], schedule) else one.next_attempt_at
        others = max(others, now)
        tried.append(now)
        one = after(one, Attempt(now, outcome, "no", 0), schedule, jitter)
    assert len(tried) == schedule.most_attempts
    early = [later - sooner < step for (sooner, later), step in zip(pairwise(tried), STEPS, strict=True)]
    assert not any(both == (True, True) for both in pairwise(early))
    assert tried[-1] - NOW > timedelta(hours=30)


# On the real store


@pytest.mark.parametrize("status", [503, 500])
def test_after_an_outage_all_goes_in_order_behind_the_first_message_that_arrives(store: Store, status: int) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        desk.status = status
        waiting = [f"company:C{number}" for number in range(4)]
        for number in range(len(waiting)):
            house.look(START + number * SECOND, *(spike(series=one) for one in waiting[: number + 1]))
        for hours in (0.1, 0.2, 0.5, 1, 2, 5, 13):
            house.send(START + hours * HOUR)
        desk.status = 204
        desk.taken.clear()
        now = START + 14 * HOUR
        assert not AlertStore(store).due("desk", now, 1), "the next try would be hours away"
        house.look(now, *(spike(series=one) for one in waiting), spike(Severity.CRITICAL))
        house.send(now)
        assert len(desk.taken) == 1
        house.send(now + SECOND)
        sent = [message["data"]["series"] for _, message in desk.taken]
        assert sent == ["theme:bank-stress", *waiting]


def test_a_test_message_that_arrives_sets_what_waits_on_its_way(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        desk.status = 503
        house.look(START, spike())
        house.send(START)
        now = START + 2 * SECOND
        ask: Any = for_pages(house.settings, store, lambda: now, {})["test_channel"]
        assert ask({"channel": "desk"})["hastened"] == 0, "it did not arrive"
        desk.status = 204
        assert ask({"channel": "desk"})["hastened"] == 1
        house.send(now + SECOND)
        assert desk.taken[-1][1]["type"] == "squall.alert.fired"


def test_one_that_the_receiver_alone_refuses_waits_as_before(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        desk.status = 500
        house.look(START, spike())
        house.send(START)
        (waiting,) = AlertStore(store).due("desk", START + HOUR, 1)
        desk.status = 204
        house.look(START + SECOND, spike(), spike(series="company:JPM"))
        house.send(START + SECOND)
        assert len(desk.taken) == 2
        assert AlertStore(store).delivery(waiting.id) == waiting


def test_a_mailbox_that_refuses_is_not_hurried_by_mail_for_the_others_and_an_outage_s_mail_is(store: Store) -> None:
    with RECIPIENTS["house_of"](store) as (house, mailbox, _):
        outbox = AlertStore(store)
        mailbox.to_recipient = {BO: BUSY}
        house.look(START, spike())
        house.send(START)
        (part,) = outbox.due("mail", START + HOUR, 9)
        mailbox.to_recipient = dict.fromkeys(house.settings.channels[0].addresses, BUSY)
        house.look(START + SECOND, spike(), spike(series="company:JPM"))
        house.send(START + SECOND)
        mailbox.to_recipient = {BO: BUSY}
        house.look(START + 2 * SECOND, spike(), spike(series="company:JPM"), spike(series="company:BAC"))
        house.send(START + 2 * SECOND)
        assert outbox.delivery(part.id) == part
        due = {one.recipient for one in outbox.due("mail", START + 3 * SECOND, 9)}
        assert due == {""}, "all of it was put off, so it was not for one recipient"


def test_what_was_tried_early_in_vain_waits_a_whole_step_of_its_own(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        outbox, schedule = AlertStore(store), Schedule()
        house.look(START, spike(), spike(series="company:JPM"))
        one, other = outbox.due("desk", START, 9)
        now = START
        no = Answer(AttemptOutcome.TIMED_OUT, "no answer")
        for step in STEPS[:7]:
            tried = Attempt(now, no.outcome, no.reason, 0)
            one = after(one, tried, schedule, 0)
            outbox.record(one, tried)
            now += step
        now = now - STEPS[6] + SECOND
        assert outbox.hasten("desk", now, schedule) == 1
        tried = Attempt(now, no.outcome, no.reason, 0)
        one = after(one, tried, schedule, 0)
        outbox.record(one, tried)
        assert outbox.hasten("desk", now + SECOND, schedule) == 0
        assert outbox.delivery(one.id) == one
        assert [each.id for each in outbox.due("desk", now, 9)] == [other.id]
