"""SIGKILL at every step between deciding and recording a delivery: every alert arrives, under one id, by every channel.

The faults come from outside: the receivers strike while they hold a message, or just after they have taken it; the
store's log is watched, and struck while it is written. The monitor knows nothing of it.
"""

from __future__ import annotations

import asyncio
import email
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from alerts.sending.delivery import delivery_id
from monitor.storage.store import Store

ROOT = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("kill_worker.py")
START = datetime(2026, 3, 10, tzinfo=UTC)
MANY = 100_000  # steps that no worker lives to see
# As many as continuous integration can afford; `make nightly` asks for a hundred.
KILLS = int(os.environ.get("SQUALL_KILLS", "12"))
SEED = int(os.environ.get("SQUALL_KILL_SEED", "4"))
PATIENCE = 120.0
LATE = "late@example.com"
FAULTS = ("deciding", "committing", "posting", "posted", "mailing", "mailed", "any time")


class Worker:
    """A running tests/kill_worker.py; `strike` is called by whoever holds its fate."""

    def __init__(self, store: Path, config: Path, steps: int) -> None:
        line = [sys.executable, str(WORKER), str(store), str(config), str(steps)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        self.said: list[str] = []

    def strike(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)

    def lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())
            yield line.strip()

    def ended(self) -> int:
        """Block until it is over: the exit code."""
        for _ in self.lines():
            pass
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def nothing() -> None:
    """No fault."""


class Hook(ThreadingHTTPServer):
    """Takes posts; calls `before` while it holds one, and `after` when it has answered."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Posts)
        self.before: Callable[[], None] = nothing
        self.after: Callable[[], None] = nothing
        self.taken: list[tuple[str, str]] = []


class _Posts(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.taken.append((self.headers["webhook-id"], body))
        self.server.before()
        with suppress(OSError):
            self.send_response(204)
            self.send_header("content-length", "0")
            self.end_headers()
            self.wfile.flush()
        self.server.after()

    def log_message(self, *_: object) -> None:
        pass


class Mailbox:
    """Takes mail, and strikes like the hook; one of the recipients takes it only when it comes for nobody else."""

    def __init__(self) -> None:
        self.before: Callable[[], None] = nothing
        self.after: Callable[[], None] = nothing
        self.taken: list[tuple[str, str]] = []
        self.late: list[tuple[str, str]] = []

    async def handle_RCPT(  # noqa: N802 # aiosmtpd names its hooks so
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address == LATE and envelope.rcpt_tos:
            return "451 4.7.1 Greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 # aiosmtpd names it so
        mail = email.message_from_bytes(envelope.content, policy=default)
        taken = self.late if LATE in envelope.rcpt_tos else self.taken
        # A repeat that comes late says how old it is.
        subject = str(mail["Subject"]).partition(" (written ")[0]
        taken.append((str(mail["Message-ID"]).strip("<>").partition("@")[0], subject))
        self.before()
        asyncio.get_running_loop().call_soon(self.after)
        return "250 OK"


class LoopbackController(Controller):
    """A controller that lets the system choose the port."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd leaves this one untyped


