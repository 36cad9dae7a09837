"""Backups with a daemon and without: a restored store loses nothing, doubles nothing, tells no old news."""

from __future__ import annotations

import json
import runpy
import stat
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from monitor.storage.reading import Reader
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
House, Item, desk, prefill, press = (SCENE[name] for name in ("House", "Item", "desk", "prefill", "press"))
surge, utc_now = (SCENE[name] for name in ("surge", "utc_now"))


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
