"""The life of an alert in time: only quiet that was seen ends it, and a clock that is set back ends or hides none."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.lifecycle import ChangeReason, Severity, Sight, State
from alerts.rules import Rules

SCENE = runpy.run_path(str(Path(__file__).with_name("lifecycle_scene.py")))
CALM, INSTANT, MINUTE, START, Desk = (SCENE[name] for name in ("CALM", "INSTANT", "MINUTE", "START", "Desk"))
spike = SCENE["spike"]

# While nothing can be seen


@pytest.mark.parametrize(("sight", "state"), [(Sight.NO_DATA, State.NO_DATA), (Sight.ERROR, State.ERROR)])
def test_while_nothing_can_be_seen_an_alert_neither_eases_nor_resolves(sight: Sight, state: State) -> None:
    desk = Desk(Rules(recovering_minutes=60))
    desk.look(START, spike())
    assert desk.look(START + MINUTE, sight=sight) == [ChangeReason.LOST]
    assert desk.alert.state is state
    assert desk.look(START + timedelta(days=3), sight=sight) == []
    back = START + timedelta(days=3, minutes=1)
    assert desk.look(back, CALM) == [ChangeReason.REGAINED]
    assert (desk.alert.state, desk.alert.sighted_at) == (State.RECOVERING, back)
    # Only quiet that was seen counts.
    assert desk.look(back + 59 * MINUTE, CALM) == []
    assert desk.look(back + 60 * MINUTE, CALM) == [ChangeReason.RESOLVED]
    assert [change.reason for change in desk.changes if change.notifies] == [ChangeReason.FIRED, ChangeReason.RESOLVED]


def test_quiet_before_a_failure_and_after_it_adds_up() -> None:
    desk = Desk(Rules(recovering_minutes=60))
    desk.look(START, spike())
    desk.look(START + MINUTE, CALM)
    assert desk.look(START + 40 * MINUTE, sight=Sight.ERROR) == [ChangeReason.LOST]
    assert desk.look(START + 50 * MINUTE, sight=Sight.NO_DATA) == [ChangeReason.LOST]
    back = START + timedelta(hours=9)
    assert desk.look(back, CALM) == [ChangeReason.REGAINED]
    assert desk.look(back + 19 * MINUTE, CALM) == []
    assert desk.look(back + 20 * MINUTE, CALM) == [ChangeReason.RESOLVED]


def test_quiet_ends_when_news_was_last_seen_and_not_when_that_was_noticed() -> None:
    desk = Desk(Rules(recovering_minutes=60))
    desk.look(START, spike())
    desk.look(START + MINUTE, CALM)
    later = START + timedelta(hours=5)
    desk.look(later, sight=Sight.NO_DATA, seen_until=START + 10 * MINUTE)
    desk.look(later + MINUTE, CALM)
    assert desk.look(later + 50 * MINUTE, CALM) == []
    assert desk.look(later + 51 * MINUTE, CALM) == [ChangeReason.RESOLVED]


@pytest.mark.parametrize("every", [60, 2], ids=["in every hour", "at every other look"])
@pytest.mark.parametrize("sight", [Sight.NO_DATA, Sight.ERROR])
def test_a_failure_in_every_quiet_time_keeps_no_alert_open_for_ever(sight: Sight, every: int) -> None:
    desk = Desk()
    desk.look(START, spike())
    for minutes in range(1, 25 * 60):
        desk.look(START + minutes * MINUTE, CALM, sight=sight if minutes % every == 0 else Sight.CLEAR)
    assert desk.alert.state is State.RESOLVED


@given(st.lists(st.tuples(st.integers(1, 200), st.sampled_from([*Sight])), max_size=60))
def test_an_alert_is_over_after_as_much_quiet_as_was_seen(looks: list[tuple[int, Sight]]) -> None:
    """Of each stretch between two looks it counts as quiet when neither of them was blind."""
    desk = Desk(Rules(recovering_minutes=600))
    desk.look(START, spike())
    now, quiet, before = START, timedelta(0), Sight.CLEAR
    for minutes, sight in looks:
        now += minutes * MINUTE
        if sight is before is Sight.CLEAR:
            quiet += minutes * MINUTE
        # A failure is noticed at a look: what led up to it was seen until `seen_until`.
        desk.look(now, CALM, sight=sight, seen_until=now - minutes * MINUTE)
        before = sight
        assert (desk.alert.state is State.RESOLVED) <= (quiet >= 600 * MINUTE)
    for _ in range(2):
        now += 600 * MINUTE
        desk.look(now, CALM)
    desk.look(now, CALM)
    assert desk.alert.state is State.RESOLVED


def test_a_surge_that_is_seen_counts_although_most_is_not() -> None:
    desk = Desk()
    assert desk.look(START, spike(), sight=Sight.NO_DATA) == [ChangeReason.OPENED, ChangeReason.FIRED]
    desk.look(START + MINUTE, sight=Sight.NO_DATA)
    reasons = desk.look(START + 2 * MINUTE, spike(severity=Severity.CRITICAL), sight=Sight.NO_DATA)
    assert reasons == [ChangeReason.REGAINED, ChangeReason.ESCALATED]


def test_what_has_not_fired_waits_while_nothing_can_be_seen() -> None:
    desk = Desk(Rules(pending_minutes=30))
    desk.look(START, spike())
    assert desk.look(START + 10 * MINUTE, sight=Sight.NO_DATA) == []
    assert desk.look(START + 20 * MINUTE, CALM) == [ChangeReason.FADED]


def test_one_blindness_may_follow_another() -> None:
    desk = Desk()
    desk.look(START, spike())
    desk.look(START + MINUTE, CALM)
    assert desk.look(START + 2 * MINUTE, sight=Sight.NO_DATA) == [ChangeReason.LOST]
    assert desk.look(START + 3 * MINUTE, sight=Sight.ERROR) == [ChangeReason.LOST]
    assert desk.alert.state is State.ERROR


@pytest.mark.parametrize(("blind", "step"), [(False, ChangeReason.EASED), (True, ChangeReason.REGAINED)])
def test_one_look_after_a_long_sleep_does_not_end_an_alert(blind: bool, step: ChangeReason) -> None:
    desk = Desk(Rules(recovering_minutes=0))
    desk.look(START, spike())
    if blind:
        desk.look(START + MINUTE, sight=Sight.ERROR)
    assert desk.look(START + timedelta(days=3), CALM) == [step]
    assert desk.look(START + timedelta(days=3, minutes=1), CALM) == [ChangeReason.RESOLVED]


# Under a clock that is wrong


@pytest.mark.parametrize("again", [True, False], ids=["seen again", "not seen again"])
@pytest.mark.parametrize("back", [timedelta(days=1), timedelta(days=365)])
def test_an_alert_of_a_clock_that_ran_ahead_ends_by_the_right_one(back: timedelta, again: bool) -> None:
    desk = Desk(Rules(recovering_minutes=60))
    desk.look(START + back, spike())
    if again:
        assert desk.look(START, spike()) == [ChangeReason.CONTINUED]
    assert desk.look(START + MINUTE * again, CALM) == [ChangeReason.EASED]
    assert desk.look(START + 59 * MINUTE, CALM) == []
    assert desk.look(START + 60 * MINUTE, CALM) == [ChangeReason.RESOLVED]


def test_a_clock_set_back_moves_no_time_back() -> None:
    desk = Desk()
    desk.look(START, spike())
    desk.look(START - timedelta(hours=2), spike())
    assert (desk.alert.last_spike_at, desk.changes[-1].at) == (START + INSTANT, START + INSTANT)


def test_a_surge_that_must_last_is_told_under_a_clock_set_back() -> None:
    """Not when the right time has caught up with the wrong one, hours later."""
    desk = Desk(Rules(pending_minutes=10))
    assert desk.look(START, spike()) == [ChangeReason.OPENED]
    assert desk.look(START - timedelta(hours=8), spike()) == [ChangeReason.FIRED]
    assert desk.alert.fired_at == START + INSTANT


def test_two_escalations_under_a_clock_set_back_are_told_apart_and_in_order() -> None:
    desk = Desk()
    desk.look(START, spike())
    for minutes, severity in ((-110, Severity.WARNING), (-80, Severity.CRITICAL)):
        assert desk.look(START + minutes * MINUTE, spike(severity=severity)) == [ChangeReason.ESCALATED]
    assert [change.at for change in desk.changes[1:]] == [START, START + INSTANT, START + 2 * INSTANT]
