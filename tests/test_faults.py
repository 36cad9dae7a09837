"""What goes wrong is told by name with the way out, in the log and in `squall status`; everything else goes on."""

from __future__ import annotations

import asyncio
import json
import runpy
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from models.adapters import SHIPPED
from models.themes import default_themes
from monitor.errors import StoreUnavailable
from monitor.service.scoring import Scoring
from monitor.service.stages import Stages, stages_of
from monitor.service.status import status
from monitor.settings import ModelSettings
from monitor.settings_file import load_settings
from monitor.storage.reading import Reader
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))
Answer, Desk, Item, desk, house = (SCENE[name] for name in ("Answer", "Desk", "Item", "desk", "house"))
prefill, press, serving, surge, until = (SCENE[name] for name in ("prefill", "press", "serving", "surge", "until"))
utc_now = SCENE["utc_now"]
MEGABYTE = b" " * 2**20


def news(count: int = 9) -> list[Any]:
    now = utc_now()
    return [Item(f"item-{i}", surge(i), now - timedelta(minutes=i)) for i in range(count)]


def troubles(house: Any) -> tuple[str, ...]:
    """What `squall status` would say now."""
    with Reader.open(house.store) as reader:
        found = status(reader, load_settings(house.config, {}), utc_now())
    return tuple(found.troubles)


BROKEN: dict[str, tuple[Any, str, str]] = {
    # path: its answer, the outcome's name, and the way out
    "page": (Answer(b"<!doctype html><html><body>Subscribe!</body></html>", kind="text/html"), "html_page", "Look up"),
    "absent": (Answer(status=404), "not_found", "Look up the feed's new address"),
    "ailing": (Answer(status=500), "server_error", "Nothing to do unless it lasts for days"),
    "noise": (Answer(b"\x00\x9f\x92garbage" * 50), "not_a_feed", "it must be RSS, Atom, RDF or JSON Feed"),
    "flood": (Answer(MEGABYTE, repeat=60), "too_large", "Raise [polling] max_bytes"),
}


def test_broken_feeds_are_named_and_the_good_one_is_read(house: Any, press: Any) -> None:
    for path, (answer, _, _) in BROKEN.items():
        press.answers[path] = lambda answer=answer: answer
        house.feed(press, path)
    press.serve("good", news())
    house.feed(press, "good")
    with house.daemon() as daemon:
        polled = daemon.line("polled")
        assert (polled["checks"], polled["failed"], polled["headlines"]) == (6, 5, 9)
        assert daemon.line("scored")["headlines"] == 9
        for path, (_, outcome, way_out) in BROKEN.items():
            told = daemon.line("feed_failed", feed=path)
            assert told["outcome"] == outcome
            assert press.url(path) in told["reason"]
            assert way_out in told["reason"]
        state = house.command("status", "--json")
        told = json.loads(state.stdout)
        # Feeds come and go: they are troubles, but the daemon itself is well.
        assert state.returncode == 0
        assert {feed["feed"] for feed in told["feeds_failing"]} == set(BROKEN)
        for path, (_, _, way_out) in BROKEN.items():
            assert any(press.url(path) in each and way_out in each for each in told["troubles"])
        assert not any("good" in trouble for trouble in told["troubles"])
        assert daemon.stop()[0] == 0
        assert "Traceback" not in daemon.log
    # A feed that is taken out of the settings is nobody's trouble any more.
    house.feeds[:] = [feed for feed in house.feeds if feed.id != "absent"]
    house.write()
    assert not any("absent" in trouble for trouble in troubles(house))
    assert any("ailing" in trouble for trouble in troubles(house))


