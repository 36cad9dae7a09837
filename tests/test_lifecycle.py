"""The life of an alert: laws that hold for any sequence of moments, and each step by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detection.spikes import Considered, Spike, Verdict
from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Bearing, Change, ChangeReason, Severity, Sight, State, advance, alert_id, bearing
from alerts.rules import Detector, Rules

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)
BANKS = "theme:bank-stress"

# Every step that the machine may take.
BLIND = (State.NO_DATA, State.ERROR)
STEPS = {
    ChangeReason.OPENED: {(State.QUIET, State.PENDING)},
    ChangeReason.FIRED: {(State.PENDING, State.FIRING)},
    ChangeReason.FADED: {(State.PENDING, State.RESOLVED)},
    ChangeReason.ESCALATED: {(State.FIRING, State.FIRING)},
    ChangeReason.EASED: {(State.FIRING, State.RECOVERING)},
    ChangeReason.RETURNED: {(State.RECOVERING, State.FIRING)},
    ChangeReason.RESOLVED: {(State.RECOVERING, State.RESOLVED)},
    ChangeReason.LOST: {(a, b) for a in (State.FIRING, State.RECOVERING, *BLIND) for b in BLIND if a is not b},
    ChangeReason.REGAINED: {(a, b) for a in BLIND for b in (State.FIRING, State.RECOVERING)},
}


def spike(
    verdict: Verdict = Verdict.SURGE,
    *,
    series: str = BANKS,
    observed: int = 9,
    p_value: float = 1e-6,
    severity: Severity = Severity.INFO,
) -> Spike:
    return Spike(
        series=series,
        at=START,
        hours=12,
        observed=observed,
        expected=1.0,
        p_value=p_value,
        per_week=p_value * 100,
        publishers=3,
        stories=tuple(range(observed)),
        since=START,
        verdict=verdict,
        severity=severity,
        smallest_detectable=7,
        history_days=20.0,
    )


CALM = spike(Verdict.USUAL, observed=1, p_value=0.6)


class Desk:
    """What a store would remember between two calls: alerts by id, and every change."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.alerts: dict[str, Alert] = {}
        self.changes: list[Change] = []

    def look(
        self,
        now: datetime,
        *spikes: Spike,
        evidence: tuple[Evidence, ...] | None = None,
        sight: Sight = Sight.CLEAR,
        seen_until: datetime | None = None,
    ) -> list[ChangeReason]:
        stories = {} if evidence is None else {BANKS: evidence}
        made = advance(tuple(self.alerts.values()), spikes, now, self.rules, stories, sight, seen_until)
        for change in made:
            self.alerts[change.alert.id] = change.alert
        self.changes += made
        return [change.reason for change in made]

    @property
    def alert(self) -> Alert:
        return self.changes[-1].alert


def test_a_surge_opens_and_fires_at_once_by_default_and_only_firing_is_told() -> None:
    desk = Desk()
    assert desk.look(START, spike()) == [ChangeReason.OPENED, ChangeReason.FIRED]
    assert [change.notifies for change in desk.changes] == [False, True]
    assert (desk.alert.state, desk.alert.fired_at, desk.alert.id) == (State.FIRING, START, alert_id(BANKS, START))


def test_a_surge_that_must_last_fires_when_it_has() -> None:
    desk = Desk(Rules(pending_minutes=30))
    assert desk.look(START, spike()) == [ChangeReason.OPENED]
    assert desk.look(START + 29 * MINUTE, spike(severity=Severity.WARNING)) == [ChangeReason.CONTINUED]
    assert desk.look(START + 30 * MINUTE, spike()) == [ChangeReason.FIRED]
    assert desk.alert.severity is Severity.WARNING


def test_a_surge_that_does_not_last_fades_untold() -> None:
    desk = Desk(Rules(pending_minutes=30))
    desk.look(START, spike())
    assert desk.look(START + 10 * MINUTE, CALM) == [ChangeReason.FADED]
    assert (desk.alert.state, desk.alert.fired_at) == (State.RESOLVED, None)
    assert not any(change.notifies for change in desk.changes)


