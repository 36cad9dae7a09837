"""How fast every page's data is at ten million headlines while a writer commits, and whether an open page grows.

takes  a store of `benchmarks/big_store.py`, which is made where there is none
gives  median and 95th percentile of each page's reading, in milliseconds; memory before and after
never  measures a page of its own making: what is timed are the questions that the pages ask, in their order

    python benchmarks/dashboard.py --store /tmp/big.duckdb                  # makes ten million headlines first: minutes
    python benchmarks/dashboard.py --store /tmp/big.duckdb --memory         # needs playwright and a chromium

Questions and requests are recorded while the app draws each page once, and asked again in rounds through the read
service of another process, which stores 50 headlines a second meanwhile; both stay on two cores. What a page keeps for
the day once it knows it (the model's unknown words) has a line of its own. It ends with an error when a page cannot be
drawn, or when fewer headlines were stored than that.
"""

from __future__ import annotations

# ruff: noqa: E402 - imports stand below what makes them possible
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# This file bears the name of the room that it measures.
sys.path[0] = str(ROOT)

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import big_store
from dashboard import rule_trial
from dashboard.app import PLACES
from models.score import Score
from monitor.news.headlines import Headline, Standing
from monitor.service.page_actions import for_pages
from monitor.settings import Settings
from monitor.storage.reading import Reader
from monitor.storage.readservice import ReadService
from monitor.storage.store import Batch, Scored, Store

CORES = 2
ROWS_A_SECOND = 50
# The first and the last second are not whole ones.
_ENOUGH = 0.9
# What a page asks once a day and keeps.
_KEPT = "odd_words"
Call = tuple[Callable[..., object], str, dict[str, object]]
# What the app is opened with; the words of the searches: often, seldom, several, and none at all.
VISITS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Overview, 7 days", "", {}),
    ("Overview, 28 days", "", {"range": "28 days"}),
    ("Series, market, 7 days", "series", {}),
    ("Series, theme, 28 days", "series", {"series": "theme:bank-stress", "range": "28 days"}),
    ("Series, company, 1 year", "series", {"series": "company:JPM", "range": "1 year"}),
    ("Series, topic, all", "series", {"series": "topic:Macro", "range": "All"}),
    ("Stories, latest", "stories", {}),
    ("Stories, one word, all", "stories", {"q": "bank", "range": "All"}),
    ("Stories, three words, all", "stories", {"q": "bank profi index", "range": "All"}),
    ("Stories, phrase, all", "stories", {"q": '"bank profi"', "range": "All"}),
    ("Stories, nothing found, all", "stories", {"q": "zebra", "range": "All"}),
    ("Stories, company, all", "stories", {"series": "company:JPM", "range": "All"}),
    ("Stories, theme and word, all", "stories", {"q": "bank", "series": "theme:bank-stress", "range": "All"}),
    # Nothing in the whole history is enough: the store holds no headline of this theme.
    ("Stories, word, empty theme, all", "stories", {"q": "bank", "series": "theme:property-stress", "range": "All"}),
    ("Alerts", "alerts", {}),
    ("One alert", "alerts", {"alert": "alert_3"}),
    *((place.title, place.path, {}) for place in PLACES if place.path not in {"", "series", "stories", "alerts"}),
)


def pin() -> None:
    """Stay on the first two cores that this process may use, where the system allows it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))


# The daemon's part


def serve(path: Path, drawn: Path | None = None) -> None:
    """Answer questions, and store rows each second, until the standard input ends.

    Args:
        drawn: a file with one byte for each drawing of a page, each of which takes `_EACH` then; None by the clock.
    """
    pin()
    stopping, start = threading.Event(), datetime.now(UTC)

    def now() -> datetime:
        return start + drawn.stat().st_size * _EACH if drawn else datetime.now(UTC)

    settings = Settings.model_validate({"store": {"path": str(path)}})
    with Store.open(path, start, memory_limit="2GB", threads=CORES) as store:
        acts = for_pages(settings, store, now, {})
        with ReadService(store, acts), ThreadPoolExecutor(1) as writer:
            begun, writing = time.monotonic(), writer.submit(_write, store, stopping, now)
            print("ready", flush=True)
            sys.stdin.read()
            stopping.set()
            print(writing.result() / (time.monotonic() - begun), flush=True)


def _write(store: Store, stopping: threading.Event, clock: Callable[[], datetime]) -> int:
    """Store rows each second; how many."""
    number, late = 0, 0.0
    while not stopping.wait(max(0.0, 1.0 - late)):
        begun, now = time.monotonic(), clock()
        new = []
        for _ in range(ROWS_A_SECOND):
            number += 1
            id_ = (time.time_ns() + number) & (2**63 - 1)
            title = f"Live headline {number} of a bank and its profit"
            told = Headline(id_, "feed-1", f"publisher-{number % 9}", title, "", f"https://news.example/{id_}", "en",
                            now, now, now, Standing.FRESH, (), id_)  # fmt: skip
            new.append(told)
        score = Scored(Score(0.2, 0.5, 0.3, (("Macro", 0.9),), "model-1"))
        store.append(Batch(headlines=new, scores={one.id: score for one in new}), now)
        late = time.monotonic() - begun
    return number


@contextmanager
def served(path: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """The daemon's part, running."""
    command = [sys.executable, str(Path(__file__).resolve()), "--store", str(path), "--serve", *more]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "ready", "the read service did not start"
        yield process
        process.stdin.close()
        stored = float(process.stdout.readline() or 0)
        print(f"{stored:.1f} headlines were stored each second meanwhile", flush=True)
        if stored < ROWS_A_SECOND * _ENOUGH:
            raise SystemExit(f"that is not {ROWS_A_SECOND}: nothing above was measured as stated")
    finally:
        process.stdin.close()
        process.wait(60)


