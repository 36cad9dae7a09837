"""The disk fills up, turns read-only or rots: what was acknowledged is there, and people are told the way out.

Mounting a small file system needs the right to; where that lacks, the test says so and is skipped. What a full disk
does to the engine is also played by a limit on the size of files, in tests/test_store_crash.py, which runs everywhere.
"""

from __future__ import annotations

import gc
import os
import random
import runpy
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from alerts.sending.delivery import Attempt, Channel, Delivery
from monitor.errors import DiskNearlyFull, StoreDamaged, StoreError, StoreUnavailable
from monitor.service.pipeline import Pipeline
from monitor.storage.backup import copy_store, look_into, restore
from monitor.storage.database import Database
from monitor.storage.integrity import examine
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
STORE_SCENE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
House, Item, Press = (SCENE[name] for name in ("House", "Item", "Press"))
prefill, serving, surge, utc_now = (SCENE[name] for name in ("prefill", "serving", "surge", "utc_now"))
DESK_SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
append, headline, scored, NOON = (STORE_SCENE[name] for name in ("append", "headline", "scored", "NOON"))
MIB = 2**20
BLOCK = 4096  # bytes: a file system in memory gives room by so many


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system in memory of this size; gives a way to mount it anew with other options."""
    folder.mkdir(exist_ok=True)
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("there is no mount command here")

    def anew(options: str) -> None:
        subprocess.run([mount, "-o", f"remount,{options}", str(folder)], check=True, capture_output=True)

    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "squall-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield anew
    finally:
        subprocess.run([umount, "--lazy", str(folder)], check=True, capture_output=True)


def fill(folder: Path, leave: int) -> Path:
    """Take the disk's space but for so many bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb") as stream:
        left = shutil.disk_usage(folder).free - leave
        while left > 0:
            left -= stream.write(b"\0" * min(left, MIB))
    return ballast


