"""The daemon's life as its manager sees it: ready, getting on, reloading, stopping; and when its model dies."""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.errors import SettingsUnusable
from monitor.service.reloading import changed_sections, keeps_model
from monitor.settings import Settings

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
Answer, Item, desk, house, prefill = (SCENE[name] for name in ("Answer", "Item", "desk", "house", "prefill"))
press, surge, until, utc_now = (SCENE[name] for name in ("press", "surge", "until", "utc_now"))


STOPPING = "STOPPING=1\nSTATUS=finishing what is in hand"


class Manager:
    """A service manager: hears every datagram."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self.heard: list[str] = []
        self.change = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while told := self._socket.recv(4_096).decode():
            with self.change:
                self.heard.append(told)
                self.change.notify_all()

    def wait_for(self, beginning: str, times: int = 1) -> None:
        until(self.change, lambda: sum(one.startswith(beginning) for one in self.heard) >= times)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    found = Manager(tmp_path)
    yield found
    found.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def news(path: str, count: int, first: int = 0) -> list[Any]:
    now = utc_now()
    return [Item(f"{path}-{i}", surge(first + i), now - timedelta(minutes=i)) for i in range(count)]


# What changes


def test_what_needs_a_restart_is_refused_by_name() -> None:
    before = Settings()
    after = Settings.model_validate({"store": {"threads": 3, "path": "elsewhere.duckdb"}, "log": {"level": "debug"}})
    with pytest.raises(SettingsUnusable, match=r"store\.path, store\.threads can only change at a restart"):
        changed_sections(before, after)
    assert changed_sections(before, before) == ()
    later = Settings.model_validate({"log": {"level": "debug"}, "rules": {"minimum_negative": 3}})
    assert changed_sections(before, later) == ("rules", "log")
    assert keeps_model(before, later)
    assert not keeps_model(before, Settings.model_validate({"model": {"device": "cpu"}}))


# The daemon


def test_its_manager_and_its_probes_follow_its_life(house: Any, press: Any, manager: Manager) -> None:
    press.serve("marlow", news("marlow", 3))
    house.feed(press, "marlow")
    port = free_port()
    house.tables["metrics"] = {"port": port}
    with house.daemon(NOTIFY_SOCKET=manager.address) as daemon:
        manager.wait_for("READY=1\nSTATUS=watching 1 feeds")
        daemon.line("scored", headlines=3)
        manager.wait_for("WATCHDOG=1", times=2)
        assert asked(port, "healthz") == (200, "ok\n")
        # Ready follows the first looks.
        until(manager.change, lambda: asked(port, "readyz") == (200, "ok\n"))
        page = asked(port, "metrics")[1]
        assert 'squall_feed_checks_total{outcome="new"} 1.0' in page
        assert "squall_headlines_scored_total 3.0" in page
        assert 'squall_stage_runs_total{result="ok",stage="detect"}' in page
        assert daemon.stop()[0] == 0
        manager.wait_for("STOPPING=1")
        fed = [one for one in manager.heard if one == "WATCHDOG=1"]
        assert manager.heard.index("WATCHDOG=1") >= 0
        assert len(fed) >= 2
        assert [line for line in daemon.lines if line["level"] == "error"] == []


def test_settings_come_into_force_whole_or_not_at_all(house: Any, press: Any, desk: Any, manager: Manager) -> None:
    press.serve("marlow", news("marlow", 9))
    press.serve("tessel", news("tessel", 9, first=9))
    house.feed(press, "marlow")
    prefill(house.store, house.feeds, utc_now())
    with house.daemon(NOTIFY_SOCKET=manager.address) as daemon:
        daemon.line("scored", headlines=9)
        whole = house.config.read_text()

        # Wrong in one of many places: refused by the command, and by the daemon that gets the signal.
        house.config.write_text(
            whole.replace("poll_seconds = 1", "poll_seconds = 2").replace("learning_days", "lerning")
        )
        wrong = house.command("reload")
        assert wrong.returncode == 2
        assert "rules.lerning: unknown key" in wrong.stderr
        daemon.process.send_signal(signal.SIGHUP)
        refused = daemon.line("reload_refused")
        assert "rules.lerning: unknown key" in refused["reason"]
        manager.wait_for("RELOADING=1")
        manager.wait_for("READY=1", times=2)

        # Right, but not while it runs.
        house.config.write_text(whole.replace("[store]", "[store]\nthreads = 1"))
        later = house.command("reload")
        assert later.returncode == 1
        assert "store.threads can only change at a restart" in later.stderr

        # A channel whose secret is not there cannot be opened.
        house.webhook(desk)
        (house.folder / "secret").unlink()
        house.write()
        secretless = house.command("reload")
        assert secretless.returncode == 1
        assert "secret cannot be read" in secretless.stderr

        # A feed and a channel more: the second publisher makes an alert of it, and the new channel is told.
        (house.folder / "secret").write_text(SCENE["SECRET"])
        house.feed(press, "tessel")
        house.write()
        done = house.command("reload")
        assert (done.returncode, done.stdout) == (0, "in force, with changes in: feeds, channels\n"), done.stderr
        daemon.line("scored", headlines=9)
        fired = daemon.line("alert_changed", reason="fired", series="theme:bank-stress")
        daemon.line("delivery_attempted", alert=fired["alert"], channel="desk", outcome="delivered")
        # The model was not loaded a second time for it.
        assert len(daemon.logged("model_loaded")) == 1

        # And one less.
        house.feeds.clear()
        house.channels.clear()
        house.write()
        daemon.process.send_signal(signal.SIGHUP)
        until(daemon.change, lambda: len(daemon.logged("reloaded")) == 2)
        told = house.status()
        assert (told["feeds"], told["channels"]) == (0, [])
        assert "deliver:desk" not in {stage["name"] for stage in told["stages"] if stage["reason"]}
        assert daemon.stop()[0] == 0
        assert "Traceback" not in daemon.log


def test_the_end_does_not_wait_for_a_reload(house: Any, press: Any, manager: Manager) -> None:
    press.answers["marlow"] = lambda: Answer(status=500 if press.over.wait(SCENE["PATIENCE"]) else 504)
    house.feed(press, "marlow")
    with house.daemon(NOTIFY_SOCKET=manager.address) as daemon, ThreadPoolExecutor(1) as threads:
        until(press.change, lambda: press.asked == ["marlow"])
        manager.wait_for("READY=1")
        asking = threads.submit(house.command, "reload")
        manager.wait_for("RELOADING=1")
        code, took = daemon.stop()
        assert (code, took < 15) == (0, True), f"{code} after {took:.1f} s"
        done = asking.result()
        assert done.returncode == 1
        assert "nothing was changed: squall stops" in done.stderr
        assert "nothing was changed: squall stops" in daemon.line("reload_refused")["reason"]
        # That it is ready again would contradict that it stops.
        assert not any(told.startswith("READY=1") for told in manager.heard[manager.heard.index(STOPPING) :])


def test_reload_without_a_daemon_says_so(house: Any) -> None:
    house.write()
    prefill(house.store, (), utc_now())
    done = house.command("reload")
    assert done.returncode == 1
    assert "no daemon is running" in done.stderr


def test_the_model_is_killed_while_news_comes_in(house: Any, press: Any) -> None:
    press.serve("marlow", news("marlow", 5))
    house.feed(press, "marlow")
    with house.clocked_daemon() as daemon:
        daemon.line("scored", headlines=5)
        (child,) = children(daemon.process.pid)
        os.kill(child, signal.SIGKILL)
        press.serve("marlow", [*news("marlow", 5), *news("later", 4, first=20)])
        house.set_clock(2 / 60)
        # What comes in is stored at once, waits, and is scored when the model is back.
        daemon.line("polled", headlines=4)
        daemon.line("scored", headlines=4)
        assert len(daemon.logged("model_loaded")) == 2
        # Whoever asked first met its end: the stories, or the scoring.
        met = [*daemon.logged("stories_by_words"), *daemon.logged("model_failed")]
        assert any("was killed" in line["reason"] for line in met)
        assert daemon.process.poll() is None
        told = json.loads(house.command("status", "--json").stdout)
        assert (told["alive"], told["headlines"], told["scored"], told["troubles"]) == (True, 9, 9, [])
        assert daemon.stop()[0] == 0
        assert "Traceback" not in daemon.log


def children(parent: int) -> list[int]:
    """The model's processes that it began."""
    tasks = Path(f"/proc/{parent}/task").iterdir()
    every = {int(one) for task in tasks for one in (task / "children").read_text().split()}
    return [pid for pid in every if b"model_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