# What is measured


def recorded(path: Path, module: str, asked: dict[str, str]) -> list[Call]:
    """The questions and requests of a page that is opened at an address, in order.

    Raises:
        SystemExit: when the page cannot be drawn.
    """
    from streamlit.testing.v1 import AppTest

    calls: list[Call] = []
    plain = {"query": Reader.query, "act": Reader.act}

    def noting(how: str) -> Any:
        def noted(self: Reader, name: str, **params: object) -> Any:
            # A page is drawn while a trial of today's rules reads its weeks, which nobody waits for.
            if threading.current_thread().name != rule_trial.THREAD:
                calls.append((plain[how], name, params))
            return plain[how](self, name, **params)

        return noted

    try:
        for how in plain:
            setattr(Reader, how, noting(how))
        words = f"from pathlib import Path\nfrom dashboard import frame, {module}\n"
        app = AppTest.from_string(words + f"frame.show(Path({str(path)!r}), {module}.draw)", default_timeout=300)
        for name, value in asked.items():
            app.query_params[name] = value
        app.run()
        faults = [one.value for one in (*app.exception, *app.error)]
        if faults:
            raise SystemExit(f"{module} {asked} could not be drawn: {faults}")
    finally:
        for how, method in plain.items():
            setattr(Reader, how, method)
    return calls


def measure(path: Path, rounds: int) -> list[dict[str, object]]:
    """Each visit's questions asked `rounds` times, one visit after the other."""
    modules = {place.path: place.module for place in PLACES}
    found = []
    with served(path), Reader.open(path) as reader:
        visits: dict[str, list[Call]] = {}
        for name, page, asked in VISITS:
            calls = recorded(path, modules[page], asked)
            visits[name] = [call for call in calls if call[1] != _KEPT]
            if kept := [call for call in calls if call[1] == _KEPT]:
                visits[f"{name}, once a day"] = kept
        taken: dict[str, list[float]] = {name: [] for name in visits}
        for _ in range(rounds):
            for name, calls in visits.items():
                begun = time.perf_counter()
                for ask, question, params in calls:
                    ask(reader, question, **params)
                taken[name].append((time.perf_counter() - begun) * 1000)
        for name, calls in visits.items():
            times = sorted(taken[name])
            late = times[min(len(times) - 1, int(len(times) * 0.95))]
            row = {"page": name, "questions": len(calls), "median": round(statistics.median(times)), "p95": round(late)}
            found.append(row)
            print(
                f"{name:<30} {len(calls):>3} questions  median {row['median']:>6} ms  p95 {row['p95']:>6} ms",
                flush=True,
            )
    return found


# Draws itself twice a second, and notes each time by a byte.
_HASTY = """
from datetime import UTC, datetime, timedelta
from pathlib import Path
from dashboard import app, frame, reads
if not hasattr(reads, "uncounted"):
    class Hasty(datetime):
        begun = datetime.now(UTC)
        @classmethod
        def now(cls, tz=None):
            return cls.begun + Path({drawn!r}).stat().st_size * timedelta(seconds={seconds})
    frame.datetime = Hasty
    reads.uncounted = reads.status
    def counted(reader):
        with open({drawn!r}, "ab") as file:
            file.write(b".")
        return reads.uncounted(reader)
    reads.status = counted
frame.REFRESH = timedelta(seconds=0.5)
app.main()
"""
# What a drawing takes of the simulated day, as of a real one: axes move on, and hours end, as often as they do.
_EACH = timedelta(seconds=15)
# An open page has its charts' caches filled after so many drawings: an hour.
_WARM = 240
_TOLD_EVERY = 500
# Without them the heap is told in steps, and holds what only waits to be collected.
_EXACT = ["--no-sandbox", "--enable-precise-memory-info"]


