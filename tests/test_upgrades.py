"""A store of every released version is brought up to date with everything that it holds."""

from __future__ import annotations

import hashlib
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from alerts.sending.delivery import DeliveryState
from monitor.storage.alert_store import AlertStore
from monitor.storage.backup import copy_store, restore
from monitor.storage.database import Database
from monitor.storage.integrity import examine
from monitor.storage.migrating import known_migrations
from monitor.storage.recounting import source_faults
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
append, headline, scored = (SCENE[name] for name in ("append", "headline", "scored"))
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
# What was released is never edited: a store out there was made by exactly this.
RELEASED = {1: "e391f33cfaadea9101775ef018c594ced0d8ed1b2bbf9779615dca3c18563900"}

# What 0.1.0 wrote: two copies of a negative story, one calm headline, one that waits, an open alert with its message.
FILLED = """
INSERT INTO feeds (feed, url, name, publisher, etag, added_at, first_success_at, last_check_at, last_success_at,
        failures)
    VALUES ('wire', 'https://news.example/rss', 'Wire', 'wire', 'v1', $now, $now, $now, $now, 0);
INSERT INTO headlines
    SELECT id, 'wire', publisher, title, '', 'https://news.example/' || id, 'en', moment, moment, moment, 'fresh',
        story, companies
    FROM (VALUES
        (1, 'wire', 'Bank in trouble', $now, 1, ['JPM']),
        (2, 'post', 'Bank in deep trouble', $now + INTERVAL 1 HOUR, 1, ['JPM']),
        (3, 'post', 'Pool opens', $now + INTERVAL 1 HOUR, 3, []),
        (4, 'wire', 'Not scored yet', $now + INTERVAL 2 HOUR, 4, [])
    ) told(id, publisher, title, moment, story, companies);
INSERT INTO scores
    SELECT id, effective, 'fast-0000000000', negative, 0.1, 0.9 - negative, sentiment, 'none', ['Macro'], [0.9], [],
        series
    FROM (VALUES
        (1, 0.8, 'negative', ['market', 'company:JPM']),
        (2, 0.8, 'negative', ['market', 'company:JPM']),
        (3, 0.1, 'positive', ['market'])
    ) told(headline, negative, sentiment, series) JOIN headlines h ON h.id = told.headline;
INSERT INTO series VALUES ('market', $now), ('company:JPM', $now);
INSERT INTO awaiting VALUES (4);
INSERT INTO sightings
    SELECT s, 1, $now, 1, (0.9::FLOAT - 0.8::FLOAT) - 0.8::FLOAT, $now, true, ['wire', 'post'], $now
    FROM (VALUES ('market'), ('company:JPM')) told(s);
INSERT INTO rollups VALUES
    ('market', $now, 1, 1, 1, -0.7), ('company:JPM', $now, 1, 1, 1, -0.7),
    ('market', $now + INTERVAL 1 HOUR, 2, 1, 0, 0.7), ('company:JPM', $now + INTERVAL 1 HOUR, 1, 0, 0, 0);
INSERT INTO alerts VALUES
    ('a1', 'company:JPM', 'firing', 'warning', $now, $now, $now, NULL, 3, 4, 0.5, 0.001, 4, 0.5, 0.001, $now, '[]');
INSERT INTO changes VALUES ('a1', $now, 'fired', 'pending', 'firing', 'warning', 4, 0.5, 0.001);
INSERT INTO deliveries VALUES ('msg_d1', 'a1', 'fired', 'desk', 'pending', $now, 1, $now, NULL, 'timed_out',
    '{"type": "alert.fired"}');
INSERT INTO attempts VALUES ('msg_d1', $now, 'timed_out', 'no answer', 9000);
"""


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The store of a 0.1.0 that ran for two hours."""
    path = tmp_path / "squall.duckdb"
    Store.open(path, NOON, migrations=known_migrations()[:1]).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in FILLED.split(";\n"):
            if statement.strip():
                connection.execute(statement, {"now": NOON} if "$now" in statement else None)
        connection.execute("UPDATE meta SET value = '0.1.0' WHERE key = 'written_by'")
    return path


def test_released_steps_of_the_schema_are_as_they_were_released() -> None:
    steps = {step.number: step.sql for step in known_migrations()}
    assert {number: hashlib.sha256(steps[number].encode()).hexdigest() for number in RELEASED} == RELEASED


def whole(store: Store) -> None:
    """Everything that 0.1.0 wrote is there, and works on."""
    steps = known_migrations()
    assert store.notes()["schema_version"] == str(len(steps))
    assert store.known([1, 2, 3, 4]) == {1, 2, 3, 4}
    assert [each.id for each in store.unscored(9)] == [4]
    assert store.rollup_faults().is_empty()
    assert examine(store.database, NOON).faults == ()
    with store.database.reading() as cursor:
        assert source_faults(cursor).is_empty()
    state = store.feed_states()["wire"]
    assert (state.etag, state.last_success_at, state.paused_at is None or state.paused_at == NOON) == ("v1", NOON, True)
    alerts = AlertStore(store)
    (alert,) = alerts.open_alerts()
    assert (alert.id, alert.series, alert.observed) == ("a1", "company:JPM", 4)
    pending = alerts.delivery("msg_d1")
    assert pending is not None
    assert (pending.state, pending.attempts) == (DeliveryState.PENDING, 1)
    assert store.add_scores({4: scored()}, NOON) == (4,)
    assert append(store, (headline(9, NOON, story=1), scored()), (headline(1), scored())) == (9,)
    assert store.rollup_faults().is_empty()


def test_a_store_of_0_1_0_is_brought_up_to_date(first: Path) -> None:
    with Store.open(first, NOON + timedelta(days=1)) as store:
        assert store.notes()["created_at"] == NOON.isoformat()
        whole(store)
    with Store.open(first, NOON + timedelta(days=2)) as store:
        assert store.counts().headlines == 5


@pytest.mark.parametrize("version", range(2, len(known_migrations())))
def test_a_store_of_any_step_between_is_brought_up_to_date(first: Path, version: int) -> None:
    Store.open(first, NOON, migrations=known_migrations()[:version]).close()
    with Store.open(first, NOON) as store:
        whole(store)


def test_a_backup_of_0_1_0_is_restored_into_the_present_schema(first: Path, tmp_path: Path) -> None:
    database: Any = Database(first)
    copy_store(database, tmp_path / "old.duckdb", NOON)
    database.close()
    first.unlink()
    restore(tmp_path / "old.duckdb", first, NOON)
    with Store.open(first, NOON) as store:
        whole(store)