def test_going_on_tells_nothing_but_brings_the_numbers_up_to_date_and_keeps_the_peak() -> None:
    desk = Desk()
    story = Evidence(1, "Bank closed", ("house",), "", START, 0.9)
    desk.look(START, spike(), evidence=(story,))
    assert desk.look(START + 10 * MINUTE, spike(observed=20, p_value=1e-12)) == [ChangeReason.CONTINUED]
    desk.look(START + 20 * MINUTE, spike(observed=12, p_value=1e-8))
    assert not desk.changes[-1].notifies
    assert (desk.alert.observed, desk.alert.peak_observed, desk.alert.peak_at) == (12, 20, START + 10 * MINUTE)
    assert desk.alert.evidence == (story,)


def test_a_graver_surge_is_told_once_and_a_lesser_one_takes_nothing_back() -> None:
    desk = Desk()
    desk.look(START, spike())
    assert desk.look(START + MINUTE, spike(severity=Severity.CRITICAL)) == [ChangeReason.ESCALATED]
    assert desk.look(START + 2 * MINUTE, spike(severity=Severity.CRITICAL)) == [ChangeReason.CONTINUED]
    assert desk.look(START + 3 * MINUTE, spike(severity=Severity.WARNING)) == [ChangeReason.CONTINUED]
    assert desk.alert.severity is Severity.CRITICAL


def test_an_alert_eases_returns_and_resolves_after_its_quiet_time() -> None:
    desk = Desk()
    desk.look(START, spike())
    assert desk.look(START + 10 * MINUTE, CALM) == [ChangeReason.EASED]
    assert desk.look(START + 20 * MINUTE, spike()) == [ChangeReason.RETURNED]
    assert desk.look(START + 30 * MINUTE, CALM) == [ChangeReason.EASED]
    assert desk.look(START + 739 * MINUTE) == []
    assert desk.look(START + 740 * MINUTE) == [ChangeReason.RESOLVED]
    assert [change.reason for change in desk.changes if change.notifies] == [ChangeReason.FIRED, ChangeReason.RESOLVED]


def test_an_alert_of_whole_days_stays_open_a_day_longer() -> None:
    """Days are counted back from now: what surges by one division of the days may not by another, an hour later."""
    slow = replace(spike(), hours=240)
    desk = Desk()
    desk.look(START, slow)
    desk.look(START + 10 * MINUTE, CALM)
    for hour in range(1, 24):
        assert desk.look(START + timedelta(hours=hour), CALM) == []
    assert desk.look(START + timedelta(days=1), slow) == [ChangeReason.RETURNED]
    desk.look(START + timedelta(days=1, minutes=10), CALM)
    assert desk.look(START + timedelta(days=2, minutes=719), CALM) == []
    assert desk.look(START + timedelta(days=2, minutes=720), CALM) == [ChangeReason.RESOLVED]


@pytest.mark.parametrize(("detectors", "again"), [(("volume", "slow"), False), (("volume",), True)])
def test_a_slow_rise_stays_one_alert_also_beside_windows_as_long(detectors: tuple[str, ...], again: bool) -> None:
    """It is seen for an hour each evening, under rules whose longest window is longer than the rise."""
    desk = Desk(Rules.model_validate({"windows": (24, 168), "detectors": detectors}))
    for hour in range(72):
        desk.look(START + timedelta(hours=hour), *([replace(spike(), hours=72)] if hour % 24 == 0 else []))
    assert (ChangeReason.RESOLVED in {change.reason for change in desk.changes}) is again


def test_an_alert_that_returns_graver_says_so() -> None:
    desk = Desk()
    desk.look(START, spike())
    desk.look(START + 10 * MINUTE, CALM)
    reasons = desk.look(START + 20 * MINUTE, spike(severity=Severity.WARNING))
    assert reasons == [ChangeReason.RETURNED, ChangeReason.ESCALATED]
    assert [change.alert.severity for change in desk.changes[-2:]] == [Severity.INFO, Severity.WARNING]


