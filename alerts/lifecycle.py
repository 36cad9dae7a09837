"""The life of an alert: learning, quiet, pending, firing, recovering, resolved.

takes  the open alerts, the spikes of one moment, now, rules, evidence, and whether news can be seen at all
gives  `Change`s: each alert after one step, with the step's reason
never  remembers (all memory is in the `Alert`), sends, or skips a state

    QUIET ──OPENED──> PENDING ──FIRED──> FIRING ──EASED──> RECOVERING ──RESOLVED──> RESOLVED
                         └────FADED──> RESOLVED  ^───────RETURNED──────┘
                          FIRING, RECOVERING ──LOST──> NO_DATA, ERROR ──REGAINED──> FIRING, RECOVERING

A series that is learning, or quiet, has no alert; these states are shown, and are what an alert opens from. While no
feed answers (NO_DATA) or nothing can be scored (ERROR), silence is no calm: an alert neither eases nor resolves, and
the time does not count towards its quiet time, while what was quiet before it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from alerts.bearing import Bearing, bearing
from alerts.detection.spikes import Severity, Spike, Verdict
from alerts.evidence import Evidence
from alerts.rules import Detector, Rules

__all__ = ["Alert", "Bearing", "Change", "ChangeReason", "Severity", "State", "advance", "alert_id", "bearing"]


class State(StrEnum):
    """Where a series stands."""

    LEARNING = "learning"
    QUIET = "quiet"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    NO_DATA = "no_data"
    ERROR = "error"
    RESOLVED = "resolved"


class Sight(StrEnum):
    """Whether a series without a surge is a calm one."""

    CLEAR = "clear"
    NO_DATA = "no_data"  # no feed answers, or nobody has asked one for hours
    ERROR = "error"  # what comes in cannot be scored


class ChangeReason(StrEnum):
    """Why an alert changed. `Change.notifies` says which of them people are told of."""

    OPENED = "opened"  # a surge began; nobody is told yet
    FIRED = "fired"  # it lasted `pending_minutes`
    ESCALATED = "escalated"  # it became graver
    CONTINUED = "continued"  # it goes on: the numbers are brought up to date
    EASED = "eased"  # it is over, perhaps for a moment
    RETURNED = "returned"  # it was for a moment
    RESOLVED = "resolved"  # it stayed quiet for `recovering_minutes`
    LOST = "lost"  # nothing is seen any more, so nobody knows whether it is over
    REGAINED = "regained"  # news is seen again
    REMINDED = "reminded"  # it still fires, and nobody has acknowledged it: no step, but a notice of its own
    FADED = "faded"  # it was over before it fired


_One = TypeVar("_One", "Alert", Spike)
_NOTICES = frozenset({ChangeReason.FIRED, ChangeReason.ESCALATED, ChangeReason.REMINDED, ChangeReason.RESOLVED})
_DAY, _HOURS_A_DAY = timedelta(days=1), 24
_INSTANT, _NONE = timedelta.resolution, timedelta(0)
_OPEN = frozenset({State.PENDING, State.FIRING, State.RECOVERING, State.NO_DATA, State.ERROR})
_UNSEEN = {Sight.NO_DATA: State.NO_DATA, Sight.ERROR: State.ERROR}


@dataclass(frozen=True, slots=True)
class Alert:
    """All that is known of one alert; enough to go on from after a restart.

    Attributes:
        id: "alert_" and 16 hex digits, made of series and opened_at.
        series: what is watched.
        state: PENDING, FIRING, RECOVERING, NO_DATA, ERROR or RESOLVED. An alert that faded is RESOLVED and has no
            `fired_at`.
        severity: the gravest so far.
        opened_at, fired_at, last_spike_at, resolved_at: aware UTC; None when not yet.
        hours, observed, expected, p_value: the latest surge.
        peak_observed, peak_expected, peak_p_value, peak_at: the least probable surge so far.
        evidence: the latest surge's stories, as they are shown.
        sighted_at: since when quiet time counts, where that is another time than the latest surge's: after NO_DATA or
            ERROR since news was seen again, less the quiet time before; under a clock that was set back since then.
        lost_at: until when its quiet time had been seen before the last NO_DATA or ERROR; None when there was none.

    Raises:
        ValueError: when the state and the times contradict each other, or a time is naive.
    """

    id: str
    series: str
    state: State
    severity: Severity
    opened_at: datetime
    fired_at: datetime | None
    last_spike_at: datetime
    resolved_at: datetime | None
    hours: int
    observed: int
    expected: float
    p_value: float
    peak_observed: int
    peak_expected: float
    peak_p_value: float
    peak_at: datetime
    evidence: tuple[Evidence, ...] = ()
    sighted_at: datetime | None = None
    lost_at: datetime | None = None

    def __post_init__(self) -> None:
        times = (self.opened_at, self.fired_at, self.last_spike_at, self.resolved_at, self.peak_at)
        if any(time is not None and time.tzinfo is None for time in (*times, self.sighted_at, self.lost_at)):
            raise ValueError("an alert's times must be aware")
        if self.state not in _OPEN and self.state is not State.RESOLVED:
            raise ValueError(f"an alert cannot be {self.state}")
        if (self.state is State.RESOLVED) != (self.resolved_at is not None):
            raise ValueError("an alert is resolved when, and only when, it has a time of resolution")
        if self.state in _OPEN - {State.PENDING} and self.fired_at is None:
            raise ValueError(f"an alert that is {self.state} has fired")
        if self.state is State.PENDING and self.fired_at is not None:
            raise ValueError("an alert that is pending has not fired")

    @property
    def is_open(self) -> bool:
        """Whether it is not resolved."""
        return self.state in _OPEN

    @property
    def calm_since(self) -> datetime:
        """Since when a series without a surge counts as quiet: time in which nothing was seen does not."""
        return self.sighted_at or self.last_spike_at


@dataclass(frozen=True, slots=True)
class Change:
    """One step of one alert.

    Attributes:
        alert: the alert after the step.
        before: the state before it; QUIET for a new alert.
        reason: why.
        at: when, aware UTC.
        unwatched: whether its series left the settings, so that it is quiet because nobody looks.
    """

    alert: Alert
    before: State
    reason: ChangeReason
    at: datetime
    unwatched: bool = False

    @property
    def notifies(self) -> bool:
        """Whether people are told: when it fires, becomes graver, goes on for long, and when it resolves."""
        return self.reason in _NOTICES


def advance(
    alerts: Sequence[Alert],
    spikes: Sequence[Spike],
    now: datetime,
    rules: Rules,
    evidence: Mapping[str, tuple[Evidence, ...]],
    sight: Sight = Sight.CLEAR,
    seen_until: datetime | None = None,
) -> tuple[Change, ...]:
    """Take every alert one step further, and open new ones; by series.

    One alert may change more than once in a call (it opens and, with `pending_minutes` 0, fires; it returns and
    escalates): its changes then follow each other, each a single step, and the last one's alert is to be kept.
    Easing and resolving never fall into one call, so one look after a long sleep cannot end an alert that was firing.

    Args:
        alerts: open alerts, at most one a series; resolved ones are left as they are.
        spikes: at most one a series; a series without one has nothing to show, so its alert eases.
        now: aware UTC. A clock set back does not move an alert's times back, nor bring two surges to one instant.
        evidence: stories to show, by series; a series that is missing keeps what it had.
        sight: whether a series without a spike is calm, or only unseen. A surge counts in any case.
        seen_until: until when silence was calm, where that ended before now; time after it is no quiet time.

    Raises:
        ValueError: when `now` is naive, or a series has two open alerts or two spikes.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    ongoing = _by_series("open alerts", [alert for alert in alerts if alert.is_open])
    current = _by_series("spikes", spikes)
    changes: list[Change] = []
    for series in sorted({*ongoing, *current}):
        spike, alert = current.get(series), ongoing.get(series)
        means = bearing(spike, rules)
        if spike is not None and (means is Bearing.OPENS or (means is Bearing.KEEPS and alert is not None)):
            changes += _surging(alert, spike, now, rules, evidence.get(series))
        elif alert is not None:
            if sight is Sight.CLEAR:
                changes += _calming(alert, now, rules)
            else:
                changes += _losing(alert, now, _UNSEEN[sight], seen_until or now)
    return tuple(changes)


