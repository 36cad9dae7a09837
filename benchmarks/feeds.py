"""Polling: Squall beside the library `reader`, on the same server, the same feeds and the same number of workers.

    pip install --requirement benchmarks/requirements.txt
    python benchmarks/feeds.py --feeds 2000

A server of its own process serves feeds of 30 entries, some of which misbehave; all of them are made before anybody
asks. Each program runs in a process of its own: it polls everything cold into an empty store, then again an hour later,
while nothing has changed (304). Both fetch, parse and store; `--whole` lets Squall also name companies and join
stories, which `reader` does not do. Neither loads a model. Squall asks each feed for all it holds once a day, whatever
was unchanged, so of the second round one feed in 24 or so is answered in full.

Beside seconds it tells the processor time of each program, and how busy the server was: on few cores a quick program is
held up by the server, and the seconds then say too little in its favour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
ENTRIES = 30
WORKERS = 20
WAYS = ("absent", "broken", "page", "cut", "slow", "forbidden", "loop", "not-gzip", "busy", "drop")
SLOW_SECONDS = 1.0
SUMMARY = "What happened, in the usual length of a summary. " * 4


def way_of(number: int, share: int) -> str:
    """How feed `number` behaves: one in `share` misbehaves, each in its own way."""
    return WAYS[number // share % len(WAYS)] if number % share == 0 else "good"


def body_of(number: int) -> bytes:
    """Thirty entries as publishers write them."""
    items = "".join(
        f"<item><title>Company {number} reports result {n} for the quarter &amp; outlook</title>"
        f"<link>https://news{number}.example/story/{n}?utm_source=rss</link>"
        f"<guid isPermaLink='false'>{number}-{n}</guid>"
        f"<pubDate>{format_datetime(NOW - timedelta(minutes=17 * n))}</pubDate>"
        f"<description>&lt;p&gt;{SUMMARY}&lt;/p&gt;</description></item>"
        for n in range(ENTRIES)
    )
    return (
        f"<?xml version='1.0'?><rss version='2.0'><channel><title>Wire {number}</title>{items}</channel></rss>".encode()
    )


# The server


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Talk(asyncio.Protocol):
    """One connection; as little work as can be, for the server shares the machine with whom it serves."""

    def __init__(self, bodies: dict[int, bytes], share: int) -> None:
        self._bodies, self._share = bodies, share
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while b"\r\n\r\n" in self._heard:
            head, _, self._heard = self._heard.partition(b"\r\n\r\n")
            number = int(head.split(b" ", 2)[1].strip(b"/"))
            said = self._answer(number, head)
            if not said:
                self._transport.close()
            elif way_of(number, self._share) == "slow" and len(said) > len(self._bodies[number]):
                asyncio.get_running_loop().call_later(SLOW_SECONDS, self._transport.write, said)
            else:
                self._transport.write(said)

    def _answer(self, number: int, head: bytes) -> bytes:
        body, etag = self._bodies[number], f'ETag: "{number}"'
        if f'"{number}"'.encode() in head:
            return reply("304 Not Modified", b"", etag)
        match way_of(number, self._share):
            case "absent":
                return reply("404 Not Found")
            case "broken":
                return reply("500 Oops")
            case "page":
                return reply("200 OK", b"<!doctype html><html><title>Subscribe</title></html>")
            case "cut":
                return reply("200 OK", body[:-200], etag)
            case "forbidden":
                return reply("403 Forbidden")
            case "loop":
                return reply("302 Found", b"", f"Location: /{number}")
            case "not-gzip":
                return reply("200 OK", body, "Content-Encoding: gzip")
            case "busy":
                return reply("429 Too Many Requests", b"", "Retry-After: 60")
            case "drop":
                return b""
        return reply("200 OK", body, etag)


async def serve(feeds: int, share: int) -> None:
    bodies = {number: body_of(number) for number in range(feeds)}
    server = await asyncio.get_running_loop().create_server(lambda: Talk(bodies, share), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# The two programs


def status(pid: str, field: str) -> float:
    # Not getrusage: of a child it counts what it was before it began a program of its own, a copy of its parent.
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{field}:")[2].split()[0]) / 1024


def helpers() -> list[str]:
    return [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]


def processor(pid: str = "self") -> float:
    """Seconds of processor time of a process and of its helpers that have ended; of this one, of all its helpers."""
    pids = [pid, *(helpers() if pid == "self" else [])]
    used = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15] for one in pids]
    return sum(int(ticks) for one in used for ticks in one) / os.sysconf("SC_CLK_TCK")


class Measured:
    """What a program used: by round, seconds and processor time of itself and of the server; memory (MiB)."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._rest = status("self", "VmRSS")
        self._told: dict[str, list[float]] = {"seconds": [], "processor": [], "server": []}

    @contextmanager
    def round(self) -> Iterator[None]:
        begun = (time.perf_counter(), processor(), processor(self._server))
        yield
        ended = (time.perf_counter(), processor(), processor(self._server))
        for name, before, after in zip(self._told, begun, ended, strict=True):
            self._told[name].append(round(after - before, 3))

    def told(self) -> dict[str, object]:
        """Memory before the first round, at most, and of the helpers that it has now."""
        beside = sum(status(pid, "VmHWM") for pid in helpers())
        own = status("self", "VmHWM")
        return self._told | {"rest_mib": round(self._rest), "own_mib": round(own), "peak_mib": round(own + beside)}


