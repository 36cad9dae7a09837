"""A backup holds what was stored when it began; a restored store loses nothing, doubles nothing, tells no old news."""

from __future__ import annotations

import json
import re
import runpy
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from monitor.errors import InputUnusable, StoreDamaged, StoreLocked, StoreTooNew, StoreUnavailable
from monitor.feeds.added import changes_file
from monitor.storage.backup import copy_store, look_into, manifest_file, read_manifest, restore
from monitor.storage.compacting import compact
from monitor.storage.integrity import examine, tables
from monitor.storage.reading import Reader
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
STORE_SCENE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
Desk, House, Item, Press = (SCENE[name] for name in ("Desk", "House", "Item", "Press"))
prefill, serving, surge, utc_now = (SCENE[name] for name in ("prefill", "serving", "surge", "utc_now"))
append, headline, scored, NOON = (STORE_SCENE[name] for name in ("append", "headline", "scored", "NOON"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "squall.duckdb"


@pytest.fixture
def backup(tmp_path: Path, path: Path) -> Path:
    """Of a store with 300 headlines."""
    with Store.open(path, NOON) as store:
        append(store, *((headline(number), scored()) for number in range(300)))
        made = tmp_path / "backup.duckdb"
        look_into(made, copy_store(store.database, made, NOON))
    return made


def rows_of(store: Path) -> Any:
    with Store.open(store, NOON, read_only=True) as opened:
        return tables(opened.database)


def test_a_backup_is_a_store_with_the_same_rows_and_says_so(path: Path, backup: Path) -> None:
    manifest = read_manifest(backup)
    assert manifest is not None
    assert manifest.tables == rows_of(path) == rows_of(backup)
    assert manifest.tables["headlines"].rows == 300
    assert manifest.bytes == backup.stat().st_size
    assert {stat.S_IMODE(file.stat().st_mode) for file in (backup, manifest_file(backup))} == {0o600}
    with Store.open(backup, NOON) as opened:
        assert examine(opened.database, NOON).faults == ()


def test_a_backup_holds_a_whole_batch_or_nothing_of_it_while_others_write(path: Path, tmp_path: Path) -> None:
    """Writers are not held up either: batches end while a copy is under way."""
    with Store.open(path, NOON) as store, ThreadPoolExecutor(1) as threads:
        enough = threading.Event()

        def write() -> int:
            number = 0
            while not enough.is_set():
                append(store, *((headline(1000 * number + each, title="x" * 400), scored()) for each in range(100)))
                store.maintain(NOON)
                number += 1
            return number

        writing = threads.submit(write)
        made = []
        for number in range(6):
            to = tmp_path / f"{number}.duckdb"
            made.append(look_into(to, copy_store(store.database, to, NOON)).tables["headlines"].rows)
        enough.set()
        total = writing.result() * 100
        assert store.counts().headlines == total
    assert made == sorted(made)
    assert all(rows % 100 == 0 for rows in made)
    for number, rows in enumerate(made):
        with Store.open(tmp_path / f"{number}.duckdb", NOON) as opened:
            assert opened.counts().headlines == rows
            assert opened.rollup_faults().is_empty()


def test_what_is_written_while_the_file_is_frozen_stays_out_of_it_and_is_not_lost(path: Path) -> None:
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()))
        with store.database.frozen() as unchanged:
            before = path.read_bytes()
            append(store, *((headline(number, title=f"{number}" * 50), scored()) for number in range(2, 5_000)))
            store.maintain(NOON)
            unchanged()
            assert path.read_bytes()[: 3 * 4096] == before[: 3 * 4096], "the heads of the file say which blocks count"
            with pytest.raises(StoreUnavailable, match="being copied already"), store.database.frozen():
                pass
        size = path.stat().st_size
        store.maintain(NOON)
        assert path.stat().st_size > size or not Path(f"{path}.wal").exists()
    with Store.open(path, NOON) as store:
        assert store.counts().headlines == 4_999


@pytest.mark.parametrize("end", ["closed", "opened anew", "stopping"])
def test_a_copy_whose_store_goes_away_is_given_up_and_leaves_nothing(path: Path, tmp_path: Path, end: str) -> None:
    store = Store.open(path, NOON)
    append(store, (headline(1), scored()))
    with store.database.frozen() as unchanged:
        {"closed": store.close, "opened anew": store.reopen, "stopping": store.database.thaw}[end]()
        with pytest.raises(StoreUnavailable, match=r"begin again|squall stops"):
            unchanged()
    store.close()
    with Store.open(path, NOON) as again:
        copy_store(again.database, tmp_path / "b.duckdb", NOON)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.duckdb", "b.duckdb.json", "squall.duckdb"]


