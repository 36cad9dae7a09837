"""The daemon as a process: it starts, works, answers, obeys signals, and remembers what it did."""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.errors import ServiceError
from monitor.feeds.feed import Check, Outcome, unseen
from monitor.service.status import status
from monitor.settings_file import load_settings
from monitor.storage.reading import Reader
from monitor.storage.readservice import address_file, read_address
from monitor.storage.store import KEEP_CHECKS, Batch, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
Answer, Item, desk, house, prefill = (SCENE[name] for name in ("Answer", "Item", "desk", "house", "prefill"))
press, rss, surge, until, utc_now = (SCENE[name] for name in ("press", "rss", "surge", "until", "utc_now"))
MOST_SECONDS_TO_STOP = 10


def crisis(house: Any, press: Any) -> set[int]:
    """Two publishers with nine bad stories each, and a store whose past was calm: an alert is certain to fire."""
    now = utc_now()
    for number, path in enumerate(("marlow", "tessel")):
        press.serve(path, bad_news(path, number, now))
        house.feed(press, path)
    ids: set[int] = prefill(house.store, house.feeds, now)
    return ids


def bad_news(path: str, number: int, now: datetime) -> list[Any]:
    return [Item(f"{path}-{i}", surge(number * 9 + i), now - timedelta(minutes=i)) for i in range(9)]


def remembered(house: Any) -> list[int]:
    """Ids of the stored headlines, scored or not; nobody holds the store."""
    with Store.open(house.store, utc_now(), read_only=True) as store:
        assert store.rollup_faults().is_empty()
        with store.database.reading() as cursor:
            return [row[0] for row in cursor.sql("SELECT id FROM headlines").fetchall()]


def pending(house: Any) -> int:
    with Store.open(house.store, utc_now(), read_only=True) as store:
        return store.counts().pending_deliveries


def stopped(daemon: Any) -> None:
    """It obeys SIGTERM in time, with exit code 0, and without a word of trouble."""
    code, took = daemon.stop()
    assert (code, took < MOST_SECONDS_TO_STOP) == (0, True), f"{code} after {took:.1f} s"
    assert daemon.logged("stopped")
    assert "Traceback" not in daemon.log
    assert [line for line in daemon.lines if line["level"] == "error"] == []


def test_it_works_answers_stops_and_does_not_repeat_itself(house: Any, press: Any, desk: Any) -> None:
    past = crisis(house, press)
    house.webhook(desk)
    with house.daemon() as daemon:
        assert daemon.line("started")["store"] == str(house.store)
        polled = daemon.line("polled")
        assert (polled["checks"], polled["failed"], polled["headlines"]) == (2, 0, 18)
        assert daemon.line("scored")["headlines"] == 18
        fired = daemon.line("alert_changed", reason="fired", series="theme:bank-stress")
        daemon.line("delivery_attempted", outcome="delivered", alert=fired["alert"])
        assert fired["alert"] in {post.payload["data"]["alert"] for post in desk.posts}

        state = house.command("status", "--json")
        told = json.loads(state.stdout)
        assert (state.returncode, told["alive"], told["troubles"]) == (0, True, [])
        assert (told["feeds"], told["feeds_failing"]) == (2, [])
        assert told["headlines"] == told["scored"] == len(past) + 18
        assert {stage["name"] for stage in told["stages"]} >= {"poll", "detect", "score", "deliver:desk"}
        listed = json.loads(house.command("alerts", "list", "--json").stdout)
        assert {(alert["id"], alert["state"]) for alert in listed} >= {(fired["alert"], "firing")}

        for asked, way_out in (("run", "`squall reload` gives it"), ("once", "a single cycle has nothing to do")):
            second = house.command(asked)
            assert second.returncode == 1
            assert (
                f"the store {house.store} is held by process {(pid := daemon.process.pid)}, the daemon" in second.stderr
            )
            assert way_out in second.stderr
            assert f"stop it first (`kill {pid}`, or `systemctl stop squall`)" in second.stderr
            assert "Traceback" not in second.stderr
        stopped(daemon)
    assert not address_file(house.store).exists()
    ids, sent = remembered(house), list(desk.posts)
    assert len(ids) == len(set(ids)) == len(past) + 18
    assert pending(house) == 0

    # The same feeds at another address are checked at once: what is known must not come in, or be told, again.
    now = utc_now()
    press.serve("moved", [*bad_news("marlow", 0, now), Item("marlow-new", "Quarterly report is due on Friday", now)])
    house.feeds[0] = house.feeds[0].model_copy(update={"url": press.url("moved")})
    with house.daemon() as daemon:
        assert daemon.line("polled")["headlines"] == 1
        daemon.line("alert_updated", reason="continued", alert=fired["alert"])
        stopped(daemon)
        assert not daemon.logged("alert_changed", alert=fired["alert"], reason="fired")
    again = remembered(house)
    assert set(again) > set(ids)
    assert len(again) == len(set(again)) == len(ids) + 1
    assert [post.id for post in desk.posts[: len(sent)]] == [post.id for post in sent]
    assert len({post.id for post in desk.posts}) == len(desk.posts)


