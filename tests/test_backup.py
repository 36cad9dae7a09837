"""A backup holds what was stored when it began, whoever writes meanwhile, and the store is still held."""

from __future__ import annotations

import runpy
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from monitor.errors import InputUnusable, StoreUnavailable
from monitor.storage.backup import copy_store, look_into, manifest_file, read_manifest
from monitor.storage.integrity import examine
from monitor.storage.store import Store

STORE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
NOON, append, headline, scored = (STORE[name] for name in ("NOON", "append", "headline", "scored"))
SCENE = runpy.run_path(str(Path(__file__).with_name("backup_scene.py")))
BEGIN, backup, rows_of, run = (SCENE[name] for name in ("BEGIN", "backup", "rows_of", "run"))


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
