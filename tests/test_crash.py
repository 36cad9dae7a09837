"""The daemon is killed again and again in the middle of a crisis: nothing is lost or repeated, everybody is told."""

from __future__ import annotations

import itertools
import os
import random
import runpy
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alerts.sending.delivery import delivery_id
from monitor.feeds.feed import Check, Outcome
from monitor.storage.reading import Reader
from monitor.storage.store import Batch, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
Answer, Desk, House, Item, Press = (SCENE[name] for name in ("Answer", "Desk", "House", "Item", "Press"))
prefill, rss, serving, surge, until, utc_now = (
    SCENE[name] for name in ("prefill", "rss", "serving", "surge", "until", "utc_now")
)
# As many as continuous integration can afford; `make nightly` asks for two hundred, at other moments each night.
KILLS = int(os.environ.get("SQUALL_DAEMON_KILLS", "20"))
SEED = int(os.environ.get("SQUALL_KILL_SEED", "20"))
_CALM = 4  # kills before the first alert
PUBLISHERS = ("quillon", "marlow", "tessel", "orrin")
DESKS = 10  # feeds of each publisher
TOLD = ("fired", "escalated", "resolved")


class Newsroom:
    """Feeds that grow: each answer carries three items more than the last, one of them calm."""

    def __init__(self, press: Any) -> None:
        self.growing = True
        self.links: set[str] = set()
        self._numbers = itertools.count()
        self._items: dict[str, list[Any]] = {}
        self._lock = threading.Lock()
        for publisher, desk in itertools.product(PUBLISHERS, range(DESKS)):
            path = f"{publisher}-{desk}"
            self._items[path] = []
            press.answers[path] = lambda path=path: self._answer(path)

    def _answer(self, path: str) -> Any:
        with self._lock:
            for part in range(3 if self.growing else 0):
                number = next(self._numbers)
                title = f"Municipal swimming pool number {number} opens in May" if part == 0 else surge(number)
                self._items[path].append(Item(f"{path}-{number}", title, utc_now()))
                self.links.add(f"https://news.example/{path}-{number}")
            return Answer(rss(self._items[path][::-1]))


def moments(random_: random.Random) -> list[tuple[str, float]]:
    """So many times: what to wait for, and how many seconds from there to the kill."""
    kinds = (("", 1.0), ("started", 3.0), ("polled", 2.0), ("scored", 1.0), ("polled", 2.0))
    others = [kinds[number % len(kinds)] for number in range(KILLS - 2)]
    found = [(event, random_.uniform(0, most)) for event, most in others]
    random_.shuffle(found)
    # At the moment when an alert fires, and in the middle of telling of it: early, for later all of them have fired.
    return [*found[:_CALM], ("alert_changed", 0.0), ("post", 0.0), *found[_CALM:]]


def kill_at(daemon: Any, desk: Any, event: str, delay: float) -> None:
    if event == "post":
        posted = len(desk.posts)
        desk.hangs = True
        until(desk.change, lambda: len(desk.posts) > posted)
    elif event:
        daemon.line(event)
    # It must not end by itself.
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.process.wait(delay)
    daemon.kill()
    desk.hangs = False


def survivors(store: Path, folder: Path) -> pl.DataFrame:
    """What is in the store after a kill: read from a copy, so that the next daemon meets it as the kill left it."""
    folder.mkdir()
    for part in (store, store.with_name(f"{store.name}.wal")):
        if part.exists():
            shutil.copy(part, folder)
    found = held(folder / store.name)
    shutil.rmtree(folder)
    return found


def held(store: Path) -> pl.DataFrame:
    with Store.open(store, utc_now()) as opened:
        assert opened.rollup_faults().is_empty()
        with opened.database.reading() as cursor:
            rows: pl.DataFrame = cursor.sql("SELECT id, link FROM headlines").pl()
            return rows


def make_due(store: Path, now: datetime) -> None:
    """As if a minute had passed."""
    with Store.open(store, now) as opened:
        states = [replace(state, next_check_at=now) for state in opened.feed_states().values()]
        opened.append(Batch([Check(s.feed, now, Outcome.UNCHANGED, "", 304, 0, 0, (), s) for s in states]), now)


