"""A desk for tests that remembers alerts between two looks as a store would, and spikes to look at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerts.detection.spikes import Spike, Verdict
from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, Sight, advance
from alerts.rules import Rules

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)
BANKS = "theme:bank-stress"


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
