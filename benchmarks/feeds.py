"""Polling: Squall beside the library `reader`, on the same server, the same feeds and the same number of workers.

    pip install --requirement benchmarks/requirements.txt
    python benchmarks/feeds.py --feeds 2000

A server of its own process serves feeds of 30 entries, some of which misbehave. Each program runs in a process of its
own: it polls everything cold into an empty store, then again while nothing has changed (304). Both fetch, parse and
store; `--whole` lets Squall also name companies and join stories, which `reader` does not do.
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


async def serve(share: int) -> None:
    bodies: dict[int, bytes] = {}

    async def answer(number: int, head: bytes) -> bytes:
        if number not in bodies:
            bodies[number] = body_of(number)
        body, etag = bodies[number], f'ETag: "{number}"'
        if f'"{number}"'.encode() in head:
            return reply("304 Not Modified", b"", etag)
        match way_of(number, share):
            case "absent":
                return reply("404 Not Found")
            case "broken":
                return reply("500 Oops")
            case "page":
                return reply("200 OK", b"<!doctype html><html><title>Subscribe</title></html>")
            case "cut":
                return reply("200 OK", body[:-200], etag)
            case "slow":
                await asyncio.sleep(SLOW_SECONDS)
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

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                number = int(head.split(b" ", 2)[1].strip(b"/"))
                said = await answer(number, head)
                if not said:
                    break
                writer.write(said)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# The two programs


def memory() -> float:
    """Peak resident memory of this process and of the helpers that it has now, in MiB."""
    helpers = [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
    return sum(peak(pid) for pid in ["self", *helpers])


def peak(pid: str) -> float:
    # Not getrusage: of a child it counts what it was before it began a program of its own, a copy of its parent.
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def processor() -> float:
    """Seconds of processor time of this process and of the helpers that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


class NoCompanies:
    def match(self, title: str) -> tuple[str, ...]:
        return ()


async def run_squall(port: int, feeds: int, folder: Path, *, whole: bool) -> dict[str, object]:
    from monitor.feeds.feed import Feed
    from monitor.feeds.politeness import due
    from monitor.feeds.polling import Poller, PollSettings
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
    settings = PollSettings(
        allow_private_addresses=("127.0.0.1",), concurrency=WORKERS, per_host=WORKERS, host_spacing_seconds=0
    )
    seconds: list[float] = []
    worked: list[float] = []
    outcomes: list[dict[str, int]] = []
    with Store.open(folder / "squall.duckdb", NOW) as store:
        async with Poller(settings) as poller:
            for now in (NOW, NOW + timedelta(hours=8)):
                begun, busy, seen = time.perf_counter(), processor(), Counter[str]()
                poller.begin(due(watched, store.feed_states(), now), now)
                async for checks in poller.finished(600):
                    seen.update(check.outcome.value for check in checks)
                    came = intake(checks, store, companies, now)
                    headlines = came.headlines if stories is None else tuple(stories.assign(came.headlines))
                    store.append(Batch(came.checks, headlines, {}, came.names, came.revisions), now)
                seconds.append(time.perf_counter() - begun)
                worked.append(processor() - busy)
                outcomes.append(dict(seen))
            most = memory()
        stored = store.counts().headlines
    return {"seconds": seconds, "processor": worked, "stored": stored, "peak_mib": round(most), "outcomes": outcomes}


def run_reader(port: int, feeds: int, folder: Path) -> dict[str, object]:
    from reader import make_reader

    library = make_reader(str(folder / "reader.sqlite"))
    for number in range(feeds):
        library.add_feed(f"http://127.0.0.1:{port}/{number}")
    seconds: list[float] = []
    worked: list[float] = []
    for _ in range(2):
        begun, busy = time.perf_counter(), processor()
        for _result in library.update_feeds_iter(workers=WORKERS, scheduled=False):
            pass
        seconds.append(time.perf_counter() - begun)
        worked.append(processor() - busy)
    stored = library.get_entry_counts().total
    return {"seconds": seconds, "processor": worked, "stored": stored, "peak_mib": round(memory())}


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
    asked = parser.parse_args()
    if asked.role == "server":
        asyncio.run(serve(asked.share))
        return
    if asked.role is not None:
        with tempfile.TemporaryDirectory() as folder:
            if asked.role == "squall":
                told = asyncio.run(run_squall(asked.port, asked.feeds, Path(folder), whole=asked.whole))
            else:
                told = run_reader(asked.port, asked.feeds, Path(folder))
            print(json.dumps(told))
        return
    compare(asked)


def compare(asked: argparse.Namespace) -> None:
    line = [sys.executable, __file__, "--role", "server", "--misbehaving-one-in", str(asked.share)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        common = ["--port", port, "--feeds", str(asked.feeds)]
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
        cold, unchanged = one["seconds"]  # type: ignore[misc]  # two numbers, as both programs print them
        print(f"{name:7} cold {asked.feeds / cold:7.0f} feeds/s   unchanged {asked.feeds / unchanged:7.0f} feeds/s")
    if len(told) == 2:
        for key in ("seconds", "processor"):
            cold, unchanged = (
                theirs / ours for theirs, ours in zip(told["reader"][key], told["squall"][key], strict=True)
            )  # type: ignore[call-overload]  # see above
            print(f"by {key}: squall is {cold:.1f} times as fast cold, {unchanged:.1f} times unchanged")
        print(f"peak memory: {told['squall']['peak_mib']} MiB beside {told['reader']['peak_mib']} MiB")


if __name__ == "__main__":
    main()
