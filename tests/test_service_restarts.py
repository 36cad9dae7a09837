"""A reader goes on while daemons start, hang, are killed and come again, and says what it cannot tell."""

from __future__ import annotations

import json
import runpy
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.errors import ServiceError, ServiceSilent, StoreLocked, StoreUnavailable
from monitor.storage.reading import Reader
from monitor.storage.readservice import Address, ReadService, address_file
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("readservice_scene.py")))
NOON, daemon, fill = (SCENE[name] for name in ("NOON", "daemon", "fill"))


def test_no_store_yet_says_how_to_begin(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="start one with `squall run`"):
        Reader.open(path)


def test_a_reader_follows_the_daemon_through_restarts(path: Path) -> None:
    with Store.open(path, NOON) as store, ReadService(store):
        reader = Reader.open(path)
        assert (reader.query("status").height, reader.live) == (1, True)
    assert (reader.query("status").height, reader.live) == (1, False)
    for number in (3, 6):
        with Store.open(path, NOON) as store, ReadService(store):
            fill(store, number)
            assert reader.query("status")["headlines"].item() == number
            assert reader.live
    with Store.open(path, NOON) as store:
        first = ReadService(store)
        reader.query("status")
        with ReadService(store):  # a new port and token, while the reader holds the old
            first.stop()
            assert (reader.query("status").height, reader.live) == (1, True)
    reader.close()


def test_a_reader_in_another_process_outlives_a_killed_daemon(path: Path) -> None:
    running = daemon(path)
    with Reader.open(path) as reader:
        assert reader.live
        assert reader.act("pid") == running.pid
        with pytest.raises(StoreLocked):
            Store.open(path, NOON, patience=timedelta(0))
        running.kill()
        running.communicate()
        assert address_file(path).exists()  # it had no time to clean up
        assert (reader.query("status").height, reader.live) == (1, False)
        running = daemon(path)  # the reader does not hold the file
        assert reader.act("pid") == running.pid
        assert reader.query("status").height == 1
        assert reader.live
        running.communicate("")
        assert running.returncode == 0
        assert not address_file(path).exists()


def test_a_daemon_that_hangs_is_waited_for_once(path: Path) -> None:
    running = daemon(path)
    patience = 2.0
    with Reader(path, patience) as reader:
        assert (reader.query("status").height, reader.live) == (1, True)
        running.send_signal(signal.SIGSTOP)  # the kernel still takes connections for it
        began = datetime.now(UTC)
        with pytest.raises(ServiceSilent, match=r"has not answered since .*: look at its log") as first:
            reader.query("status")
        waited = datetime.now(UTC) - began
        assert timedelta(seconds=patience) <= waited < timedelta(seconds=3 * patience)
        assert began <= first.value.since <= began + timedelta(seconds=1)
        with pytest.raises(ServiceSilent) as second:
            reader.act("wait")
        assert second.value.since == first.value.since
        running.send_signal(signal.SIGCONT)
        assert reader.act("pid") == running.pid, "and nothing was asked of it meanwhile: it would wait"
        assert (reader.query("status").height, reader.live) == (1, True)
        running.send_signal(signal.SIGSTOP)
        with pytest.raises(ServiceSilent) as third:
            reader.query("status")
        assert third.value.since > first.value.since, "it answered in between"
        running.kill()
        running.communicate()
        assert (reader.query("status").height, reader.live) == (1, False)


def test_a_stranger_at_the_address_of_a_killed_daemon_does_not_hide_the_file(path: Path) -> None:
    Store.open(path, NOON).close()
    with socket.socket() as stranger, Reader(path, 0.5) as reader:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        told = Address(f"grpc://127.0.0.1:{stranger.getsockname()[1]}", "t", 1)
        address_file(path).write_text(json.dumps(asdict(told)), encoding="utf-8")
        assert (reader.query("status").height, reader.live) == (1, False)


def test_a_daemon_without_its_service_is_told_from_no_daemon(path: Path) -> None:
    running = daemon(path)
    address_file(path).unlink()
    with pytest.raises(ServiceError, match="held by a squall whose read service does not answer") as caught:
        Reader.open(path)
    assert f"process {running.pid}" in str(caught.value)
    running.communicate("")


def test_a_reader_waits_a_moment_for_a_daemon_that_starts(path: Path) -> None:
    with Store.open(path, NOON) as store, ThreadPoolExecutor(1) as threads, Reader(path) as reader:
        asking = threads.submit(reader.query, "status")
        with ReadService(store):
            assert asking.result().height == 1
            assert reader.live
