"""Who is told of a change of an alert, when, and why somebody is not.

takes  changes of alerts, and what bears on them: routes, silences, other alerts, what each channel was told before
gives  `Notices`: deliveries to write, deliveries to withdraw, and a `Decision` for everything that is not sent at once
never  stores or sends, and never leaves a notice out without a named reason
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from alerts import wording
from alerts.delivery import Delivery, DeliveryState, plan
from alerts.lifecycle import Alert, Change, ChangeReason, State
from alerts.messages import Trend
from alerts.routes import DEFAULT, Objection, Route
from alerts.silences import Silence, silencing

MARKET = "market"
# The broad parts of the market say little beside its own alert; a theme or a company names what it is about.
BROAD_PARTS = frozenset({"topic", "sector"})


class Choice(StrEnum):
    """Why a notice was not sent, or not at once."""

    NO_ROUTE = "no_route"  # no route leads this series to this channel
    BELOW_SEVERITY = "below_severity"  # a route would, for graver alerts
    NOT_WANTED = "not_wanted"  # a route would, but not this kind of notice
    LEFT_TO_DIGEST = "left_to_digest"
    SILENCED = "silenced"
    INHIBITED = "inhibited"  # the market's own alert says it already
    ACKNOWLEDGED = "acknowledged"  # no reminder of what somebody has taken on
    JUDGED_FALSE = "judged_false"  # no reminder of what somebody has called a false alert
    NEVER_TOLD = "never_told"  # the end of an alert that this channel never heard of
    CHANNEL_DISABLED = "channel_disabled"
    HELD_QUIET = "held_quiet"  # sent when the quiet hours are over
    HELD_GROUP = "held_group"  # sent with others
    SUPERSEDED = "superseded"  # it was held back, and a later notice of the same alert took its place


@dataclass(frozen=True, slots=True)
class Decision:
    """One notice to one channel that was not sent, or not at once.

    Attributes:
        alert: id of the alert.
        at: of the notice; with the other fields it tells decisions apart.
        notice: "fired", "escalated", "reminded" or "resolved".
        channel: name; empty when there is no channel at all.
        choice: why.
        words: the same for people.
    """

    alert: str
    at: datetime
    notice: str
    channel: str
    choice: Choice
    words: str


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
class Situation:
    """What bears on who is told.

    Attributes:
        channels: names, distinct.
        routes: in order: the first that carries a notice to a channel decides how. Without any, all is told to all.
        open_alerts: as they are after the changes that are decided on.
        silences: those in force, at least.
        told: by alert and channel.
        held: pending deliveries that wait for the end of quiet hours or of a group.
        acknowledged, judged_false: ids of alerts.
        disabled: channels that are switched off, with the reason.
        inhibited: kinds of series that an alert of the market mutes.
    """

    channels: tuple[str, ...]
    routes: tuple[Route, ...] = (DEFAULT,)
    open_alerts: tuple[Alert, ...] = ()
    silences: tuple[Silence, ...] = ()
    told: Mapping[tuple[str, str], Told] = field(default_factory=dict)
    held: tuple[Delivery, ...] = ()
    acknowledged: frozenset[str] = frozenset()
    judged_false: frozenset[str] = frozenset()
    disabled: Mapping[str, str] = field(default_factory=dict)
    inhibited: frozenset[str] = BROAD_PARTS


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
    """Decide on what time alone brings: reminders, and alerts that a silence or the market kept from a channel.

    Called again and again, it repeats neither deliveries nor decisions: their ids come from what they tell of.
    """
    asked = []
    for alert in situation.open_alerts:
        if alert.state is not State.FIRING or alert.fired_at is None:
            continue
        for channel in situation.channels:
            told = situation.told.get((alert.id, channel))
            if told is None:
                if alert.id not in situation.acknowledged | situation.judged_false:
                    asked.append((Change(alert, State.PENDING, ChangeReason.FIRED, alert.fired_at), channel))
                continue
            reminded = Change(alert, State.FIRING, ChangeReason.REMINDED, told.last_at)
            route = _route(reminded, channel, situation)
            wait = route.repeat_wait(told.reminders) if isinstance(route, Route) else None
            if wait is not None and told.last_at + wait <= now and not told.waiting:
                asked.append((replace(reminded, at=told.last_at + wait), channel))
    return _decided(asked, situation, now, telling)


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
        settled = _settled(change, channel, situation, now, muted=channel in market_told)
        if isinstance(settled, Decision):
            decisions.append(settled)
            continue
        if change.alert.series == MARKET and change.reason is not ChangeReason.RESOLVED:
            market_told.add(channel)
        page = wording.alert_page(telling.dashboard_url, change.alert.id)
        (delivery,) = plan([change], [channel], now, names=telling.names, dashboard_url=page, trends=telling.trends)
        held = _held(change, channel, settled, situation, now)
        if held is not None:
            delivery = replace(delivery, next_attempt_at=held.until, bundle=held.bundle)
            decisions.append(_decision(change, channel, held.choice, held.words))
        deliveries.append(delivery)
        for older in situation.held:
            if (older.alert, older.channel) == (change.alert.id, channel) and older.id != delivery.id:
                withdrawn.append(_withdrawn(older, now, Choice.SUPERSEDED))
                decisions.append(_superseded(older, change))
    return Notices(tuple(deliveries), tuple(decisions), tuple(withdrawn))


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
    quiet = route.quiet_end(now, change.alert.severity)
    if quiet is not None:
        words = f"quiet hours of route {route.name} until {wording.moment(quiet)}"
        return _Held(quiet, f"{route.name}/quiet", Choice.HELD_QUIET, words)
    if not route.group_minutes:
        return None
    bundle = f"{route.name}/group"
    begun = [one.next_attempt_at for one in situation.held if (one.channel, one.bundle) == (channel, bundle)]
    ends = min(
        (at for at in begun if at is not None and at > now), default=now + timedelta(minutes=route.group_minutes)
    )
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


def _superseded(older: Delivery, change: Change) -> Decision:
    words = f"a notice that it {change.reason.value} takes its place"
    return Decision(change.alert.id, older.created_at, older.reason, older.channel, Choice.SUPERSEDED, words)


def _decision(change: Change, channel: str, choice: Choice, words: str) -> Decision:
    return Decision(change.alert.id, change.at, change.reason.value, channel, choice, words)


def _market_ids(situation: Situation) -> set[str]:
    return {alert.id for alert in situation.open_alerts if alert.series == MARKET}
