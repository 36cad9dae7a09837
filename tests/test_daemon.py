"""The daemon as a process: it starts, works, answers, obeys signals, and remembers what it did."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.reading import Reader
from monitor.readservice import address_file, read_address
from monitor.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
Answer, Desk, House, Item, Press = (SCENE[name] for name in ("Answer", "Desk", "House", "Item", "Press"))
prefill, rss, serving, surge, until, utc_now = (
    SCENE[name] for name in ("prefill", "rss", "serving", "surge", "until", "utc_now")
)
MOST_SECONDS_TO_STOP = 10


@pytest.fixture
def press() -> Iterator[Any]:
    with serving(Press()) as server:
        yield server


@pytest.fixture
def desk() -> Iterator[Any]:
    with serving(Desk()) as server:
        yield server


@pytest.fixture
def house(tmp_path: Path) -> Any:
    return House(tmp_path)


def crisis(house: Any, press: Any) -> set[int]:
    """Two publishers with nine bad stories each, and a store whose past was calm: an alert is certain to fire."""
    now = utc_now()
    for number, path in enumerate(("marlow", "tessel")):
        news = [Item(f"{path}-{i}", surge(number * 9 + i), now - timedelta(minutes=i)) for i in range(9)]
        press.serve(path, news)
        house.feed(press, path)
    return prefill(house.store, house.feeds, ["market", "theme:bank-stress"], now)


def ids(house: Any) -> list[int]:
    with Reader.open(house.store) as reader:
        found = reader.query(
            "headlines",
            series="market",
            since=utc_now() - timedelta(days=30),
            until=utc_now() + timedelta(days=1),
            negative_only=False,
            limit=10_000,
        )
    return list(found["id"])


def test_it_works_answers_stops_and_goes_on(house: Any, press: Any, desk: Any) -> None:
    past = crisis(house, press)
    house.webhook(desk)
    with house.daemon() as daemon:
        started = daemon.line("started")
        assert started["store"] == str(house.store)
        polled = daemon.line("polled")
        assert (polled["checks"], polled["failed"], polled["headlines"], polled["scored"]) == (2, 0, 18, 18)
        fired = daemon.line("alert_changed", reason="fired")
        daemon.line("delivery_attempted", outcome="delivered")
        until(desk.change, lambda: any(post.payload["data"]["id"] == fired["alert"] for post in desk.posts))
        state = house.command("status", "--json")
        told = json.loads(state.stdout)
        assert state.returncode == 0
        assert told["alive"] is True
        assert told["feeds"] == 2
        assert told["feeds_failing"] == []
        assert told["troubles"] == []
        assert told["headlines"] == told["scored"] == len(past) + 18
        listed = json.loads(house.command("alerts", "list", "--json").stdout)
        assert fired["alert"] in {alert["id"] for alert in listed}
        print(daemon.log)
        code, took = daemon.stop()
        assert (code, took < MOST_SECONDS_TO_STOP) == (0, True)
        print(daemon.log)
