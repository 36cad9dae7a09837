"""Who is told of a change of an alert, when, and why somebody is not.

takes  changes of alerts, and what bears on them: routes, silences, other alerts, what each channel was told before
gives  `Notices`: deliveries to write, deliveries to withdraw, and a `Decision` for everything that is not sent at once
never  stores or sends, and never leaves a notice out without a named reason
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alerts.lifecycle import Alert, Change, ChangeReason, State
from alerts.sending.delivery import Delivery, DeliveryState, plan
from alerts.telling.decisions import Choice, Decision
from alerts.telling.routes import DEFAULT, Objection, Route
from alerts.telling.silences import Silence, silencing
from alerts.texts import wording
from alerts.texts.messages import Trend

__all__ = [
    "BROAD_PARTS",
    "Choice",
    "Decision",
    "Escalation",
    "Notices",
    "Situation",
    "Telling",
    "Told",
    "hushed",
    "notices",
    "overdue",
]

MARKET = "market"
# Looks lie an hour apart at most. What was not looked at for longer may be over: nobody is told that it goes on.
_UNSEEN = timedelta(hours=2)
# The broad parts of the market say little beside its own alert; a theme or a company names what it is about.
BROAD_PARTS = frozenset({"topic", "sector"})


@dataclass(frozen=True, slots=True)
class Told:
    """What one channel was told of one alert; what was withdrawn does not count.

    Attributes:
        last_at: when the last notice arrived, or was written when it did not arrive yet.
        reminders: how many there were.
        waiting: whether a notice is still on its way: until it has arrived nobody needs a reminder.
    """

    last_at: datetime
    reminders: int = 0
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Escalation:
    """When an alert became as grave as it is, and the channels that were told so, or told of it since."""

    at: datetime
    heard: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Situation:
    """What bears on who is told.

    Attributes:
        channels: names, distinct.
        routes: in order: the first that carries a notice to a channel decides how. Without any, all is told to all.
        open_alerts: as they are after the changes that are decided on.
        silences: those in force, at least.
        told: by alert and channel.
        escalated: by alert; one that is as grave as it fired is missing.
        held: pending deliveries that wait for the end of quiet hours or of a group.
        acknowledged, judged_false: ids of alerts.
        disabled: channels that are switched off, with the reason.
        inhibited: kinds of series that an alert of the market mutes.
        muted_ends: of alerts that are over, each with a channel that heard of it, and not of its end.
    """

    channels: tuple[str, ...]
    routes: tuple[Route, ...] = (DEFAULT,)
    open_alerts: tuple[Alert, ...] = ()
    silences: tuple[Silence, ...] = ()
    told: Mapping[tuple[str, str], Told] = field(default_factory=dict)
    escalated: Mapping[str, Escalation] = field(default_factory=dict)
    held: tuple[Delivery, ...] = ()
    acknowledged: frozenset[str] = frozenset()
    judged_false: frozenset[str] = frozenset()
    disabled: Mapping[str, str] = field(default_factory=dict)
    inhibited: frozenset[str] = BROAD_PARTS
    muted_ends: tuple[tuple[Change, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """Words and pictures for messages: names and recent counts by series, and where the dashboard is."""

    names: Mapping[str, str] = field(default_factory=dict)
    trends: Mapping[str, Trend] = field(default_factory=dict)
    dashboard_url: str = ""


@dataclass(frozen=True, slots=True)
class Notices:
    """What is to be written, all in one transaction."""

    deliveries: tuple[Delivery, ...] = ()
    decisions: tuple[Decision, ...] = ()
    withdrawn: tuple[Delivery, ...] = ()


def notices(changes: Sequence[Change], situation: Situation, now: datetime, telling: Telling) -> Notices:
    """Decide on every change that notifies, for every channel.

    Args:
        changes: what happened, in order.
        situation: see there.
        now: aware UTC.
        telling: what messages say beside the change.
    """
    asked = [(change, channel) for change in changes if change.notifies for channel in situation.channels]
    # The market first: what it says mutes the others of the same moment.
    asked.sort(key=lambda one: one[0].alert.series != MARKET)
    nobody = [
        _decision(change, "", Choice.NO_ROUTE, "there is no channel in the settings")
        for change in changes
        if change.notifies and not situation.channels
    ]
    made = _decided(asked, situation, now, telling)
    return replace(made, decisions=(*nobody, *made.decisions))


def overdue(situation: Situation, now: datetime, telling: Telling) -> Notices:
    """Decide on what time alone brings: reminders, and what a silence, the market or a 410 kept from a channel.

    Called again and again, it repeats neither deliveries nor decisions: their ids come from what they tell of. An alert
    that was not looked at of late, because the daemon was off or detection fails, waits for the next look.
    """
    asked = [
        (change, channel)
        for alert in situation.open_alerts
        if alert.state is State.FIRING and now - alert.last_spike_at <= _UNSEEN
        for channel in situation.channels
        if (change := _missed(alert, channel, situation) or _reminder(alert, channel, situation, now)) is not None
    ]
    ends = [(change, to) for change, to in situation.muted_ends if not _is_muted(change, to, situation, now)]
    return _decided([*asked, *ends], situation, now, telling)


def hushed(held: Sequence[Delivery], series: Mapping[str, str], silence: Silence, now: datetime) -> Notices:
    """What a new silence takes back of the notices that are held: they count as never told.

    Args:
        held: deliveries that wait for the end of quiet hours or of a group.
        series: of the alerts that they tell of, by id.
        silence: the new one.
        now: aware UTC.
    """
    mine = [one for one in held if one.alert is not None and silence.covers(series.get(one.alert, ""))]
    words = f"{silence.id} of {silence.who} covers {silence.pattern} until {wording.moment(silence.until)}"
    return Notices(
        withdrawn=tuple(_withdrawn(one, now, Choice.SILENCED) for one in mine),
        decisions=tuple(
            Decision(one.alert or "", one.created_at, one.reason, one.channel, Choice.SILENCED, words) for one in mine
        ),
    )


def _decided(asked: Iterable[tuple[Change, str]], situation: Situation, now: datetime, telling: Telling) -> Notices:
    deliveries: list[Delivery] = []
    decisions: list[Decision] = []
    withdrawn: list[Delivery] = []
    market_told = {channel for (alert, channel) in situation.told if alert in _market_ids(situation)}
    for change, channel in asked:
        mine = [one for one in situation.held if (one.alert, one.channel) == (change.alert.id, channel)]
        settled = _settled(change, channel, situation, now, muted=channel in market_told)
        if isinstance(settled, Decision):
            decisions.append(settled)
            # Of an alert that is over nothing held goes out, also where its end is not told: it would be read as news.
            overtaken = mine if change.reason is ChangeReason.RESOLVED else []
        else:
            if change.alert.series == MARKET and change.reason is not ChangeReason.RESOLVED:
                market_told.add(channel)
            page = wording.alert_page(telling.dashboard_url, change.alert.id)
            (delivery,) = plan([change], [channel], now, names=telling.names, dashboard_url=page, trends=telling.trends)
            held = _held(change, channel, settled, situation, now)
            if held is not None:
                delivery = replace(delivery, next_attempt_at=held.until, bundle=held.bundle)
                decisions.append(_decision(change, channel, held.choice, held.words))
            deliveries.append(delivery)
            overtaken = [one for one in mine if one.id != delivery.id]
        withdrawn += [_withdrawn(older, now, Choice.SUPERSEDED) for older in overtaken]
        decisions += [_superseded(older, change, told=not isinstance(settled, Decision)) for older in overtaken]
    return Notices(tuple(deliveries), tuple(decisions), tuple(withdrawn))


def _is_muted(change: Change, channel: str, situation: Situation, now: datetime) -> bool:
    return channel in situation.disabled or silencing(change.alert.series, situation.silences, now) is not None


def _missed(alert: Alert, channel: str, situation: Situation) -> Change | None:
    """That it fires, or how grave it has become, when the channel has not heard so; as it was when it happened."""
    fired = graver = None
    taken_on = alert.id in situation.acknowledged | situation.judged_false
    if (alert.id, channel) not in situation.told and not taken_on and alert.fired_at is not None:
        fired = Change(alert, State.PENDING, ChangeReason.FIRED, alert.fired_at)
    escalation = situation.escalated.get(alert.id)
    if escalation is not None and channel not in escalation.heard:
        graver = Change(alert, State.FIRING, ChangeReason.ESCALATED, escalation.at)
    # One of them is enough: either says how grave it is. What no route sends must keep no other notice away.
    sent = [one for one in (fired, graver) if one is not None and _is_sent(one, channel, situation)]
    return sent[0] if sent else fired


def _is_sent(change: Change, channel: str, situation: Situation) -> bool:
    route = _route(change, channel, situation)
    return isinstance(route, Route) and not route.digest_only


def _reminder(alert: Alert, channel: str, situation: Situation, now: datetime) -> Change | None:
    told = situation.told.get((alert.id, channel))
    if told is None or told.waiting:
        return None
    reminded = Change(alert, State.FIRING, ChangeReason.REMINDED, told.last_at)
    route = _route(reminded, channel, situation)
    wait = route.repeat_wait(told.reminders) if isinstance(route, Route) else None
    return replace(reminded, at=told.last_at + wait) if wait is not None and told.last_at + wait <= now else None


def _settled(change: Change, channel: str, situation: Situation, now: datetime, *, muted: bool) -> Route | Decision:
    """The route by which this channel is told of this change, now or later; else why it is not."""
    alert = change.alert
    if channel in situation.disabled:
        words = f"the channel is switched off: {situation.disabled[channel]}"
        return _decision(change, channel, Choice.CHANNEL_DISABLED, words)
    route = _route(change, channel, situation)
    if not isinstance(route, Route):
        return route
    if change.reason is ChangeReason.RESOLVED and (alert.id, channel) not in situation.told:
        return _decision(change, channel, Choice.NEVER_TOLD, "this channel was not told that it fired")
    if change.reason is ChangeReason.REMINDED and alert.id in situation.judged_false:
        return _decision(change, channel, Choice.JUDGED_FALSE, "somebody has called it a false alert")
    if change.reason is ChangeReason.REMINDED and alert.id in situation.acknowledged:
        return _decision(change, channel, Choice.ACKNOWLEDGED, "somebody has acknowledged it")
    silence = silencing(alert.series, situation.silences, now)
    if silence is not None:
        words = f"{silence.id} of {silence.who} covers {silence.pattern} until {wording.moment(silence.until)}"
        return _decision(change, channel, Choice.SILENCED, words)
    if muted and _is_inhibited(change, situation, now):
        words = "an alert of the whole market, at least as grave, is firing on this channel"
        return _decision(change, channel, Choice.INHIBITED, words)
    if route.digest_only:
        return _decision(change, channel, Choice.LEFT_TO_DIGEST, f"route {route.name} leaves it to the digest")
    return route


def _route(change: Change, channel: str, situation: Situation) -> Route | Decision:
    """The first route that carries the notice to the channel; else why the one that comes nearest does not."""
    nearest = Objection.SERIES
    nearer = (Objection.SERIES, Objection.SEVERITY, Objection.NOTICE)
    for route in situation.routes or (DEFAULT,):
        if not route.leads_to(channel):
            continue
        objection = route.objection(change)
        if objection is None:
            return route
        nearest = max(nearest, objection, key=nearer.index)
    alert = change.alert
    match nearest:
        case Objection.SERIES:
            return _decision(change, channel, Choice.NO_ROUTE, f"no route leads {alert.series} to this channel")
        case Objection.SEVERITY:
            words = f"the routes to this channel carry graver alerts than {alert.severity.value}"
            return _decision(change, channel, Choice.BELOW_SEVERITY, words)
        case Objection.NOTICE:
            words = f"the routes to this channel carry no {change.reason.value} notices"
            return _decision(change, channel, Choice.NOT_WANTED, words)


def _is_inhibited(change: Change, situation: Situation, now: datetime) -> bool:
    """Whether the market's alert says it already: it fires, is as grave, and is itself not silenced."""
    alert = change.alert
    if change.reason is ChangeReason.RESOLVED or wording.series_kind(alert.series) not in situation.inhibited:
        return False
    return any(
        market.series == MARKET
        and market.state is State.FIRING
        and market.severity.rank >= alert.severity.rank
        and silencing(MARKET, situation.silences, now) is None
        for market in situation.open_alerts
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """Until when a notice is held back, with which others it is sent then, and why."""

    until: datetime
    bundle: str
    choice: Choice
    words: str


def _held(change: Change, channel: str, route: Route, situation: Situation, now: datetime) -> _Held | None:
    quiet, bundle, ends = route.quiet_end(now, change.alert.severity), f"{route.name}/group", now
    if quiet is None and route.group_minutes:
        begun = [one.next_attempt_at for one in situation.held if (one.channel, one.bundle) == (channel, bundle)]
        # At most so long from now: a group that a clock ahead of the time began ends when that clock says.
        latest = now + timedelta(minutes=route.group_minutes)
        ends = min([latest, *(at for at in begun if at is not None and at > now)])
        # A group must not go out into quiet hours that began meanwhile.
        quiet = route.quiet_end(ends, change.alert.severity)
    if quiet is not None:
        words = f"quiet hours of route {route.name} until {wording.moment(quiet)}"
        return _Held(quiet, f"{route.name}/quiet", Choice.HELD_QUIET, words)
    if not route.group_minutes:
        return None
    words = f"grouped with others by route {route.name} until {wording.moment(ends)}"
    return _Held(ends, bundle, Choice.HELD_GROUP, words)


def _withdrawn(delivery: Delivery, now: datetime, why: Choice) -> Delivery:
    return replace(
        delivery,
        state=DeliveryState.WITHDRAWN,
        next_attempt_at=None,
        finished_at=now,
        outcome=why.value,
        bundle="",
    )


def _superseded(older: Delivery, change: Change, *, told: bool) -> Decision:
    words = f"a notice that it {change.reason.value} takes its place" if told else "it was over before this was sent"
    return Decision(change.alert.id, older.created_at, older.reason, older.channel, Choice.SUPERSEDED, words)


def _decision(change: Change, channel: str, choice: Choice, words: str) -> Decision:
    return Decision(change.alert.id, change.at, change.reason.value, channel, choice, words)


def _market_ids(situation: Situation) -> set[str]:
    return {alert.id for alert in situation.open_alerts if alert.series == MARKET}