def test_one_look_after_a_long_sleep_does_not_end_an_alert() -> None:
    desk = Desk(Rules(recovering_minutes=0))
    desk.look(START, spike())
    assert desk.look(START + timedelta(days=3), CALM) == [ChangeReason.EASED]
    assert desk.look(START + timedelta(days=3, minutes=1), CALM) == [ChangeReason.RESOLVED]


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


@pytest.mark.parametrize("sight", [Sight.NO_DATA, Sight.ERROR])
def test_a_failure_in_every_quiet_time_keeps_no_alert_open_for_ever(sight: Sight) -> None:
    desk = Desk()
    desk.look(START, spike())
    for minutes in range(1, 25 * 60):
        desk.look(START + minutes * MINUTE, CALM, sight=sight if minutes % 60 == 0 else Sight.CLEAR)
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


@pytest.mark.parametrize("back", [timedelta(days=1), timedelta(days=365)])
def test_an_alert_of_a_clock_that_ran_ahead_ends_by_the_right_one(back: timedelta) -> None:
    desk = Desk(Rules(recovering_minutes=60))
    desk.look(START + back, spike())
    desk.look(START, spike())
    assert desk.look(START + MINUTE, CALM) == [ChangeReason.EASED]
    assert desk.look(START + 59 * MINUTE, CALM) == []
    assert desk.look(START + 61 * MINUTE, CALM) == [ChangeReason.RESOLVED]


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


def test_what_is_no_surge_of_its_own_keeps_an_alert_but_opens_none() -> None:
    lingering = spike(Verdict.USUAL, observed=5, p_value=0.005)
    desk = Desk()
    assert desk.look(START, lingering) == []
    desk.look(START, spike())
    assert desk.look(START + MINUTE, lingering) == [ChangeReason.CONTINUED]
    assert bearing(replace(lingering, expected=3.0), Rules()) is Bearing.EASES
    assert bearing(replace(lingering, p_value=0.02), Rules()) is Bearing.EASES


def test_what_is_no_surge_of_its_own_makes_an_alert_no_graver() -> None:
    """Widely carried, it scores high although chance brings it more often than the rules allow."""
    desk = Desk()
    desk.look(START, spike())
    lingering = spike(Verdict.USUAL, p_value=0.005, severity=Severity.CRITICAL)
    assert desk.look(START + MINUTE, lingering) == [ChangeReason.CONTINUED]
    assert desk.alert.severity is Severity.INFO
    assert desk.look(START + 2 * MINUTE, spike(severity=Severity.CRITICAL)) == [ChangeReason.ESCALATED]


def test_one_window_that_is_still_far_above_the_usual_keeps_an_alert_whichever_is_told() -> None:
    """A tone that is mostly bad anyway cannot double, however rare it is; the count beside it can."""
    volume = Considered(Detector.VOLUME, 24, 14, 1.5, 3, 120, 5e-4, 0.01, 1e-4, Verdict.USUAL)
    tone = Considered(Detector.TONE, 24, 14, 9.0, 3, 15, 2e-4, 2e-3, 1e-4, Verdict.USUAL)
    told = replace(spike(Verdict.USUAL, observed=14, p_value=4e-3), expected=9.0, detector=Detector.TONE)
    for considered, means in (((tone, volume), Bearing.KEEPS), ((tone,), Bearing.EASES)):
        assert bearing(replace(told, considered=considered), Rules()) is means


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.SURGE])
def test_only_a_surge_opens_an_alert(verdict: Verdict) -> None:
    assert Desk().look(START, spike(verdict, p_value=0.0)) == []


def test_a_series_that_learns_anew_does_not_keep_an_alert() -> None:
    desk = Desk()
    desk.look(START, spike())
    assert desk.look(START + MINUTE, spike(Verdict.LEARNING, p_value=0.0)) == [ChangeReason.EASED]


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


def test_contradictions_are_refused() -> None:
    desk = Desk()
    desk.look(START, spike())
    twin = replace(desk.alert, id="alert_other")
    with pytest.raises(ValueError, match="open alerts"):
        advance([desk.alert, twin], [], START, Rules(), {})
    with pytest.raises(ValueError, match="spikes"):
        advance([], [spike(), spike()], START, Rules(), {})
    with pytest.raises(ValueError, match="aware"):
        advance([], [], START.replace(tzinfo=None), Rules(), {})
    for wrong in (
        {"state": State.QUIET},
        {"resolved_at": START},
        {"fired_at": None},
        {"peak_at": START.replace(tzinfo=None)},
    ):
        with pytest.raises(ValueError, match="alert"):
            replace(desk.alert, **wrong)