def alert_id(series: str, opened_at: datetime) -> str:
    """The id of the alert that `series` opened then: the same after a restart."""
    return "alert_" + hashlib.blake2b(f"{series}|{opened_at.isoformat()}".encode(), digest_size=8).hexdigest()


def _surging(
    alert: Alert | None, spike: Spike, now: datetime, rules: Rules, evidence: tuple[Evidence, ...] | None
) -> list[Change]:
    if alert is None:
        opened = Change(_opened(spike, now, evidence), State.QUIET, ChangeReason.OPENED, now)
        return [opened, *_fires(opened.alert, now, now, rules)]
    # Later than the surge before, also under a clock that was set back: by their times two escalations are told apart.
    at = max(now, alert.last_spike_at + _INSTANT)
    updated = replace(_updated(alert, spike, at, evidence), sighted_at=now if now < at else None)
    if alert.state is State.PENDING:
        # Before it fires nobody was told a severity, so a graver one is no news.
        return _fires(updated, at, now, rules) or [Change(updated, State.PENDING, ChangeReason.CONTINUED, at)]
    changes: list[Change] = []
    if alert.state is not State.FIRING:
        reason = ChangeReason.RETURNED if alert.state is State.RECOVERING else ChangeReason.REGAINED
        updated = replace(updated, state=State.FIRING)
        changes.append(Change(replace(updated, severity=alert.severity), alert.state, reason, at))
    if updated.severity is not alert.severity:
        changes.append(Change(updated, State.FIRING, ChangeReason.ESCALATED, at))
    return changes or [Change(updated, State.FIRING, ChangeReason.CONTINUED, at)]