def test_a_second_copy_to_the_same_file_leaves_the_first_one_alone(path: Path, tmp_path: Path) -> None:
    target, draft = tmp_path / "b.duckdb", tmp_path / "b.duckdb.part"
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()))
        with store.database.frozen():
            draft.write_text("what another copy has written so far")
            with pytest.raises(StoreUnavailable, match="being copied already"):
                copy_store(store.database, target, NOON)
            assert draft.read_text() == "what another copy has written so far"
        copy_store(store.database, target, NOON)
    assert target.exists()
    assert not draft.exists(), "what a killed copy left is in nobody's way"


def test_nothing_is_overwritten_and_folders_are_named(path: Path, backup: Path, tmp_path: Path) -> None:
    before = backup.read_bytes()
    with Store.open(path, NOON) as store:
        with pytest.raises(InputUnusable, match="exists already"):
            copy_store(store.database, backup, NOON)
        with pytest.raises(InputUnusable, match="make it first"):
            copy_store(store.database, tmp_path / "nowhere" / "b", NOON)
    assert backup.read_bytes() == before


# Restoring


def test_a_restored_store_holds_what_the_backup_holds_and_the_former_is_kept(path: Path, backup: Path) -> None:
    held = rows_of(backup)
    changes_file(backup).write_text("# as it was\n")
    with Store.open(path, NOON) as store:
        append(store, (headline(999), scored()))
    later = rows_of(path)
    changes_file(path).write_text("# as it is\n")
    done = restore(backup, path, NOON)
    assert (done.made_at, done.headlines) == (NOON.isoformat(), 300)
    restored = rows_of(path)
    # What is noted of the restoring itself is new, and nothing else.
    assert {name for name in held if held[name] != restored[name]} == {"meta"}
    assert done.replaced is not None
    assert rows_of(done.replaced) == later
    assert changes_file(path).read_text() == "# as it was\n"
    assert changes_file(done.replaced).read_text() == "# as it is\n"
    with Store.open(path, NOON) as store:
        assert store.notes()["restored_at"] == NOON.isoformat()


