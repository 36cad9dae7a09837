"""Planning, retrying and giving up: laws of the outbox, and a worker that one bad message does not stop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from alerts.errors import ChannelUnusable
from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from alerts.sending import delivery as delivering
from alerts.sending.channels import ChannelSettings, open_channel
from alerts.sending.delivery import (
    Attempt,
    AttemptOutcome,
    Delivery,
    DeliveryState,
    Part,
    Schedule,
    after,
    deliver,
    delivery_id,
    plan,
    redeliver,
)
from alerts.sending.secrets import Secret

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def change(reason: ChangeReason = ChangeReason.FIRED, at: datetime = NOW, series: str = "theme:bank-stress") -> Change:
    resolved = reason is ChangeReason.RESOLVED
    story = Evidence(2**64 - 1, "Bank falls", ("dow-jones", "ft"), "https://example.com/1", NOW, 0.9)
    alert = Alert(
        id=f"alert-{series}",
        series=series,
        state=State.RESOLVED if resolved else State.FIRING,
        severity=Severity.CRITICAL,
        opened_at=NOW,
        fired_at=NOW,
        last_spike_at=at,
        resolved_at=at if resolved else None,
        hours=24,
        observed=37,
        expected=4.2,
        p_value=5e-5,
        peak_observed=40,
        peak_expected=4.0,
        peak_p_value=1e-6,
        peak_at=at,
        evidence=(story,),
    )
    return Change(alert=alert, before=State.PENDING, reason=reason, at=at)


def pending() -> Delivery:
    return plan([change()], ["desk"], NOW)[0]


class MemoryOutbox:
    """An outbox as the store keeps one, in a dict."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self.deliveries = {d.id: d for d in deliveries}
        self.attempts: list[tuple[str, Attempt]] = []
        self.begun: list[str] = []

    def due(self, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
        ready = [
            d
            for d in self.deliveries.values()
            if d.channel == channel and d.next_attempt_at is not None and d.next_attempt_at <= now
        ]
        return tuple(ready[:limit])

    def begin(self, delivery: Delivery, at: datetime) -> None:
        self.begun.append(delivery.id)

    def record(self, delivery: Delivery, attempt: Attempt, parts: Sequence[Part] = ()) -> None:
        for one, tried in ((delivery, attempt), *parts):
            self.deliveries[one.id] = one
            self.attempts.append((one.id, tried))

    def hasten(self, channel: str, at: datetime, schedule: Schedule) -> int:
        return 0


class PickyChannel:
    """Takes every message but those of one series, on which it breaks."""

    name = "desk"
    endpoint = "desk"

    def __init__(self, breaks_on: str) -> None:
        self.breaks_on = breaks_on
        self.took: list[str] = []

    def send(self, delivery: Delivery, now: datetime) -> Attempt:
        if json.loads(delivery.payload)["data"]["series"] == self.breaks_on:
            raise RuntimeError("token=hunter2")
        self.took.append(delivery.id)
        return Attempt(now, AttemptOutcome.DELIVERED, "", 1)


def test_only_changes_that_notify_are_planned_one_for_each_channel() -> None:
    changes = [change(reason) for reason in ChangeReason]
    planned = plan(changes, ["desk", "ops"], NOW)
    told = [c.reason.value for c in changes if c.notifies]
    assert {"fired", "escalated", "resolved"} <= set(told)
    assert len(told) < len(changes)
    assert [(d.reason, d.channel) for d in planned] == [(reason, name) for reason in told for name in ("desk", "ops")]
    assert all(d.state is DeliveryState.PENDING and d.next_attempt_at == NOW for d in planned)
    assert len({d.id for d in planned}) == len(planned)


def test_a_change_planned_again_after_a_crash_has_the_same_ids() -> None:
    first = plan([change()], ["desk", "ops"], NOW)
    again = plan([change()], ["ops", "desk"], NOW + timedelta(minutes=5))
    assert {d.id for d in first} == {d.id for d in again}


@given(
    st.tuples(st.text(), st.text(), st.text()),
    st.tuples(st.text(), st.text(), st.text()),
    st.datetimes(),
    st.datetimes(),
)
def test_ids_are_the_same_exactly_when_the_deliveries_are(
    a: tuple[str, str, str], b: tuple[str, str, str], t: datetime, u: datetime
) -> None:
    if any("\x1f" in part for part in (*a, *b)):
        return
    one = delivery_id(a[0], a[1], t.replace(tzinfo=UTC), a[2])
    other = delivery_id(b[0], b[1], u.replace(tzinfo=UTC), b[2])
    assert (one == other) == (a == b and t == u)


outcomes = st.sampled_from([o for o in AttemptOutcome if not o.ok])
wishes = st.none() | st.timedeltas(timedelta(0), timedelta(days=400))
jitters = st.floats(0, 1, exclude_max=True)
schedules = st.builds(
    Schedule,
    steps=st.lists(st.timedeltas(timedelta(seconds=1), timedelta(days=2)), min_size=1, max_size=12).map(tuple),
    jitter=st.floats(0, 1),
)


@given(
    schedules,
    st.lists(
        st.tuples(outcomes | st.just(AttemptOutcome.DELIVERED), wishes, jitters, st.integers(0, 120_000)),
        min_size=13,
        max_size=13,
    ),
)
def test_no_delivery_is_ever_lost_and_attempts_are_bounded(
    schedule: Schedule, story: list[tuple[AttemptOutcome, timedelta | None, float, int]]
) -> None:
    delivery = pending()
    for outcome, wish, jitter, millis in story:
        assert delivery.next_attempt_at is not None
        attempt = Attempt(delivery.next_attempt_at, outcome, "" if outcome.ok else "words", millis, wish)
        before, delivery = delivery, after(delivery, attempt, schedule, jitter)
        assert delivery.id == before.id
        assert delivery.payload == before.payload
        assert delivery.outcome == outcome.value
        assert delivery.attempts == before.attempts + 1 <= schedule.most_attempts
        if delivery.state is not DeliveryState.PENDING:
            break
        assert delivery.next_attempt_at is not None
        assert delivery.next_attempt_at > attempt.ended
        assert delivery.next_attempt_at - attempt.ended <= max(schedule.steps) * (1 + schedule.jitter)
    assert delivery.state is (DeliveryState.DELIVERED if outcome.ok else DeliveryState.DEAD)
    assert delivery.finished_at is not None


@given(jitters)
def test_the_default_schedule_gives_up_after_about_three_days(jitter: float) -> None:
    delivery, schedule, times = pending(), Schedule(), []
    while delivery.next_attempt_at is not None:
        times.append(delivery.next_attempt_at)
        delivery = after(delivery, Attempt(times[-1], AttemptOutcome.TIMED_OUT, "slow", 0), schedule, jitter)
    assert delivery.state is DeliveryState.DEAD
    assert delivery.outcome == "timed_out"
    assert len(times) == 11
    assert timedelta(seconds=5) <= times[1] - times[0] <= timedelta(seconds=6)
    assert timedelta(days=2.8) <= times[-1] - times[0] <= timedelta(days=3.5)
    assert all(a < b for a, b in pairwise(times))


def test_retry_after_is_honoured_but_not_for_ever() -> None:
    throttled = Attempt(NOW, AttemptOutcome.THROTTLED, "later", 0, timedelta(hours=3))
    assert after(pending(), throttled, Schedule(), 0.0).next_attempt_at == NOW + timedelta(hours=3)
    greedy = replace(throttled, retry_after=timedelta(days=365))
    assert after(pending(), greedy, Schedule(), 0.0).next_attempt_at == NOW + timedelta(hours=24)


def test_a_receiver_that_is_gone_is_not_asked_again() -> None:
    dead = after(pending(), Attempt(NOW, AttemptOutcome.GONE, "410", 3), Schedule(), 0.5)
    assert (dead.state, dead.outcome, dead.next_attempt_at) == (DeliveryState.DEAD, "gone", None)


def test_a_dead_letter_is_sent_again_under_its_id_and_nothing_else_is() -> None:
    dead = after(pending(), Attempt(NOW, AttemptOutcome.GONE, "410", 0), Schedule(), 0)
    later = NOW + timedelta(days=9)
    again = redeliver(dead, later)
    assert (again.id, again.state, again.next_attempt_at, again.attempts) == (dead.id, DeliveryState.PENDING, later, 0)
    arrived = after(again, Attempt(later, AttemptOutcome.DELIVERED, "", 1), Schedule(), 0)
    for other in (pending(), arrived):
        with pytest.raises(ValueError, match="only dead letters"):
            redeliver(other, later)
    with pytest.raises(ValueError, match="only a pending one"):
        after(arrived, Attempt(later, AttemptOutcome.DELIVERED, "", 1), Schedule(), 0)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"next_attempt_at": None},
        {"finished_at": NOW},
        {"state": DeliveryState.DELIVERED},
        {"state": DeliveryState.DEAD, "next_attempt_at": None, "finished_at": NOW},
        {"id": "42"},
        {"channel": ""},
        {"payload": ""},
        {"attempts": -1},
        {"created_at": NOW.replace(tzinfo=None)},
    ],
)
def test_contradictory_deliveries_cannot_be_made(nonsense: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="delivery"):
        replace(pending(), **nonsense)  # type: ignore[arg-type] # the point is that nothing in the table is accepted