def test_a_cycle_in_hand_is_finished(house: Any, press: Any) -> None:
    asked_to_stop = threading.Event()
    news = bad_news("marlow", 0, utc_now())

    def late() -> Any:
        asked_to_stop.wait(MOST_SECONDS_TO_STOP)
        return Answer(rss(news))

    press.answers["marlow"] = late
    house.feed(press, "marlow")
    with house.daemon() as daemon:
        until(press.change, lambda: press.asked == ["marlow"])
        daemon.process.send_signal(signal.SIGTERM)
        daemon.line("stopping")
        asked_to_stop.set()
        assert daemon.process.wait(MOST_SECONDS_TO_STOP) == 0
        # Its scores wait for the next start: who was asked to stop begins nothing new.
        assert daemon.line("polled")["headlines"] == len(news)
        assert not daemon.logged("scored")
    assert len(remembered(house)) == len(news)


def test_a_feed_that_hangs_does_not_keep_it_from_stopping(house: Any, press: Any) -> None:
    press.answers["tessel"] = lambda: Answer(status=500 if press.over.wait(60) else 504)
    house.feed(press, "tessel")
    with house.daemon() as daemon:
        until(press.change, lambda: press.asked == ["tessel"])
        stopped(daemon)
        assert daemon.logged("stage_interrupted", stage="poll")
    assert remembered(house) == []


def test_a_webhook_that_hangs_does_not_keep_it_from_stopping(house: Any, press: Any, desk: Any) -> None:
    crisis(house, press)
    house.webhook(desk, timeout_seconds=100)
    desk.hangs = True
    with house.daemon() as daemon:
        until(desk.change, lambda: len(desk.posts) == 1)
        # Neither does it keep the daemon from its other work.
        looks = len(daemon.logged("alert_updated", reason="continued"))
        until(daemon.change, lambda: len(daemon.logged("alert_updated", reason="continued")) > looks)
        stopped(daemon)
    waiting = pending(house)
    assert waiting >= 1
    desk.hangs = False
    with house.daemon() as daemon:
        daemon.line("delivery_attempted", outcome="delivered", delivery=desk.posts[0].id)
        # Who is asked to stop begins no other message.
        until(daemon.change, lambda: len(daemon.logged("delivery_attempted", outcome="delivered")) >= waiting)
        stopped(daemon)
    assert [post.id for post in desk.posts].count(desk.posts[0].id) == 2
    assert pending(house) == 0


def test_who_waits_for_an_answer_does_not_keep_it_from_stopping(house: Any, desk: Any) -> None:
    house.webhook(desk, timeout_seconds=100)
    desk.hangs = True

    def ask_for_a_test() -> object:
        with Reader(house.store) as reader:
            return reader.act("test_channel", channel="desk")

    with house.daemon() as daemon, ThreadPoolExecutor(1) as threads:
        daemon.line("started")
        asking = threads.submit(ask_for_a_test)
        until(desk.change, lambda: len(desk.posts) == 1)
        stopped(daemon)
        with pytest.raises(ServiceError, match="ended before it answered; it may have done it"):
            asking.result(SCENE["PATIENCE"])
    assert len(desk.posts) == 1, "nobody wants two test messages"


ASKED_IN_VAIN = """
import sys
from pathlib import Path
from monitor.errors import ServiceError
from monitor.service import page_actions
from monitor.service.daemon import utc_now
from monitor.settings_file import load_settings
from monitor.storage.store import KEEP_CHECKS, Batch, Store
page_actions._TEST_SECONDS = 0.2
settings = load_settings(Path(sys.argv[1]), {})
with Store.open(settings.store.path, utc_now()) as store:
    try:
        page_actions.for_pages(settings, store, utc_now, {})["test_channel"]({"channel": "desk"})
    except ServiceError as error:
        print(error)
"""


def test_a_test_message_to_a_silent_receiver_does_not_hold_up_the_end_of_the_process(house: Any, desk: Any) -> None:
    house.webhook(desk, timeout_seconds=100)
    desk.hangs = True
    # Longer than any start takes; the receiver is silent until the test is over.
    line = [sys.executable, "-c", ASKED_IN_VAIN, str(house.write())]
    asked = subprocess.run(line, cwd=SCENE["ROOT"], capture_output=True, text=True, timeout=60, check=True)
    assert asked.stdout.startswith("desk gave no answer within")


