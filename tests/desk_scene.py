"""A monitor without feeds, for tests: spikes come from the test; deciding, storing and sending are real."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from alerts.detection.spikes import Severity, Spike, Verdict
from alerts.lifecycle import Alert, Sight, State, advance
from alerts.rules import Rules
from alerts.sending.channels import open_channel
from alerts.sending.delivery import Schedule, deliver
from monitor.desk.actions import ACTIONS
from monitor.service.telling import Teller
from monitor.settings import Settings
from monitor.storage.alert_store import AlertStore
from monitor.storage.queries import QUERIES
from monitor.storage.readservice import answer
from monitor.storage.store import Store

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
BANKS = "theme:bank-stress"


class Hook(ThreadingHTTPServer):
    """Takes posts and answers with `status`, or what `status_of` says of the message; or hangs until `leave` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Posts)
        self.status = 204
        self.status_of: Callable[[dict[str, Any]], int] = lambda _: self.status
        self.headers: dict[str, str] = {}
        self.hangs = False
        self.leave = threading.Event()
        self.taken: list[tuple[str, dict[str, Any]]] = []


class _Posts(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        message = json.loads(body)
        self.server.taken.append((self.headers["webhook-id"], message))
        if self.server.hangs:
            self.server.leave.wait(60)
            return
        self.send_response(self.server.status_of(message))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.leave.set()
        server.shutdown()
        thread.join()
        server.server_close()


def spike(severity: Severity = Severity.WARNING, verdict: Verdict = Verdict.SURGE, series: str = BANKS) -> Spike:
    return Spike(
        series=series,
        at=START,
        hours=12,
        observed=9,
        expected=1.0,
        p_value=1e-6 if verdict is Verdict.SURGE else 0.6,
        per_week=1e-4,
        publishers=3,
        stories=(1, 2),
        since=START,
        verdict=verdict,
        severity=severity,
        smallest_detectable=7,
        history_days=20.0,
    )


def alert(at: datetime, **told: Any) -> Alert:
    """A warning of bank stress that fires since then; `told` says what is otherwise."""
    plain = Alert(
        id="alert_1",
        series=BANKS,
        state=State.FIRING,
        severity=Severity.WARNING,
        opened_at=at,
        fired_at=at,
        last_spike_at=at,
        resolved_at=None,
        hours=12,
        observed=9,
        expected=1.0,
        p_value=1e-6,
        peak_observed=9,
        peak_expected=1.0,
        peak_p_value=1e-6,
        peak_at=at,
        evidence=(),
    )
    return replace(plain, **told)


class House:
    """A monitor without feeds: spikes come from the test, everything after them is real.

    `patience` holds, by channel, for how many seconds an answer is waited; enough for a busy machine elsewhere.
    """

    patience: Mapping[str, float] = {}

    def __init__(
        self,
        store: Store,
        hooks: Mapping[str, Hook],
        more_channels: Sequence[Mapping[str, object]] = (),
        **tables: object,
    ) -> None:
        channels: list[Mapping[str, object]] = [
            {
                "type": "webhook",
                "name": name,
                "url": f"http://127.0.0.1:{one.server_port}/",
                "secret": "env:SQUALL_HOOK",
                "timeout_seconds": self.patience.get(name, 30),
                "allow_private_addresses": ["127.0.0.1"],
            }
            for name, one in hooks.items()
        ]
        self.settings = Settings.model_validate({"channels": [*channels, *more_channels], **tables})
        self.store = store
        self.channels = {one.name: open_channel(one) for one in self.settings.channels}
        self.teller = Teller(self.settings, store, self.channels, lambda series: series)
        self.teller.begin(START)
        self.desk = self.teller.desk

    def look(
        self, now: datetime, *spikes: Spike, sight: Sight = Sight.CLEAR, seen_until: datetime | None = None
    ) -> None:
        before = AlertStore(self.store).open_alerts()
        rules = Rules(recovering_minutes=60, pending_minutes=0)
        self.teller.tell(advance(before, spikes, now, rules, {}, sight, seen_until), before, now)

    def send(self, now: datetime, *channels: str) -> None:
        """Send what is due on these channels, or on all, each in a thread of its own."""

        def work(name: str) -> None:
            self.teller.seal(name, now)
            deliver(AlertStore(self.store), self.channels[name], now, Schedule(), jitter=lambda: 0.0)

        threads = [threading.Thread(target=work, args=(name,)) for name in channels or self.channels]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def oversee(self, now: datetime, fault: str = "", **stages: str) -> None:
        self.teller.oversee(now, fault, stages)
        self.send(now)

    def act(self, name: str, now: datetime, **body: object) -> dict[str, object]:
        return ACTIONS[name](self.store, {"who": "ann", **body}, now)

    @property
    def alert(self) -> str:
        return AlertStore(self.store).alerts(START - HOUR, 1)[0].id

    def query(self, name: str, **params: object) -> list[dict[str, Any]]:
        return list(answer(self.store.database, QUERIES[name], params).to_pylist())

    def choices(self) -> list[str]:
        return [row["choice"] for row in self.query("decisions", limit=99)]
