"""Thirty days in minutes: does Squall stay as it was on its second day?

python benchmarks/soak.py --data DATA [--days 30] [--a-day 1200] [--svg docs/images/soak.svg]

The clock is simulated; feeds, HTTP, model, store, detection, outbox and webhook are real. A second process publishes
`--a-day` headlines a day in `--feeds` feeds by that clock (titles of the replay, each made unique; every fifth in two
feeds; one surge of bad news on day 20), and receives the webhooks. Every `--hours` simulated hours is a tick: poll what
is due, score, store, detect, oversee, deliver; once a day maintain. A day ends with a look at memory (resident, the
whole process tree without the publisher), open files, threads, and the store's file.

It passes when nothing published is missing or doubled, no tick was missed, counts equal a recount, the file is as large
as was forecast on day 10, memory of the last day is within a tenth of the second's, and no file or thread is left open.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
SURGE_DAY = 20
MEASURED_FROM = 2
FORECAST_ON = 10
ITEMS = 30  # that a feed shows
_SURGE = (
    "{} Bank collapses after savers withdraw billions",
    "Regulators seize failing {} bank",
    "{} files for bankruptcy after failed rescue",
    "Shares of {} Bank plunge 40% as losses mount",
    "Trading in {} halted on insolvency fears",
)
_BANKS = ("Halvern", "Corvane", "Ostrel", "Pellam", "Dunmere", "Varrick", "Lothian", "Brasken")


# The publisher: a process of its own


@dataclass(frozen=True, slots=True)
class Item:
    at: datetime
    guid: str
    title: str

    @property
    def xml(self) -> str:
        link = f"https://news.example/{self.guid}"
        return (
            f"<item><guid>{self.guid}</guid><title>{escape(self.title)}</title><link>{link}</link>"
            f"<pubDate>{format_datetime(self.at)}</pubDate></item>"
        )


def published(titles: Sequence[str], days: int, feeds: int, a_day: int) -> dict[int, list[Item]]:
    """What each feed publishes in these days, in order of time."""
    dice = random.Random(7)
    told: dict[int, list[Item]] = {feed: [] for feed in range(feeds)}
    for number in range(days * a_day):
        at = BEGIN + timedelta(days=number / a_day)
        title = f"{titles[number % len(titles)]} ({number})"
        for copy in range(2 if number % 5 == 0 else 1):
            feed = dice.randrange(feeds)
            told[feed].append(Item(at, f"{number}-{copy}-{feed}", title))
    surge = BEGIN + timedelta(days=SURGE_DAY, hours=9)
    if days > SURGE_DAY:
        for number in range(40):
            title = _SURGE[number % 5].format(_BANKS[number // 5])
            told[number % feeds].append(Item(surge + timedelta(minutes=3 * number), f"surge-{number}", title))
    return {feed: sorted(items, key=lambda item: item.at) for feed, items in told.items()}


class Press(ThreadingHTTPServer):
    """Feeds by number as they are at the simulated time; `/at/<seconds>` sets it, posts to `/hook` are counted."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, items: dict[int, list[Item]]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.items = items
        self.shown = dict.fromkeys(items, 0)
        self.hooks = 0
        self.lock = threading.Lock()


class _Answers(BaseHTTPRequestHandler):
    server: Press
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        what, _, number = self.path.strip("/").partition("/")
        if what == "at":
            at = datetime.fromtimestamp(float(number), UTC)
            for feed, items in self.server.items.items():
                shown = self.server.shown[feed]
                while shown < len(items) and items[shown].at <= at:
                    shown += 1
                self.server.shown[feed] = shown
            self._answer(
                json.dumps({"published": sum(self.server.shown.values()), "hooks": self.server.hooks}).encode()
            )
            return
        shown = self.server.shown[int(number)]
        items = self.server.items[int(number)][max(0, shown - ITEMS) : shown][::-1]
        body = f'<rss version="2.0"><channel><title>{number}</title>{"".join(i.xml for i in items)}</channel></rss>'
        tag = f'"{hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()}"'
        if self.headers.get("if-none-match") == tag:
            self._answer(b"", 304, tag)
        else:
            self._answer(body.encode(), 200, tag)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.hooks += 1
        self._answer(b"")

    def _answer(self, body: bytes, status: int = 200, tag: str = "") -> None:
        self.send_response(status)
        self.send_header("content-type", "application/rss+xml")
        self.send_header("content-length", str(len(body)))
        if tag:
            self.send_header("etag", tag)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        """Keep quiet."""


def serve(options: argparse.Namespace) -> None:
    press = Press(published(_titles(options.data), options.days, options.feeds, options.a_day))
    print(press.server_port, flush=True)
    press.serve_forever()


