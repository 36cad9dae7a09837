"""The read service and its reader: the same answers as the file, for those who have the token, across restarts."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pyarrow import flight

from models.score import Score
from monitor.errors import ServiceError, ServiceSilent, StoreLocked, StoreUnavailable
from monitor.feeds.feed import Check, Feed, Outcome, unseen
from monitor.news.headlines import Headline, Standing
from monitor.storage.queries import QUERIES, Query
from monitor.storage.reading import Reader
from monitor.storage.readservice import Address, ReadService, address_file, read_address
from monitor.storage.store import Batch, Scored, Store
from monitor.storage.words import wanted

ROOT = Path(__file__).parents[1]
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RANGE = {"since": NOON - DAY, "until": NOON + DAY}


def fill(store: Store, first: int = 1, number: int = 3) -> None:
    """Negative headlines an hour apart."""
    headlines, scores = [], {}
    for id_ in range(first, first + number):
        at = NOON - timedelta(hours=id_)
        title = f"Bank {id_} in trouble"
        headlines.append(
            Headline(id_, "wire", "wire", title, "", "", "en", at, at, at, Standing.FRESH, ("JPM",), 2**64 - id_)
        )
        scores[id_] = Scored(Score(0.75, 0.125, 0.125, (("Macro", 0.5),), "model-1"), ("bank-stress",))
    feed = Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire")
    check = Check("wire", NOON, Outcome.NEW, "", 200, 100, 5, (), unseen(feed, NOON))
    store.append(Batch([check], headlines, scores), NOON)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "squall.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path, NOON) as opened:
        fill(opened)
        yield opened


def values_for(query: Query) -> dict[str, Any]:
    """Something fitting for every parameter."""
    told: dict[str, Any] = {"series": "market", "step": "hour", "feed": "wire", "text": "bank", "alert": "alert_1"}
    told |= {"since": NOON - DAY, "until": NOON + DAY, "baseline": NOON - 9 * DAY, "limit": 50, "zone": "Europe/Berlin"}
    by_type: dict[type, Any] = {str: "x", int: 50, bool: False, datetime: NOON}
    return {name: told.get(name, by_type[kind]) for name, kind in query.params.items()}


# Answers


Frames = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Frames, Frames]:
    """Every query's answer from a service, and from the file once the service is gone."""
    path = tmp_path_factory.mktemp("answers") / "squall.duckdb"
    with Store.open(path, NOON) as store:
        fill(store)
        with ReadService(store), Reader.open(path) as reader:
            live = {name: reader.query(name, **values_for(query)) for name, query in QUERIES.items()}
            assert reader.live
    with Reader.open(path) as reader:
        filed = {name: reader.query(name, **values_for(query)) for name, query in QUERIES.items()}
        assert not reader.live
    return live, filed


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_query_gives_the_same_frame_live_and_from_the_file(answers: tuple[Frames, Frames], name: str) -> None:
    live, filed = (frames[name] for frames in answers)
    assert_frame_equal(live, filed)
    assert all(kind == pl.Datetime("us", "UTC") for kind in live.schema.values() if isinstance(kind, pl.Datetime))


def test_an_answer_is_in_order_and_keeps_its_types(path: Path, store: Store) -> None:
    with ReadService(store), Reader.open(path) as reader:
        trend = reader.query("trend", series="market", step="hour", zone="UTC", **RANGE)
        assert trend.select("at", "headlines", "stories", "negative").rows() == [
            (NOON - timedelta(hours=hours), 1, 1, 1) for hours in (3, 2, 1)
        ]
        found = reader.query("headlines", series="company:JPM", negative_only=True, limit=2, **RANGE)
        assert found["id"].to_list() == [1, 2]
        assert found.schema["story"] == pl.UInt64
        assert found["story"].to_list() == [2**64 - 1, 2**64 - 2]
        assert found["themes"].to_list() == [["bank-stress"]] * 2


