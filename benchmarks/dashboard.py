"""How fast every page's data is at ten million headlines while a writer commits, and whether an open page grows.

takes  a store of `benchmarks/big_store.py`, which is made where there is none
gives  median and 95th percentile of each page's reading, in milliseconds; memory before and after
never  measures a page of its own making: what is timed are the questions that the pages ask, in their order

    python benchmarks/dashboard.py --store /tmp/big.duckdb                  # makes ten million headlines first: minutes
    python benchmarks/dashboard.py --store /tmp/big.duckdb --memory         # needs playwright and a chromium

Questions are recorded while the app draws each page once, and then asked again in rounds through the read service of
another process, which stores 50 headlines a second meanwhile; both stay on two cores.
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
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from benchmarks import big_store
from dashboard.app import PLACES
from models.score import Score
from monitor.news.headlines import Headline, Standing
from monitor.storage.reading import Reader
from monitor.storage.readservice import ReadService
from monitor.storage.store import Batch, Scored, Store

CORES = 2
ROWS_A_SECOND = 50
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
    ("Alerts", "alerts", {}),
    ("One alert", "alerts", {"alert": "alert_3"}),
    *((place.title, place.path, {}) for place in PLACES if place.path not in {"", "series", "stories", "alerts"}),
)


def pin() -> None:
    """Stay on the first two cores that this process may use, where the system allows it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))


# The daemon's part


def serve(path: Path) -> None:
    """Answer questions, and store rows each second, until the standard input ends."""
    pin()
    stopping = threading.Event()
    with Store.open(path, datetime.now(UTC), memory_limit="2GB", threads=CORES) as store, ReadService(store):
        writer = threading.Thread(target=_write, args=(store, stopping), daemon=True)
        writer.start()
        print("ready", flush=True)
        sys.stdin.read()
        stopping.set()
        writer.join()


def _write(store: Store, stopping: threading.Event) -> None:
    number, late = 0, 0.0
    while not stopping.wait(max(0.0, 1.0 - late)):
        begun, now = time.monotonic(), datetime.now(UTC)
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


@contextmanager
def served(path: Path) -> Iterator[subprocess.Popen[str]]:
    """The daemon's part, running."""
    command = [sys.executable, str(Path(__file__).resolve()), "--store", str(path), "--serve"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "ready", "the read service did not start"
        yield process
    finally:
        process.stdin.close()
        process.wait(60)


# What is measured


def recorded(path: Path, module: str, asked: dict[str, str]) -> list[tuple[str, dict[str, object]]]:
    """The questions that a page asks when it is opened at an address, in order."""
    from streamlit.testing.v1 import AppTest

    calls: list[tuple[str, dict[str, object]]] = []
    plain = Reader.query

    def noted(self: Reader, name: str, **params: object) -> Any:
        calls.append((name, params))
        return plain(self, name, **params)

    Reader.query = noted  # type: ignore[method-assign]  # for as long as one page is drawn
    try:
        words = f"from pathlib import Path\nfrom dashboard import frame, {module}\n"
        app = AppTest.from_string(words + f"frame.show(Path({str(path)!r}), {module}.draw)", default_timeout=300)
        for name, value in asked.items():
            app.query_params[name] = value
        app.run()
        if app.exception or any("could not be drawn" in one.value for one in app.error):
            print(f"{module} {asked}: {[one.value for one in (*app.exception, *app.error)]}", file=sys.stderr)
    finally:
        Reader.query = plain  # type: ignore[method-assign]  # as it was
    return calls


def measure(path: Path, rounds: int) -> list[dict[str, object]]:
    """Each visit's questions asked `rounds` times, one visit after the other."""
    modules = {place.path: place.module for place in PLACES}
    found = []
    with served(path), Reader.open(path) as reader:
        visits = [(name, recorded(path, modules[page], asked)) for name, page, asked in VISITS]
        taken: dict[str, list[float]] = {name: [] for name, _ in visits}
        for _ in range(rounds):
            for name, calls in visits:
                begun = time.perf_counter()
                for question, params in calls:
                    reader.query(question, **params)
                taken[name].append((time.perf_counter() - begun) * 1000)
        for name, calls in visits:
            times = sorted(taken[name])
            late = times[min(len(times) - 1, int(len(times) * 0.95))]
            row = {"page": name, "questions": len(calls), "median": round(statistics.median(times)), "p95": round(late)}
            found.append(row)
            print(
                f"{name:<30} {len(calls):>3} questions  median {row['median']:>6} ms  p95 {row['p95']:>6} ms",
                flush=True,
            )
    return found


def memory(path: Path, refreshes: int, day: int, browser: str) -> dict[str, float]:
    """Megabytes of the dashboard's process and of the page's script: after a warm-up, and after all refreshes.

    Args:
        refreshes: how often the page is opened anew in the browser.
        day: how often it draws itself anew after that; 5760 times is a day of one each 15 seconds, done faster here.
    """
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, served(path):
        script = Path(folder) / "hasty.py"
        script.write_text(
            "from datetime import timedelta\nfrom dashboard import app, frame\n"
            "frame.REFRESH = timedelta(seconds=0.5)\napp.main()\n",
            encoding="utf-8",
        )
        port = 8690
        command = [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}",
                   "--server.address=127.0.0.1", "--server.headless=true", "--browser.gatherUsageStats=false",
                   "--server.fileWatcherType=none", "--", "--store", str(path)]  # fmt: skip
        app = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        assert app.stdout is not None
        try:
            for line in app.stdout:
                if "URL" in line:
                    break
            with sync_playwright() as started:
                page = started.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
                return _grown(page, f"http://127.0.0.1:{port}", app.pid, refreshes, day)
        finally:
            app.terminate()
            app.wait(30)


def _grown(page: Any, url: str, pid: int, refreshes: int, day: int) -> dict[str, float]:
    def heap() -> float:
        return float(page.evaluate("(window.gc && gc(), performance.memory.usedJSHeapSize)")) / 1e6

    def opened(times: int) -> None:
        for _ in range(times):
            page.goto(url)
            page.get_by_text("Latest negative stories").first.wait_for(timeout=120_000)

    opened(20)
    page.wait_for_timeout(20_000)
    told = {"warm_process": _resident(pid), "warm_page": heap()}
    opened(refreshes)
    told["reopened_process"] = _resident(pid)
    page.wait_for_timeout(20_000)
    told["before_day_page"] = heap()
    page.wait_for_timeout(day * 500)
    return told | {"day_process": _resident(pid), "day_page": heap()}


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
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.store)
        return
    pin()
    big_store.build(asked.store, asked.headlines, asked.days, datetime.now(UTC).replace(microsecond=0))
    if asked.memory:
        print(json.dumps(memory(asked.store, asked.refreshes, asked.day, asked.chromium), indent=2))
    else:
        print(json.dumps(measure(asked.store, asked.rounds)))


if __name__ == "__main__":
    main()