def _fires(alert: Alert, at: datetime, now: datetime, rules: Rules) -> list[Change]:
    # Under a clock that was set back nobody knows how long it has lasted: rather told early than hours late.
    if alert.opened_at <= now < alert.opened_at + timedelta(minutes=rules.pending_minutes):
        return []
    return [Change(replace(alert, state=State.FIRING, fired_at=at), State.PENDING, ChangeReason.FIRED, at)]


def _calming(alert: Alert, now: datetime, rules: Rules) -> list[Change]:
    at = max(now, alert.last_spike_at)
    if alert.state is State.PENDING:
        return [Change(replace(alert, state=State.RESOLVED, resolved_at=at), alert.state, ChangeReason.FADED, at)]
    # By a clock that was set back it would be quiet only once the right time has caught up with the wrong one.
    alert = replace(alert, sighted_at=now) if now < alert.calm_since else alert
    if alert.state is State.FIRING:
        return [Change(replace(alert, state=State.RECOVERING), alert.state, ChangeReason.EASED, at)]
    if alert.state in (State.NO_DATA, State.ERROR):
        # The quiet time from before counts on: else a failure in each such time would keep an alert open for ever.
        quiet = (alert.lost_at or alert.calm_since) - alert.calm_since
        back = replace(alert, state=State.RECOVERING, sighted_at=max(now - max(quiet, _NONE), alert.calm_since))
        regained = Change(back, alert.state, ChangeReason.REGAINED, at)
        # Where each look that sees follows one that does not, there is no other look to end it.
        return [regained, *_calming(back, now, rules)] if quiet > _NONE else [regained]
    if now - alert.calm_since < _quiet_time(alert, rules):
        return []
    return [Change(replace(alert, state=State.RESOLVED, resolved_at=at), alert.state, ChangeReason.RESOLVED, at)]


def _quiet_time(alert: Alert, rules: Rules) -> timedelta:
    """How long it must be calm. What was told from whole days sees the same days again only a day later."""
    quiet = timedelta(minutes=rules.recovering_minutes)
    # An alert does not say which test it is of: a window of as many days waits as long as a slow rise.
    whole_days = alert.hours > _HOURS_A_DAY and alert.hours % _HOURS_A_DAY == 0
    return quiet + _DAY if whole_days and Detector.SLOW in rules.detectors else quiet


def _losing(alert: Alert, now: datetime, unseen: State, seen_until: datetime) -> list[Change]:
    """An alert that has not fired waits as it is; another says that nobody knows whether it goes on."""
    if alert.state in (State.PENDING, unseen):
        return []
    lost = alert.lost_at
    if alert.state is State.FIRING:
        lost = alert.calm_since
    elif alert.state is State.RECOVERING:
        lost = max(min(seen_until, now), alert.calm_since)
    at = max(now, alert.last_spike_at)
    return [Change(replace(alert, state=unseen, lost_at=lost), alert.state, ChangeReason.LOST, at)]


def _opened(spike: Spike, now: datetime, evidence: tuple[Evidence, ...] | None) -> Alert:
    return Alert(
        id=alert_id(spike.series, now),
        series=spike.series,
        state=State.PENDING,
        severity=spike.severity,
        opened_at=now,
        fired_at=None,
        last_spike_at=now,
        resolved_at=None,
        hours=spike.hours,
        observed=spike.observed,
        expected=spike.expected,
        p_value=spike.p_value,
        peak_observed=spike.observed,
        peak_expected=spike.expected,
        peak_p_value=spike.p_value,
        peak_at=now,
        evidence=evidence or (),
    )


def _updated(alert: Alert, spike: Spike, at: datetime, evidence: tuple[Evidence, ...] | None) -> Alert:
    # What is no surge of its own keeps an alert going, and makes it no graver.
    severity = spike.severity if spike.verdict is Verdict.SURGE else alert.severity
    updated = replace(
        alert,
        severity=max(alert.severity, severity, key=lambda one: one.rank),
        last_spike_at=at,
        hours=spike.hours,
        observed=spike.observed,
        expected=spike.expected,
        p_value=spike.p_value,
        evidence=alert.evidence if evidence is None else evidence,
    )
    if (spike.p_value, -spike.observed) >= (alert.peak_p_value, -alert.peak_observed):
        return updated
    return replace(
        updated,
        peak_observed=spike.observed,
        peak_expected=spike.expected,
        peak_p_value=spike.p_value,
        peak_at=at,
    )


def _by_series(what: str, ones: Sequence[_One]) -> dict[str, _One]:
    found = {one.series: one for one in ones}
    if len(found) != len(ones):
        raise ValueError(f"a series has at most one of the {what}")
    return found