def test_headlines_wait_for_a_missing_model_and_are_scored_when_it_comes(house: Any, press: Any) -> None:
    adapter = house.folder / "adapter"
    adapter.mkdir()
    house.tables["model"] = {"adapter": str(adapter)}
    press.serve("good", news())
    house.feed(press, "good")
    with house.daemon() as daemon:
        failed = daemon.line("stage_failed", stage="score")
        assert f"there is no adapter in {adapter}" in failed["reason"]
        assert "squall train" in failed["reason"]
        assert daemon.line("polled")["headlines"] == 9
        state = house.command("status", "--json")
        told = json.loads(state.stdout)
        assert (state.returncode, told["alive"], told["headlines"], told["scored"]) == (1, True, 9, 0)
        assert any(str(adapter) in each and "squall train" in each for each in told["troubles"]), told["troubles"]
        assert "9 headlines wait for a score" in told["troubles"]
        assert {stage["name"] for stage in told["stages"] if stage["reason"]} == {"score"}
        assert daemon.stop()[0] == 0
        assert "Traceback" not in daemon.log

    shutil.copytree(SHIPPED, adapter, dirs_exist_ok=True)
    with house.daemon() as daemon:
        # No feed is due within the minute: what waits is scored all the same.
        assert daemon.line("scored")["headlines"] == 9
        assert not daemon.logged("polled")
        until(daemon.change, lambda: not troubles(house))
        assert daemon.stop()[0] == 0


