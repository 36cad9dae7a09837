"""Opening a store: it is found as it was left, or an error names the file and the way out and leaves it alone."""

from __future__ import annotations

import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from monitor.errors import StoreDamaged, StoreLocked, StoreTooNew, StoreUnavailable
from monitor.storage.migrating import Migration, known_migrations
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
HOUR, NOON, append, headline, rows = (SCENE[name] for name in ("HOUR", "NOON", "append", "headline", "rows"))
scored = SCENE["scored"]

ROOT = Path(__file__).parents[1]


def test_a_store_is_found_again_as_it_was_left(path: Path) -> None:
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()), (headline(2), None))
        before = rows(store, "SELECT * FROM rollups ORDER BY ALL")
    with Store.open(path, NOON + HOUR) as store:
        assert rows(store, "SELECT * FROM rollups ORDER BY ALL") == before
        assert [each.id for each in store.unscored(9)] == [2]
        assert store.notes()["created_at"] == NOON.isoformat()
        assert append(store, (headline(1), scored())) == ()


def test_a_store_opened_for_reading_reads_and_refuses_to_write(path: Path) -> None:
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()))
    with Store.open(path, NOON, read_only=True) as store:
        assert store.known([1, 2]) == {1}
        with pytest.raises(StoreUnavailable, match="opened for reading"):
            append(store, (headline(2), None))


def test_a_closed_store_says_so_and_closing_twice_is_no_error(path: Path) -> None:
    store = Store.open(path, NOON)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        store.counts()


def test_a_store_in_memory_cannot_be_reopened(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="in memory"):
        store.reopen()


# Held by somebody else


HOLDER = """
import sys
from datetime import UTC, datetime
from monitor.storage.store import Store
store = Store.open(sys.argv[1], datetime.now(UTC))
print("held", flush=True)
sys.stdin.read()
"""


def held(path: Path) -> subprocess.Popen[str]:
    """A process that holds the store until its standard input ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_held_by_another_process_is_locked_and_the_error_names_it(path: Path, read_only: bool) -> None:
    holder = held(path)
    with pytest.raises(StoreLocked, match="stop the other squall, or read through its read service") as caught:
        Store.open(path, NOON, read_only=read_only, patience=timedelta(0))
    assert str(path) in str(caught.value)
    assert f"process {holder.pid}" in str(caught.value)
    holder.communicate("")
    with Store.open(path, NOON, patience=timedelta(seconds=10)) as store:
        assert store.counts().headlines == 0


def test_patience_waits_for_a_process_that_lets_go(path: Path) -> None:
    holder = held(path)
    with pytest.raises(StoreLocked):
        Store.open(path, NOON, patience=timedelta(milliseconds=120))
    with ThreadPoolExecutor(1) as threads:
        opening = threads.submit(Store.open, path, NOON, patience=timedelta(seconds=60))
        holder.communicate("")
        with opening.result() as store:
            assert store.counts().headlines == 0


# Of another version


def test_a_store_of_a_newer_squall_is_refused_with_both_versions(path: Path) -> None:
    steps = known_migrations()
    further = Migration(len(steps) + 1, "further", "CREATE TABLE further (x INTEGER)")
    Store.open(path, NOON, migrations=(*steps, further)).close()
    with pytest.raises(StoreTooNew, match=rf"schema version {further.number} .* up to {len(steps)}: upgrade squall"):
        Store.open(path, NOON)


def test_an_older_store_is_brought_up_to_date_but_not_by_a_reader(path: Path) -> None:
    steps = known_migrations()
    further = Migration(len(steps) + 1, "further", "CREATE TABLE further (x INTEGER); INSERT INTO further VALUES (1)")
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()))
    with pytest.raises(StoreUnavailable, match="`squall run` brings it up to date"):
        Store.open(path, NOON, read_only=True, migrations=(*steps, further))
    with Store.open(path, NOON, migrations=(*steps, further)) as store:
        assert store.notes()["schema_version"] == str(further.number)
        assert rows(store, "SELECT count(*) FROM headlines, further") == [(1,)]


def test_a_migration_that_fails_leaves_the_version_before_it(path: Path) -> None:
    steps = known_migrations()
    broken = Migration(len(steps) + 1, "broken", "CREATE TABLE half (x INTEGER); SELECT * FROM nowhere")
    with pytest.raises(duckdb.CatalogException):
        Store.open(path, NOON, migrations=(*steps, broken))
    with Store.open(path, NOON) as store:
        assert store.notes()["schema_version"] == str(len(steps))
        assert rows(store, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'half'") == [(0,)]


# Not a store, or not a whole one


def test_a_file_that_is_no_database_is_damaged(path: Path) -> None:
    path.write_bytes(b"not a database" * 1_000)
    with pytest.raises(StoreDamaged, match=r"squall\.duckdb is no readable store: move the file away"):
        Store.open(path, NOON)
    assert path.read_bytes() == b"not a database" * 1_000


@pytest.mark.parametrize("size", [0, 9_000, 30_000])
def test_a_store_that_was_cut_short_is_damaged(path: Path, size: int) -> None:
    with Store.open(path, NOON) as store:
        append(store, *((headline(number), scored()) for number in range(200)))
        store.maintain(NOON)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreDamaged, match="restore a backup"):
        Store.open(path, NOON)


def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE invoices (number INTEGER)")
    with pytest.raises(StoreDamaged, match="no Squall store: name another file"):
        Store.open(path, NOON)
    with duckdb.connect(str(path)) as other:
        assert other.sql("SELECT table_name FROM duckdb_tables()").fetchall() == [("invoices",)]


def test_a_folder_that_is_missing_or_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"make the folder .*missing first"):
        Store.open(tmp_path / "missing" / "squall.duckdb", NOON)
    with pytest.raises(StoreUnavailable, match="check that its folder exists, may be written and has space"):
        Store.open(tmp_path, NOON)


def test_a_reader_of_no_store_is_told_how_to_begin_one(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="start one with `squall run`"):
        Store.open(path, NOON, read_only=True)
    assert not path.exists()
