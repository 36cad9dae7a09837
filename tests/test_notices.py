"""Who is told of a change: every notice is planned, held, or left out with a named reason, and none is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from alerts.sending.delivery import Delivery, DeliveryState, delivery_id
from alerts.telling.grouping import sealed
from alerts.telling.notices import Choice, Escalation, Notices, Situation, Telling, Told, notices, overdue
from alerts.telling.routes import Route
from alerts.telling.silences import silence
from alerts.texts.messages import read_message
from alerts.texts.prose import plain_text, subject

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BANKS = "theme:bank-stress"
TELLING = Telling(names={BANKS: "Bank stress"}, dashboard_url="http://127.0.0.1:8501")


def alert(series: str = BANKS, severity: Severity = Severity.WARNING, state: State = State.FIRING) -> Alert:
    return Alert(
        id=f"alert_{series}",
        series=series,
        state=state,
        severity=severity,
        opened_at=NOW - HOUR,
        fired_at=NOW - HOUR,
        last_spike_at=NOW,
        resolved_at=NOW if state is State.RESOLVED else None,
        hours=12,
        observed=17,
        expected=2.5,
        p_value=1e-8,
        peak_observed=17,
        peak_expected=2.5,
        peak_p_value=1e-8,
        peak_at=NOW,
        evidence=(Evidence(7, "Bank falls", ("ft", "ap"), "https://example.com/7", NOW, 0.9),),
    )


def change(reason: ChangeReason = ChangeReason.FIRED, at: datetime = NOW, **of_alert: object) -> Change:
    state = State.RESOLVED if reason is ChangeReason.RESOLVED else State.FIRING
    return Change(alert(state=state, **of_alert), State.PENDING, reason, at)  # type: ignore[arg-type]  # as alert takes


def situation(*routes: Route, channels: tuple[str, ...] = ("desk",), **more: object) -> Situation:
    table = {"inhibited": frozenset({"topic", "theme", "sector", "company"}), **more}
    return Situation(channels=channels, **({"routes": routes} if routes else {}), **table)  # type: ignore[arg-type]  # a table


def choices(made: Notices) -> list[tuple[str, Choice]]:
    return [(one.channel, one.choice) for one in made.decisions]


def test_without_routes_all_is_told_to_all_at_once() -> None:
    made = notices([change()], situation(channels=("desk", "ops")), NOW, TELLING)
    assert [(one.channel, one.next_attempt_at, one.bundle) for one in made.deliveries] == [
        ("desk", NOW, ""),
        ("ops", NOW, ""),
    ]
    assert made.decisions == ()
    assert subject(read_message(made.deliveries[0].payload)).startswith("[WARNING] Bank stress: 17 negative stories")


def test_without_channels_that_is_on_record() -> None:
    made = notices([change()], situation(channels=()), NOW, TELLING)
    assert (made.deliveries, choices(made)) == ((), [("", Choice.NO_ROUTE)])


@pytest.mark.parametrize(
    ("route", "choice"),
    [
        (Route(name="r", channels=("ops",)), Choice.NO_ROUTE),
        (Route(name="r", series=("company:*", "market")), Choice.NO_ROUTE),
        (Route(name="r", severity=Severity.CRITICAL), Choice.BELOW_SEVERITY),
        (Route(name="r", notices=("resolved",)), Choice.NOT_WANTED),
        (Route(name="r", digest_only=True), Choice.LEFT_TO_DIGEST),
    ],
)
def test_what_a_route_does_not_carry_is_on_record_with_the_reason(route: Route, choice: Choice) -> None:
    made = notices([change()], situation(route), NOW, TELLING)
    assert (made.deliveries, choices(made)) == ((), [("desk", choice)])
    assert made.decisions[0].words
    assert (made.decisions[0].alert, made.decisions[0].notice) == (f"alert_{BANKS}", "fired")


def test_the_first_route_that_carries_a_notice_decides_how() -> None:
    routes = (
        Route(name="companies", series=("company:*",), group_minutes=10),
        Route(name="grave", severity=Severity.CRITICAL),
        Route(name="rest", group_minutes=30),
    )
    made = notices(
        [change(), change(series="company:JPM"), change(series="market", severity=Severity.CRITICAL)],
        situation(*routes, inhibited=frozenset()),
        NOW,
        TELLING,
    )
    due = {one.alert: (one.bundle, one.next_attempt_at) for one in made.deliveries}
    assert due == {
        f"alert_{BANKS}": ("rest/group", NOW + timedelta(minutes=30)),
        "alert_company:JPM": ("companies/group", NOW + timedelta(minutes=10)),
        "alert_market": ("", NOW),
    }


def test_a_silenced_series_is_not_told_of_and_the_record_says_by_whom() -> None:
    mute = silence("theme:*", NOW - HOUR, NOW + HOUR, who="ann", why="known")
    for reason in (ChangeReason.FIRED, ChangeReason.ESCALATED):
        made = notices([change(reason)], situation(silences=(mute,)), NOW, TELLING)
        assert (made.deliveries, choices(made)) == ((), [("desk", Choice.SILENCED)])
        assert "of ann covers theme:*" in made.decisions[0].words
    assert notices([change()], situation(silences=(mute,)), NOW + HOUR, TELLING).deliveries


def test_what_a_silence_kept_is_told_when_it_is_over_under_the_id_that_it_would_have_had() -> None:
    mute = silence(BANKS, NOW - HOUR, NOW + HOUR, who="ann")
    waiting = situation(silences=(mute,), open_alerts=(alert(),))
    assert choices(overdue(waiting, NOW, TELLING)) == [("desk", Choice.SILENCED)]
    assert overdue(waiting, NOW, TELLING) == overdue(waiting, NOW, TELLING)
    late = overdue(waiting, NOW + HOUR, TELLING)
    assert [one.id for one in late.deliveries] == [delivery_id(f"alert_{BANKS}", "fired", NOW - HOUR, "desk")]


def test_the_end_of_an_alert_that_a_channel_never_heard_of_is_not_told() -> None:
    over = change(ChangeReason.RESOLVED)
    assert choices(notices([over], situation(), NOW, TELLING)) == [("desk", Choice.NEVER_TOLD)]
    knows = {(over.alert.id, "desk"): Told(NOW - HOUR)}
    assert notices([over], situation(told=knows), NOW, TELLING).deliveries


def escalated(told: Told | None = None, *heard: str) -> Situation:
    """An alert that became as grave as it is half an hour ago; what the desk was told of it, and who heard of that."""
    known = {} if told is None else {(f"alert_{BANKS}", "desk"): told}
    graver = {f"alert_{BANKS}": Escalation(NOW - HOUR / 2, frozenset(heard))}
    return situation(open_alerts=(alert(),), told=known, escalated=graver)


def test_an_escalation_that_a_silence_kept_is_told_when_it_is_over_also_to_who_took_the_alert_on() -> None:
    mute = silence(BANKS, NOW - HOUR, NOW + HOUR, who="ann")
    waiting = replace(escalated(Told(NOW - HOUR)), silences=(mute,))
    taken_on = replace(waiting, acknowledged=frozenset({f"alert_{BANKS}"}))
    for around in (waiting, taken_on):
        (kept,) = overdue(around, NOW, TELLING).decisions
        assert (kept.choice, kept.notice, kept.at) == (Choice.SILENCED, "escalated", NOW - HOUR / 2)
        (late,) = overdue(around, NOW + HOUR, TELLING).deliveries
        assert late.id == delivery_id(f"alert_{BANKS}", "escalated", NOW - HOUR / 2, "desk")
        assert "[WARNING]" in subject(read_message(late.payload))


def test_an_escalation_is_told_late_where_the_alert_was_taken_on_before_anybody_was_told() -> None:
    unheard = replace(escalated(), judged_false=frozenset({f"alert_{BANKS}"}))
    assert [one.reason for one in overdue(unheard, NOW, TELLING).deliveries] == ["escalated"]
    assert overdue(replace(unheard, escalated={}), NOW, TELLING) == Notices()
    assert [one.reason for one in overdue(escalated(), NOW, TELLING).deliveries] == ["fired"]


def test_an_escalation_is_told_late_where_no_route_tells_that_it_fired() -> None:
    only = (Route(name="r", notices=("escalated",)),)
    assert [one.reason for one in overdue(replace(escalated(), routes=only), NOW, TELLING).deliveries] == ["escalated"]
    heard = overdue(replace(escalated(None, "desk"), routes=only), NOW, TELLING)
    assert (heard.deliveries, choices(heard)) == ((), [("desk", Choice.NOT_WANTED)])


def test_who_has_heard_how_grave_it_is_is_told_no_escalation_late() -> None:
    assert overdue(escalated(Told(NOW - HOUR), "desk"), NOW, TELLING) == Notices()
    assert overdue(escalated(Told(NOW - HOUR), "ops"), NOW, TELLING).deliveries


def test_an_escalation_that_the_market_or_a_410_kept_is_told_when_they_are_over() -> None:
    market, part = alert("market"), alert("sector:Financials")
    known = {(one.id, "desk"): Told(NOW - HOUR) for one in (market, part)}
    around = situation(open_alerts=(market, part), told=known, escalated={part.id: Escalation(NOW)})
    assert choices(overdue(around, NOW, TELLING)) == [("desk", Choice.INHIBITED)]
    calm = replace(around, open_alerts=(replace(market, state=State.RECOVERING), part))
    assert [one.alert for one in overdue(calm, NOW, TELLING).deliveries] == [part.id]
    off = replace(calm, disabled={"desk": "410 Gone"})
    assert choices(overdue(off, NOW, TELLING)) == [("desk", Choice.CHANNEL_DISABLED)]


@pytest.mark.parametrize(
    "route", [Route(name="r", notices=("escalated",), digest_only=True), Route(name="r", series=("company:*",))]
)
def test_an_escalation_that_no_route_sends_keeps_no_reminder_away(route: Route) -> None:
    around = escalated(Told(NOW - 24 * HOUR))
    routes = (route, Route(name="rest", notices=("fired", "reminded")))
    made = overdue(replace(around, routes=routes), NOW, TELLING)
    assert ([one.reason for one in made.deliveries], made.decisions) == (["reminded"], ())


# The market


@pytest.mark.parametrize(
    ("market", "part", "muted"),
    [
        (Severity.WARNING, Severity.WARNING, True),
        (Severity.CRITICAL, Severity.WARNING, True),
        (Severity.INFO, Severity.WARNING, False),
        (Severity.WARNING, Severity.CRITICAL, False),
    ],
)
def test_the_market_mutes_its_parts_that_are_no_graver(market: Severity, part: Severity, muted: bool) -> None:
    both = [change(severity=part), change(series="market", severity=market)]
    made = notices(both, situation(open_alerts=tuple(one.alert for one in both)), NOW, TELLING)
    assert {one.alert for one in made.deliveries} == {"alert_market"} | (set() if muted else {f"alert_{BANKS}"})
    assert choices(made) == ([("desk", Choice.INHIBITED)] if muted else [])


def test_a_channel_that_does_not_hear_of_the_market_hears_of_its_parts() -> None:
    both = [change(), change(series="market")]
    only_themes = Route(name="themes", series=("theme:*",))
    made = notices(both, situation(only_themes, open_alerts=tuple(one.alert for one in both)), NOW, TELLING)
    assert [one.alert for one in made.deliveries] == [f"alert_{BANKS}"]


def test_a_silenced_market_mutes_nothing_and_a_breaking_story_is_no_part() -> None:
    market, told = alert("market"), {("alert_market", "desk"): Told(NOW - HOUR)}
    mute = silence("market", NOW - HOUR, NOW + HOUR, who="ann")
    assert notices([change()], situation(open_alerts=(market,), told=told, silences=(mute,)), NOW, TELLING).deliveries
    assert notices([change(series="story:9")], situation(open_alerts=(market,), told=told), NOW, TELLING).deliveries
    assert not notices([change()], situation(open_alerts=(market,), told=told), NOW, TELLING).deliveries


def test_a_part_is_told_of_when_the_market_has_calmed_down() -> None:
    calm = replace(alert("market"), state=State.RECOVERING)
    told = {("alert_market", "desk"): Told(NOW - HOUR)}
    late = overdue(situation(open_alerts=(calm, alert()), told=told), NOW, TELLING)
    assert [one.alert for one in late.deliveries] == [f"alert_{BANKS}"]


# Reminders


def test_an_alert_that_goes_on_is_reminded_of_until_somebody_takes_it_on() -> None:
    known = {(f"alert_{BANKS}", "desk"): Told(NOW - 24 * HOUR)}
    waiting = situation(open_alerts=(alert(),), told=known)
    assert overdue(waiting, NOW - timedelta(minutes=1), TELLING) == Notices()
    (reminder,) = overdue(waiting, NOW, TELLING).deliveries
    assert reminder.reason == "reminded"
    assert "still 17 negative stories" in subject(read_message(reminder.payload))
    on_its_way = replace(waiting, told={(f"alert_{BANKS}", "desk"): Told(NOW - 24 * HOUR, waiting=True)})
    assert overdue(on_its_way, NOW, TELLING) == Notices()
    taken = replace(waiting, acknowledged=frozenset({f"alert_{BANKS}"}))
    assert choices(overdue(taken, NOW, TELLING)) == [("desk", Choice.ACKNOWLEDGED)]
    false = replace(waiting, judged_false=frozenset({f"alert_{BANKS}"}))
    assert choices(overdue(false, NOW, TELLING)) == [("desk", Choice.JUDGED_FALSE)]
    lasting = replace(alert(), last_spike_at=NOW + 47 * HOUR)
    second = replace(waiting, open_alerts=(lasting,), told={(f"alert_{BANKS}", "desk"): Told(NOW, 1)})
    assert overdue(second, NOW + 47 * HOUR, TELLING) == Notices()
    assert overdue(second, NOW + 48 * HOUR, TELLING).deliveries


def test_what_was_not_looked_at_of_late_is_not_said_to_go_on() -> None:
    """Looks lie an hour apart at most."""
    known = {(f"alert_{BANKS}", "desk"): Told(NOW - 99 * HOUR)}
    reminded, unheard = situation(open_alerts=(alert(),), told=known), situation(open_alerts=(alert(),))
    for around in (reminded, unheard):
        assert overdue(around, NOW + HOUR, TELLING).deliveries
        assert overdue(around, NOW + 3 * HOUR, TELLING) == Notices()


def test_only_what_fires_is_reminded_of() -> None:
    known = {(f"alert_{BANKS}", "desk"): Told(NOW - 99 * HOUR)}
    for state in (State.RECOVERING, State.NO_DATA, State.ERROR):
        assert overdue(situation(open_alerts=(replace(alert(), state=state),), told=known), NOW, TELLING) == Notices()


# Quiet hours, groups, and what takes the place of what was held


NIGHT = Route(name="night", quiet_hours="11:00-14:00")


def test_in_quiet_hours_a_notice_waits_for_their_end() -> None:
    made = notices([change()], situation(NIGHT), NOW, TELLING)
    (held,) = made.deliveries
    assert (held.state, held.next_attempt_at, held.bundle) == (DeliveryState.PENDING, NOW + 2 * HOUR, "night/quiet")
    assert choices(made) == [("desk", Choice.HELD_QUIET)]
    assert notices([change(severity=Severity.CRITICAL)], situation(NIGHT), NOW, TELLING).deliveries[0].bundle == ""


def test_a_later_notice_takes_the_place_of_one_that_is_held() -> None:
    (held,) = notices([change()], situation(NIGHT), NOW, TELLING).deliveries
    known = {(f"alert_{BANKS}", "desk"): Told(NOW)}
    later = situation(NIGHT, held=(held,), told=known)
    made = notices([change(ChangeReason.RESOLVED, NOW + HOUR)], later, NOW + HOUR, TELLING)
    assert [one.reason for one in made.deliveries] == ["resolved"]
    assert [(one.id, one.state, one.outcome) for one in made.withdrawn] == [
        (held.id, DeliveryState.WITHDRAWN, "superseded")
    ]
    assert (Choice.SUPERSEDED, "fired") in [(one.choice, one.notice) for one in made.decisions]
    other = notices([change(series="market")], later, NOW, TELLING)
    assert other.withdrawn == ()


def test_what_is_held_of_an_alert_that_is_over_is_withdrawn_where_its_end_is_not_told() -> None:
    route = NIGHT.model_copy(update={"notices": ("fired", "escalated")})
    (held,) = notices([change()], situation(route), NOW, TELLING).deliveries
    around = situation(route, held=(held,), told={(f"alert_{BANKS}", "desk"): Told(NOW)})
    made = notices([change(ChangeReason.RESOLVED, NOW + HOUR)], around, NOW + HOUR, TELLING)
    assert (made.deliveries, [one.id for one in made.withdrawn]) == ((), [held.id])
    assert [(one.choice, one.notice) for one in made.decisions] == [
        (Choice.NOT_WANTED, "resolved"),
        (Choice.SUPERSEDED, "fired"),
    ]
    assert made.decisions[1].words == "it was over before this was sent"
    lasting = notices(
        [change(ChangeReason.ESCALATED)], situation(Route(name="r", notices=("fired",)), held=(held,)), NOW, TELLING
    )
    assert (lasting.deliveries, lasting.withdrawn) == ((), ()), "that it fired is still true"


def test_a_group_that_ends_in_quiet_hours_waits_for_their_end() -> None:
    route = Route(name="night", group_minutes=60, quiet_hours="12:30-20:00")
    made = notices([change(), change(series="market", severity=Severity.CRITICAL)], situation(route), NOW, TELLING)
    assert {one.alert: (one.bundle, one.next_attempt_at) for one in made.deliveries} == {
        "alert_market": ("night/group", NOW + HOUR),
        f"alert_{BANKS}": ("night/quiet", NOW + 8 * HOUR),
    }
    assert {one.alert: one.choice for one in made.decisions} == {
        "alert_market": Choice.HELD_GROUP,
        f"alert_{BANKS}": Choice.HELD_QUIET,
    }
    at_once = notices([change()], situation(route.model_copy(update={"group_minutes": 29})), NOW, TELLING)
    assert choices(at_once) == [("desk", Choice.HELD_GROUP)]


def test_a_group_that_a_clock_ahead_began_holds_nobody_longer_than_a_group_may() -> None:
    route = Route(name="all", group_minutes=10)
    ahead = notices([change()], situation(route), NOW + 24 * HOUR, TELLING)
    (grave,) = notices(
        [change(series="market", severity=Severity.CRITICAL)], situation(route, held=ahead.deliveries), NOW, TELLING
    ).deliveries
    assert grave.next_attempt_at == NOW + timedelta(minutes=10)


def grouped(now: datetime = NOW) -> tuple[Delivery, ...]:
    route = Route(name="all", group_minutes=15)
    first = notices([change(), change(series="company:JPM")], situation(route), now, TELLING)
    second = notices(
        [change(series="topic:Macro", severity=Severity.CRITICAL)],
        situation(route, held=first.deliveries),
        now + timedelta(minutes=5),
        TELLING,
    )
    return (*first.deliveries, *second.deliveries)


def test_notices_of_one_group_are_due_together_and_go_as_one_message() -> None:
    held = grouped()
    assert {one.next_attempt_at for one in held} == {NOW + timedelta(minutes=15)}
    sealing = sealed(held, NOW + timedelta(minutes=15))
    (group,) = sealing.groups
    assert {one.id for one in sealing.members} == {one.id for one in held}
    assert all((one.state, one.outcome) == (DeliveryState.BUNDLED, group.id) for one in sealing.members)
    message = read_message(group.payload)
    assert subject(message) == "[CRITICAL] 3 alerts: Bank stress, JPM, Macro"
    text = plain_text(message)
    assert text.index("[CRITICAL] Macro") < text.index("[WARNING] Bank stress")
    assert "http://127.0.0.1:8501/alerts?alert=alert_company:JPM" in text
    assert text.rstrip().endswith("Dashboard: http://127.0.0.1:8501/alerts")
    assert [member.data.alert for member in message.members if member.data] == [one.alert for one in held]


def test_a_group_has_the_same_id_however_its_members_are_found() -> None:
    held = grouped()
    assert sealed(held, NOW).groups[0].id == sealed(held[::-1], NOW + HOUR).groups[0].id
    assert sealed(held, NOW).groups[0].payload == sealed(held[::-1], NOW).groups[0].payload


def test_a_group_of_one_goes_as_it_is() -> None:
    (held,) = notices([change()], situation(NIGHT), NOW, TELLING).deliveries
    sealing = sealed([held], NOW + 2 * HOUR)
    assert sealing.groups == ()
    assert [(one.id, one.bundle, one.next_attempt_at) for one in sealing.members] == [(held.id, "", NOW + 2 * HOUR)]


def test_a_channel_that_is_switched_off_is_not_written_to() -> None:
    made = notices([change()], situation(channels=("desk", "ops"), disabled={"desk": "410 Gone"}), NOW, TELLING)
    assert [one.channel for one in made.deliveries] == ["ops"]
    assert choices(made) == [("desk", Choice.CHANNEL_DISABLED)]


# The law


ROUTES = st.builds(
    Route,
    name=st.just("r"),
    channels=st.sampled_from([(), ("desk",), ("ops",)]),
    series=st.sampled_from([(), ("company:*",), (BANKS, "market")]),
    severity=st.sampled_from(Severity),
    notices=st.sampled_from([("fired",), ("fired", "escalated", "reminded", "resolved")]),
    digest_only=st.booleans(),
    group_minutes=st.sampled_from([0, 20]),
    quiet_hours=st.sampled_from(["", "11:00-14:00"]),
)
CHANGES = st.builds(
    change,
    st.sampled_from([ChangeReason.FIRED, ChangeReason.ESCALATED, ChangeReason.RESOLVED, ChangeReason.EASED]),
    series=st.sampled_from([BANKS, "company:JPM", "market"]),
    severity=st.sampled_from(Severity),
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(ROUTES, max_size=3),
    st.lists(CHANGES, max_size=4, unique_by=lambda one: one.alert.series),
    st.booleans(),
    st.booleans(),
)
def test_every_notice_is_planned_or_left_out_with_a_reason_for_every_channel(
    routes: list[Route], changes: list[Change], muted: bool, told: bool
) -> None:
    channels = ("desk", "ops")
    knows = {(one.alert.id, channel): Told(NOW - HOUR) for one in changes for channel in channels} if told else {}
    mute = (silence("company:*", NOW - HOUR, NOW + HOUR, who="ann"),) if muted else ()
    around = Situation(
        channels, tuple(routes), tuple(one.alert for one in changes if one.alert.is_open), mute, told=knows
    )
    made = notices(changes, around, NOW, TELLING)
    told_now = {(one.alert, one.reason, one.channel) for one in made.deliveries}
    not_told = {
        (one.alert, one.notice, one.channel)
        for one in made.decisions
        if one.choice not in (Choice.HELD_GROUP, Choice.HELD_QUIET)
    }
    asked = {(one.alert.id, one.reason.value, channel) for one in changes if one.notifies for channel in channels}
    assert told_now | not_told == asked
    assert not told_now & not_told