def test_one_broken_message_stops_no_other_and_its_words_stay_hidden() -> None:
    series = ["topic:Macro", "theme:fraud", "market"]
    outbox = MemoryOutbox(plan([change(series=s) for s in series], ["desk", "ops"], NOW))
    channel = PickyChannel(breaks_on="theme:fraud")
    assert deliver(outbox, channel, NOW, Schedule(), jitter=lambda: 0.0) == 3
    mine = [d for d in outbox.deliveries.values() if d.channel == "desk"]
    assert [d.state.value for d in mine] == ["delivered", "pending", "delivered"]
    assert mine[1].outcome == "failed"
    reasons = [attempt.reason for _, attempt in outbox.attempts if attempt.reason]
    assert len(reasons) == 1
    assert reasons[0].startswith("RuntimeError at test_delivery.py:")
    assert "hunter2" not in reasons[0]
    assert all(d.attempts == 0 for d in outbox.deliveries.values() if d.channel == "ops")
    assert deliver(outbox, channel, NOW, Schedule()) == 0, "what failed is not due again in the same moment"


class FullOutbox(MemoryOutbox):
    """Takes one note of a beginning, and no more."""

    def begin(self, delivery: Delivery, at: datetime) -> None:
        if self.begun:
            raise OSError("no space left")
        super().begin(delivery, at)