@contextmanager
def receivers() -> Iterator[tuple[Hook, Mailbox, int]]:
    hook, mailbox = Hook(), Mailbox()
    thread = threading.Thread(target=hook.serve_forever, args=(0.01,))
    thread.start()
    controller = LoopbackController(mailbox, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield hook, mailbox, controller.port
    finally:
        controller.stop()
        hook.shutdown()
        thread.join()
        hook.server_close()


def settings(folder: Path, hook: Hook, smtp: int) -> Path:
    (folder / "secret").write_text("a secret of sixteen bytes")
    tables = (
        {
            "type": "webhook",
            "name": "desk",
            "url": f"http://127.0.0.1:{hook.server_port}/",
            "secret": f"file:{folder / 'secret'}",
            "allow_private_addresses": ["127.0.0.1"],
        },
        {
            "type": "mail",
            "name": "mail",
            "host": "127.0.0.1",
            "port": smtp,
            "security": "none",
            "sender": "squall@example.com",
            "recipients": ["desk@example.com", LATE],
        },
    )
    # TOML writes these values as JSON does.
    lines = [["[[channels]]", *(f"{key} = {json.dumps(value)}" for key, value in one.items()), ""] for one in tables]
    config = folder / "squall.toml"
    config.write_text("\n".join(line for table in lines for line in table))
    return config


def once(strike: Callable[[], None], number: int) -> Callable[[], None]:
    """Strike at the number-th call."""
    left = [number]

    def counting() -> None:
        left[0] -= 1
        if left[0] == 0:
            strike()

    return counting


def kill(fault: str, worker: Worker, store: Path, hook: Hook, mailbox: Mailbox, chance: random.Random) -> None:
    """Let the fault strike, and see the worker end by it."""
    number = chance.randint(1, 4)
    match fault:
        case "posting":
            hook.before = once(worker.strike, number)
        case "posted":
            hook.after = once(worker.strike, number)
        case "mailing":
            mailbox.before = once(worker.strike, number)
        case "mailed":
            mailbox.after = once(worker.strike, number)
        case "deciding":
            seen = 0
            for line in worker.lines():
                seen += line.startswith("deciding")
                if seen == number:
                    time.sleep(chance.uniform(0, 0.006))  # where in the decision it strikes
                    break
            worker.strike()
        case "committing":
            strike_while_written(store.with_name(store.name + ".wal"), worker, chance.randint(1, 12))
        case _:
            next(iter(worker.lines()))
            time.sleep(chance.uniform(0, 0.2))  # any time
            worker.strike()
    assert worker.ended() == -signal.SIGKILL, worker.said
    hook.before = hook.after = mailbox.before = mailbox.after = nothing


def strike_while_written(log: Path, worker: Worker, writes: int) -> None:
    """Strike as soon as the store's log has grown so many times."""
    size, deadline = None, time.monotonic() + PATIENCE
    while worker.process.poll() is None and time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            now = log.stat().st_size
            writes -= size is not None and now != size
            size = now
        if writes <= 0:
            break
    worker.strike()


def rows(store: Path, sql: str) -> list[dict[str, Any]]:
    with Store.open(store, START) as opened, opened.database.reading() as cursor:
        return list(cursor.sql(sql).pl().to_dicts())


def check(store: Path, steps: int, hook: Hook, mailbox: Mailbox) -> None:
    alerts = rows(store, "SELECT series FROM alerts WHERE fired_at IS NOT NULL ORDER BY series")
    assert [one["series"] for one in alerts] == [f"company:C{step:04}" for step in range(steps)]
    changes = rows(store, """SELECT alert, "at", reason FROM changes WHERE reason IN ('fired', 'resolved')""")
    assert len({(one["alert"], one["reason"]) for one in changes}) == len(changes) > steps
    assert rows(store, "SELECT DISTINCT state FROM deliveries") == [{"state": "delivered"}]
    for channel, taken in (("desk", hook.taken), ("mail", mailbox.taken), ("mail", mailbox.late)):
        due = {delivery_id(one["alert"], one["reason"], one["at"], channel) for one in changes}
        assert {id_ for id_, _ in taken} == due, "every notice arrives, and nothing else"
        assert len(set(taken)) == len(due), "a repeat says what the first said"
    counts = [Counter(id_ for id_, _ in taken) for taken in (hook.taken, mailbox.taken, mailbox.late)]
    repeats = sum(count - 1 for one in counts for count in one.values())
    assert repeats <= 2 * KILLS, "of each channel, at most what was under way at a kill is sent again"


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_kills_lose_no_notice_and_repeats_can_be_told(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    faults = [FAULTS[number % len(FAULTS)] for number in range(KILLS)]
    chance.shuffle(faults)
    store = tmp_path / "squall.duckdb"
    with receivers() as (hook, mailbox, smtp):
        config = settings(tmp_path, hook, smtp)
        for fault in faults:
            kill(fault, Worker(store, config, MANY), store, hook, mailbox, chance)
        decided = rows(store, "SELECT count(*) AS alerts FROM alerts")[0]["alerts"]
        last = Worker(store, config, decided + 2)
        assert last.ended() == 0, last.said
        check(store, decided + 2, hook, mailbox)