def test_a_dead_letter_is_sent_again_through_the_running_daemon_or_after_it(house: Any, press: Any, desk: Any) -> None:
    crisis(house, press)
    house.webhook(desk)
    desk.status = 410
    with house.daemon() as daemon:
        dead = daemon.line("delivery_attempted", state="dead")["delivery"]
        told = house.status()
        assert any("squall alerts redeliver" in trouble for trouble in told["troubles"]), told["troubles"]
        assert any("410 Gone" in trouble for trouble in told["troubles"]), told["troubles"]
        letters = json.loads(house.command("alerts", "deliveries", "--dead", "--json").stdout)
        assert dead in {letter["id"] for letter in letters}

        desk.status = 204
        refused = house.command("alerts", "redeliver", dead)
        assert refused.returncode == 1
        assert "squall alerts enable desk" in refused.stderr
        assert "desk is switched on" in house.command("alerts", "enable", "desk").stdout
        again = house.command("alerts", "redeliver", dead)
        assert (again.returncode, again.stdout) == (0, f"{dead} is due again\n")
        daemon.line("delivery_attempted", delivery=dead, state="delivered")
        arrived = house.command("alerts", "redeliver", dead)
        assert arrived.returncode == 1
        assert "is delivered: only dead letters are sent again" in arrived.stderr
        unknown = house.command("alerts", "redeliver", "msg_0")
        assert unknown.returncode == 1
        assert "`squall alerts deliveries` lists them" in unknown.stderr
        stopped(daemon)
    # What the channel gave up unsent when it was switched off.
    other = next(letter["id"] for letter in letters if letter["id"] != dead)
    later = house.command("alerts", "redeliver", other)
    assert (later.returncode, later.stdout) == (0, f"{other} is due again; it goes out when the daemon runs\n")
    assert pending(house) == 1


def test_what_a_killed_daemon_leaves_behind_is_no_obstacle(house: Any, press: Any) -> None:
    press.serve("marlow", [])
    house.feed(press, "marlow")
    with house.daemon() as daemon:
        daemon.line("started")
        daemon.kill()
    stale = read_address(house.store)
    assert stale is not None
    alone = house.command("status", "--json")
    told = json.loads(alone.stdout)
    assert (alone.returncode, told["alive"]) == (1, False)
    assert "no daemon is running: start one with `squall run`" in told["troubles"]
    with house.daemon() as daemon:
        daemon.line("started")
        fresh = read_address(house.store)
        assert fresh is not None
        assert (fresh.pid, fresh.token != stale.token) == (daemon.process.pid, True)
        with Reader.open(house.store) as reader:
            assert status(reader, load_settings(house.config, {}), utc_now()).alive
        stopped(daemon)
    assert not address_file(house.store).exists()


def test_one_cycle_is_not_put_off_by_a_clock_that_ran_ahead(house: Any, press: Any) -> None:
    press.serve("marlow", [])
    house.feed(press, "marlow")
    house.write()
    ahead = utc_now() + timedelta(hours=6)
    prefill(house.store, house.feeds, ahead)
    done = house.command("once", "--json")
    assert done.returncode == 0, done.stderr
    # What would have been due within a minute then is due within a minute now.
    with Store.open(house.store, utc_now(), read_only=True) as store, store.database.reading() as cursor:
        ((due,),) = cursor.sql("SELECT epoch(next_check_at) FROM feeds WHERE feed = 'marlow'").fetchall()
    assert due < (utc_now() + timedelta(minutes=2)).timestamp()


def test_one_cycle_for_cron(house: Any, press: Any, desk: Any) -> None:
    past = crisis(house, press)
    house.webhook(desk)
    gone = house.feed(press, "nowhere")
    house.write()
    long_ago = utc_now() - KEEP_CHECKS - timedelta(days=1)
    with Store.open(house.store, utc_now()) as store:
        refused = Check(gone.id, long_ago, Outcome.NOT_FOUND, "404", 404, 0, 9, (), unseen(gone, long_ago))
        store.append(Batch(checks=[refused]), long_ago)
    done = house.command("once", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["upkeep_fault"] == ""
    with Reader(house.store) as reader:
        assert reader.query("feed_checks", feed=gone.id, limit=9).height == 1, (
            "what is old is forgotten, as by the daemon"
        )
    assert (told["checks"], told["failed"], told["headlines"], told["scored"]) == (3, 1, 18, 18)
    assert told["model_fault"] == ""
    assert told["alerts_changed"] == told["deliveries_attempted"] == len(desk.posts) > 0
    assert len(remembered(house)) == len(past) + 18
    repeated = json.loads(house.command("once", "--json").stdout)
    assert (repeated["headlines"], repeated["alerts_changed"], repeated["deliveries_attempted"]) == (0, 0, 0)