def test_what_cannot_be_written_down_before_it_is_sent_is_not_sent() -> None:
    outbox = FullOutbox(plan([change(series=f"topic:{n}") for n in range(3)], ["desk"], NOW))
    channel = PickyChannel(breaks_on="")
    with pytest.raises(OSError, match="no space"):
        deliver(outbox, channel, NOW, Schedule())
    assert channel.took == outbox.begun == [one for one, _ in outbox.attempts]
    assert len(channel.took) == 1


def test_a_round_can_be_kept_short() -> None:
    outbox = MemoryOutbox(plan([change(series=f"topic:{n}") for n in range(3)], ["desk"], NOW))
    channel = PickyChannel(breaks_on="")
    assert [deliver(outbox, channel, NOW, Schedule(), limit=1) for _ in range(4)] == [1, 1, 1, 0]


def test_a_test_notification_tells_of_no_alert() -> None:
    sample = delivering.test_delivery("desk", NOW)
    assert (sample.alert, sample.reason, sample.channel, sample.next_attempt_at) == (None, "test", "desk", NOW)
    assert json.loads(sample.payload) == {
        "type": "squall.test",
        "version": 1,
        "timestamp": "2026-03-10T12:00:00Z",
        "data": None,
    }
    assert delivering.test_delivery("desk", NOW + timedelta(seconds=1)).id != sample.id


def test_outcomes_say_what_they_ask_for() -> None:
    assert [o.value for o in AttemptOutcome if o.ok] == ["delivered"]
    assert [o.value for o in AttemptOutcome if o.final] == ["gone"]


# Secrets and settings


