"""What the world does to a daemon in months: it names what is wrong, goes on with the rest, and recovers by itself."""

from __future__ import annotations

import asyncio
import email
import json
import runpy
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from monitor.feeds.feed import Feed
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
Answer, Desk, Item, Press, house = (SCENE[name] for name in ("Answer", "Desk", "Item", "Press", "house"))
prefill, press, rss, serving, surge = (SCENE[name] for name in ("prefill", "press", "rss", "serving", "surge"))
until, utc_now = (SCENE[name] for name in ("until", "utc_now"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def bad_news(path: str, number: int, now: datetime) -> list[Any]:
    return [Item(f"{path}-{i}", surge(number * 9 + i), now - timedelta(minutes=i)) for i in range(9)]


def crisis(house: Any, press: Any, now: datetime) -> None:
    """Two publishers with nine bad stories each, and a store whose past was calm: an alert is certain to fire."""
    for number, path in enumerate(("marlow", "tessel")):
        press.serve(path, bad_news(path, number, now))
        house.feed(press, path)
    prefill(house.store, house.feeds, now)


def stored(house: Any) -> list[str]:
    with Store.open(house.store, utc_now(), read_only=True) as store:
        assert store.rollup_faults().is_empty()
        with store.database.reading() as cursor:
            return [row[0] for row in cursor.sql("SELECT link FROM headlines WHERE feed <> 'archive'").fetchall()]


def moved(house: Any, hours: float) -> Callable[[], datetime]:
    """Set the daemon's clock so far off; a receiver's clock that is as far off."""
    house.set_clock(hours)
    return lambda: utc_now() + timedelta(hours=hours)


# The network


def test_names_that_lead_nowhere_and_a_network_that_goes_and_comes_back(house: Any) -> None:
    port, now = free_port(), utc_now()
    house.feeds.append(Feed(id="nameless", url="http://feed.invalid/rss", name="x", publisher="x", every_minutes=1))
    with serving(Press(port)) as press:
        press.serve("marlow", bad_news("marlow", 0, now))
        house.feed(press, "marlow")
        with house.clocked_daemon() as daemon:
            daemon.line("polled", headlines=9)
            nameless = daemon.line("feed_failed", feed="nameless")
            assert "feed.invalid" in nameless["reason"]
            press.shutdown()
            press.server_close()
            house.set_clock(1)
            gone = daemon.line("feed_failed", feed="marlow")
            troubles = house.status()["troubles"]
            assert f"feed marlow: {gone['reason']}" in troubles
            assert f"feed nameless: {nameless['reason']}" in troubles
            with serving(Press(port)) as again:
                again.serve("marlow", [*bad_news("marlow", 0, now), Item("later", "Rates are held", now)])
                house.set_clock(9)
                daemon.line("polled", headlines=1)
                assert not any(one.startswith("feed marlow") for one in house.status()["troubles"])
            assert daemon.stop()[0] == 0
            assert "Traceback" not in daemon.log
    links = stored(house)
    assert len(links) == len(set(links)) == 10


class Mailbox:
    """Takes mail: ids."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 # aiosmtpd names it so
        mail = email.message_from_bytes(envelope.content, policy=default)
        self.taken.append(str(mail["Message-ID"]).strip("<>").partition("@")[0])
        return "250 OK"


class _Loopback(Controller):
    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd leaves this one untyped


@contextmanager
def mail_at(port: int) -> Iterator[Mailbox]:
    box = Mailbox()
    server = _Loopback(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield box
    finally:
        server.stop()


def test_mail_and_webhook_are_down_for_a_day(house: Any, press: Any) -> None:
    hook_port, mail_port = free_port(), free_port()
    clock = moved(house, -24)
    crisis(house, press, clock())
    with serving(Desk(hook_port)) as first:
        house.webhook(first)
    house.channels.append(
        {
            "type": "mail",
            "name": "letters",
            "host": "127.0.0.1",
            "port": mail_port,
            "security": "none",
            "sender": "squall@news.example",
            "recipients": ["desk@news.example"],
        }
    )
    with house.clocked_daemon() as daemon:
        due: dict[str, set[str]] = {}
        for channel in ("desk", "letters"):
            daemon.line("delivery_attempted", channel=channel, state="pending")
        for hours in (-23.8, -23, -20, -12, 0):
            # Counted before the clock is set: an attempt may come sooner than this test looks again.
            seen = {one: len(daemon.logged("delivery_attempted", channel=one)) for one in ("desk", "letters")}
            house.set_clock(hours)
            for channel, before in seen.items():
                until(
                    daemon.change,
                    lambda channel=channel, before=before: (
                        len(daemon.logged("delivery_attempted", channel=channel)) > before
                    ),
                )
        told = house.status()
        assert {one["channel"]: (one["delivered"], one["dead"]) for one in told["channels"]} == {
            "desk": (0, 0),
            "letters": (0, 0),
        }
        assert all(one["pending"] for one in told["channels"])
        for channel in ("desk", "letters"):
            assert any(one.startswith(f"channel {channel}: ") for one in told["troubles"])
            due[channel] = {line["delivery"] for line in daemon.logged("delivery_attempted", channel=channel)}
        with serving(Desk(hook_port)) as desk, mail_at(mail_port) as box:
            # The receiver's clock first: what is due comes as soon as the daemon's is set.
            desk.now = lambda: utc_now() + timedelta(hours=25)
            house.set_clock(25)
            for channel, ids in due.items():
                for id_ in ids:
                    daemon.line("delivery_attempted", channel=channel, delivery=id_, outcome="delivered")
            posts = Counter(post.id for post in desk.posts)
            assert due["desk"] <= set(posts)
            assert set(posts.values()) == {1}
            assert due["letters"] <= set(box.taken)
            assert len(box.taken) == len(set(box.taken))
            assert desk.refused == []
            assert daemon.stop()[0] == 0
        assert "Traceback" not in daemon.log


# The clock


def test_a_clock_set_back_an_hour_and_forward_a_day(house: Any, press: Any) -> None:
    with serving(Desk()) as desk:
        desk.now = moved(house, -23)
        now = desk.now()
        crisis(house, press, now)
        house.webhook(desk)
        with house.clocked_daemon() as daemon:
            fired = daemon.line("alert_changed", reason="fired", series="theme:bank-stress")
            daemon.line("delivery_attempted", alert=fired["alert"], outcome="delivered")
            press.serve("marlow", [*bad_news("marlow", 0, now), Item("new", "Ports reopen", now)])

            desk.now = moved(house, -24)
            assert daemon.line("clock_jumped")["seconds"] == pytest.approx(-3_600, abs=10)
            # A minute later the feeds are due, not an hour and a minute later.
            desk.now = moved(house, -24 + 2 / 60)
            daemon.line("polled", headlines=1)
            told = house.command("status", "--json")
            # A post that was on its way when the clocks were set is refused for its time, told of, and sent again.
            assert told.returncode == 0
            assert all(one.startswith("channel desk: ") for one in json.loads(told.stdout)["troubles"])

            press.serve("tessel", [*bad_news("tessel", 1, now), Item("day", "A day later", now + timedelta(hours=23))])
            asked = len(press.asked)
            desk.now = moved(house, 0)
            until(press.change, lambda: len(press.asked) >= asked + 2)
            until(daemon.change, lambda: len(daemon.logged("polled", headlines=1)) == 2)
            until(daemon.change, lambda: any(line["seconds"] > 80_000 for line in daemon.logged("clock_jumped")))
            # Each feed was checked once for the day that nobody saw.
            assert Counter(press.asked[asked:]) == {"marlow": 1, "tessel": 1}
            assert daemon.stop()[0] == 0
            assert "Traceback" not in daemon.log
        assert len(daemon.logged("alert_changed", reason="fired", series="theme:bank-stress")) == 1
        assert len({post.id for post in desk.posts}) == len(desk.posts)
    links = stored(house)
    assert len(links) == len(set(links)) == 20


# Floods


def test_ten_thousand_entries_in_one_poll(house: Any, press: Any) -> None:
    now = utc_now()
    for number in range(20):
        path = f"flood-{number}"
        press.serve(
            path, [Item(f"{path}-{i}", f"Town {number} council item {i} is adjourned", now) for i in range(500)]
        )
        house.feed(press, path)
    with house.daemon() as daemon:
        until(daemon.change, lambda: sum(line["headlines"] for line in daemon.logged("polled")) == 10_000)
        # They are stored before they are scored, and it is said how many wait.
        told = house.status()
        assert told["alive"]
        assert told["headlines"] == 10_000
        waiting = [one for one in told["troubles"] if one.endswith("headlines wait for a score")]
        assert bool(waiting) == (told["scored"] < 10_000)
        daemon.line("scored")
        # News that comes now is not behind all of them.
        assert daemon.stop()[0] == 0
        assert "Traceback" not in daemon.log
    links = stored(house)
    assert len(links) == len(set(links)) == 10_000


def test_a_feed_that_grows_for_ever_is_cut_then_named_and_the_others_go_on(house: Any, press: Any) -> None:
    now = utc_now()
    lock, asked = threading.Lock(), [0]

    def growing() -> Any:
        with lock:
            asked[0] = min(3, asked[0] + 1)
            count = 40 * 10 ** (asked[0] - 1)  # 40, 400, then always 4,000
        items = [Item(f"grow-{i}", f"Growing story {i}", now - timedelta(seconds=count - i)) for i in range(count)]
        return Answer(rss(items[::-1]))

    press.answers["growing"] = growing
    house.feed(press, "growing")
    press.serve("marlow", bad_news("marlow", 0, now))
    house.feed(press, "marlow")
    house.tables["polling"] = {
        "allow_private_addresses": ["127.0.0.1"],
        "per_host": 20,
        "host_spacing_seconds": 0,
        "max_entries": 100,
        "max_bytes": 200_000,
    }
    with house.clocked_daemon() as daemon:
        until(daemon.change, lambda: sum(line["headlines"] for line in daemon.logged("polled")) == 49)
        house.set_clock(1)
        daemon.line("polled", headlines=100)
        house.set_clock(5)
        named = daemon.line("feed_failed", feed="growing")
        assert named["outcome"] == "too_large"
        assert any(one.startswith("feed growing: ") for one in house.status()["troubles"])
        press.serve("marlow", [*bad_news("marlow", 0, now), Item("more", "The others go on", now)])
        house.set_clock(12)
        daemon.line("polled", headlines=1)
        assert daemon.stop()[0] == 0
        assert "Traceback" not in daemon.log
    links = stored(house)
    assert len(links) == len(set(links)) == 150
