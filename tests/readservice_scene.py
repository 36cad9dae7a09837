"""A read service for tests: a store with headlines, a daemon in its own process, asking without our reader."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import flight

from models.score import Score
from monitor.feeds.feed import Check, Feed, Outcome, unseen
from monitor.news.headlines import Headline, Standing
from monitor.storage.readservice import Address
from monitor.storage.store import Batch, Scored, Store

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
def store(path: Path) -> Iterator[Store]:
    with Store.open(path, NOON) as opened:
        fill(opened)
        yield opened


def raw(address: Address, request: dict[str, Any] | bytes, token: str | None = None) -> int:
    """Rows of an answer, asked without our reader."""
    bearer = f"Bearer {address.token if token is None else token}".encode()
    # The stubs say text; the client takes bytes only.
    options = flight.FlightCallOptions(timeout=20, headers=[(b"authorization", bearer)])  # type: ignore[list-item]  # see above
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    with flight.FlightClient(address.location) as client:
        return client.do_get(flight.Ticket(body), options).read_all().num_rows


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
