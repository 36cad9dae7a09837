"""Where the read service is heard and by whom: on loopback, by who may read its address and bears the token in it."""

from __future__ import annotations

import os
import runpy
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import flight

from monitor.errors import ServiceError
from monitor.storage.readservice import Address, ReadService, address_file, read_address
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("readservice_scene.py")))
NOON, raw, store = (SCENE[name] for name in ("NOON", "raw", "store"))


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


def test_an_address_off_loopback_is_nonsense() -> None:
    good = Address("grpc://127.0.0.1:5005", "t", 1)
    with pytest.raises(ValueError, match=r"on 127\.0\.0\.1 only"):
        replace(good, location="grpc://0.0.0.0:5005")


def test_a_folder_that_cannot_be_written_stops_the_service(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    with Store.open(path, NOON) as store:
        address_file(path).mkdir()
        with pytest.raises(ServiceError, match="cannot leave its address"):
            ReadService(store)


def test_a_store_in_memory_has_no_service() -> None:
    with Store.open(":memory:", NOON) as store, pytest.raises(ServiceError, match="in memory"):
        ReadService(store)


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
