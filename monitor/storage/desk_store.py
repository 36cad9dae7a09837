"""What people said about alerts and asked for, and what each channel was told.

takes  remarks, silences, and questions about alerts, deliveries and conditions
gives  what `alerts.telling` (notices, conditions, digests) and `alerts.judgement` decide on
never  changes an alert: what people say stands beside it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import polars as pl

from alerts.sending.delivery import Delivery, delivery_id
from alerts.telling.conditions import ChannelRecord, Condition, MailboxRecord
from alerts.telling.digests import Period
from alerts.telling.notices import Told
from alerts.telling.removal import Removal
from alerts.telling.sight import Looking
from alerts.telling.silences import Silence
from alerts.texts.messages import Trend
from monitor.storage.alert_rows import (
    DECISIONS,
    DELIVERIES,
    SILENCES,
    alert_of,
    condition_frame,
    condition_of,
    delivery_of,
    silence_of,
)
from monitor.storage.database import Database
from monitor.storage.record import add_decisions, next_place
from monitor.storage.rows import frame_of
from monitor.storage.store import Store

# What is noted as the address of a channel that was taken out of the settings.
NOWHERE = ""
_TREND_DAYS = 7
_HOURS_PER_BAR = 3
# Longer than any message is tried; what dead letters left behind over years is not read at each look.
_LATE = timedelta(days=14)


class Saying(StrEnum):
    """What a person says about an alert."""

    ACKNOWLEDGED = "acknowledged"
    REOPENED = "reopened"  # takes the acknowledgement back
    NOTE = "note"
    ASSIGNED = "assigned"  # `words` name to whom
    TRUE = "true"
    FALSE = "false"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that somebody said about an alert.

    Raises:
        ValueError: on a naive time, or when nobody said it.
    """

    alert: str
    at: datetime
    who: str
    what: Saying
    words: str = ""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None or not self.who or not self.alert:
            raise ValueError("a remark needs an alert, an aware time and a name")