def test_a_value_is_a_value_and_never_sql(path: Path, store: Store) -> None:
    with ReadService(store), Reader.open(path) as reader:
        for text in ("'; DROP TABLE headlines; --", "$limit", "%"):
            assert reader.query("headlines", series=text, negative_only=False, limit=9, **RANGE).is_empty()
            sift = {"series": "market", "negative_only": False, "limit": 9, "tone": "", "publisher": text}
            sought = wanted("bank").params()
            assert reader.query("search", **sought, **sift, **RANGE).is_empty()
        assert reader.query("status")["headlines"].to_list() == [3]


def test_what_is_committed_is_seen_at_once(path: Path, store: Store) -> None:
    with ReadService(store), Reader.open(path) as reader:
        assert reader.query("status")["headlines"].item() == 3
        fill(store, 10)
        assert reader.query("status")["headlines"].item() == 6


def test_many_threads_may_ask_one_reader_while_the_store_is_written(path: Path, store: Store) -> None:
    with ReadService(store), Reader.open(path) as reader, ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(lambda: reader.query("status")["headlines"].item()) for _ in range(40)]
        for round_ in range(10):
            fill(store, 100 + 3 * round_)
        assert all((each.result() - 3) % 3 == 0 for each in asking)


# Refusals


def test_an_unknown_query_names_the_known_ones(path: Path, store: Store) -> None:
    with ReadService(store) as service, Reader.open(path) as reader:
        with pytest.raises(ServiceError, match=r"no query 'secrets'; there are: .*headlines.*trend"):
            reader.query("secrets")
        with pytest.raises(flight.FlightServerError, match=r"no query 'secrets'; there are: .*headlines.*trend"):
            raw(service.address, {"query": "secrets"})


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "missing parameter: since"),
        ({"since": NOON, "more": 1}, "unknown parameter: more"),
        ({"since": 7}, "since must be datetime, not int"),
        ({"since": NOON.replace(tzinfo=None)}, "since must carry its time zone"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_reader_and_service(
    path: Path, store: Store, params: dict[str, Any], words: str
) -> None:
    told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in params.items()}
    with ReadService(store) as service, Reader.open(path) as reader:
        with pytest.raises(ServiceError, match=words):
            reader.query("feeds", **params)
        with pytest.raises(flight.FlightServerError, match=words):
            raw(service.address, {"query": "feeds", "params": told})


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (b"\xff", "no JSON"),
        (b"[1]", "must be a JSON object"),
        (b'{"query": ["trend"]}', "there is no query"),
        (b'{"query": "feeds", "params": 3}', "params must be an object"),
        (b'{"query": "feeds", "params": {"since": "yesterday"}}', "must be a date and time in ISO 8601"),
    ],
)
def test_a_request_that_is_nonsense_is_refused_in_words(store: Store, request_: bytes, words: str) -> None:
    with ReadService(store) as service, pytest.raises(flight.FlightServerError, match=words):
        raw(service.address, request_)


def test_a_value_that_the_engine_cannot_take_is_refused(path: Path, store: Store) -> None:
    with ReadService(store), Reader.open(path) as reader:
        with pytest.raises(ServiceError, match="cannot be answered"):
            reader.query("trend", series="market", step="fortnight", zone="UTC", **RANGE)
        assert reader.query("status").height == 1


def test_an_answer_of_too_many_rows_is_refused_not_cut(store: Store) -> None:
    with ReadService(store, most_rows=2) as service:
        with pytest.raises(flight.FlightServerError, match="more than 2 rows: ask for a shorter time"):
            raw(service.address, {"query": "meta"})
        assert raw(service.address, {"query": "status"}) == 1


