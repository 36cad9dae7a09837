"""The life of an alert: laws that hold for any sequence of looks."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from alerts.detection.spikes import Verdict
from alerts.lifecycle import ChangeReason, Severity, Sight, State
from alerts.rules import Rules

SCENE = runpy.run_path(str(Path(__file__).with_name("lifecycle_scene.py")))
BANKS, MINUTE, START, Desk, spike = (SCENE[name] for name in ("BANKS", "MINUTE", "START", "Desk", "spike"))

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