@pytest.mark.parametrize("what", ["compact", "restore"])
def test_a_store_that_is_a_link_to_another_disk_stays_one(path: Path, backup: Path, tmp_path: Path, what: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    path.symlink_to(path.rename(disk / "news"))
    if what == "compact":
        compact(path, "500MB", 1)
    else:
        Path(f"{path}.feeds.toml").write_text('muted = ["wire"]\n')
        assert restore(backup, path, NOON).replaced == disk / f"news.replaced-{NOON:%Y%m%dT%H%M%SZ}"
        assert (disk / f"news.replaced-{NOON:%Y%m%dT%H%M%SZ}.feeds.toml").exists()
    assert path.is_symlink()
    with Store.open(path, NOON) as store:
        assert store.counts().headlines == 300


def test_a_lost_or_damaged_store_is_replaced_too(path: Path, backup: Path) -> None:
    path.unlink()
    assert restore(backup, path, NOON).replaced is None
    path.write_bytes(b"rot" * 10_000)
    Path(f"{path}.wal").write_bytes(b"rot")
    done = restore(backup, path, NOON + timedelta(seconds=1))
    assert done.replaced is not None
    assert done.replaced.read_bytes().startswith(b"rot")
    assert Path(f"{done.replaced}.wal").exists()
    with Store.open(path, NOON) as store:
        assert store.counts().headlines == 300


def test_a_damaged_backup_is_refused_and_the_store_is_as_it_was(path: Path, backup: Path) -> None:
    before = path.read_bytes()
    whole = backup.read_bytes()
    # The end of the file is zeros: nothing was written there yet.
    for spoilt in (whole[: len(whole) // 2], whole[:-5_000] + b"\xff" * 5_000, b""):
        backup.write_bytes(spoilt)
        with pytest.raises(StoreDamaged, match="take an older one"):
            restore(backup, path, NOON)
    manifest_file(backup).unlink()
    backup.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreDamaged):
        restore(backup, path, NOON)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["backup.duckdb", "squall.duckdb"]


@pytest.mark.parametrize(
    "made",
    [
        "",  # an empty database: no store was ever in it
        "CREATE TABLE prices (day DATE)",
        "CREATE TABLE meta (a INTEGER); CREATE TABLE headlines (b INTEGER)",
        "CREATE VIEW meta AS SELECT 1 AS key, 2 AS value",
        None,  # no database at all
    ],
    ids=["empty", "tables", "meta", "view", "text"],
)
@pytest.mark.usefixtures("backup")
def test_what_is_no_store_is_refused_by_its_own_name(path: Path, made: str | None) -> None:
    """Not by that of the draft, which is gone again; and the way out is not to restore."""
    before = path.read_bytes()
    other = path.with_name("other.duckdb")
    if made is None:
        other.write_text("# Notes\n")
    else:
        with duckdb.connect(str(other)) as connection:
            connection.execute(made or "SELECT 1")
    with pytest.raises(
        StoreDamaged, match=f"^{re.escape(str(other))} is no backup of a store, or a damaged"
    ) as refused:
        restore(other, path, NOON)
    assert "restoring" not in str(refused.value)
    assert "as the store" not in str(refused.value)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*restoring*"))


def test_a_backup_of_a_newer_squall_is_refused_by_its_own_name(path: Path, backup: Path) -> None:
    manifest_file(backup).unlink()
    with duckdb.connect(str(backup)) as connection:
        connection.execute("UPDATE meta SET value = '9999' WHERE key = 'schema_version'")
    with pytest.raises(StoreTooNew, match=f"{re.escape(str(backup))} has schema version 9999.*upgrade squall"):
        restore(backup, path, NOON)


def test_a_backup_without_its_manifest_or_with_a_foreign_one(path: Path, backup: Path) -> None:
    manifest_file(backup).write_text("{}")
    with pytest.raises(StoreDamaged, match="move it away to restore without it"):
        restore(backup, path, NOON)
    manifest_file(backup).unlink()
    assert restore(backup, path, NOON).made_at == ""


def test_a_store_in_use_is_not_replaced_nor_restored_from_itself(path: Path, backup: Path) -> None:
    with Store.open(path, NOON) as store:
        append(store, (headline(999), scored()))
        with pytest.raises(StoreLocked):
            restore(backup, path, NOON)
        assert store.counts().headlines == 301
    with pytest.raises(InputUnusable, match="the store itself"):
        restore(path, path, NOON)
    with pytest.raises(InputUnusable, match="there is no backup"):
        restore(path.with_name("none"), path, NOON)


# Another squall begins meanwhile

ROOT = Path(__file__).parents[1]

# Plays a squall that begins at a moment of its own choosing, and ends. Its words: whether it could.
BEGIN = """
import sys
from datetime import UTC, datetime
from monitor.errors import StoreLocked
from monitor.storage.store import Store
try:
    with Store.open(sys.argv[1], datetime.now(UTC)) as store:
        store.note("begun", "meanwhile")
    print("began")
except StoreLocked:
    print("locked")
"""

# Replaces a store, and lets a squall try to begin at the moment of an event of the interpreter, such as a renaming.
REPLACE = """
import subprocess, sys
from datetime import UTC, datetime
from pathlib import Path
from monitor.errors import StoreLocked
from monitor.storage.backup import restore
from monitor.storage.compacting import compact
begin, what, moment, store, backup = sys.argv[1:]
tried = []

def hear(event, args):
    if not tried and event == moment and any(str(one) == str(where) for one in args[:2]):
        tried.append(event)
        done = subprocess.run([sys.executable, "-c", begin, store], capture_output=True, text=True, check=True)
        print(done.stdout.strip())

where = f"{store}.restoring" if moment == "open" else store
sys.addaudithook(hear)
try:
    compact(Path(store), "500MB", 1) if what == "compact" else restore(Path(backup), Path(store), datetime.now(UTC))
except StoreLocked as error:
    print(error)
"""


def run(script: str, *words: object) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_store_that_was_copied_is_still_held(path: Path, tmp_path: Path) -> None:
    """The system lets a lock go as soon as its process closes any descriptor of the file."""
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()))
        for number in range(2):
            copy_store(store.database, tmp_path / f"{number}.duckdb", NOON)
            assert run(BEGIN, path) == ["locked"]
        store.reopen()
        copy_store(store.database, tmp_path / "again.duckdb", NOON)
        assert run(BEGIN, path) == ["locked"]
    assert run(BEGIN, path) == ["began"]


