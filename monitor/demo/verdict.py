"""What a run of the demo proved, and what it failed to prove.

takes  what was published, what was detected, and what arrived at the receivers
gives  `DemoResult`: facts, and a finding for everything that is not as it should be
never  looks at the clock, the store or the network
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from alerts.lifecycle import Alert, Change, ChangeReason
from alerts.sending.delivery import delivery_id
from monitor.demo.receivers import Letter, Post, Verification

BANK_SERIES = "theme:bank-stress"
WEBHOOK, MAIL = "webhook", "mail"


class Shortcoming(StrEnum):
    """What can be wrong with a run of the demo."""

    HEADLINES_LOST = "headlines_lost"
    UNSCORED = "unscored"
    FEED_FAILED = "feed_failed"
    CALM_ALERT = "calm_alert"
    NO_BANK_ALERT = "no_bank_alert"
    UNVERIFIED = "unverified"
    NOT_DELIVERED = "not_delivered"
    REPEATED = "repeated"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, with words for people."""

    what: Shortcoming
    words: str


@dataclass(frozen=True, slots=True)
class Played:
    """Everything that the demo saw; all times aware UTC.

    Attributes:
        seed, starts, breaks, ends: of the storyline; the bank run begins at `breaks`.
        published: items that the newsroom published.
        headlines, scored, stories: what the pipeline took in, scored, and told apart.
        checks, failed_checks: of feeds.
        changes: every change of every alert, in order.
        posts, letters: what arrived at the webhook and by mail, in order.
        seconds: how long the run took.
        unsent: ids of notices that were rightly not sent, such as those of a part while the market's alert fires.
    """

    seed: int
    starts: datetime
    breaks: datetime
    ends: datetime
    published: int
    headlines: int
    scored: int
    stories: int
    checks: int
    failed_checks: int
    changes: tuple[Change, ...]
    posts: tuple[Post, ...]
    letters: tuple[Letter, ...]
    seconds: float
    unsent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What was played, and the findings; `ok` when there are none."""

    played: Played
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the demo showed all that it should."""
        return not self.findings

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not ok, in words; empty when it is."""
        return tuple(finding.words for finding in self.findings)

    @property
    def fired(self) -> tuple[Change, ...]:
        """The changes by which alerts fired, in order."""
        return tuple(change for change in self.played.changes if change.reason is ChangeReason.FIRED)

    @property
    def calm_alerts(self) -> int:
        """Alerts that fired before the bank run."""
        return sum(change.at < self.played.breaks for change in self.fired)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; times in ISO 8601."""
        played = self.played
        return {
            "ok": self.ok,
            "reasons": list(self.reasons),
            "findings": [finding.what.value for finding in self.findings],
            "seed": played.seed,
            "starts": played.starts.isoformat(),
            "bank_run": played.breaks.isoformat(),
            "ends": played.ends.isoformat(),
            "seconds": round(played.seconds, 1),
            "headlines": played.headlines,
            "stories": played.stories,
            "calm_alerts": self.calm_alerts,
            "alerts": [_alert(change.alert) for change in self.fired],
            "webhook": {
                "received": len(played.posts),
                "verified": sum(post.verification is Verification.VERIFIED for post in played.posts),
                "ids": [post.id for post in played.posts],
            },
            "mail": {
                "received": len(played.letters),
                "ids": [mail_id(letter) for letter in played.letters],
                "subjects": [letter.subject for letter in played.letters],
            },
        }


def judge(played: Played) -> DemoResult:
    """Compare what happened with what should have: a silent calm, and one bank alert, told once on each channel."""
    return DemoResult(played, (*_intake(played), *_alerting(played), *_delivery(played)))


def mail_id(letter: Letter) -> str:
    """The delivery's id, which mail carries as the left part of its Message-ID."""
    return letter.message.strip("<>").partition("@")[0]


def _intake(played: Played) -> Iterable[Finding]:
    if played.headlines != played.published:
        words = f"{played.published} headlines were published, but {played.headlines} were taken in"
        yield Finding(Shortcoming.HEADLINES_LOST, words)
    if played.scored < played.headlines:
        words = f"{played.headlines - played.scored} of {played.headlines} headlines were never scored"
        yield Finding(Shortcoming.UNSCORED, words)
    if played.failed_checks:
        words = f"{played.failed_checks} of {played.checks} checks of feeds on this machine failed"
        yield Finding(Shortcoming.FEED_FAILED, words)


def _alerting(played: Played) -> Iterable[Finding]:
    fired = [change for change in played.changes if change.reason is ChangeReason.FIRED]
    for change in fired:
        if change.at < played.breaks:
            words = f"an alert on {change.alert.series} fired in the calm weeks, at {change.at:%a %d %b %H:%M} UTC"
            yield Finding(Shortcoming.CALM_ALERT, words)
    if not any(change.alert.series == BANK_SERIES and change.at >= played.breaks for change in fired):
        yield Finding(Shortcoming.NO_BANK_ALERT, f"the bank run did not fire an alert on {BANK_SERIES}")


def _delivery(played: Played) -> Iterable[Finding]:
    for post in played.posts:
        if post.verification is not Verification.VERIFIED:
            words = f"the webhook {post.id or 'without an id'} did not verify: {post.verification.value}"
            yield Finding(Shortcoming.UNVERIFIED, words)
    yield from _arrivals(WEBHOOK, played, [post.id for post in played.posts])
    yield from _arrivals(MAIL, played, [mail_id(letter) for letter in played.letters])


def _arrivals(channel: str, played: Played, ids: Sequence[str]) -> Iterable[Finding]:
    notices = {
        delivery_id(change.alert.id, change.reason.value, change.at, channel): change
        for change in played.changes
        if change.notifies
    }
    due = {id_: change for id_, change in notices.items() if id_ not in played.unsent}
    arrived = Counter(ids)
    for id_, change in due.items():
        told = f"that {change.alert.series} {change.reason.value}"
        if not arrived[id_]:
            yield Finding(Shortcoming.NOT_DELIVERED, f"the notice {told} did not arrive by {channel}")
        if arrived[id_] > 1:
            yield Finding(Shortcoming.REPEATED, f"the notice {told} arrived {arrived[id_]} times by {channel}")
    for id_ in arrived.keys() - due.keys():
        yield Finding(
            Shortcoming.UNEXPECTED, f"{id_ or 'a notice without an id'} arrived by {channel}, and nothing called for it"
        )


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "series": alert.series,
        "severity": alert.severity.value,
        "fired_at": alert.fired_at.isoformat() if alert.fired_at else None,
        "hours": alert.hours,
        "observed": alert.observed,
        "expected": round(alert.expected, 3),
        "p_value": alert.p_value,
        "evidence": [
            {
                "title": story.title,
                "publishers": list(story.publishers),
                "link": story.link,
                "at": story.at.isoformat(),
                "negative": round(story.negative, 4),
            }
            for story in alert.evidence
        ],
    }
