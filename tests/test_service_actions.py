"""What is asked of a daemon through its read service is done once, and answered or refused in words."""

from __future__ import annotations

import json
import runpy
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from monitor.errors import ServiceError, StoreUnavailable
from monitor.storage.reading import Reader
from monitor.storage.readservice import ReadService, address_file
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("readservice_scene.py")))
NOON, daemon, store = (SCENE[name] for name in ("NOON", "daemon", "store"))


def test_the_daemon_does_what_it_offers_and_refuses_in_words(path: Path, store: Store) -> None:
    asked: list[dict[str, object]] = []

    def redeliver(body: dict[str, object]) -> object:
        asked.append(body)
        if body.get("id") != "msg_1":
            raise ValueError("there is no delivery of this id")
        return {"state": "pending"}

    def broken(body: dict[str, object]) -> object:
        raise RuntimeError("token=hunter2")

    with ReadService(store, {"redeliver": redeliver, "broken": broken}), Reader.open(path) as reader:
        assert reader.act("redeliver", id="msg_1", at=NOON) == {"state": "pending"}
        assert asked == [{"id": "msg_1", "at": NOON.isoformat()}]
        with pytest.raises(ServiceError, match=r"^there is no delivery of this id$"):
            reader.act("redeliver", id="msg_2")
        with pytest.raises(ServiceError, match=r"^there is no action 'reboot'; there are: broken, redeliver$"):
            reader.act("reboot")
        with pytest.raises(ServiceError, match="see the daemon's log") as caught:
            reader.act("broken")
        assert "hunter2" not in str(caught.value)


def test_a_store_that_cannot_be_written_refuses_an_action_in_words_and_once(path: Path, store: Store) -> None:
    asked: list[str] = []

    def full(body: dict[str, object]) -> object:
        asked.append("full")
        raise StoreUnavailable("the disk is full: make room")

    with ReadService(store, {"full": full}), Reader.open(path) as reader:
        with pytest.raises(ServiceError, match=r"^the disk is full: make room$"):
            reader.act_if_live("full", 30.0)
        assert reader.live, "a daemon that refuses is there"
    assert asked == ["full"]


def test_an_action_that_takes_too_long_is_not_asked_for_again(path: Path, store: Store) -> None:
    asked: list[str] = []
    over = threading.Event()

    def slow(body: dict[str, object]) -> object:
        asked.append("slow")
        return over.wait(60)

    with ReadService(store, {"slow": slow}), Reader.open(path) as reader:
        with pytest.raises(ServiceError, match=r"did not answer within 0\.3 s; it may still do it"):
            reader.act_if_live("slow", 0.3)
        over.set()
    assert asked == ["slow"]


def test_an_action_during_which_the_daemon_dies_is_not_asked_for_again(path: Path) -> None:
    running = daemon(path)
    with Reader.open(path) as reader:
        with pytest.raises(ServiceError, match="ended before it answered; it may have done it"):
            reader.act("die")
        running.communicate()
        # Nobody can have heard what comes next: that no daemon runs is all there is to say.
        assert reader.act_if_live("pid", 30.0) is None


def test_an_action_finds_a_restarted_daemon_under_its_new_token(path: Path, store: Store) -> None:
    asked: list[str] = []

    def told(name: str) -> Callable[[dict[str, object]], object]:
        def answer(_: dict[str, object]) -> object:
            asked.append(name)
            return name

        return answer

    with ReadService(store, {"who": told("old")}) as old, Reader.open(path) as reader:
        assert reader.act("who") == "old"
        old.stop()
        address_file(path).write_text(json.dumps(asdict(old.address)), encoding="utf-8")
        assert reader.act_if_live("who", 30.0) is None, "the address of one that was killed leads nowhere"
        with ReadService(store, {"who": told("new")}):
            assert reader.act("who") == "new"
    assert asked == ["old", "new"]


def test_the_end_waits_a_moment_for_who_asks_and_no_longer(path: Path, store: Store) -> None:
    begun, over = threading.Event(), threading.Event()

    def slow(body: dict[str, object]) -> object:
        begun.set()
        return over.wait(60)

    service = ReadService(store, {"slow": slow})
    with Reader.open(path) as reader, ThreadPoolExecutor(1) as threads:
        asking = threads.submit(reader.act, "slow")
        assert begun.wait(60)
        assert not service.stop(0.2), "the request is in hand"
        assert not address_file(path).exists()
        assert reader.act_if_live("slow", 30.0) is None, "nobody is heard any more"
        over.set()
        assert asking.result() is True, "who asked before has the answer"


def test_signals_stay_with_the_process_while_a_request_is_in_hand(path: Path) -> None:
    running = daemon(path)
    with Reader.open(path) as reader, ThreadPoolExecutor(1) as threads:
        asking = threads.submit(reader.act, "wait")
        assert running.stdout is not None
        assert running.stdout.readline() == "waiting\n"
        running.send_signal(signal.SIGTERM)
        # The process's own handler ends the wait: a server that kept the signal would wait for its end.
        assert running.stdout.readline() == "SIGTERM\n"
        assert asking.result() is True
    running.communicate("")


def test_an_action_without_a_daemon_says_how_to_start_one(path: Path) -> None:
    Store.open(path, NOON).close()
    with Reader.open(path) as reader, pytest.raises(ServiceError, match="start one with `squall run`"):
        reader.act("redeliver", id="msg_1")