def run_to_quiet(house: Any) -> None:
    """Until every feed was checked once more, and nothing waits for a score or a receiver."""
    begun = utc_now()
    with house.daemon() as daemon:
        daemon.line("started")
        with Reader(house.store) as reader:
            looks: set[str] = set()

            def quiet() -> bool:
                counts = reader.query("status").row(0, named=True)
                waiting = reader.query("deliveries", state="pending", limit=1000)
                checked = reader.query("feeds", since=begun)["last_check_at"].min()
                if not (checked > begun and counts["headlines"] == counts["scored"] and waiting.is_empty()):
                    looks.clear()
                    return False
                stages: Any = reader.act("pulse")
                looks.update(stage["ok_at"] for stage in stages["stages"] if stage["name"] == "detect")
                # A look that began before all was scored may have ended since; the one after it saw everything.
                return len(looks) > 2

            # The ongoing alert is looked at, and logged, every second.
            until(daemon.change, quiet)
        assert daemon.stop()[0] == 0


def rows(store: Path, query: str) -> list[dict[str, Any]]:
    with Store.open(store, utc_now(), read_only=True) as opened, opened.database.reading() as cursor:
        return list(cursor.sql(query).pl().to_dicts())


def check_notices(store: Path, posts: Sequence[Any]) -> None:
    """Every change that people are told of arrived, under one id and with one content, however often."""
    changes = rows(store, 'SELECT alert, "at", reason FROM changes')
    told = [change for change in changes if change["reason"] in TOLD]
    due = [delivery_id(change["alert"], change["reason"], change["at"], "desk") for change in told]
    assert len(due) == len(set(due)) > 0
    assert {post.id for post in posts} == set(due)
    for notice in set(due):
        assert len({str(post.payload) for post in posts if post.id == notice}) == 1
    fired = Counter(change["alert"] for change in told if change["reason"] == "fired")
    assert set(fired.values()) == {1}
    assert set(fired) == {alert["id"] for alert in rows(store, "SELECT id FROM alerts WHERE fired_at IS NOT NULL")}
    assert {row["state"] for row in rows(store, "SELECT state FROM deliveries")} == {"delivered"}
    ongoing = [row["series"] for row in rows(store, "SELECT series FROM alerts WHERE state <> 'resolved'")]
    assert len(ongoing) == len(set(ongoing))


@pytest.mark.slow
@pytest.mark.timeout(9000)
def test_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    with serving(Press()) as press, serving(Desk()) as desk:
        newsroom = Newsroom(press)
        house = House(tmp_path)
        house.webhook(desk)
        for path in press.answers:
            house.feed(press, path, publisher=path.partition("-")[0])
        now = utc_now()
        # Something is due at every moment: a feed is checked once a minute.
        due = {feed.id: now + timedelta(seconds=1.5 * n) for n, feed in enumerate(house.feeds)}
        acknowledged = prefill(house.store, house.feeds, now, due=due)

        for number, (event, delay) in enumerate(moments(random.Random(SEED))):
            with house.daemon() as daemon:
                kill_at(daemon, desk, event, delay)
                stored = sum(line["headlines"] for line in daemon.logged("polled"))
            left = survivors(house.store, tmp_path / f"kill-{number}")
            assert acknowledged <= set(left["id"]), f"seed {SEED}, kill {number}, after {event!r}, lost some"
            assert left["id"].is_unique().all()
            assert left["link"].is_unique().all()
            assert left.height - len(acknowledged) >= stored
            acknowledged = set(left["id"])

        newsroom.growing = False
        calm = left.height - left["link"].is_in(list(newsroom.links)).sum()
        make_due(house.store, utc_now())
        run_to_quiet(house)
        final = held(house.store)
        assert acknowledged <= set(final["id"])
        assert final["link"].is_unique().all()
        # Also what a kill kept from being stored came in at last.
        assert newsroom.links <= set(final["link"])
        assert final.height == len(newsroom.links) + calm
        assert desk.refused == []
        check_notices(house.store, desk.posts)
        # One was killed while the receiver held its post: it was told again.
        assert len(desk.posts) > len({post.id for post in desk.posts})
