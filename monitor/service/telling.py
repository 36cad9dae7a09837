"""Telling people: what bears on a notice is gathered here, decided in `alerts`, and stored in one transaction.

takes  changes of alerts, the state of stages, now
gives  deliveries in the outbox, decisions on record, conditions that are kept
never  decides: `notices`, `conditions`, `removal` and `digests` of `alerts.telling` do
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from alerts.lifecycle import Alert, Change, ChangeReason, Sight, State
from alerts.sending.attempt import Attempt
from alerts.sending.channels import recipients_of
from alerts.sending.delivery import Channel, Delivery, message_delivery
from alerts.telling.conditions import (
    CHANNEL,
    SIGHT,
    STAGE,
    ChannelRecord,
    Condition,
    Health,
    channel_condition,
    mailbox_condition,
    mailbox_subject,
    turn,
)
from alerts.telling.digests import Digest, bulletin, covered, due, resumed
from alerts.telling.grouping import sealed
from alerts.telling.notices import Situation, Telling, notices, overdue
from alerts.telling.removal import ended, given_up
from alerts.telling.routes import DEFAULT
from alerts.telling.sight import Looking, idle, sight, sight_condition
from alerts.texts import wording
from alerts.texts.messages import bulletin_message, heartbeat_message
from monitor.service.stages import stages_of
from monitor.settings import Settings
from monitor.storage.alert_store import AlertStore
from monitor.storage.desk_store import NOWHERE, DeskStore
from monitor.storage.sending import ENDPOINT
from monitor.storage.store import Store
from monitor.watched import watched_series

log = structlog.get_logger(__name__)

# An end that was muted for longer is no news to anybody.
_ENDS_TOLD_FOR = timedelta(days=14)
_DIGEST = "digest:"
# Since when a digest is not in the settings, by its name; blank once it is told again.
_LEFT_DIGEST = "digest left:"


class Teller:
    """Everything between a change of an alert and the outbox."""

    def __init__(
        self, settings: Settings, store: Store, channels: Mapping[str, Channel], title: Callable[[str], str]
    ) -> None:
        """Put the parts in place.

        Args:
            settings: routes, digests and limits.
            store: an open store.
            channels: by name.
            title: what people call a series.
        """
        self._settings = settings
        self._store = store
        self._channels = channels
        self._title = title
        self._watched = frozenset(watched_series(settings))
        self._paused_at: datetime | None = None
        self._mailboxes = tuple(
            mailbox_subject(one.name, address) for one in settings.channels for address in recipients_of(one)
        )
        self.alerts = AlertStore(store)
        self.desk = DeskStore(store)

    def begin(self, now: datetime) -> None:
        """Switch on channels that have a new address, note since when digests are asked for, part with what is gone."""
        notes = self._store.notes()
        kept = self.desk.conditions()
        for name, channel in self._channels.items():
            known = kept.get(CHANNEL + name)
            moved = known is not None and known.health is Health.DISABLED and known.endpoint != channel.endpoint
            # What failed before it was taken out says nothing of how it is now that it is back.
            back = notes.get(ENDPOINT + name) == NOWHERE and (known is None or known.health is Health.WELL)
            if moved or back:
                self.desk.keep_condition(Condition(CHANNEL + name, Health.WELL, now))
            if notes.get(ENDPOINT + name) != channel.endpoint:
                self._store.note(ENDPOINT + name, channel.endpoint)
        for key, address in notes.items():
            if key.startswith(ENDPOINT) and address and key.removeprefix(ENDPOINT) not in self._channels:
                self._store.note(key, NOWHERE)
        self._give_up(now)
        self._looking("", now)
        for digest in self._settings.digests:
            if _DIGEST + digest.name not in notes:
                self._store.note(_DIGEST + digest.name, digest.last_end(now).isoformat())
        asked = {digest.name for digest in self._settings.digests}
        for name in (key.removeprefix(_DIGEST) for key in notes if key.startswith(_DIGEST)):
            if name not in asked and not notes.get(_LEFT_DIGEST + name):
                self._store.note(_LEFT_DIGEST + name, now.isoformat())

    def sight(self, now: datetime, fault: str) -> Sight:
        """Whether a series without a surge is calm."""
        return sight(self._looking(fault, now), now, self._patience)

    def seen_until(self, seen: Sight) -> datetime | None:
        """Until when silence was calm, where it is not now because no feed answers: so long after the last answer.

        As while the daemon runs. An answer that comes in every other round only would else end no alert.
        """
        answered = self.desk.looking().answered_at if seen is Sight.NO_DATA else None
        return answered + self._patience if answered is not None else None

    def tell(self, changes: Sequence[Change], before: Sequence[Alert], now: datetime) -> None:
        """Store changes with the deliveries and decisions that follow from them.

        Args:
            changes: in order.
            before: the alerts that were open.
            now: aware UTC.
        """
        if not any(change.notifies for change in changes):
            self.alerts.commit(changes, ())
            return
        changes = [replace(change, unwatched=self._left(change.alert.series)) for change in changes]
        after = {alert.id: alert for alert in before} | {change.alert.id: change.alert for change in changes}
        situation = self._situation(tuple(after.values()), now)
        telling = self._telling([change.alert.series for change in changes if change.notifies], now)
        made = notices(changes, situation, now, telling)
        self.alerts.commit(changes, made.deliveries, made.decisions, made.withdrawn)

    def oversee(self, now: datetime, fault: str, stages: Mapping[str, str]) -> None:
        """Do what time alone brings: reminders, late notices, digests, and news of Squall's own troubles.

        Args:
            now: aware UTC.
            fault: why headlines cannot be scored; empty when they can.
            stages: why each stage of the daemon fails; empty for one that does not.
        """
        ends = self._muted_ends(now)
        situation = self._situation(self.alerts.open_alerts(), now, ends)
        late = [change.alert.series for change, _ in ends]
        telling = self._telling([*(alert.series for alert in situation.open_alerts), *late], now)
        made = overdue(situation, now, telling)
        if made.deliveries or made.decisions:
            self.alerts.commit((), made.deliveries, made.decisions, made.withdrawn)
        # Again, for what was on its way when the settings were read anew.
        self._give_up(now)
        self._part(stages, now)
        known = self.desk.conditions()
        seen = [*self._seen(known, now), sight_condition(self._looking(fault, now), now, self._patience)]
        seen += [_stage(name, reason, now) for name, reason in stages.items()]
        patience = timedelta(minutes=self._settings.notify.failing_minutes)
        turned = turn(known, seen, tuple(self._channels), now, patience)
        if turned.conditions or turned.deliveries:
            self.alerts.commit((), turned.deliveries, conditions=turned.conditions)
        for digest in self._settings.digests:
            self._digest(digest, situation, now)

    def seal(self, channel: str, now: datetime) -> None:
        """Make groups of what was held back for this channel, and whose time has come."""
        if ripe := self.alerts.ripe(channel, now):
            self.alerts.seal(sealed(ripe, now))

    def beat(self, now: datetime) -> Attempt:
        """Tell the heartbeat's channel that the daemon works: once, and never again later.

        Raises:
            KeyError: when the settings name no channel for it.
        """
        name = self._settings.notify.heartbeat_channel
        message = heartbeat_message(now)
        return self._channels[name].send(message_delivery(message, "heartbeat", now, name, now), now)

    def _give_up(self, now: datetime) -> None:
        """Make dead letters of what waits for channels, or recipients, that the settings do not name."""
        waiting = self.desk.waiting_elsewhere(tuple(self._channels), self._mailboxes)
        if not waiting:
            return
        self.desk.give_up(given_up(waiting, now, tuple(self._channels)))
        for (name, recipient), count in Counter((one.channel, one.recipient) for one in waiting).items():
            way_out = f"name it in the settings again and reload; then: squall alerts redeliver --channel {name}"
            if name in self._channels:
                log.warning("recipient_removed", channel=name, recipient=recipient, messages=count, way_out=way_out)
            else:
                log.warning("channel_removed", channel=name, messages=count, way_out=way_out)

    def _part(self, stages: Mapping[str, str], now: datetime) -> None:
        """End the troubles of channels, recipients and stages that are no more."""
        known = self.desk.conditions().values()
        # A stage without a turn since the start was noted by the daemon before; of one that is gone the note is blank.
        noted = (stage.name for stage in stages_of(self._store.notes()))
        there = {SIGHT, *(CHANNEL + name for name in self._channels), *(STAGE + name for name in (*stages, *noted))}
        there.update(self._mailboxes)
        troubled = {one.channel for one in known if one.health is not Health.WELL}
        able = [name for name in self._channels if name not in troubled]
        gone = ended([one for one in known if one.subject not in there], able, now)
        if gone.conditions:
            self.alerts.commit((), gone.deliveries, conditions=gone.conditions)

    def _digest(self, digest: Digest, situation: Situation, now: datetime) -> None:
        notes = self._store.notes()
        noted, back = notes.get(_DIGEST + digest.name), bool(notes.get(_LEFT_DIGEST + digest.name))
        done = covered(digest, datetime.fromisoformat(noted), now) if noted else None
        if done is not None and done.isoformat() != noted:
            self._store.note(_DIGEST + digest.name, done.isoformat())
        reach = due(digest, done, now)
        if reach is None:
            if back:
                self._store.note(_LEFT_DIGEST + digest.name, "")
            return
        ended, until = reach
        since = resumed(digest, ended, until) if back else ended
        period = replace(self.desk.period(since, until), left_out_since=ended if ended < since else None)
        names = {alert.series: self._title(alert.series) for alert in period.alerts}
        told = bulletin(digest, period, names, self._settings.dashboard.url)
        message = bulletin_message("digest", told, until)
        channels = [name for name in digest.channels or self._channels if name not in situation.disabled]
        period_of = f"{digest.name} since {since.isoformat()}"
        deliveries: list[Delivery] = [message_delivery(message, period_of, until, name, now) for name in channels]
        # In this order: a crash between the two writes the same deliveries again, which changes nothing.
        self.alerts.commit((), deliveries)
        self._store.note(_DIGEST + digest.name, until.isoformat())
        if back:
            self._store.note(_LEFT_DIGEST + digest.name, "")

    def _situation(
        self, alerts: Sequence[Alert], now: datetime, ends: tuple[tuple[Change, str], ...] = ()
    ) -> Situation:
        conditions = self.desk.conditions()
        return Situation(
            channels=tuple(self._channels),
            routes=self._settings.routes or (DEFAULT,),
            open_alerts=tuple(alerts),
            silences=self.desk.silences(now),
            told=self.desk.told([alert.id for alert in (*alerts, *(change.alert for change, _ in ends))]),
            escalated=self.alerts.escalated([alert.id for alert in alerts]),
            held=self.alerts.held(),
            acknowledged=self.desk.acknowledged(),
            judged_false=self.desk.judged_false(),
            disabled={one.channel: one.reason for one in conditions.values() if one.health is Health.DISABLED},
            inhibited=frozenset(self._settings.notify.inhibit),
            muted_ends=ends,
        )

    def _muted_ends(self, now: datetime) -> tuple[tuple[Change, str], ...]:
        return tuple(
            (Change(one, State.RECOVERING, ChangeReason.RESOLVED, at, unwatched=self._left(one.series)), channel)
            for one, channel in self.alerts.muted_ends(now - _ENDS_TOLD_FOR)
            if channel in self._channels and (at := one.resolved_at) is not None
        )

    def _telling(self, series: Sequence[str], now: datetime) -> Telling:
        return Telling(
            names={one: self._title(one) for one in series},
            trends=self.desk.trends(series, now) if series and self._channels else {},
            dashboard_url=self._settings.dashboard.url,
        )

    def _seen(self, known: Mapping[str, Condition], now: datetime) -> list[Condition]:
        records = self.desk.channel_records(now)
        unused = {name: ChannelRecord(name, None, "") for name in self._channels}
        mailboxes = [one for one in self.desk.mailbox_records(now) if one.subject in self._mailboxes]
        return [
            *(
                channel_condition(record, known.get(f"channel:{name}"), now)
                for name, record in (unused | records).items()
                if name in self._channels
            ),
            *(mailbox_condition(one, now) for one in mailboxes),
        ]

    def _left(self, series: str) -> bool:
        """Whether a series is watched no more; a breaking story is watched with the market."""
        return series not in self._watched and not wording.is_story(series)

    def _looking(self, fault: str, now: datetime) -> Looking:
        """What is known of seeing; notices a pause, which lasts until somebody asks again."""
        looking = self.desk.looking()
        pace = timedelta(seconds=self._settings.daemon.poll_seconds)
        if idle(looking, now, pace):
            self._paused_at = looking.asked_at
        elif self._paused_at is not None:
            # After a clock was set back we would wait for an answer until the time that it showed.
            self._paused_at = min(self._paused_at, now)
        return replace(looking, fault=fault, paused_at=self._paused_at)

    @property
    def _patience(self) -> timedelta:
        return timedelta(hours=self._settings.notify.no_data_hours)


def _stage(name: str, reason: str, now: datetime) -> Condition:
    return Condition(STAGE + name, Health.FAILING if reason else Health.WELL, now, reason)