def test_secrets_are_read_when_used_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUALL_KEY", "hunter2")
    path = tmp_path / "key"
    path.write_text("swordfish\n")
    from_variable, from_file = Secret("env:SQUALL_KEY"), Secret(f"file:{path}")
    assert (from_variable.reveal(), from_file.reveal()) == ("hunter2", "swordfish")
    path.write_text("rotated")
    assert from_file.reveal() == "rotated"
    assert "hunter2" not in repr(from_variable) + str(from_variable)
    assert "rotated" not in repr(from_file) + str(from_file)
    assert from_variable == Secret("env:SQUALL_KEY") != from_file


@pytest.mark.parametrize(
    ("content", "word"),
    [(None, "cannot be read"), (b"", "is empty"), (b"\xff\xfe", "is not text"), (b"x" * 70_000, "longer")],
)
def test_a_secret_that_is_not_there_is_named_with_the_way_out(tmp_path: Path, content: bytes | None, word: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ChannelUnusable, match=word) as caught:
        Secret(f"file:{path}").reveal()
    assert str(path) in str(caught.value)
    with pytest.raises(ChannelUnusable, match="export SQUALL_ABSENT"):
        Secret("env:SQUALL_ABSENT").reveal()


class Everything(BaseModel):
    """Settings around the channels, as an application has them: without a word about hiding input."""

    channels: tuple[ChannelSettings, ...]


@pytest.mark.parametrize("pasted", ["hunter2-hunter2-hunter2", "env: SQUALL KEY hunter2", "", 17])
def test_a_password_pasted_into_the_settings_is_refused_and_not_repeated(pasted: object) -> None:
    table = {"type": "webhook", "name": "desk", "url": "https://example.com/hook", "secret": pasted}
    with pytest.raises(ChannelUnusable, match="`secret` must say where") as caught:
        Everything.model_validate({"channels": [table]})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


MAIL = {
    "type": "mail",
    "name": "m",
    "host": "mail.example.com",
    "sender": "a@example.com",
    "recipients": ["b@example.com"],
}


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"type": "carrier-pigeon", "name": "p"}, "carrier-pigeon"),
        ({"type": "webhook", "name": "Desk!", "url": "https://e.com", "secret": "env:A"}, "pattern"),
        ({"type": "webhook", "name": "d", "url": "ftp://e.com", "secret": "env:A"}, "http"),
        ({"type": "webhook", "name": "d", "url": "https://e.com", "secret": "env:A", "colour": 1}, "Extra inputs"),
        ({**MAIL, "recipients": []}, "at least 1"),
        ({**MAIL, "recipients": ["nobody"]}, "mail address"),
        ({**MAIL, "sender": "a@example.com\r\nBcc: x@example.com"}, "mail address"),
        ({**MAIL, "user": "desk"}, "go together"),
        ({**MAIL, "user": "desk", "password": "env:A", "security": "none"}, "unencrypted"),
    ],
)
def test_settings_that_cannot_work_are_refused(table: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        TypeAdapter(ChannelSettings).validate_python(table)


def test_every_setting_of_a_channel_is_described() -> None:
    schema = TypeAdapter(ChannelSettings).json_schema()
    for name, table in schema["$defs"].items():
        for key, described in table["properties"].items():
            assert key == "type" or described.get("description"), f"{name}.{key} has no description"


def test_a_channel_with_a_missing_secret_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: TypeAdapter[ChannelSettings] = TypeAdapter(ChannelSettings)
    for table in (
        {"type": "webhook", "name": "d", "url": "https://e.com", "secret": "env:SQUALL_ABSENT"},
        {"type": "chat", "name": "c", "url": "env:SQUALL_ABSENT"},
        {**MAIL, "user": "desk", "password": "env:SQUALL_ABSENT"},
    ):
        with pytest.raises(ChannelUnusable, match="env:SQUALL_ABSENT is not set"):
            open_channel(settings.validate_python(table))
    monkeypatch.setenv("SQUALL_CHAT", "no-such-service://token")
    with pytest.raises(ChannelUnusable, match="does not hold an address that Apprise knows") as caught:
        open_channel(settings.validate_python({"type": "chat", "name": "c", "url": "env:SQUALL_CHAT"}))
    assert "token" not in str(caught.value)