class DeskStore:
    """What people and channels have to do with alerts, in an open store. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._database: Database = store.database

    # What people say

    def remark(self, remark: Remark) -> None:
        """Keep what somebody said."""
        with self._database.writing() as connection:
            connection.execute(
                'INSERT INTO remarks (alert, "at", who, what, words, place) VALUES (?, ?, ?, ?, ?, ?)',
                [remark.alert, remark.at, remark.who, remark.what.value, remark.words, next_place(connection)],
            )

    def acknowledged(self) -> frozenset[str]:
        """Alerts that somebody has taken on."""
        return self._latest(Saying.ACKNOWLEDGED, Saying.REOPENED)

    def judged_false(self) -> frozenset[str]:
        """Alerts that were called false, and not true since."""
        return self._latest(Saying.FALSE, Saying.TRUE)

    def silences(self, now: datetime) -> tuple[Silence, ...]:
        """Silences that hold now, soonest over first."""
        rows = self._read(
            "SELECT * FROM silences WHERE until > $now AND ended_at IS NULL ORDER BY until, id", {"now": now}
        )
        return tuple(silence_of(row) for row in rows.iter_rows(named=True))

    def silence(self, id_: str) -> Silence | None:
        """The silence of this id; None when there is none."""
        rows = self._read("SELECT * FROM silences WHERE id = $id", {"id": id_})
        return next((silence_of(row) for row in rows.iter_rows(named=True)), None)

    def keep_silence(self, silence: Silence) -> None:
        """Keep a silence as it is now."""
        with self._database.writing(kept=frame_of([silence], SILENCES)) as connection:
            connection.execute("INSERT OR REPLACE INTO silences BY NAME SELECT * FROM kept")

    # What channels were told

    def told(self, alerts: Sequence[str]) -> dict[tuple[str, str], Told]:
        """What each channel was told of these alerts, by alert and channel; what was withdrawn does not count.

        A notice that went in a group arrives, or waits, as the group does. A recipient who did not take what others
        took is waited for by nobody.
        """
        rows = self._read(
            """
            WITH sent AS (
                SELECT d.alert, d.channel, d.reason, d.created_at, coalesce(g.state, d.state) AS state,
                    coalesce(g.finished_at, d.finished_at) AS finished_at
                FROM deliveries d LEFT JOIN deliveries g ON d.state = 'bundled' AND g.id = d.outcome
                WHERE list_contains($alerts, d.alert) AND d.state <> 'withdrawn' AND d.recipient = ''
            )
            SELECT alert, channel, max(if(state = 'delivered', finished_at, created_at)) AS last_at,
                count(*) FILTER (reason = 'reminded') AS reminders, bool_or(state = 'pending') AS waiting
            FROM sent GROUP BY alert, channel
            """,
            {"alerts": list(alerts)},
        )
        return {
            (row["alert"], row["channel"]): Told(row["last_at"], row["reminders"], row["waiting"])
            for row in rows.iter_rows(named=True)
        }

    def unsent(self) -> frozenset[str]:
        """Ids of the deliveries that decisions kept from being written."""
        rows = self._read(
            'SELECT alert, notice, "at", channel FROM decisions '
            "WHERE choice NOT IN ('held_quiet', 'held_group', 'superseded', 'overtaken', 'channel_removed', "
            "'recipient_removed')"
        )
        return frozenset(delivery_id(*row) for row in rows.iter_rows())

    def trends(self, series: Sequence[str], now: datetime) -> dict[str, Trend]:
        """Negative stories of the last week in bars of three hours, by series."""
        last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        since = last - timedelta(days=_TREND_DAYS)
        rows = self._read(
            """
            SELECT series, (date_diff('hour', $since::TIMESTAMPTZ, hour) // $step)::INTEGER AS bar,
                sum(negative)::INTEGER AS negative
            FROM rollups WHERE hour >= $since AND hour < $last AND list_contains($series, series) GROUP BY ALL
            """,
            {"since": since, "last": last, "series": list(series), "step": _HOURS_PER_BAR},
        )
        counts = {one: [0] * (_TREND_DAYS * 24 // _HOURS_PER_BAR) for one in series}
        for name, bar, negative in rows.iter_rows():
            counts[name][bar] = negative
        return {
            one: Trend(since=since, hours_per_bar=_HOURS_PER_BAR, negative=tuple(bars)) for one, bars in counts.items()
        }

    def waiting_elsewhere(self, channels: Sequence[str], mailboxes: Sequence[str] = ()) -> tuple[Delivery, ...]:
        """Deliveries, held ones among them, that wait for other channels than these; oldest first.

        Among them is what waits for single recipients, unless their conditions' subjects are among `mailboxes`.
        """
        # In two steps: in one, DuckDB would read the messages of all that waits, and mostly nothing waits elsewhere.
        rows = self._read(
            """
            SELECT * FROM deliveries WHERE id IN (
                SELECT id FROM deliveries WHERE state = 'pending' AND (
                    NOT list_contains($channels::VARCHAR[], channel) OR (
                        recipient <> ''
                        AND NOT list_contains($mailboxes::VARCHAR[], 'mailbox:' || channel || '/' || recipient)
                    )
                )
            ) ORDER BY created_at, id
            """,
            {"channels": list(channels), "mailboxes": list(mailboxes)},
        )
        return tuple(delivery_of(row) for row in rows.iter_rows(named=True))

    def give_up(self, removal: Removal) -> None:
        """Keep dead letters and the decisions on them, in one transaction; what was sent meanwhile stays as it is."""
        with self._database.writing(
            letters=frame_of(removal.letters, DELIVERIES), decided=frame_of(removal.decisions, DECISIONS)
        ) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO deliveries BY NAME SELECT l.* FROM letters l "
                "SEMI JOIN (SELECT id FROM deliveries WHERE state = 'pending') waits ON waits.id = l.id"
            )
            add_decisions(connection, next_place(connection))

    # How Squall is doing

    def conditions(self) -> dict[str, Condition]:
        """What people were told of, or will be, by subject."""
        rows = self._read("SELECT * FROM conditions ORDER BY subject")
        return {row["subject"]: condition_of(row) for row in rows.iter_rows(named=True)}

    def keep_condition(self, condition: Condition) -> None:
        """Keep how something is doing, in place of what was kept of it."""
        with self._database.writing(told=condition_frame([condition])) as connection:
            connection.execute("INSERT OR REPLACE INTO conditions BY NAME SELECT * FROM told")

    def channel_records(self, now: datetime) -> dict[str, ChannelRecord]:
        """What the attempts on each channel say, since it was last switched on; channels that were never used lack.

        The last attempt is the one that was noted last: its time may be that of a clock which ran ahead.
        """
        rows = self._read(
            """
            WITH tried AS (
                SELECT t.rowid AS nth, d.channel, t."at", t.outcome, t.reason
                FROM attempts t JOIN deliveries d ON d.id = t.delivery AND d.recipient = ''
                LEFT JOIN conditions c ON c.subject = 'channel:' || d.channel AND c.state = 'well'
                WHERE t."at" >= coalesce(c.since, '-infinity'::TIMESTAMPTZ)
            ), arrived AS (
                SELECT channel, coalesce(max(nth) FILTER (outcome = 'delivered'), -1) AS arrived,
                    arg_max(reason, nth) AS reason
                FROM tried GROUP BY channel
            )
            SELECT a.channel, min(if(t."at" > $now, $now, t."at")) AS failing_since, any_value(a.reason) AS reason
            FROM arrived a LEFT JOIN tried t ON t.channel = a.channel AND t.nth > a.arrived
            GROUP BY a.channel
            """,
            {"now": now},
        )
        return {row["channel"]: ChannelRecord(**row) for row in rows.iter_rows(named=True)}

    def mailbox_records(self, now: datetime) -> tuple[MailboxRecord, ...]:
        """What the attempts of late say of each recipient who did not take what the others of a channel took.

        Of one to whom nothing was sent for long nothing new is known, and none is given.
        """
        rows = self._read(
            """
            WITH parts AS (SELECT id, channel, recipient, part_of FROM deliveries WHERE recipient <> ''),
            whole AS (
                SELECT t.rowid AS nth, d.id, d.channel, t."at",
                    row_number() OVER (PARTITION BY d.channel ORDER BY t.rowid DESC) AS place
                FROM attempts t JOIN deliveries d ON d.id = t.delivery AND d.recipient = ''
                WHERE t.outcome = 'delivered' AND t."at" >= $late AND d.channel IN (SELECT channel FROM parts)
            ), missed AS (
                SELECT p.channel, p.recipient, w.place,
                    row_number() OVER (PARTITION BY p.channel, p.recipient ORDER BY w.place) AS number
                FROM whole w JOIN (SELECT DISTINCT channel, recipient, part_of FROM parts) p ON p.part_of = w.id
            ), reached AS (
                -- What went to all arrived at each of whom nothing is left of it: the latest such of each is behind
                -- those that he missed one after the other. Joined to him, all that went to all would be read for each.
                SELECT p.channel, p.recipient, 1 + coalesce(max(m.number) FILTER (m.number = m.place), 0) AS place
                FROM (SELECT DISTINCT channel, recipient FROM parts) p
                LEFT JOIN missed m ON m.channel = p.channel AND m.recipient = p.recipient GROUP BY ALL
            ), tried AS (
                SELECT t.rowid AS nth, p.channel, p.recipient, t."at", t.outcome = 'delivered' AS arrived, t.reason
                FROM attempts t JOIN parts p ON p.id = t.delivery WHERE t."at" >= $late
                UNION ALL
                SELECT w.nth, r.channel, r.recipient, w."at", true, ''
                FROM reached r JOIN whole w ON w.channel = r.channel AND w.place = r.place
            ), lately AS (
                SELECT t.* FROM tried t LEFT JOIN conditions c
                    ON c.subject = 'mailbox:' || t.channel || '/' || t.recipient AND c.state = 'well'
                WHERE t."at" >= coalesce(c.since, '-infinity'::TIMESTAMPTZ)
            ), counted AS (
                SELECT channel, recipient, max(nth) FILTER (arrived) AS last FROM lately GROUP BY channel, recipient
            )
            SELECT channel, recipient,
                min(if("at" > $now, $now, "at")) FILTER (nth > coalesce(last, -1)) AS failing_since,
                coalesce(arg_max(reason, nth) FILTER (NOT arrived), '') AS reason
            FROM lately JOIN counted USING (channel, recipient)
            GROUP BY channel, recipient ORDER BY channel, recipient
            """,
            {"now": now, "late": now - _LATE},
        )
        return tuple(MailboxRecord(**row) for row in rows.iter_rows(named=True))

    def looking(self) -> Looking:
        """When any feed was last asked, when any last answered as it should, and when the next was to be asked.

        Where none ever answered, since when there are feeds stands for it.
        """
        row = self._read(
            "SELECT max(last_check_at), coalesce(max(last_success_at), min(added_at)), "
            "min(next_check_at) FILTER (paused_at IS NULL) FROM feeds"
        ).row(0)
        return Looking(row[0], row[1], due_at=row[2])

    def period(self, since: datetime, until: datetime) -> Period:
        """What happened from the one to just before the other, for a digest.

        What came in is counted by whole hours: the hour in which a period ends belongs to the next one.
        """
        first, last = (one.astimezone(UTC).replace(minute=0, second=0, microsecond=0) for one in (since, until))
        alerts = self._read(
            "SELECT * FROM alerts WHERE fired_at < $until AND coalesce(resolved_at, 'infinity'::TIMESTAMPTZ) >= $since "
            "ORDER BY fired_at DESC, id",
            {"since": since, "until": until},
        )
        counts = self._read(
            "SELECT coalesce(sum(headlines), 0)::BIGINT, coalesce(sum(stories), 0)::BIGINT, "
            "coalesce(sum(negative), 0)::BIGINT FROM rollups "
            "WHERE series = 'market' AND hour >= $first AND hour < $last",
            {"first": first, "last": last},
        ).row(0)
        unsent = self._read(
            'SELECT choice, count(*) AS notices FROM decisions WHERE "at" >= $since AND "at" < $until '
            "AND choice NOT IN ('held_quiet', 'held_group') GROUP BY choice",
            {"since": since, "until": until},
        )
        told = tuple(alert_of(row) for row in alerts.iter_rows(named=True))
        headlines, stories, negative = counts
        return Period(since, until, told, headlines, stories, negative, dict(unsent.iter_rows()))

    def _latest(self, yes: Saying, no: Saying) -> frozenset[str]:
        """The alerts of which the one was said last: what was noted last, for its time may be that of a wrong clock."""
        rows = self._read(
            "SELECT alert FROM remarks WHERE what IN ($yes, $no) GROUP BY alert HAVING arg_max(what, rowid) = $yes",
            {"yes": yes.value, "no": no.value},
        )
        return frozenset(rows["alert"])

    def _read(self, query: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        with self._database.reading() as cursor:
            rows: pl.DataFrame = cursor.sql(query, params=dict(params or {})).pl()
            return rows
