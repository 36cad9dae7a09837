"""What lies in memory for months: what a process loads before it needs it, and helpers that nobody needs any more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.feeds.feed import Feed
from monitor.feeds.lenient import LenientParser

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FEED = Feed(id="wire", url="https://wire.example/rss", name="The Wire", publisher="house")
BROKEN = b"<rss><channel><title>T</title><item><title>Bank & Co fails</title></item></channel></rss>"
# What each of these takes once it is loaded, with what it brings along: between 3 and 300 MiB.
MODELS = {"torch", "transformers", "peft", "openvino", "nncf", "tokenizers"}
SELDOM = {"apprise", "requests", "tldextract", "PIL", "pyarrow.parquet", "pandas", "scipy", "sklearn", "feedparser"}
TABLES = {"polars", "duckdb", "pyarrow"}
WEB = {"aiohttp", "httpx2", "prometheus_client", "apscheduler", "streamlit"}
STORING = """
from datetime import UTC, datetime
from monitor.feeds.polling import Poller
from monitor.news.headlines import Headline, Standing
from monitor.storage.store import Batch, Store
now = datetime(2026, 3, 10, tzinfo=UTC)
one = Headline(
    id=1, feed="f", publisher="p", title="t", summary="", link="https://a.example/", language="en", published=now,
    fetched=now, effective=now, standing=Standing.FRESH, story=1, companies=("JPM",),
)
with Store.open(":memory:", now) as store:
    assert store.append(Batch((), (one,), {}, (), ()), now) == (1,)
"""


@pytest.mark.parametrize(
    ("code", "needless"),
    [
        ("import monitor.service.daemon", MODELS | SELDOM | {"pyarrow.compute", "pyarrow.dataset", "streamlit"}),
        (STORING, MODELS | SELDOM | {"pyarrow.compute", "pyarrow.dataset", "pyarrow.flight", "httpx2"}),
        ("import monitor.service.model_process", SELDOM | TABLES | {"aiohttp", "streamlit"}),
        ("import monitor.feeds.lenient", MODELS | SELDOM | TABLES | WEB | {"numpy"}),
        ("from alerts.judgement import Tally; Tally(1, 1, 1, 8, 1).standing", {"scipy.stats"}),
    ],
    ids=["daemon", "polling", "model", "broken feeds", "judgements"],
)
def test_nothing_is_loaded_before_it_is_needed(code: str, needless: set[str]) -> None:
    told = "import json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{told}"], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout.splitlines()[-1])) & needless == set()


def helpers() -> set[int]:
    """Processes that read broken feeds, of this one; none that has ended, though it may not be reaped yet."""
    begun = [int(pid) for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
    found = set()
    for pid in begun:
        # One may be reaped between the two looks.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if "monitor.feeds.lenient" in Path(f"/proc/{pid}/cmdline").read_text():
                found.add(pid)
    return found


async def ended(pid: int) -> None:
    """Wait for a process that is about to end."""
    gone, handle = asyncio.Event(), os.pidfd_open(pid)
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, gone.set)
    try:
        async with asyncio.timeout(20):
            await gone.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="looks at processes as Linux does")
@pytest.mark.parametrize("killed", [False, True], ids=["nobody needs it", "memory is short"])
def test_a_reader_of_broken_feeds_that_ended_while_it_waited_costs_no_feed_its_check(killed: bool) -> None:
    async def go() -> None:
        parser = LenientParser(20, idle=600 if killed else 2)
        first = await parser.parse(BROKEN, "", FEED, NOW, 9)
        assert first is not None
        assert len(first.entries) == 1
        (waiting,) = helpers()
        if killed:
            os.kill(waiting, signal.SIGKILL)
        await ended(waiting)
        assert helpers() == set()
        assert await parser.parse(BROKEN, "", FEED, NOW, 9) == first
        await parser.aclose()
        assert helpers() == set()

    asyncio.run(go())


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="looks at processes as Linux does")
def test_broken_feeds_share_a_process_unless_one_of_them_holds_it_up() -> None:
    async def go() -> None:
        parser = LenientParser(20)
        first, *others = await asyncio.gather(*(parser.parse(BROKEN, "", FEED, NOW, 9) for _ in range(6)))
        assert first is not None
        assert others == [first] * 5
        (busy,) = helpers()
        os.kill(busy, signal.SIGSTOP)
        held_up = asyncio.create_task(parser.parse(BROKEN, "", FEED, NOW, 9))
        await asyncio.sleep(0)
        assert await parser.parse(BROKEN, "", FEED, NOW, 9) == first
        assert len(helpers()) == 2
        os.kill(busy, signal.SIGCONT)
        assert await held_up == first
        await parser.aclose()
        assert helpers() == set()

    asyncio.run(go())