@pytest.mark.parametrize(("what", "moment"), [("restore", "open"), ("restore", "os.rename"), ("compact", "os.rename")])
def test_no_squall_can_begin_on_a_store_that_is_about_to_be_replaced(
    path: Path, backup: Path, what: str, moment: str
) -> None:
    """What it wrote would be lost with the file that it held."""
    assert run(REPLACE, BEGIN, what, moment, path, backup) == ["locked"]
    assert run(BEGIN, path) == ["began"]
    with Store.open(path, NOON) as store:
        assert store.counts().headlines == 300


def test_a_store_that_came_to_be_while_a_backup_was_brought_is_left_alone(path: Path, backup: Path) -> None:
    path.unlink()
    began, refused = run(REPLACE, BEGIN, "restore", "open", path, backup)
    assert began == "began"
    assert "a squall began the store" in refused
    with Store.open(path, NOON) as store:
        assert store.notes()["begun"] == "meanwhile"
    assert not Path(f"{path}.restoring").exists()


# With a running daemon


@pytest.fixture
def press() -> Iterator[Any]:
    with serving(Press()) as server:
        yield server


@pytest.fixture
def desk() -> Iterator[Any]:
    with serving(Desk()) as server:
        yield server


def stories(now: datetime, publisher: int) -> list[Any]:
    return [Item(f"item-{publisher}-{i}", surge(publisher * 9 + i), now - timedelta(minutes=i)) for i in range(9)]


def looked_at(daemon: Any, house: Any, begun: datetime) -> None:
    """Block until detection has looked twice after this moment: the first look may have begun before."""
    seen: set[str] = set()
    deadline = begun + timedelta(seconds=120)
    with Reader(house.store) as reader:
        while len({at for at in seen if at > begun.isoformat()}) < 2:
            assert utc_now() < deadline, "detection does not look"
            stages = reader.act_if_live("pulse", 30)["stages"]
            seen |= {stage["ok_at"] for stage in stages if stage["name"] == "detect"}
            with daemon.change:
                daemon.change.wait(0.2)


def test_old_news_does_not_alert_again_after_a_restore_and_comes_in_once(tmp_path: Path, press: Any, desk: Any) -> None:
    """The backup is minutes old: feeds were away for less time than makes a backlog by itself."""
    house = House(tmp_path)
    house.webhook(desk)
    for path in ("marlow", "tessel"):
        press.serve(path, [])
        house.feed(press, path)
    now = utc_now()
    prefill(house.store, house.feeds, now)
    with house.daemon() as daemon:
        daemon.line("started")
        done = house.command("backup", str(tmp_path / "b.duckdb"), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["rows"]["headlines"] == 192
        assert daemon.stop()[0] == 0
    for number, path in enumerate(("marlow", "tessel")):
        press.serve(path, stories(now, number))

    def played(expected: int) -> None:
        with Store.open(house.store, utc_now()) as store:
            due = [replace(state, next_check_at=now) for state in store.feed_states().values()]
            store.remember(due)
        with house.daemon() as daemon:
            while sum(line["headlines"] for line in daemon.logged("scored")) < expected:
                with daemon.change:
                    assert daemon.change.wait(60)
            if not desk.posts:
                daemon.line("delivery_attempted", outcome="delivered")
            looked_at(daemon, house, utc_now())
            assert daemon.stop()[0] == 0

    played(18)
    told = len(desk.posts)
    assert told > 0, "what the feeds bring is news that alerts"
    assert house.command("restore", str(tmp_path / "b.duckdb")).returncode == 0
    played(18)
    with Store.open(house.store, utc_now()) as store:
        assert store.counts().headlines == 192 + 18
        assert store.rollup_faults().is_empty()
        assert store.counts().open_alerts == 0
    assert len(desk.posts) == told


def test_a_backup_without_a_daemon_goes_beside_the_store(tmp_path: Path) -> None:
    house = House(tmp_path)
    prefill(house.store, (), utc_now())
    house.write()
    done = house.command("backup")
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "backups").glob("*.duckdb")
    assert f"squall restore {made}" in done.stdout
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