class NoCompanies:
    def match(self, title: str) -> tuple[str, ...]:
        return ()


async def run_squall(port: int, feeds: int, folder: Path, server: str, *, whole: bool) -> dict[str, object]:
    from monitor.feeds.feed import Feed
    from monitor.feeds.politeness import due
    from monitor.feeds.poll_settings import PollSettings
    from monitor.feeds.polling import Poller
    from monitor.news.headlines import NamesCompanies
    from monitor.news.intake import intake
    from monitor.storage.store import Batch, Store

    companies: NamesCompanies = NoCompanies()
    stories = None
    if whole:
        from monitor.news.companies import CompanyMatcher
        from monitor.news.stories import Stories

        matcher = CompanyMatcher()
        companies, stories = matcher, Stories(matcher)
    watched = [
        Feed(id=f"f{n}", url=f"http://127.0.0.1:{port}/{n}", name=f"f{n}", publisher=f"p{n}") for n in range(feeds)
    ]
    # All feeds lie on one host, which the politeness of every day would spare: `reader` knows none.
    settings = PollSettings(
        allow_private_addresses=("127.0.0.1",), concurrency=WORKERS, per_host=WORKERS, host_spacing_seconds=0
    )
    outcomes: list[dict[str, int]] = []
    with Store.open(folder / "squall.duckdb", NOW) as store:
        measured = Measured(server)
        async with Poller(settings) as poller:
            for now in (NOW, NOW + timedelta(hours=1)):
                seen = Counter[str]()
                with measured.round():
                    poller.begin(due(watched, store.feed_states(), now), now)
                    async for checks in poller.finished(600):
                        seen.update(check.outcome.value for check in checks)
                        came = intake(checks, store, companies, now)
                        headlines = came.headlines if stories is None else tuple(stories.assign(came.headlines))
                        store.append(Batch(came.checks, headlines, {}, came.names, came.revisions), now)
                outcomes.append(dict(seen))
            told = measured.told()
        return told | {"stored": store.counts().headlines, "outcomes": outcomes}


def run_reader(port: int, feeds: int, folder: Path, server: str) -> dict[str, object]:
    from reader import make_reader

    library = make_reader(str(folder / "reader.sqlite"))
    for number in range(feeds):
        library.add_feed(f"http://127.0.0.1:{port}/{number}")
    measured = Measured(server)
    for _ in range(2):
        with measured.round():
            for _result in library.update_feeds_iter(workers=WORKERS, scheduled=False):
                pass
    return measured.told() | {"stored": library.get_entry_counts().total}


def child(*words: str) -> dict[str, object]:
    line = [sys.executable, __file__, *words]
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path})
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeds", type=int, default=2_000)
    parser.add_argument("--misbehaving-one-in", type=int, default=20, dest="share")
    parser.add_argument("--whole", action="store_true", help="Squall names companies and joins stories, too")
    parser.add_argument("--only", choices=["squall", "reader"])
    parser.add_argument("--role", choices=["server", "squall", "reader"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--server", default="self", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role == "server":
        asyncio.run(serve(asked.feeds, asked.share))
        return
    if asked.role is not None:
        with tempfile.TemporaryDirectory() as folder:
            if asked.role == "squall":
                told = asyncio.run(run_squall(asked.port, asked.feeds, Path(folder), asked.server, whole=asked.whole))
            else:
                told = run_reader(asked.port, asked.feeds, Path(folder), asked.server)
            print(json.dumps(told))
        return
    compare(asked)


def compare(asked: argparse.Namespace) -> None:
    line = [sys.executable, __file__, "--role", "server", "--feeds", str(asked.feeds)]
    line += ["--misbehaving-one-in", str(asked.share)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        common = ["--port", port, "--feeds", str(asked.feeds), "--server", str(server.pid)]
        names = [asked.only] if asked.only else ["reader", "squall"]
        try:
            told = {
                name: child("--role", name, *common, *(["--whole"] if asked.whole and name == "squall" else []))
                for name in names
            }
        finally:
            server.terminate()
    print(json.dumps(told, indent=2))
    for name, one in told.items():
        for number, what in enumerate(("cold", "unchanged")):
            seconds, worked, served = (one[key][number] for key in ("seconds", "processor", "server"))  # type: ignore[index]  # lists of two numbers, as both programs print them
            print(
                f"{name:7} {what:10} {asked.feeds / seconds:6.0f} feeds/s, {1_000 * worked / asked.feeds:6.2f} ms of "
                f"processor time a feed; the server was busy for {served / seconds:.0%} of the time"
            )
    if len(told) == 2:
        for key in ("seconds", "processor"):
            cold, unchanged = (told["reader"][key][n] / told["squall"][key][n] for n in range(2))  # type: ignore[index]  # see above
            print(f"by {key}: squall is {cold:.1f} times as fast cold, {unchanged:.1f} times unchanged")
    for name, one in told.items():
        print(
            f"{name:7} memory: {one['rest_mib']} MiB before the first round, {one['own_mib']} at most, "
            f"{one['peak_mib']} with its helpers"
        )


if __name__ == "__main__":
    main()
