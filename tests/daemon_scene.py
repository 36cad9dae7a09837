"""A daemon as people run it: `python -m monitor run` in a process, between feed servers and receivers on loopback."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.score import Score
from monitor.feeds.feed import Check, Feed, Outcome, succeeded, unseen
from monitor.news.headlines import Headline, Standing
from monitor.series import Scored
from monitor.storage.store import Batch, Store

LOOPBACK = runpy.run_path(str(Path(__file__).with_name("loopback_scene.py")))
# Handed on: who runs a daemon serves it and hears it, too.
PATIENCE, SECRET, Answer, Desk = (LOOPBACK[name] for name in ("PATIENCE", "SECRET", "Answer", "Desk"))
Item, Press, rss, serving = (LOOPBACK[name] for name in ("Item", "Press", "rss", "serving"))
surge, utc_now = (LOOPBACK[name] for name in ("surge", "utc_now"))

ROOT = Path(__file__).parents[1]
PUBLISHERS = ("quillon", "marlow", "tessel", "orrin")


@dataclass
class House:
    """A folder with settings and a store."""

    folder: Path
    feeds: list[Feed] = field(default_factory=list)
    channels: list[Mapping[str, object]] = field(default_factory=list)
    tables: dict[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "squall.duckdb"

    @property
    def config(self) -> Path:
        return self.folder / "squall.toml"

    def feed(self, press: Any, path: str, publisher: str = "", every_minutes: int = 1) -> Feed:
        made = Feed(id=path, url=press.url(path), name=path, publisher=publisher or path, every_minutes=every_minutes)
        self.feeds.append(made)
        return made

    def webhook(self, desk: Any, name: str = "desk", timeout_seconds: float = 10) -> None:
        (self.folder / "secret").write_text(SECRET)
        self.channels.append(
            {
                "type": "webhook",
                "name": name,
                "url": desk.url,
                "secret": f"file:{self.folder / 'secret'}",
                "timeout_seconds": timeout_seconds,
                "allow_private_addresses": ["127.0.0.1"],
            }
        )

    def write(self) -> Path:
        """Write the settings file; `tables` add to what every test here wants."""
        common: dict[str, Mapping[str, object]] = {
            "store": {"path": str(self.store)},
            "watch": {"default_feeds": False},
            "log": {"format": "json", "level": "debug"},
            "daemon": {"poll_seconds": 1, "detect_seconds": 1, "deliver_seconds": 1},
            "polling": {"allow_private_addresses": ["127.0.0.1"], "per_host": 20, "host_spacing_seconds": 0},
            "rules": {"learning_days": 2},
            # Several daemons may run at once here; who asks for numbers names a port.
            "metrics": {"port": 0},
        }
        names = dict.fromkeys([*common, *self.tables])
        lines = [_table(f"[{name}]", {**common.get(name, {}), **self.tables.get(name, {})}) for name in names]
        lines += [_table("[[feeds]]", feed.model_dump()) for feed in self.feeds]
        lines += [_table("[[channels]]", channel) for channel in self.channels]
        self.config.write_text("\n".join(lines))
        return self.config

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`squall WORDS`, to its end."""
        line = [sys.executable, "-m", "monitor", "--config", str(self.config), *words]
        return subprocess.run(
            line, cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def status(self) -> dict[str, Any]:
        done = self.command("status", "--json")
        assert done.stdout, f"status said nothing, rc {done.returncode}: {done.stderr}"
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    @property
    def offset(self) -> Path:
        return self.folder / "offset"

    def set_clock(self, hours: float) -> None:
        """How far the clock of a daemon of `clocked_daemon` is off from now on; whole or not at all."""
        draft = self.folder / "offset.new"
        draft.write_text(str(hours * 3_600))
        draft.replace(self.offset)

    @contextmanager
    def clocked_daemon(self) -> Iterator[Daemon]:
        """A daemon whose clock the test sets; see tests/clock_worker.py."""
        if not self.offset.exists():
            self.set_clock(0)
        worker = Path(__file__).with_name("clock_worker.py")
        with self.daemon(str(worker), str(self.write()), str(self.offset)) as running:
            yield running

    @contextmanager
    def daemon(self, *instead: str, **environment: str) -> Iterator[Daemon]:
        """`squall run`, or another daemon instead, killed at the end where it still runs then."""
        config = self.write()
        running = Daemon(instead or ("-m", "monitor", "--config", str(config), "run"), environment)
        try:
            yield running
        finally:
            running.end()


def _table(head: str, values: Mapping[str, object]) -> str:
    # A TOML value of these kinds is written as JSON writes it.
    return "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SQUALL_")}
    return {**inherited, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


class Daemon:
    """A running `squall run`, and what it logged so far."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        env = {**_environment(), "PYTHONPATH": str(ROOT), **environment}
        self.process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
        )
        self.raw: list[str] = []
        self.lines: list[dict[str, Any]] = []
        self.change = threading.Condition()
        self._ended = False
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.change:
                self.raw.append(line)
                with suppress(ValueError):  # no log line; `raw` has it
                    self.lines.append(json.loads(line))
                self.change.notify_all()
        with self.change:
            self._ended = True
            self.change.notify_all()

    def logged(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """The log lines so far of this event with these values."""
        with self.change:
            return [
                line
                for line in self.lines
                if line.get("event") == event and all(line.get(name) == value for name, value in fields.items())
            ]

    def line(self, event: str, patience: float = PATIENCE, **fields: object) -> dict[str, Any]:
        """Block until such a line is logged, and give the first."""
        with self.change:
            self.change.wait_for(lambda: self._ended or self.logged(event, **fields), patience)
            found = self.logged(event, **fields)
            assert found, f"no {event} {fields} in {patience} s; the log:\n{''.join(self.raw)[-6000:]}"
            return found[0]

    def stop(self) -> tuple[int, float]:
        """SIGTERM: the exit code, and how many seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        took = time.monotonic() - begun
        self._reading.join(PATIENCE)
        return code, took

    def kill(self) -> None:
        """SIGKILL: no time for anything."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self._reading.join(PATIENCE)

    def end(self) -> None:
        if self.process.poll() is None:
            self.kill()
        assert self.process.stderr is not None
        self.process.stderr.close()

    @property
    def log(self) -> str:
        with self.change:
            return "".join(self.raw)


def until(change: threading.Condition, reached: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Block until something that is told by `change` is so."""
    with change:
        assert change.wait_for(reached, patience), "what was waited for did not come"


def prefill(
    store: Path,
    feeds: Sequence[Feed],
    now: datetime,
    *,
    series: Sequence[str] = ("market", "theme:bank-stress"),
    due: Mapping[str, datetime] | None = None,
    days: int = 4,
) -> set[int]:
    """Give a store some ordinary days: watched series, feeds that answered before, and calm headlines with scores.

    Returns the ids. What the feeds bring is news, not the backlog of a first fetch; they are due at once, or when
    `due` says.
    """
    checks = []
    for feed in feeds:
        before = (due or {}).get(feed.id, now) - timedelta(minutes=feed.every_minutes)
        state = succeeded(
            feed, unseen(feed, now - timedelta(days=days)), before, Outcome.NEW, etag=None, last_modified=None
        )
        checks.append(Check(feed.id, before, Outcome.NEW, "", 200, 1, 1, (), state))
    headlines = [calm(number, now - timedelta(hours=number / 2 + 1)) for number in range(days * 48)]
    scores = {headline.id: _score(headline.id) for headline in headlines}
    with Store.open(store, now) as opened:
        opened.watch(series, now - timedelta(days=days))
        opened.append(Batch(checks, headlines, scores), now)
    return set(scores)


def calm(number: int, at: datetime) -> Headline:
    return Headline(
        id=number + 1,
        feed="archive",
        publisher=PUBLISHERS[number % len(PUBLISHERS)],
        title=f"Calm headline number {number}",
        summary="",
        link=f"https://news.example/calm/{number}",
        language="en",
        published=at,
        fetched=at,
        effective=at,
        standing=Standing.FRESH,
        companies=(),
        story=number + 1,
    )


def _score(number: int) -> Scored:
    negative = 0.9 if number % 25 == 0 else 0.05
    return Scored(Score(negative, 0.97 - negative, 0.03, (("Markets", 0.9),), "past-0000000000"), ())


@pytest.fixture
def press() -> Iterator[Any]:
    with serving(Press()) as server:
        yield server


@pytest.fixture
def desk() -> Iterator[Any]:
    with serving(Desk()) as server:
        yield server


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