def test_a_model_that_was_missing_is_tried_again_after_a_minute(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    scoring = Scoring(ModelSettings(adapter=adapter, device="cpu"), default_themes())
    headlines = [SCENE["calm"](number, utc_now()) for number in range(3)]
    now = utc_now()
    assert scoring.score(headlines, now) == {}
    assert str(adapter) in scoring.fault
    shutil.copytree(SHIPPED, adapter, dirs_exist_ok=True)
    assert scoring.score(headlines, now + timedelta(seconds=59)) == {}
    assert scoring.fault
    assert set(scoring.score(headlines, now + timedelta(seconds=60))) == {headline.id for headline in headlines}
    assert scoring.fault == ""
    # Damaged while it runs, it is not even noticed: it is in memory.
    (adapter / "squall.json").unlink()
    assert len(scoring.score(headlines, now + timedelta(seconds=61))) == 3


def test_nobody_who_is_asked_to_stop_loads_a_model(tmp_path: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    scoring = Scoring(ModelSettings(adapter=tmp_path), (), stopping)
    assert scoring.score([SCENE["calm"](1, utc_now())], utc_now()) == {}
    assert scoring.fault == ""


def refused_at_start(house: Any, code: int) -> str:
    """`squall run` ends by itself with this code and one message in words."""
    done = house.command("run")
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("squall: ")
    assert "Traceback" not in done.stderr
    return str(done.stderr)


def test_a_store_of_a_newer_version_is_left_alone(house: Any) -> None:
    house.write()
    with Store.open(house.store, utc_now()) as store, store.database.writing() as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    words = refused_at_start(house, 1)
    assert f"the store {house.store} has schema version 99" in words
    assert "upgrade squall" in words


def test_a_store_that_is_none_is_left_alone(house: Any) -> None:
    house.write()
    house.store.write_bytes(b"minutes of the last meeting " * 200)
    words = refused_at_start(house, 1)
    assert f"{house.store} is no readable store: move the file away" in words
    assert house.store.read_bytes().startswith(b"minutes")


def test_a_store_that_somebody_else_holds(house: Any) -> None:
    house.write()
    with Store.open(house.store, utc_now()):
        words = refused_at_start(house, 1)
    assert f"the store {house.store} is held by process" in words
    assert "stop the other squall" in words


def test_settings_that_cannot_be_read_or_are_wrong(house: Any) -> None:
    house.write()
    good = house.config.read_text()
    house.config.write_text(good + "\n[rules\n")
    assert f"the settings file {house.config} is not valid TOML" in refused_at_start(house, 2)
    house.config.write_text(good.replace("poll_seconds", "pol_seconds"))
    assert "daemon.pol_seconds: unknown key; did you mean 'poll_seconds'?" in refused_at_start(house, 2)
    house.config.write_bytes(b"\xff\xfe\x00")
    assert f"the settings file {house.config} cannot be read" in refused_at_start(house, 2)
    house.config.unlink()
    assert f"there is no settings file {house.config}; copy squall.example.toml" in refused_at_start(house, 2)


class _Loopback(Controller):
    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd is untyped


@pytest.fixture
def strict_mail() -> Iterator[int]:
    """The port of a mail server that lets nobody log in."""

    def nobody(*_: object) -> AuthResult:
        return AuthResult(success=False, handled=False)

    server = _Loopback(object(), hostname="127.0.0.1", port=0, authenticator=nobody, auth_require_tls=False)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def test_a_refused_login_and_a_webhook_that_hangs_keep_nobody_waiting(
    house: Any, press: Any, desk: Any, strict_mail: int
) -> None:
    now = utc_now()
    for number, path in enumerate(("marlow", "tessel")):
        press.serve(path, [Item(f"{path}-{i}", surge(number * 9 + i), now - timedelta(minutes=i)) for i in range(9)])
        house.feed(press, path)
    prefill(house.store, house.feeds, now)
    (house.folder / "password").write_text("p4ssw0rd-of-the-desk")
    house.channels.append(
        {
            "type": "mail",
            "name": "letters",
            "host": "127.0.0.1",
            "port": strict_mail,
            "security": "none",
            "user": "squall",
            "password": f"file:{house.folder / 'password'}",
            "sender": "squall@news.example",
            "recipients": ["desk@news.example"],
        }
    )
    with serving(Desk()) as sleepy:
        sleepy.hangs = True
        house.webhook(sleepy, name="sleepy", timeout_seconds=8)
        house.webhook(desk, name="awake")
        with house.daemon() as daemon:
            until(sleepy.change, lambda: len(sleepy.posts) == 1)
            daemon.line("delivery_attempted", channel="awake", outcome="delivered")
            # It arrived while the other receiver was still holding its first post.
            assert not daemon.logged("delivery_attempted", channel="sleepy")
            refused = daemon.line("delivery_attempted", channel="letters", outcome="misconfigured")
            assert f"127.0.0.1:{strict_mail}" in refused["reason"]
            late = daemon.line("delivery_attempted", channel="sleepy", outcome="timed_out")
            assert "raise timeout_seconds" in late["reason"]
            told = house.status()
            assert {channel["channel"]: channel["dead"] for channel in told["channels"]} == {
                "awake": 0,
                "letters": 0,
                "sleepy": 0,
            }
            assert f"channel letters: {refused['reason']}" in told["troubles"]
            assert f"channel sleepy: {late['reason']}" in told["troubles"]
            assert not any("awake" in trouble for trouble in told["troubles"])
            assert daemon.stop()[0] == 0
            assert "p4ssw0rd" not in daemon.log
            assert "Traceback" not in daemon.log
    assert desk.refused == []


def test_a_stage_that_is_gone_is_no_trouble_of_the_next_daemon(house: Any) -> None:
    now = utc_now()
    with Store.open(house.store, now) as store:
        before = Stages()
        assert before.failed("deliver:old", now, "its thread is gone")
        assert not before.failed("deliver:old", now, "its thread is gone")
        assert before.failed("poll", now, "no network")
        before.write(store)
        after = Stages()
        after.forget_others({"poll"}, store)
        assert [(stage.name, stage.reason) for stage in stages_of(store.notes())] == [("poll", "no network")]
        assert after.went_well("poll", now)
        assert not after.went_well("poll", now)
        after.write(store)
        assert [(stage.name, stage.reason) for stage in stages_of(store.notes())] == [("poll", "")]


def test_what_could_not_be_noted_is_noted_later(house: Any) -> None:
    now = utc_now()
    stages = Stages()
    stages.failed("poll", now, "no network")
    with Store.open(house.store, now) as store:
        kept = store
    with pytest.raises(StoreUnavailable, match="is closed"):
        stages.write(kept)
    with Store.open(house.store, now) as store:
        stages.write(store)
        assert [stage.name for stage in stages_of(store.notes())] == ["poll"]
