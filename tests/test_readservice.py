"""The read service: the same answers as the file, to named questions only, and refusals in words."""

from __future__ import annotations

import runpy
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from pyarrow import flight

from monitor.errors import ServiceError
from monitor.storage.queries import QUERIES, Query
from monitor.storage.reading import Reader
from monitor.storage.readservice import ReadService
from monitor.storage.store import Store
from monitor.storage.words import wanted

SCENE = runpy.run_path(str(Path(__file__).with_name("readservice_scene.py")))
DAY, NOON, RANGE, fill, raw, store = (SCENE[name] for name in ("DAY", "NOON", "RANGE", "fill", "raw", "store"))


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


def test_a_store_that_fails_says_so_through_the_service(path: Path) -> None:
    store = Store.open(path, NOON)
    with ReadService(store) as service:
        store.close()
        with pytest.raises(flight.FlightUnavailableError, match="is closed"):
            raw(service.address, {"query": "meta"})
