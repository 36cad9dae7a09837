"""The doctor names what is wrong, with the way out, and calls nothing well that it has not seen."""

from __future__ import annotations

import json
import runpy
import socket
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.service.checkup import (
    Finding,
    Verdict,
    backup_finding,
    channel_finding,
    clock_finding,
    disk_finding,
    feeds_finding,
    files_finding,
    port_finding,
    store_finding,
)
from monitor.storage.forecast import Growth
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
House, prefill, utc_now = (SCENE[name] for name in ("House", "prefill", "utc_now"))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GIB = 2**30
GROWING = Growth(bytes=4 * GIB, passing=3 * GIB, lasting=GIB, days=100, headlines=10**6, a_day=10_000)


def test_a_finding_has_a_way_out_exactly_when_something_is_wrong() -> None:
    with pytest.raises(ValueError, match="way out"):
        Finding("store", Verdict.BAD, "broken")
    with pytest.raises(ValueError, match="way out"):
        Finding("store", Verdict.WELL, "whole", "do something")


@pytest.mark.parametrize(
    ("free", "keep_days", "verdict"),
    [
        (50 * GIB, 0, Verdict.WELL),
        (2 * GIB, 0, Verdict.LOOK),  # it grows by 40 MiB a day
        (2 * GIB, 90, Verdict.WELL),  # what is older than ninety days leaves
        (GIB // 32, 0, Verdict.BAD),
    ],
)
def test_the_disk_is_held_against_the_forecast(free: int, keep_days: int, verdict: Verdict) -> None:
    found = disk_finding(free, GROWING, keep_days)
    assert found.verdict is verdict
    assert "10000 headlines a day" in found.words


def test_what_a_disk_that_fills_up_soon_is_told() -> None:
    assert "full in" in disk_finding(2 * GIB, GROWING, 0).words
    assert "nothing is fetched any more" in disk_finding(GIB // 32, GROWING, 0).words


def test_a_disk_with_little_room_is_told_of_though_the_store_grows_no_more() -> None:
    still = replace(GROWING, lasting=0, a_day=0)
    found = [disk_finding(free, still, 400).verdict for free in (GIB // 3, GIB)]
    assert found == [Verdict.LOOK, Verdict.WELL]


@pytest.mark.parametrize(
    ("now", "latest", "verdict", "words"),
    [
        (NOW, NOW - timedelta(minutes=1), Verdict.WELL, "2026-11-22"),
        (NOW, None, Verdict.WELL, "2026-11-22"),
        (NOW, NOW + timedelta(hours=3), Verdict.BAD, "3 hours before the last check"),
        (datetime(1970, 1, 1, tzinfo=UTC), None, Verdict.BAD, "1970"),
    ],
)
def test_a_clock_that_cannot_be_right(now: datetime, latest: datetime | None, verdict: Verdict, words: str) -> None:
    found = clock_finding(now, latest, datetime(2026, 11, 1, tzinfo=UTC))
    assert found.verdict is verdict
    assert words in found.words


def test_the_other_verdicts() -> None:
    assert store_finding([], 10).verdict is Verdict.WELL
    assert store_finding(["3 hours are counted twice"], 10).verdict is Verdict.BAD
    assert port_finding("metrics", 1, "Address already in use", running=False).verdict is Verdict.BAD
    assert port_finding("metrics", 1, "Address already in use", running=True).verdict is Verdict.WELL
    assert port_finding("metrics", 1, "", running=False).verdict is Verdict.WELL
    # An address that is none of this machine's is held by no Squall.
    assert port_finding("dashboard", 1, "Cannot assign requested address", running=True).verdict is Verdict.BAD
    assert channel_finding("desk", "env:KEY is not set", "", 0).verdict is Verdict.BAD
    assert channel_finding("desk", "", "timed out", 0).verdict is Verdict.LOOK
    assert channel_finding("desk", "", "", 2).verdict is Verdict.LOOK
    assert channel_finding("desk", "", "", 0).verdict is Verdict.WELL
    many = [(f"f{number}", "404") for number in range(9)]
    assert feeds_finding(0, [], None, NOW, 6).verdict is Verdict.BAD
    assert feeds_finding(9, many, NOW - timedelta(hours=7), NOW, 6).verdict is Verdict.BAD
    assert "and 4 more" in feeds_finding(20, many, NOW, NOW, 6).words
    assert feeds_finding(20, [], NOW, NOW, 6).verdict is Verdict.WELL
    assert feeds_finding(20, [], None, NOW, 6, unasked=20).verdict is Verdict.LOOK
    assert "none of 20 has been asked yet" in feeds_finding(20, [], None, NOW, 6, unasked=20).words
    assert "1 of them has not been asked" in feeds_finding(20, [], NOW, NOW, 6, unasked=1).words
    # One network without a way out looks like this, and not like twenty dead feeds.
    assert feeds_finding(9, many, None, NOW, 6).verdict is Verdict.BAD
    assert "none of the 9 that were asked has ever answered" in feeds_finding(10, many, None, NOW, 6, unasked=1).words
    assert "9 of 20 fail" in feeds_finding(20, many, NOW, NOW, 6, unasked=1).words
    assert files_finding({Path("s"): 0o100600}).verdict is Verdict.WELL
    assert "chmod go-rwx s" in files_finding({Path("s"): 0o100640}).way_out
    assert backup_finding([], NOW, Path("b")).verdict is Verdict.LOOK
    assert backup_finding([NOW - timedelta(days=8)], NOW, Path("b")).verdict is Verdict.LOOK
    assert backup_finding([NOW - timedelta(days=8), NOW], NOW, Path("b")).verdict is Verdict.WELL


def findings(house: Any, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = house.command("doctor", "--json", *options)
    assert "Traceback" not in done.stderr
    return done.returncode, {finding["subject"]: finding for finding in json.loads(done.stdout)}


def test_a_house_in_order_and_what_goes_wrong_in_it(tmp_path: Path) -> None:
    house = House(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    house.tables["metrics"] = {"port": port}
    house.feeds.append(SCENE["Feed"](id="wire", url="https://news.example/rss", name="Wire", publisher="wire"))
    prefill(house.store, house.feeds, utc_now())
    house.store.chmod(0o600)
    house.write()
    code, found = findings(house)
    assert code == 0, found
    assert {
        "store",
        "disk",
        "clock",
        "feeds",
        "channels",
        "port:dashboard",
        "port:metrics",
        "files",
        "backup",
        "model",
    } == set(found)
    assert found["store"]["verdict"] == found["model"]["verdict"] == found["port:metrics"]["verdict"] == "well"
    assert "and they agree with each other" in found["store"]["words"]
    assert found["channels"]["verdict"] == found["backup"]["verdict"] == "look"
    assert house.command("backup").returncode == 0

    with Store.open(house.store, utc_now()) as store, store.database.writing() as connection:
        connection.execute("UPDATE rollups SET stories = stories + 1 WHERE series = 'market'")
        connection.execute("DELETE FROM headlines WHERE id = (SELECT min(id) FROM headlines)")
    (tmp_path / "secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (tmp_path / "secret").chmod(0o644)
    house.channels.append(
        {"type": "webhook", "name": "desk", "url": "https://desk.example/a", "secret": f"file:{tmp_path / 'secret'}"}
    )
    house.channels.append({"type": "webhook", "name": "lost", "url": "https://desk.example/b", "secret": "env:NOWHERE"})
    house.tables["model"] = {"adapter": str(tmp_path / "no-adapter")}
    house.write()
    with socket.create_server(("127.0.0.1", port)):
        code, found = findings(house)
    assert code == 1
    bad = {subject for subject, finding in found.items() if finding["verdict"] == "bad"}
    assert bad == {"store", "port:metrics", "channel:lost", "model"}
    assert "1 scores of headlines that are not there" in found["store"]["words"]
    assert "hours of the last days whose counts differ" in found["store"]["words"]
    assert found["files"]["way_out"].endswith(f"chmod go-rwx {tmp_path / 'secret'}")
    assert found["backup"]["verdict"] == "well"
    assert "whsec_" not in json.dumps(found)


def test_feeds_that_nobody_asked_yet_are_not_called_well(tmp_path: Path) -> None:
    """As after a first start without a network, or with feeds that were added while no daemon ran."""
    house = House(tmp_path)
    for name in ("wire", "post"):
        house.feeds.append(SCENE["Feed"](id=name, url=f"https://{name}.example/rss", name=name, publisher=name))
    house.write()
    with Store.open(house.store, utc_now()):
        pass
    _, found = findings(house, "--quick")
    assert (found["feeds"]["verdict"], found["feeds"]["words"]) == ("look", "none of 2 has been asked yet")
    prefill(house.store, house.feeds[:1], utc_now())
    _, found = findings(house, "--quick")
    assert found["feeds"]["verdict"] == "look"
    assert "1 of them has not been asked yet" in found["feeds"]["words"]


def test_a_running_daemon_is_asked(tmp_path: Path) -> None:
    house = House(tmp_path)
    prefill(house.store, house.feeds, utc_now())
    house.feeds.append(SCENE["Feed"](id="wire", url="http://127.0.0.1:9/rss", name="Wire", publisher="wire"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        house.tables["metrics"] = {"port": taken.getsockname()[1]}
    with house.daemon() as daemon:
        daemon.line("started")
        _, found = findings(house, "--quick")
        assert "model" not in found
        assert found["disk"]["verdict"] != "bad"
        assert found["port:metrics"]["verdict"] == "well"
        assert daemon.stop()[0] == 0


def test_what_a_command_writes_is_its_owners_alone(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.write()
    done = house.command("once", "--json")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(house.store.stat().st_mode) == 0o600