def memory(path: Path, refreshes: int, day: int, browser: str) -> dict[str, float]:
    """Megabytes of the dashboard's process and of the page's script: after a warm-up, and after all refreshes.

    Args:
        refreshes: how often the page is opened anew in the browser.
        day: how often it draws itself anew after that; 5760 times is a day of one each 15 seconds, done faster here
            by a clock that the page and the writer have in common.

    Raises:
        SystemExit: when the page did not draw itself as often in four times the time that it was given.
    """
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        script = Path(folder) / "hasty.py"
        drawn = Path(folder) / "drawn"
        drawn.touch()
        script.write_text(_HASTY.format(drawn=str(drawn), seconds=_EACH.total_seconds()), encoding="utf-8")
        # What is stored ahead of the machine's clock stays out of the store that other runs measure.
        path = Path(shutil.copy(path, folder))
        stack.enter_context(served(path, "--drawn", str(drawn)))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}",
                   "--server.address=127.0.0.1", "--server.headless=true", "--browser.gatherUsageStats=false",
                   "--server.fileWatcherType=none", "--global.minCachedMessageSize=1e12",
                   "--", "--store", str(path)]  # fmt: skip
        app = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        assert app.stdout is not None
        try:
            for line in app.stdout:
                if "URL" in line:
                    break
            # A pipe that nobody empties would stop the app once it is full.
            threading.Thread(target=app.stdout.read, daemon=True).start()
            with sync_playwright() as started:
                page = started.chromium.launch(executable_path=browser, args=_EXACT).new_page()
                return _grown(page, f"http://127.0.0.1:{port}", app.pid, drawn, refreshes, day)
        finally:
            app.terminate()
            app.wait(30)


def _grown(page: Any, url: str, pid: int, drawn: Path, refreshes: int, day: int) -> dict[str, float]:
    debugger = page.context.new_cdp_session(page)

    def heap() -> float:
        # A snapshot, which is thrown away here, collects everything first. The script's own gc() and `collectGarbage`
        # leave what only weak references hold for a later round: up to fifty megabytes on a busy machine.
        debugger.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
        return float(page.evaluate("performance.memory.usedJSHeapSize")) / 1e6

    def opened(times: int) -> None:
        for _ in range(times):
            page.goto(url)
            page.get_by_text("Latest negative stories").first.wait_for(timeout=120_000)

    def drew(wanted: int) -> int:
        before, patience = drawn.stat().st_size, time.monotonic() + 4 * wanted * 0.5 + 60
        told_of = 0
        while (times := drawn.stat().st_size - before) < wanted:
            if time.monotonic() > patience:
                raise SystemExit(f"the page drew itself {times} times, not {wanted}: too slowly to simulate a day")
            page.wait_for_timeout(1000)
            if times // _TOLD_EVERY > told_of:
                told_of = times // _TOLD_EVERY
                print(json.dumps({"drawn": times, "page": heap()}), file=sys.stderr, flush=True)
        return times

    told: dict[str, float] = {}

    def tell(**figures: float) -> None:
        told.update(figures)
        # All of it takes the better part of an hour: what is known is said at once.
        print(json.dumps(figures), file=sys.stderr, flush=True)

    opened(20)
    page.wait_for_timeout(20_000)
    tell(warm_process=_resident(pid), warm_page=heap())
    opened(refreshes)
    tell(reopened_process=_resident(pid))
    drew(_WARM)
    tell(before_day_page=heap())
    tell(day_drawn=drew(day), day_process=_resident(pid), day_page=heap())
    return told


def _resident(pid: int) -> float:
    """Megabytes that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the dashboard at ten million headlines.")
    parser.add_argument("--store", type=Path, required=True, help="Of `big_store`; it is made where there is none.")
    parser.add_argument("--headlines", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--memory", action="store_true", help="Measure memory instead of time.")
    parser.add_argument("--refreshes", type=int, default=200)
    parser.add_argument("--day", type=int, default=5760)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--drawn", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.store, asked.drawn)
        return
    pin()
    big_store.build(asked.store, asked.headlines, asked.days, datetime.now(UTC).replace(microsecond=0))
    if asked.memory:
        print(json.dumps(memory(asked.store, asked.refreshes, asked.day, asked.chromium), indent=2))
    else:
        print(json.dumps(measure(asked.store, asked.rounds)))


if __name__ == "__main__":
    main()