def raw(address: Address, request: dict[str, Any] | bytes, token: str | None = None) -> int:
    """Rows of an answer, asked without our reader."""
    bearer = f"Bearer {address.token if token is None else token}".encode()
    # The stubs say text; the client takes bytes only.
    options = flight.FlightCallOptions(timeout=20, headers=[(b"authorization", bearer)])  # type: ignore[list-item]  # see above
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    with flight.FlightClient(address.location) as client:
        return client.do_get(flight.Ticket(body), options).read_all().num_rows


@pytest.mark.parametrize("token", ["", "wrong", "Bearer"])
def test_a_wrong_token_is_refused(store: Store, token: str) -> None:
    with ReadService(store) as service:
        with pytest.raises(flight.FlightUnauthenticatedError, match="token is wrong"):
            raw(service.address, {"query": "meta"}, token)
        with pytest.raises(flight.FlightUnauthenticatedError), flight.FlightClient(service.address.location) as client:
            client.do_get(flight.Ticket(b'{"query": "meta"}')).read_all()
        with pytest.raises(flight.FlightUnauthenticatedError), flight.FlightClient(service.address.location) as client:
            list(client.do_action(flight.Action("redeliver", b"{}")))
        assert raw(service.address, {"query": "meta"}) == 3


# The address file


def test_the_address_is_for_its_owner_only_and_goes_with_the_service(path: Path, store: Store) -> None:
    with ReadService(store) as service:
        file = address_file(path)
        assert file.name == "squall.duckdb.service.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert read_address(path) == service.address
        assert service.address.location.startswith("grpc://127.0.0.1:")
        assert service.address.pid == os.getpid()
        assert len(service.address.token) >= 32
        assert service.address.token not in repr(service)
    assert list(path.parent.glob("*.json*")) == []
    service.stop()


def test_a_service_leaves_the_address_of_its_successor_alone(path: Path, store: Store) -> None:
    old = ReadService(store)
    with ReadService(store) as new:
        old.stop()
        assert read_address(path) == new.address


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"location": "grpc://127.0.0.1:1"}', '{"location": "grpc://10.0.0.1:9", "token": "t", "pid": 1}'],
)
def test_an_address_that_cannot_be_understood_or_leads_elsewhere_is_none(path: Path, text: str) -> None:
    address_file(path).write_text(text, encoding="utf-8")
    assert read_address(path) is None


def test_a_folder_that_cannot_be_written_stops_the_service(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    with Store.open(path, NOON) as store:
        address_file(path).mkdir()
        with pytest.raises(ServiceError, match="cannot leave its address"):
            ReadService(store)


def test_a_store_in_memory_has_no_service() -> None:
    with Store.open(":memory:", NOON) as store, pytest.raises(ServiceError, match="in memory"):
        ReadService(store)


# Actions


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


# Restarts


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


DAEMON = """
import os, signal, sys, threading
from datetime import UTC, datetime
from monitor.storage.readservice import ReadService
from monitor.storage.store import Store
store = Store.open(sys.argv[1], datetime.now(UTC))
over = threading.Event()
def wait(body):
    print("waiting", flush=True)
    return over.wait(60)
def told(*_):
    print("SIGTERM", flush=True)
    over.set()
signal.signal(signal.SIGTERM, told)
acts = {"pid": lambda body: os.getpid(), "die": lambda body: os._exit(3), "wait": wait}
service = ReadService(store, acts)
print("up", flush=True)
sys.stdin.read()
service.stop()
store.close()
"""


def daemon(path: Path) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", DAEMON, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "up\n"
    return started


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


def test_a_store_that_fails_says_so_through_the_service(path: Path) -> None:
    store = Store.open(path, NOON)
    with ReadService(store) as service:
        store.close()
        with pytest.raises(flight.FlightUnavailableError, match="is closed"):
            raw(service.address, {"query": "meta"})


def test_an_address_off_loopback_is_nonsense() -> None:
    good = Address("grpc://127.0.0.1:5005", "t", 1)
    with pytest.raises(ValueError, match=r"on 127\.0\.0\.1 only"):
        replace(good, location="grpc://0.0.0.0:5005")
