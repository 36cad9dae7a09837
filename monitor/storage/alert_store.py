"""What Squall remembers of alerts and of the messages about them.

takes  changes of alerts with their deliveries, and what became of each attempt
gives  frames for detection, the alerts that are open, and the deliveries that are due
never  writes a change without its deliveries, or either of them twice

It is the store's side of `alerts.memory.Memory` and `alerts.sending.delivery.Outbox`.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change
from alerts.sending.delivery import Attempt, Delivery, Part, Schedule, delivery_id
from alerts.sending.recovery import hastened
from alerts.telling.conditions import Condition
from alerts.telling.grouping import Sealing
from alerts.telling.notices import Decision, Escalation
from monitor.storage.alert_rows import (
    DECISIONS,
    DELIVERIES,
    alert_frame,
    alert_of,
    change_frame,
    condition_frame,
    delivery_of,
)
from monitor.storage.database import Database
from monitor.storage.record import add_changes, add_decisions, add_deliveries, next_place
from monitor.storage.rows import frame_of
from monitor.storage.sending import (
    give_up_overtaken,
    keep_attempts,
    make_due,
    note_beginning,
    replace,
    replace_untried,
    switch_off,
)
from monitor.storage.store import Store
from monitor.storage.waiting import due_ids, muted_ends, retries, unheard
from monitor.storage.watching import WATCHED


class AlertStore:
    """Alerts, their history and their deliveries in an open store. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._database: Database = store.database
        # By channel, since this process began: whose turn it is among what is due hangs on it.
        self._handed_out: dict[str, int] = defaultdict(int)

    # What detection asks (alerts.memory.Memory)

    def history(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Hours from `since` to `until` that hold stories, in the columns of `alerts.detection.windows.HISTORY`."""
        return self._read(
            """
            SELECT series, hour, stories::BIGINT AS stories, negative::BIGINT AS negative FROM rollups
            WHERE hour >= $since AND hour <= $until AND (stories > 0 OR negative > 0) ORDER BY hour, series
            """,
            {"since": since, "until": until},
        )

    def sightings(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Stories that may alert and turned negative from `since` to `until`, as `windows.SIGHTINGS` of detection."""
        return self._read(
            """
            SELECT series, story, negative_at, publishers FROM sightings
            WHERE fresh AND negative_at >= $since AND negative_at <= $until ORDER BY negative_at, series, story
            """,
            {"since": since, "until": until},
        )

    def watched(self) -> pl.DataFrame:
        """Every watched series and since when, as `alerts.detection.windows.WATCHED`."""
        return self._read(f"SELECT series, since FROM series WHERE {WATCHED} ORDER BY series")  # noqa: S608 - a constant

    def evidence(self, series: str, stories: Sequence[int]) -> tuple[Evidence, ...]:
        """Each story's first negative headline in this series, and who carries the story, in the order asked for.

        A story that has no negative headline in the series is left out.
        """
        return self.evidences([(series, stories)])[0]

    def evidences(self, asked: Sequence[tuple[str, Sequence[int]]]) -> list[tuple[Evidence, ...]]:
        """`evidence` of many series at once, in the order asked for: as cheap as that of one."""
        wanted = pl.DataFrame(
            [(each, series, story) for each, (series, stories) in enumerate(asked) for story in dict.fromkeys(stories)],
            schema={"asked": pl.Int64, "series": pl.String, "story": pl.UInt64},
            orient="row",
        )
        with self._database.reading() as cursor:
            copies: pl.DataFrame = cursor.sql(
                """
                SELECT id, story, title, link, publisher, effective AS "at" FROM headlines
                WHERE story IN (SELECT unnest($stories::UBIGINT[])) AND standing NOT IN ('undated', 'future')
                ORDER BY fetched, effective, id
                """,
                params={"stories": wanted["story"].unique().to_list()},
            ).pl()
            # In two steps: in one, DuckDB would search the series of every score. The range lets it skip blocks.
            opinions: pl.DataFrame = cursor.sql(
                """
                WITH said AS (
                    SELECT headline AS id, unnest(series) AS series, unnest(series_negative) AS counts, towards,
                        towards_negative, negative
                    FROM scores
                    WHERE effective >= $since AND effective <= $until AND headline IN (SELECT unnest($ids::UBIGINT[]))
                )
                SELECT id, series, counts,
                    coalesce(towards_negative[list_position(towards, split_part(series, ':', 2))], negative) AS negative
                FROM said WHERE series IN (SELECT unnest($series::VARCHAR[]))
                """,
                params={
                    "since": copies["at"].min(),
                    "until": copies["at"].max(),
                    "series": wanted["series"].unique().to_list(),
                    "ids": copies["id"].to_list(),
                },
            ).pl()
        told = copies.join(wanted, on="story", maintain_order="left").join(
            opinions, on=["id", "series"], maintain_order="left"
        )
        one = ["asked", "story"]
        carriers = told.group_by(one).agg(publishers=pl.col("publisher").unique(maintain_order=True))
        firsts = told.filter("counts").sort("at", "id").unique(one, keep="first", maintain_order=True)
        found = {
            (row.pop("asked"), row["story"]): Evidence(**{**row, "publishers": tuple(row["publishers"])})
            for row in firsts.join(carriers, on=one)
            # Whose the headline is, then the others: readers take the first for its author.
            .with_columns(
                pl.concat_list("publisher", "publishers").list.unique(maintain_order=True).alias("publishers")
            )
            .select("asked", "story", "title", "publishers", "link", "at", "negative")
            .iter_rows(named=True)
        }
        return [
            tuple(found[each, story] for story in dict.fromkeys(stories) if (each, story) in found)
            for each, (_, stories) in enumerate(asked)
        ]

    def open_alerts(self) -> tuple[Alert, ...]:
        """Alerts that are not resolved, oldest first."""
        rows = self._read("SELECT * FROM alerts WHERE state <> 'resolved' ORDER BY opened_at, id")
        return tuple(alert_of(row) for row in rows.iter_rows(named=True))

    def escalated(self, alerts: Sequence[str]) -> dict[str, Escalation]:
        """When each of these alerts became as grave as it is, and who heard so; one that fired so is missing."""
        rows = self._read(
            """
            SELECT c.alert, c."at", d.channel, d.id, d.created_at FROM changes c
            JOIN alerts a ON a.id = c.alert AND a.severity = c.severity
            LEFT JOIN deliveries d ON d.alert = c.alert AND d.state <> 'withdrawn'
            WHERE c.reason = 'escalated' AND list_contains($alerts, c.alert)
            """,
            {"alerts": list(alerts)},
        )
        heard: dict[tuple[str, datetime], set[str]] = {}
        for alert, at, channel, id_, written in rows.iter_rows():
            channels = heard.setdefault((alert, at), set())
            # What is written later says how grave it is by then. Under a clock that was set back only the id is sure.
            if channel is not None and (written >= at or id_ == delivery_id(alert, "escalated", at, channel)):
                channels.add(channel)
        return {alert: Escalation(at, frozenset(channels)) for (alert, at), channels in heard.items()}

    def commit(
        self,
        changes: Sequence[Change],
        deliveries: Sequence[Delivery],
        decisions: Sequence[Decision] = (),
        withdrawn: Sequence[Delivery] = (),
        conditions: Sequence[Condition] = (),
    ) -> None:
        """Keep alerts as they are after these changes, and all that follows from it: all in one transaction.

        Repeated, it changes nothing: a delivery that is known stays as it is, whatever became of it since, save that
        one that was withdrawn is taken up again.

        Args:
            changes: in order; of one alert the last counts.
            deliveries: new ones.
            decisions: notices that are not sent, or not at once.
            withdrawn: held deliveries that are not sent after all; one that was attempted meanwhile stays as it is.
            conditions: how channels, feeds and stages are doing, in place of what was kept of them.

        Raises:
            StoreUnavailable: when it cannot be written; nothing is, then.
        """
        after = list({change.alert.id: change.alert for change in changes}.values())
        recorded = change_frame(changes)
        with self._database.writing(
            after=alert_frame(after),
            changed=recorded,
            planned=frame_of(deliveries, DELIVERIES),
            decided=frame_of(decisions, DECISIONS),
            replaced=frame_of(withdrawn, DELIVERIES),
            told=condition_frame(conditions),
        ) as connection:
            connection.execute("INSERT OR REPLACE INTO alerts BY NAME SELECT * FROM after")
            # An alert that merely goes on adds nothing to the record.
            place = next_place(connection) if recorded.height or deliveries or decisions else 0
            add_changes(connection, place)
            # A notice that a silence took back is told after all, under the id that it had.
            connection.execute(
                "INSERT OR REPLACE INTO deliveries BY NAME SELECT p.* FROM planned p "
                "SEMI JOIN (SELECT id FROM deliveries WHERE state = 'withdrawn') back ON back.id = p.id"
            )
            add_deliveries(connection, place)
            add_decisions(connection, place)
            replace_untried(connection)
            connection.execute("INSERT OR REPLACE INTO conditions BY NAME SELECT * FROM told")

    # What sending asks (alerts.sending.delivery.Outbox)

    def due(self, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
        """What goes now of one channel: pending, in no bundle; see `alerts.sending.order` and `following`."""
        gone = self._handed_out[channel]
        with self._database.reading() as cursor:
            ids, anew = due_ids(cursor, channel, now, limit, gone)
            first = unheard(cursor, ids)
        self._handed_out[channel] = gone + len(ids)
        if not ids:
            return ()
        # What was withdrawn, or given up, in this very moment is not sent.
        found = self._deliveries("WHERE id IN (SELECT unnest($ids::VARCHAR[])) AND state = 'pending'", {"ids": ids})
        return tuple(
            dataclasses.replace(one, attempts=0 if one.id in anew else one.attempts, unheard=one.id in first)
            for one in sorted(found, key=lambda one: ids.index(one.id))
        )

    def begin(self, delivery: Delivery, at: datetime) -> None:
        """Note which delivery its channel is about to send, and when.

        Raises:
            StoreUnavailable: when nothing can be written: what becomes of the attempt could not be kept either.
        """
        with self._database.writing() as connection:
            note_beginning(connection, delivery, at)

    def record(self, delivery: Delivery, attempt: Attempt, parts: Sequence[Part] = ()) -> None:
        """Keep a delivery as it is after an attempt, the attempt, and what is left of it, in one transaction.

        After an answer that says "never again" the channel is switched off, and what waits for it is given up, to be
        sent again when the channel is back. What a message overtook is given up when it arrives.

        Raises:
            StoreUnavailable: when it cannot be written; nothing is, then, and the delivery stays due.
        """
        made = ((delivery, attempt), *parts)
        with self._database.writing(delivered=frame_of([one for one, _ in made], DELIVERIES)) as connection:
            keep_attempts(connection, delivery, made)
            if attempt.outcome.ok:
                give_up_overtaken(connection, delivery, attempt.ended)
            if attempt.outcome.final:
                switch_off(connection, delivery.channel, attempt)

    def hasten(self, channel: str, at: datetime, schedule: Schedule) -> int:
        """Make due at `at` what waits there and need not: `alerts.sending.recovery`. Returns how many that were.

        Raises:
            StoreUnavailable: when it cannot be written; it waits on, then, until the next message arrives.
        """
        with self._database.reading() as cursor:
            ids = hastened(retries(cursor, channel, at), schedule)
        if ids:
            with self._database.writing() as connection:
                make_due(connection, ids, at)
        return len(ids)

    def muted_ends(self, since: datetime) -> list[tuple[Alert, str]]:
        """Alerts that were over since then, each with a channel that heard of it, and of whose end a mute kept it."""
        with self._database.reading() as cursor:
            return muted_ends(cursor, since)

    def held(self) -> tuple[Delivery, ...]:
        """Deliveries that wait for the end of quiet hours or of a group."""
        return self._deliveries("WHERE state = 'pending' AND bundle <> '' ORDER BY created_at, id", {})

    def ripe(self, channel: str, now: datetime) -> tuple[Delivery, ...]:
        """Held deliveries of one channel whose time has come."""
        return self._deliveries(
            "WHERE channel = $channel AND state = 'pending' AND bundle <> '' AND next_attempt_at <= $now "
            "ORDER BY created_at, id",
            {"channel": channel, "now": now},
        )

    def seal(self, sealing: Sealing) -> None:
        """Keep groups and mark their members as part of them, in one transaction.

        Raises:
            StoreUnavailable: when it cannot be written; nothing is, then, and the members stay held.
        """
        with self._database.writing(
            planned=frame_of(sealing.groups, DELIVERIES), replaced=frame_of(sealing.members, DELIVERIES)
        ) as connection:
            add_deliveries(connection, next_place(connection))
            replace_untried(connection)

    # What people ask

    def update_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Keep deliveries as they are now, such as dead letters that are sent again: all in one transaction."""
        with self._database.writing(delivered=frame_of(deliveries, DELIVERIES)) as connection:
            replace(connection)

    def delivery(self, delivery: str) -> Delivery | None:
        """The delivery of this id; None when there is none."""
        return next(iter(self._deliveries("WHERE id = $id", {"id": delivery})), None)

    def dead_letters(self, channel: str) -> tuple[Delivery, ...]:
        """All deliveries of one channel that were given up, the latest first."""
        return self._deliveries(
            "WHERE state = 'dead' AND channel = $channel ORDER BY finished_at DESC, id", {"channel": channel}
        )

    def alert(self, alert: str) -> Alert | None:
        """The alert of this id; None when there is none."""
        rows = self._read("SELECT * FROM alerts WHERE id = $id", {"id": alert})
        return next((alert_of(row) for row in rows.iter_rows(named=True)), None)

    def alerts(self, since: datetime, limit: int) -> tuple[Alert, ...]:
        """Alerts that are open, or were resolved since then, the latest first."""
        rows = self._read(
            "SELECT * FROM alerts WHERE resolved_at IS NULL OR resolved_at >= $since "
            "ORDER BY opened_at DESC, id LIMIT $limit",
            {"since": since, "limit": limit},
        )
        return tuple(alert_of(row) for row in rows.iter_rows(named=True))

    def _read(self, query: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        with self._database.reading() as cursor:
            rows: pl.DataFrame = cursor.sql(query, params=dict(params or {})).pl()
            return rows

    def _deliveries(self, clauses: str, params: Mapping[str, object]) -> tuple[Delivery, ...]:
        rows = self._read(f"SELECT * FROM deliveries {clauses}", params)  # noqa: S608 - clauses are constants of this file
        return tuple(delivery_of(row) for row in rows.iter_rows(named=True))
