"""A restored store holds what its backup holds and the former is kept; what is no whole backup is refused."""

from __future__ import annotations

import re
import runpy
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from monitor.errors import InputUnusable, StoreDamaged, StoreLocked, StoreTooNew
from monitor.feeds.added import changes_file
from monitor.storage.backup import manifest_file, restore
from monitor.storage.compacting import compact
from monitor.storage.store import Store

STORE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
NOON, append, headline, scored = (STORE[name] for name in ("NOON", "append", "headline", "scored"))
SCENE = runpy.run_path(str(Path(__file__).with_name("backup_scene.py")))
BEGIN, backup, rows_of, run = (SCENE[name] for name in ("BEGIN", "backup", "rows_of", "run"))


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


# What is no backup, or a spoilt one


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


# Another squall begins meanwhile


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
