"""What Squall remembers of alerts and of the messages about them.

takes  changes of alerts with their deliveries, and what became of each attempt
gives  frames for detection, the alerts that are open, and the deliveries that are due
never  writes a change without its deliveries, or either of them twice

It is the store's side of `alerts.memory.Memory` and `alerts.delivery.Outbox`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from alerts.delivery import Attempt, Delivery, DeliveryState
from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change, ChangeReason, Severity, State
from monitor.database import Database
from monitor.rows import Schema, frame_of, framed
from monitor.store import Store

OPEN_STATES = (State.PENDING, State.FIRING, State.RECOVERING)

_INSTANT = pl.Datetime("us", "UTC")
_TEXT = pl.String()

_ALERTS: Schema = {
    "id": _TEXT,
    "series": _TEXT,
    "state": _TEXT,
    "severity": _TEXT,
    "opened_at": _INSTANT,
    "fired_at": _INSTANT,
    "last_spike_at": _INSTANT,
    "resolved_at": _INSTANT,
    "hours": pl.Int32(),
    "observed": pl.Int32(),
    "expected": pl.Float64(),
    "p_value": pl.Float64(),
    "peak_observed": pl.Int32(),
    "peak_expected": pl.Float64(),
    "peak_p_value": pl.Float64(),
    "peak_at": _INSTANT,
    "evidence": _TEXT,
}

_CHANGES: Schema = {
    "alert": _TEXT,
    "at": _INSTANT,
    "reason": _TEXT,
    "state_before": _TEXT,
    "state_after": _TEXT,
    "severity": _TEXT,
    "observed": pl.Int32(),
    "expected": pl.Float64(),
    "p_value": pl.Float64(),
}

_DELIVERIES: Schema = {
    "id": _TEXT,
    "alert": _TEXT,
    "reason": _TEXT,
    "channel": _TEXT,
    "state": _TEXT,
    "created_at": _INSTANT,
    "attempts": pl.Int32(),
    "next_attempt_at": _INSTANT,
    "finished_at": _INSTANT,
    "outcome": _TEXT,
    "payload": _TEXT,
}


class AlertStore:
    """Alerts, their history and their deliveries in an open store. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._database: Database = store.database

    # What detection asks (alerts.memory.Memory)

    def history(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Hours from `since` to `until` that hold stories, in the columns of `alerts.windows.HISTORY`."""
        return self._read(
            """
            SELECT series, hour, stories::BIGINT AS stories, negative::BIGINT AS negative FROM rollups
            WHERE hour >= $since AND hour <= $until AND (stories > 0 OR negative > 0) ORDER BY hour, series
            """,
            {"since": since, "until": until},
        )

    def sightings(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Stories that may alert and turned negative from `since` to `until`, as `alerts.windows.SIGHTINGS`."""
        return self._read(
            """
            SELECT series, story, negative_at, publishers FROM sightings
            WHERE fresh AND negative_at >= $since AND negative_at <= $until ORDER BY negative_at, series, story
            """,
            {"since": since, "until": until},
        )

    def watched(self) -> pl.DataFrame:
        """Every watched series and since when, as `alerts.windows.WATCHED`."""
        return self._read("SELECT series, since FROM series ORDER BY series")

    def evidence(self, series: str, stories: Sequence[int]) -> tuple[Evidence, ...]:
        """Each story's first negative headline in this series, and who carries the story, in the order asked for.

        A story that has no negative headline in the series is left out.
        """
        with self._database.reading() as cursor:
            copies: pl.DataFrame = cursor.sql(
                """
                SELECT id, story, title, link, publisher, effective AS "at" FROM headlines
                WHERE story IN (SELECT unnest($stories::UBIGINT[])) AND standing NOT IN ('undated', 'future')
                ORDER BY fetched, effective, id
                """,
                params={"stories": list(stories)},
            ).pl()
            # In two steps: in one, DuckDB would search the series of every score. The range lets it skip blocks.
            opinions: pl.DataFrame = cursor.sql(
                """
                SELECT headline AS id, negative, sentiment = 'negative' AND abstention = 'none' AS counts FROM scores
                WHERE effective >= $since AND effective <= $until AND list_contains(series, $series)
                    AND headline IN (SELECT unnest($ids::UBIGINT[]))
                """,
                params={
                    "since": copies["at"].min(),
                    "until": copies["at"].max(),
                    "series": series,
                    "ids": copies["id"].to_list(),
                },
            ).pl()
        told = copies.join(opinions, on="id", maintain_order="left")
        carriers = told.group_by("story").agg(publishers=pl.col("publisher").unique(maintain_order=True))
        firsts = told.filter("counts").sort("at", "id").unique("story", keep="first", maintain_order=True)
        found = {
            row["story"]: Evidence(**{**row, "publishers": tuple(row["publishers"])})
            for row in firsts.join(carriers, on="story")
            .select("story", "title", "publishers", "link", "at", "negative")
            .iter_rows(named=True)
        }
        return tuple(found[story] for story in dict.fromkeys(stories) if story in found)

    def open_alerts(self) -> tuple[Alert, ...]:
        """Alerts that are pending, firing or recovering, oldest first."""
        rows = self._read(
            "SELECT * FROM alerts WHERE list_contains($states, state) ORDER BY opened_at, id",
            {"states": [state.value for state in OPEN_STATES]},
        )
        return tuple(_alert(row) for row in rows.iter_rows(named=True))

    def commit(self, changes: Sequence[Change], deliveries: Sequence[Delivery]) -> None:
        """Keep alerts as they are after these changes, the changes, and their deliveries: all in one transaction.

        Repeated, it changes nothing: a delivery that is known stays as it is, whatever became of it since.

        Raises:
            StoreUnavailable: when it cannot be written; nothing is, then.
        """
        after = list({change.alert.id: change.alert for change in changes}.values())
        with self._database.writing(
            after=_alert_frame(after), changed=_change_frame(changes), planned=frame_of(deliveries, _DELIVERIES)
        ) as connection:
            connection.execute("INSERT OR REPLACE INTO alerts BY NAME SELECT * FROM after")
            connection.execute(
                'INSERT INTO changes BY NAME SELECT * FROM changed ANTI JOIN changes USING (alert, "at", reason)'
            )
            connection.execute("INSERT INTO deliveries BY NAME SELECT * FROM planned ON CONFLICT DO NOTHING")

    # What sending asks (alerts.delivery.Outbox)

    def due(self, channel: str, now: datetime, limit: int) -> tuple[Delivery, ...]:
        """Pending deliveries of one channel whose next attempt is not later than now, longest due first."""
        return self._deliveries(
            "WHERE channel = $channel AND state = 'pending' AND next_attempt_at <= $now "
            "ORDER BY next_attempt_at, created_at, id LIMIT $limit",
            {"channel": channel, "now": now, "limit": limit},
        )

    def record(self, delivery: Delivery, attempt: Attempt) -> None:
        """Keep a delivery as it is after an attempt, and the attempt, in one transaction.

        Raises:
            StoreUnavailable: when it cannot be written; nothing is, then, and the delivery stays due.
        """
        with self._database.writing(delivered=frame_of([delivery], _DELIVERIES)) as connection:
            _replace(connection)
            connection.execute(
                "INSERT INTO attempts VALUES (?, ?, ?, ?, ?)",
                [delivery.id, attempt.at, attempt.outcome.value, attempt.reason, attempt.millis],
            )

    # What people ask

    def update_delivery(self, delivery: Delivery) -> None:
        """Keep a delivery as it is now, for example a dead letter that is sent again."""
        with self._database.writing(delivered=frame_of([delivery], _DELIVERIES)) as connection:
            _replace(connection)

    def delivery(self, delivery: str) -> Delivery | None:
        """The delivery of this id; None when there is none."""
        return next(iter(self._deliveries("WHERE id = $id", {"id": delivery})), None)

    def dead_letters(self, limit: int) -> tuple[Delivery, ...]:
        """Deliveries that were given up, the latest first."""
        return self._deliveries("WHERE state = 'dead' ORDER BY finished_at DESC, id LIMIT $limit", {"limit": limit})

    def alert(self, alert: str) -> Alert | None:
        """The alert of this id; None when there is none."""
        rows = self._read("SELECT * FROM alerts WHERE id = $id", {"id": alert})
        return next((_alert(row) for row in rows.iter_rows(named=True)), None)

    def alerts(self, since: datetime, limit: int) -> tuple[Alert, ...]:
        """Alerts that are open, or were resolved since then, the latest first."""
        rows = self._read(
            "SELECT * FROM alerts WHERE resolved_at IS NULL OR resolved_at >= $since "
            "ORDER BY opened_at DESC, id LIMIT $limit",
            {"since": since, "limit": limit},
        )
        return tuple(_alert(row) for row in rows.iter_rows(named=True))

    def _read(self, query: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        with self._database.reading() as cursor:
            rows: pl.DataFrame = cursor.sql(query, params=dict(params or {})).pl()
            return rows

    def _deliveries(self, clauses: str, params: Mapping[str, object]) -> tuple[Delivery, ...]:
        rows = self._read(f"SELECT * FROM deliveries {clauses}", params)  # noqa: S608 - clauses are constants of this file
        return tuple(Delivery(**{**row, "state": DeliveryState(row["state"])}) for row in rows.iter_rows(named=True))


def _replace(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("INSERT OR REPLACE INTO deliveries BY NAME SELECT * FROM delivered")


def _alert_frame(alerts: Sequence[Alert]) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {
        name: [getattr(alert, name) for alert in alerts] for name in _ALERTS if name != "evidence"
    }
    columns["evidence"] = [_evidence_text(alert.evidence) for alert in alerts]
    return framed(columns, _ALERTS)


def _change_frame(changes: Sequence[Change]) -> pl.DataFrame:
    rows = [
        (
            change.alert.id,
            change.at,
            change.reason.value,
            change.before.value,
            change.alert.state.value,
            change.alert.severity.value,
            change.alert.observed,
            change.alert.expected,
            change.alert.p_value,
        )
        for change in changes
        # An alert that merely goes on says so at every look: once a minute would drown the trail.
        if change.reason is not ChangeReason.CONTINUED
    ]
    return pl.DataFrame(rows, schema=_CHANGES, orient="row")


def _alert(row: Mapping[str, Any]) -> Alert:
    told = {**row, "state": State(row["state"]), "severity": Severity(row["severity"])}
    return Alert(**{**told, "evidence": _evidence_of(row["evidence"])})


def _evidence_text(evidence: Sequence[Evidence]) -> str:
    return json.dumps([{**asdict(each), "at": each.at.isoformat()} for each in evidence], ensure_ascii=False)


def _evidence_of(text: str) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(**{**told, "at": datetime.fromisoformat(told["at"]), "publishers": tuple(told["publishers"])})
        for told in json.loads(text)
    )
