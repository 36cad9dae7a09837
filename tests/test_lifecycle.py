"""The life of an alert: each step by name, and what opens an alert, keeps it and makes it graver."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.detection.spikes import Considered, Verdict
from alerts.evidence import Evidence
from alerts.lifecycle import Bearing, ChangeReason, Severity, State, advance, alert_id, bearing
from alerts.rules import Detector, Rules

SCENE = runpy.run_path(str(Path(__file__).with_name("lifecycle_scene.py")))
BANKS, CALM, MINUTE, START, Desk = (SCENE[name] for name in ("BANKS", "CALM", "MINUTE", "START", "Desk"))
spike = SCENE["spike"]


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


# What opens an alert, and what only keeps it


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.SURGE])
def test_only_a_surge_opens_an_alert(verdict: Verdict) -> None:
    assert Desk().look(START, spike(verdict, p_value=0.0)) == []


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


def test_a_series_that_learns_anew_does_not_keep_an_alert() -> None:
    desk = Desk()
    desk.look(START, spike())
    assert desk.look(START + MINUTE, spike(Verdict.LEARNING, p_value=0.0)) == [ChangeReason.EASED]


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