def test_a_full_disk_loses_nothing_that_was_acknowledged_and_work_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "48m"):
        path = tmp_path / "disk" / "squall.duckdb"
        store = Store.open(path, NOON)
        acknowledged = 0

        def take_in(batches: int) -> None:
            nonlocal acknowledged
            for _ in range(batches):
                first = acknowledged
                append(store, *((headline(first + n, title=os.urandom(250).hex()), scored()) for n in range(100)))
                acknowledged += 100

        take_in(5)
        ballast = fill(path.parent, leave=MIB // 2)
        with pytest.raises(StoreUnavailable, match="has space"):
            take_in(60)
        with pytest.raises(DiskNearlyFull, match="nothing is fetched until there is room"):
            store.database.demand_room()
        with pytest.raises(StoreUnavailable, match=r"make room|has space"):
            copy_store(store.database, path.parent / "b.duckdb", NOON)
        store.reopen()
        assert acknowledged <= store.counts().headlines <= acknowledged + 100
        ballast.unlink()
        store.database.demand_room()
        store.reopen()
        assert acknowledged <= store.counts().headlines <= acknowledged + 100
        append(store, (headline(99_999), scored()))
        store.maintain(NOON)
        assert store.rollup_faults().is_empty()
        store.close()
        with Store.open(path, NOON) as again:
            assert examine(again.database, NOON).faults == ()


def test_a_dead_engine_is_left_behind_once_nobody_else_holds_it(tmp_path: Path) -> None:
    gc.disable()  # what an error keeps alive must not depend on when somebody tidies up
    try:
        with mounted(tmp_path / "disk", "48m"):
            path = tmp_path / "disk" / "squall.duckdb"
            with Store.open(path, NOON) as store:
                append(store, *((headline(number, title=os.urandom(250).hex()), scored()) for number in range(2_000)))
                ballast = fill(path.parent, leave=0)
                with closing(Database(path)) as also:  # shares the engine, as whoever still reads does
                    # Squall itself asks for no checkpoint when there is no room; the engine may find that it needs one.
                    with pytest.raises(StoreUnavailable, match="has space"), also.reading() as cursor:
                        cursor.execute("CHECKPOINT")
                    ballast.unlink()
                    for _ in range(3):
                        with pytest.raises(StoreUnavailable, match="previous fatal error"):
                            store.reopen()
                store.reopen()
                assert store.counts().headlines == 2_000
    finally:
        gc.enable()


def exhaust(store: Store, folder: Path, left: int) -> None:
    """Take all of the disk's space, but for so many bytes, or somewhat fewer, of the block that the log is writing."""
    (folder / "ballast").unlink(missing_ok=True)
    store.reopen()  # folds the log into the file, so that a fresh one begins
    log = folder / "squall.duckdb.wal"
    for number in count():
        store.note("filler", f"{number:06}")
        if number == 0:
            fill(folder, leave=0)
        if BLOCK - log.stat().st_size % BLOCK <= left:
            return


@dataclass(frozen=True)
class Filling:
    """A channel on which every message fills the disk before it arrives."""

    channel: Channel
    filled: Callable[[], object]

    @property
    def name(self) -> str:
        return self.channel.name

    @property
    def endpoint(self) -> str:
        return self.channel.endpoint

    def send(self, delivery: Delivery, now: datetime) -> Attempt:
        self.filled()
        return self.channel.send(delivery, now)


@pytest.mark.parametrize("left", [160, 600])
def test_while_a_full_disk_lets_no_outcome_be_recorded_a_message_is_sent_once_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """Also when there is room enough to begin, and too little to keep what became of it."""
    monkeypatch.setenv("SQUALL_HOOK", "a secret of sixteen bytes")
    folder, spike = tmp_path / "disk", DESK_SCENE["spike"]
    with mounted(folder, "48m"), DESK_SCENE["hook"]() as desk, Store.open(folder / "squall.duckdb", NOON) as store:
        house = DESK_SCENE["House"](store, {"desk": desk})
        house.look(NOON, spike(), spike(series="company:JPM"))
        pipeline = Pipeline(house.settings, store)
        pipeline.channels = {"desk": Filling(house.channels["desk"], lambda: exhaust(store, folder, left))}
        # Nothing is in the memory of a process that begins on a full disk.
        begun_anew = [Pipeline(house.settings, store)] if left < 200 else []
        for turn in range(5):
            for one in (pipeline, *begun_anew):
                with pytest.raises(StoreUnavailable, match="has space"):
                    one.deliver("desk", NOON + turn * timedelta(seconds=5), limit=1)
                exhaust(store, folder, left)
        assert len(desk.taken) == 1
        (folder / "ballast").unlink()
        # Settings that are read anew on a full disk change nothing of what was sent.
        reloaded = pipeline.successor(house.settings, pipeline.scoring)
        reloaded.channels = house.channels
        assert reloaded.deliver("desk", NOON + timedelta(minutes=1)) == 1
        ids = [id_ for id_, _ in desk.taken]
        assert len(ids) == len(set(ids)) == 2
        with store.database.reading() as cursor:
            kept = cursor.sql("SELECT delivery, d.state, d.attempts FROM attempts JOIN deliveries d ON d.id = delivery")
            assert sorted(kept.fetchall()) == [(id_, "delivered", 1) for id_ in sorted(ids)]


@pytest.mark.slow
def test_a_daemon_on_a_full_disk_asks_no_feed_says_so_and_goes_on_by_itself(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "64m"), serving(Press()) as press:
        house = House(tmp_path / "disk")
        press.serve("good", [Item(f"item-{n}", surge(n), utc_now() - timedelta(minutes=n)) for n in range(9)])
        house.feed(press, "good")
        prefill(house.store, house.feeds, utc_now())
        ballast = fill(house.folder, leave=MIB)
        with house.daemon() as daemon:
            failed = daemon.line("stage_failed", stage="poll")
            assert "nothing is fetched until there is room" in failed["reason"]
            assert press.asked == []
            state = house.status()
            assert any("nothing is fetched until there is room" in trouble for trouble in state["troubles"])
            ballast.unlink()
            assert daemon.line("polled")["headlines"] == 9
            daemon.line("stage_recovered", stage="poll")
            assert daemon.stop()[0] == 0
            assert "Traceback" not in daemon.log
        with Store.open(house.store, utc_now()) as store:
            assert store.counts().headlines == 192 + 9


def test_a_file_system_that_turns_read_only_is_told_and_survived(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "48m") as anew:
        path = tmp_path / "disk" / "squall.duckdb"
        with Store.open(path, NOON) as store:
            append(store, *((headline(number), scored()) for number in range(100)))
        anew("ro")
        with pytest.raises(StoreUnavailable, match="may be written"):
            Store.open(path, NOON)
        with Store.open(path, NOON, read_only=True) as store:
            assert store.counts().headlines == 100, "looking still works"
        house = House(tmp_path)
        house.tables["store"] = {"path": str(path)}
        house.write()
        refused = house.command("run")
        assert refused.returncode == 1
        assert str(path) in refused.stderr
        assert "Traceback" not in refused.stderr
        anew("rw")
        with Store.open(path, NOON) as store:
            assert append(store, (headline(500), scored())) == (500,)


# Rot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with 20,000 headlines, and a backup of it beside."""
    path = tmp_path / "squall.duckdb"
    with Store.open(path, NOON) as store:
        append(store, *((headline(number, title=f"{number:0200d}"), scored()) for number in range(20_000)))
        store.maintain(NOON)
        look_into(tmp_path / "backup.duckdb", copy_store(store.database, tmp_path / "backup.duckdb", NOON))
    return path


def unusable(path: Path) -> str:
    """Why a store cannot be used: refused when it is opened, or found when all of it is read."""
    try:
        with Store.open(path, NOON) as store:
            examine(store.database, NOON)
    except StoreDamaged as error:
        return str(error)
    return ""


def rotten(content: bytes, dice: random.Random) -> bytes:
    """One block of 4 KiB turned to noise, behind the heads of the file."""
    at = dice.randrange(3 * 4096, len(content) - 4096)
    return content[:at] + dice.randbytes(4096) + content[at + 4096 :]


def test_a_store_that_rots_or_is_cut_is_never_taken_for_whole_and_a_backup_brings_it_back(path: Path) -> None:
    whole, dice = path.read_bytes(), random.Random(11)
    told = []
    for spoilt in [
        *(whole[: int(len(whole) * share)] for share in (0.1, 0.5, 0.9)),
        *(rotten(whole, dice) for _ in range(12)),
    ]:
        path.write_bytes(spoilt)
        Path(f"{path}.wal").unlink(missing_ok=True)
        told.append(unusable(path))
    # Noise in a block that no table owns harms nobody.
    assert all(told[:3])
    assert sum(map(bool, told)) >= 10
    assert all("squall restore" in words and str(path) in words for words in told if words)
    path.write_bytes(whole[: len(whole) // 2])
    assert restore(path.with_name("backup.duckdb"), path, NOON).headlines == 20_000
    with Store.open(path, NOON) as store:
        assert examine(store.database, NOON).faults == ()


def test_a_daemon_refuses_a_damaged_store_and_names_the_way_back(tmp_path: Path, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100_000])
    house = House(tmp_path)
    house.write()
    refused = house.command("run")
    assert refused.returncode == 1
    assert "restore a backup with `squall restore`" in refused.stderr
    assert "Traceback" not in refused.stderr
    doctor = house.command("doctor", "--quick", "--json")
    assert doctor.returncode == 1
    assert "squall restore" in doctor.stdout
    done = house.command("restore", str(tmp_path / "backup.duckdb"))
    assert done.returncode == 0, done.stderr
    assert "20000 headlines" in done.stdout


def test_a_log_that_rots_is_no_reason_to_lose_the_file(tmp_path: Path) -> None:
    """What was folded into the file is read whatever became of the log; or the store says that it is damaged."""
    path = tmp_path / "squall.duckdb"
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()))
        store.maintain(NOON)
        append(store, *((headline(number), scored()) for number in range(2, 500)))
        held = path.read_bytes(), Path(f"{path}.wal").read_bytes()
    dice = random.Random(5)
    for _ in range(5):
        at = dice.randrange(len(held[1]) // 2, len(held[1]) - 200)
        path.write_bytes(held[0])
        Path(f"{path}.wal").write_bytes(held[1][:at] + dice.randbytes(200) + held[1][at + 200 :])
        words = ""
        try:
            with Store.open(path, NOON) as store:
                assert 1 in store.known([1])
                assert store.rollup_faults().is_empty()
        except StoreError as error:
            words = str(error)
        assert not words or str(path) in words