def _titles(data: Path) -> list[str]:
    import polars as pl

    return pl.read_csv(data / "replay" / "finance_2023q1.csv", infer_schema=False)["title"].drop_nulls().to_list()


@contextmanager
def publisher() -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen([sys.executable, *sys.argv, "--serve"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


# What is looked at


@dataclass(frozen=True, slots=True)
class Day:
    """How things are at the end of a simulated day; memory in MiB, sizes in bytes.

    Attributes:
        memory: resident, of the whole tree.
        daemon: resident, of this process, which is the daemon's part.
        cache: what DuckDB holds of it, blocks of the store above all; bounded by `--memory-limit`.
    """

    day: int
    memory: float
    daemon: float
    cache: float
    files: int
    threads: int
    size: int
    used: int
    headlines: int
    seconds: float


@dataclass
class Told:
    days: list[Day] = field(default_factory=list)
    ticks: int = 0
    missed: int = 0
    checks: int = 0
    failed: int = 0
    fired: int = 0
    published: int = 0
    stored: int = 0
    scored: int = 0
    hooks: int = 0
    faults: int = 0
    forecast: int = 0


def tree(without: int) -> list[int]:
    """This process and all below it, but one child."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, fresh = {os.getpid()}, {os.getpid()}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh and pid != without}
        found |= fresh
    return sorted(found)


def looked_at(pids: Sequence[int]) -> tuple[float, int, int]:
    """Resident memory in MiB, open files, and threads of these processes."""
    memory, files, threads = 0.0, 0, 0
    for pid in pids:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        memory += int(status["VmRSS"].split()[0]) / 1024
        threads += int(status["Threads"])
        files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return memory, files, threads


def held(store: Any) -> float:
    """What DuckDB holds in memory, in MiB."""
    with store.database.reading() as connection:
        (size,) = connection.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchone() or (0,)
    return float(size) / 2**20


async def soak(options: argparse.Namespace, folder: Path, press: int, port: int) -> Told:
    from alerts.sending.webhook import WebhookSettings
    from monitor.feeds.feed import Feed
    from monitor.feeds.poll_settings import PollSettings
    from monitor.news.companies import CompanyMatcher
    from monitor.news.own_companies import with_own
    from monitor.service.model_process import ModelProcess
    from monitor.service.pipeline import Pipeline
    from monitor.service.scoring import Scoring
    from monitor.settings import Settings, StoreSettings, WatchSettings
    from monitor.storage.forecast import measure, size_after
    from monitor.storage.readservice import ReadService
    from monitor.storage.store import Store
    from monitor.watched import watched_themes

    (folder / "secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    feeds = tuple(
        Feed(
            id=f"f{number}",
            url=f"http://127.0.0.1:{port}/feed/{number}",
            name=f"Feed {number}",
            publisher=f"house-{number}",
            every_minutes=60 * options.hours,
        )
        for number in range(options.feeds)
    )
    hook = WebhookSettings(
        type="webhook",
        name="desk",
        url=f"http://127.0.0.1:{port}/hook",
        secret=f"file:{folder / 'secret'}",
        allow_private_addresses=("127.0.0.1",),
    )
    settings = Settings(
        store=StoreSettings(path=folder / "squall.duckdb", memory_limit=options.memory_limit),
        watch=WatchSettings(default_feeds=False),
        polling=PollSettings(
            allow_private_addresses=("127.0.0.1",), per_host=20, host_spacing_seconds=0, slowest_factor=1
        ),
        feeds=feeds,
        channels=(hook,),
    )
    told, begun = Told(), time.monotonic()
    matcher = CompanyMatcher(with_own(settings.companies))
    scoring = Scoring(settings.model, watched_themes(settings), None, matcher, open_model=ModelProcess)
    step, keep = timedelta(hours=options.hours), settings.store.keep_days
    with Store.open(settings.store.path, BEGIN, memory_limit=options.memory_limit) as store, ReadService(store):
        pipeline = Pipeline(settings, store, scoring=scoring)
        pipeline.remember(BEGIN)
        now, last = BEGIN, BEGIN
        while now < BEGIN + timedelta(days=options.days):
            now += step
            state = json.loads(_get(f"http://127.0.0.1:{port}/at/{now.timestamp()}"))
            brought = await pipeline.ingest(now)
            while pipeline.catch_up(now, 2_000):
                pass
            told.fired += sum(change.reason.value == "fired" for change in pipeline.detect(now))
            pipeline.oversee(now, {})
            await asyncio.to_thread(pipeline.deliver, "desk", now)  # in a thread of its own, as the daemon does
            told.ticks += 1
            told.missed += now - last > step
            last = now
            told.checks, told.failed = told.checks + brought.checks, told.failed + brought.failed
            if now.hour == 0:
                pipeline.maintain(now)
                day = round((now - BEGIN) / timedelta(days=1))
                growth = measure(store.database, now)
                size, used = settings.store.path.stat().st_size, growth.passing + growth.lasting
                counts = store.counts()
                memory, files, threads = looked_at(tree(press))
                daemon, _, _ = looked_at([os.getpid()])
                took = time.monotonic() - begun
                seen = Day(day, memory, daemon, held(store), files, threads, size, used, counts.headlines, took)
                told.days.append(seen)
                print(json.dumps(asdict(seen)), file=sys.stderr, flush=True)
                if day == FORECAST_ON:
                    told.forecast = size_after(growth, options.days - day, keep)
        counts = store.counts()
        told.published, told.hooks = state["published"], state["hooks"]
        told.stored, told.scored = counts.headlines, counts.headlines - counts.awaiting_score
        told.faults = store.rollup_faults().height
        told.hooks = json.loads(_get(f"http://127.0.0.1:{port}/at/{now.timestamp()}"))["hooks"]
        await pipeline.aclose()
    scoring.close()
    return told


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return bytes(answer.read())


def verdicts(told: Told) -> dict[str, bool]:
    """What was asked, and whether it is so."""
    begin, end = told.days[min(MEASURED_FROM, len(told.days)) - 1], told.days[-1]
    # Connections come and go, so a look at them differs by a few: the first week says what is usual.
    week = told.days[MEASURED_FROM - 1 : 7] or told.days
    return {
        "nothing published is missing or doubled": told.published == told.stored == told.scored,
        "no check failed": told.failed == 0,
        "no missed tick": told.missed == 0,
        "counts equal a recount": told.faults == 0,
        "the surge fired and the webhook heard of it": end.day <= SURGE_DAY or (told.fired > 0 and told.hooks > 0),
        "memory within a tenth of day 2": abs(end.memory / begin.memory - 1) <= 0.1,
        "no file left open": end.files <= max(day.files for day in week),
        "no thread left": end.threads <= max(day.threads for day in week),
        "file within a tenth of the forecast": end.day <= FORECAST_ON or abs(end.size / told.forecast - 1) <= 0.1,
    }


def picture(days: Sequence[Day]) -> str:
    """Memory by day, with a band of a tenth around day 2; below it the file."""
    width, height, left, top = 900, 300, 70, 20
    begin = days[min(MEASURED_FROM, len(days)) - 1].memory
    most = max(begin * 1.25, *(day.memory * 1.05 for day in days))

    def across(day: float) -> float:
        return left + (day - 1) / max(1, len(days) - 1) * (width - left - 20)

    def up(memory: float) -> float:
        return top + (1 - memory / most) * (height - top - 40)

    line = " ".join(f"{across(day.day):.1f},{up(day.memory):.1f}" for day in days)
    ticks = "".join(
        f"<text x='{left - 8}' y='{up(value) + 4:.1f}' text-anchor='end'>{value:.0f}</text>"
        f"<line x1='{left}' x2='{width - 20}' y1='{up(value):.1f}' y2='{up(value):.1f}' stroke='#8884' />"
        for value in range(0, int(most), 200)
    )
    labels = "".join(
        f"<text x='{across(day.day):.1f}' y='{height - 14}' text-anchor='middle'>{day.day}</text>"
        for day in days
        if day.day == 1 or day.day % 5 == 0
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' font-family='sans-serif' "
        f"font-size='12' fill='#888'><title>Resident memory of the process tree by simulated day, in MiB; the band is "
        f"a tenth around day {MEASURED_FROM}</title>"
        f"<rect x='{left}' width='{width - left - 20}' y='{up(begin * 1.1):.1f}' "
        f"height='{up(begin * 0.9) - up(begin * 1.1):.1f}' fill='#4a90d933' />{ticks}{labels}"
        f"<polyline points='{line}' fill='none' stroke='#d9534f' stroke-width='2' />"
        f"<text x='{left}' y='14'>MiB resident, by simulated day</text></svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--feeds", type=int, default=200)
    parser.add_argument("--a-day", type=int, default=1_200)
    parser.add_argument("--hours", type=int, default=2, help="simulated hours between two ticks")
    parser.add_argument("--memory-limit", default="256MB")
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options)
        return
    with tempfile.TemporaryDirectory(prefix="squall-soak-") as folder, publisher() as (press, port):
        told = asyncio.run(soak(options, Path(folder), press.pid, port))
    said = verdicts(told)
    print(json.dumps({**asdict(told), "verdicts": said}, indent=1))
    if options.svg:
        options.svg.write_text(picture(told.days))
    sys.exit(0 if all(said.values()) else 1)


if __name__ == "__main__":
    main()
