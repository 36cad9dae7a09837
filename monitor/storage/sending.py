"""What became of sending, in the store: which message a channel is about to send, attempts, and channels that are off.

takes  a connection that writes, with the frames that it lends
gives  rows of deliveries, attempts and conditions
never  begins or ends a transaction: whoever writes does
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from alerts.lifecycle import ChangeReason
from alerts.sending.delivery import Attempt, Delivery, Part
from alerts.sending.following import overtaken
from alerts.telling.conditions import CHANNEL, Condition, Health
from alerts.telling.decisions import Choice
from monitor.storage.alert_rows import condition_frame
from monitor.storage.record import next_place
from monitor.storage.waiting import behind, one_of

# What a channel's address was when it was last opened: a digest, under this key of the store's notes.
ENDPOINT = "endpoint:"
# What a channel was sending last, since when, and the attempt's place in the record: under this key, with its name.
_SENDING = "sending:"


def note_beginning(connection: duckdb.DuckDBPyConnection, delivery: Delivery, at: datetime) -> None:
    """Note which delivery its channel is about to send, and when."""
    # With its place, because a value that is there already costs no room: it would show nothing.
    noted = [_SENDING + delivery.channel, f"{delivery.id} {at.isoformat()} {next_place(connection)}"]
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", noted)


def keep_attempts(connection: duckdb.DuckDBPyConnection, delivery: Delivery, made: Sequence[Part]) -> None:
    """Keep the attempts at a delivery and at what is left of it, with the deliveries as they are since: `delivered`."""
    place = _begun(connection, delivery)
    replace(connection)
    connection.executemany(
        'INSERT INTO attempts (delivery, "at", outcome, reason, millis, place, taken_by) VALUES (?, ?, ?, ?, ?, ?, ?)',
        [
            [one.id, tried.at, tried.outcome.value, tried.reason, tried.millis, place, list(tried.taken) or None]
            for one, tried in made
        ],
    )
    # What is left for single recipients is new.
    connection.execute(
        "UPDATE deliveries SET place = ? "
        "WHERE place IS NULL AND id IN (SELECT id FROM delivered WHERE recipient <> '')",
        [place],
    )


def _begun(connection: duckdb.DuckDBPyConnection, delivery: Delivery) -> int:
    """The place of the attempt that was noted last on the channel; a new one where that was another delivery's."""
    key = {"key": _SENDING + delivery.channel}
    for (noted,) in connection.sql("SELECT value FROM meta WHERE key = $key", params=key).fetchall():
        id_, _, place = str(noted).rpartition(" ")
        if id_.startswith(f"{delivery.id} ") and place.isdigit():
            return int(place)
    return next_place(connection)


def replace(connection: duckdb.DuckDBPyConnection) -> None:
    """Put `delivered` in the place of what was kept of these deliveries."""
    connection.execute("INSERT OR REPLACE INTO deliveries BY NAME SELECT * FROM delivered")


def replace_untried(connection: duckdb.DuckDBPyConnection) -> None:
    """Put `replaced` in the place of held deliveries; one that was attempted meanwhile keeps what became of it."""
    connection.execute(
        "INSERT OR REPLACE INTO deliveries BY NAME SELECT r.* FROM replaced r "
        "SEMI JOIN (SELECT id FROM deliveries WHERE state = 'pending' AND attempts = 0) held ON held.id = r.id"
    )


def make_due(connection: duckdb.DuckDBPyConnection, ids: Sequence[str], at: datetime) -> None:
    """Let those of these that still wait be due then."""
    connection.execute(
        "UPDATE deliveries SET next_attempt_at = ? "
        "WHERE id IN (SELECT unnest(?::VARCHAR[])) AND state = 'pending' AND next_attempt_at > ?",
        [at, list(ids), at],
    )


def give_up_overtaken(connection: duckdb.DuckDBPyConnection, delivery: Delivery, at: datetime) -> None:
    """Make dead letters of what a message overtook that has arrived, with a decision for each notice in them."""
    # Nothing comes before a beginning, and what tells of no alert overtakes nothing.
    if delivery.reason == ChangeReason.FIRED.value or (delivery.alert is None and delivery.reason != "group"):
        return
    arrived = one_of(connection, delivery.id)
    ids = overtaken(arrived, behind(connection, delivery.channel, arrived.alerts, at))
    if not ids:
        return
    connection.execute(
        "UPDATE deliveries SET state = 'dead', next_attempt_at = NULL, finished_at = ?, outcome = ? "
        "WHERE id IN (SELECT unnest(?::VARCHAR[]))",
        [at, Choice.OVERTAKEN.value, list(ids)],
    )
    connection.execute(
        'INSERT INTO decisions (alert, "at", notice, channel, choice, words, place) '
        "SELECT alert, created_at, reason, channel, $choice, $words, $place FROM deliveries "
        "WHERE alert IS NOT NULL AND list_contains($ids::VARCHAR[], if(state = 'bundled', outcome, id))",
        {
            "choice": Choice.OVERTAKEN.value,
            "words": f"it was not taken, and a later message of the alert was: {delivery.id}",
            "place": next_place(connection),
            "ids": list(ids),
        },
    )


def switch_off(connection: duckdb.DuckDBPyConnection, channel: str, attempt: Attempt) -> None:
    """Note that its receiver wants nothing more, and give up what waits for it."""
    noted = connection.sql("SELECT value FROM meta WHERE key = $key", params={"key": ENDPOINT + channel}).fetchall()
    endpoint = str(noted[0][0]) if noted else ""
    off = Condition(CHANNEL + channel, Health.DISABLED, attempt.ended, attempt.reason, endpoint=endpoint)
    connection.register("off", condition_frame([off]))
    connection.execute("INSERT OR REPLACE INTO conditions BY NAME SELECT * FROM off")
    connection.unregister("off")
    connection.execute(
        "UPDATE deliveries SET state = 'dead', next_attempt_at = NULL, finished_at = ?, outcome = ?, bundle = '' "
        "WHERE channel = ? AND state = 'pending'",
        [attempt.ended, attempt.outcome.value, channel],
    )