looks = st.lists(
    st.tuples(
        st.integers(-30, 900),
        st.sampled_from([Sight.CLEAR, Sight.CLEAR, Sight.CLEAR, Sight.NO_DATA, Sight.ERROR]),
        st.dictionaries(
            st.sampled_from([BANKS, "market", "company:JPM"]),
            st.tuples(
                st.sampled_from(Verdict),
                st.sampled_from(Severity),
                st.sampled_from([0.0, 1e-9, 0.005, 0.5]),
                st.integers(1, 30),
            ),
        ),
    ),
    max_size=25,
)


@given(looks=looks, pending=st.sampled_from([0, 15, 60]), recovering=st.sampled_from([0, 30, 720]))
def test_laws_of_the_lifecycle(
    looks: list[tuple[int, Sight, dict[str, tuple[Verdict, Severity, float, int]]]], pending: int, recovering: int
) -> None:
    desk, now = Desk(Rules(pending_minutes=pending, recovering_minutes=recovering)), START
    for minutes, sight, seen in looks:
        now += minutes * MINUTE + timedelta(microseconds=1)  # two looks never share an instant
        before = dict(desk.alerts)
        spikes = [
            spike(verdict, series=series, severity=severity, p_value=p_value, observed=observed)
            for series, (verdict, severity, p_value, observed) in seen.items()
        ]
        known = len(desk.changes)
        desk.look(now, *spikes, sight=sight)
        states = {key: alert.state for key, alert in before.items()}
        for change in desk.changes[known:]:
            # No state is skipped, within a call or between calls.
            assert change.before is states.get(change.alert.id, State.QUIET)
            same = {(change.before, change.before)}
            assert (change.before, change.alert.state) in STEPS.get(change.reason, same)
            # Nothing ends while nothing can be seen.
            assert sight is Sight.CLEAR or change.alert.is_open
            states[change.alert.id] = change.alert.state
            # Only a surge opens, never in a series that is learning.
            if change.reason is ChangeReason.OPENED:
                assert seen[change.alert.series][0] is Verdict.SURGE
            old = before.get(change.alert.id)
            if old is not None:
                # What has ended never changes, and nothing goes back: neither severity, nor peak, nor time.
                assert old.is_open
                assert change.alert.severity.rank >= old.severity.rank
                assert change.alert.peak_p_value <= old.peak_p_value
                assert change.alert.last_spike_at >= old.last_spike_at
        ongoing = [alert.series for alert in desk.alerts.values() if alert.is_open]
        assert len(ongoing) == len(set(ongoing))
    for key in desk.alerts:
        notices = [change for change in desk.changes if change.alert.id == key and change.notifies]
        told = [change.reason for change in notices]
        # By reason and time a message is known; whatever the clock does, no two have both in common.
        assert len({(change.reason, change.at) for change in notices}) == len(notices)
        # One firing, at most two escalations, one resolution, in that order.
        assert told.count(ChangeReason.FIRED) <= 1
        assert told.count(ChangeReason.ESCALATED) <= 2
        assert not told or told[0] is ChangeReason.FIRED
        assert ChangeReason.RESOLVED not in told[:-1]


@given(looks=looks)
def test_the_same_looks_give_the_same_changes(
    looks: list[tuple[int, Sight, dict[str, tuple[Verdict, Severity, float, int]]]],
) -> None:
    desks = Desk(), Desk()
    for desk in desks:
        now = START
        for minutes, sight, seen in looks:
            now += minutes * MINUTE
            ordered = list(seen.items()) if desk is desks[0] else list(reversed(seen.items()))
            desk.look(
                now,
                *(spike(v, series=name, severity=s, p_value=p, observed=n) for name, (v, s, p, n) in ordered),
                sight=sight,
            )
    assert desks[0].changes == desks[1].changes
