"""What a person may ask for: about alerts, silences, messages and channels.

takes  a JSON body, as the read service or `monitor.desk.desk.Desk` hands it over; now
gives  a JSON answer
never  opens the store: who calls it holds it, the daemon or, when none runs, a command
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from alerts.sending.delivery import Delivery, DeliveryState, Schedule, redeliver
from alerts.telling.conditions import CHANNEL, Condition, Health
from alerts.telling.notices import hushed
from alerts.telling.silences import ended, silence
from monitor.desk.care import back_up, look_over
from monitor.errors import InputUnusable
from monitor.storage.alert_store import AlertStore
from monitor.storage.desk_store import NOWHERE, DeskStore, Remark, Saying
from monitor.storage.sending import ENDPOINT
from monitor.storage.store import Store

Body = Mapping[str, object]
Answer = dict[str, object]

_LONGEST_WORDS = 2000


def actions_of(store: Store, clock: Callable[[], datetime]) -> Mapping[str, Callable[[dict[str, object]], object]]:
    """The actions on an open store, by name, for a read service."""

    def bound(act: Callable[[Store, Body, datetime], Answer]) -> Callable[[dict[str, object]], object]:
        return lambda body: act(store, body, clock())

    return {name: bound(act) for name, act in ACTIONS.items()}


def remark(store: Store, body: Body, now: datetime) -> Answer:
    """Acknowledge, reopen, annotate, assign or judge an alert: `alert`, `what` (see `Saying`), `who`, `words`.

    Raises:
        InputUnusable: when there is no such alert, or a part is missing or too long.
    """
    alert, what = _text(body, "alert"), _text(body, "what")
    if what not in set(Saying):
        raise InputUnusable(f"{what!r} is nothing to say of an alert; there are: {', '.join(Saying)}")
    saying = Saying(what)
    if saying in (Saying.NOTE, Saying.ASSIGNED) and not _text(body, "words", ""):
        raise InputUnusable("a note needs words" if saying is Saying.NOTE else "name the person to assign it to")
    found = AlertStore(store).alert(alert)
    if found is None:
        raise InputUnusable(f"there is no alert {alert!r}; `squall alerts list` lists them")
    if saying in (Saying.TRUE, Saying.FALSE) and found.fired_at is None:
        raise InputUnusable(f"alert {alert} never fired, so nobody was told: there is nothing to judge")
    said = Remark(alert, now, _text(body, "who"), saying, _text(body, "words", ""))
    DeskStore(store).remark(said)
    return {"alert": alert, "what": what, "who": said.who, "at": now.isoformat()}


def begin_silence(store: Store, body: Body, now: datetime) -> Answer:
    """Silence the series of a `pattern` until an instant (`until`, ISO 8601): also `who` and `why`.

    Raises:
        InputUnusable: when a part is missing, or the end is not after now or more than a year away.
    """
    until = _text(body, "until")
    try:
        end = datetime.fromisoformat(until)
        made = silence(_text(body, "pattern"), now, end, who=_text(body, "who"), why=_text(body, "why", ""))
    except (ValueError, TypeError) as error:
        raise InputUnusable(f"this silence cannot be: {error}") from error
    DeskStore(store).keep_silence(made)
    alerts = AlertStore(store)
    held = alerts.held()
    # Also of alerts that are over: what is held of them says so.
    told = {alert.id: alert for one in held if one.alert and (alert := alerts.alert(one.alert))}
    taken = hushed(held, {id_: alert.series for id_, alert in told.items()}, made, now)
    if taken.withdrawn:
        alerts.commit((), (), taken.decisions, taken.withdrawn)
    return {"silence": made.id, "pattern": made.pattern, "until": made.until.isoformat()}


def end_silence(store: Store, body: Body, now: datetime) -> Answer:
    """End a `silence` now.

    Raises:
        InputUnusable: when there is none of that id, or it is over.
    """
    desk, id_ = DeskStore(store), _text(body, "silence")
    found = desk.silence(id_)
    if found is None:
        raise InputUnusable(f"there is no silence {id_!r}; `squall alerts silences` lists them")
    if not found.holds(now):
        raise InputUnusable(f"{id_} is over already")
    desk.keep_silence(ended(found, now))
    return {"silence": id_, "pattern": found.pattern, "ended_at": now.isoformat()}


def send_again(store: Store, body: Body, now: datetime) -> Answer:
    """Put a dead letter (`delivery`), or all of a `channel`, back into the outbox, under their old ids.

    Raises:
        InputUnusable: when there is no such delivery or channel, it is not dead, or the channel is switched off.
    """
    alerts = AlertStore(store)
    delivery, channel = _text(body, "delivery", ""), _text(body, "channel", "")
    letters = _dead_of(alerts, delivery, channel)
    _demand_channels(store, {letter.channel for letter in letters}, channel)
    disabled = {one.channel for one in DeskStore(store).conditions().values() if one.health is Health.DISABLED}
    for name in sorted({letter.channel for letter in letters} & disabled):
        raise InputUnusable(f"channel {name} is switched off: `squall alerts enable {name}` first")
    alerts.update_deliveries([redeliver(letter, now) for letter in letters])
    return {"deliveries": [letter.id for letter in letters], "state": DeliveryState.PENDING.value}


def enable(store: Store, body: Body, now: datetime) -> Answer:
    """Switch a `channel` on again whose receiver had said that it wants nothing more.

    Raises:
        InputUnusable: when it is not switched off.
    """
    channel, desk = _text(body, "channel"), DeskStore(store)
    known = desk.conditions().get(CHANNEL + channel)
    if known is None or known.health is not Health.DISABLED:
        raise InputUnusable(f"channel {channel!r} is not switched off")
    desk.keep_condition(Condition(known.subject, Health.WELL, now))
    return {"channel": channel, "state": Health.WELL.value}


def hasten(store: Store, body: Body, now: datetime) -> Answer:
    """Make due what waits for a retry on a `channel` that took a message which this store does not know of: a test."""
    return {"hastened": AlertStore(store).hasten(_text(body, "channel"), now, Schedule())}


ACTIONS: Mapping[str, Callable[[Store, Body, datetime], Answer]] = {
    "remark": remark,
    "silence": begin_silence,
    "unsilence": end_silence,
    "redeliver": send_again,
    "enable": enable,
    "hasten": hasten,
    "backup": back_up,
    "examine": look_over,
}


def _dead_of(alerts: AlertStore, delivery: str, channel: str) -> tuple[Delivery, ...]:
    if channel:
        return alerts.dead_letters(channel)
    found = alerts.delivery(delivery)
    if found is None:
        raise InputUnusable(f"there is no delivery {delivery!r}; `squall alerts deliveries` lists them")
    if found.state is not DeliveryState.DEAD:
        raise InputUnusable(f"delivery {delivery} is {found.state}: only dead letters are sent again")
    return (found,)


def _demand_channels(store: Store, written_to: Collection[str], asked: str) -> None:
    """See that what is put back will be sent: nobody sends what waits for a channel that the settings do not name.

    Raises:
        InputUnusable: when the settings that were last in force do not name one of them, or nobody knows the one asked.
    """
    places = {key.removeprefix(ENDPOINT): place for key, place in store.notes().items() if key.startswith(ENDPOINT)}
    gone = sorted(name for name in {*written_to, asked} if places.get(name) == NOWHERE)
    if gone:
        raise InputUnusable(
            f"channel {gone[0]} is not in the settings any more: name it there again, `squall reload` (or start the "
            "daemon), and then send again"
        )
    if asked and asked not in {*places, *written_to}:
        known = ", ".join(sorted(name for name, place in places.items() if place)) or "none"
        raise InputUnusable(f"there is no channel {asked!r}; channels: {known}")


def _text(body: Body, name: str, default: str | None = None) -> str:
    """A text of the body, without blanks around it.

    Raises:
        InputUnusable: when it is missing and there is no default, no text, or too long.
    """
    value = body.get(name, default)
    if not isinstance(value, str) or (not value.strip() and default is None):
        raise InputUnusable(f"{name} is missing")
    if len(value) > _LONGEST_WORDS:
        raise InputUnusable(f"{name} is longer than {_LONGEST_WORDS} characters")
    return value.strip()
