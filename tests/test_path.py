"""The whole path, nothing replaced: real headlines, over HTTP, scored, stored, noticed, to a verified webhook."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape

import polars as pl
import pytest

from alerts.rules import Rules
from alerts.sending.secrets import Secret
from alerts.sending.webhook import WebhookSettings
from monitor.demo.receivers import Hook, Post, Verification
from monitor.feeds.feed import Feed
from monitor.feeds.poll_settings import PollSettings
from monitor.service.pipeline import Pipeline
from monitor.settings import Settings, StoreSettings, WatchSettings
from monitor.storage.store import Store

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BEGIN, END = datetime(2023, 2, 27, tzinfo=UTC), datetime(2023, 3, 14, tzinfo=UTC)
STEP = timedelta(hours=6)
FAMILIES = {"wsj-world": "dow-jones", "wsj-tech": "dow-jones"}


class Wire(http.server.ThreadingHTTPServer):
    """Serves each outlet's last two days of headlines as RSS, as far as the clock has come."""

    daemon_threads = True

    def __init__(self, rows: pl.DataFrame) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows = rows
        self.now = BEGIN

    def feed(self, outlet: str) -> str:
        shown = self.rows.filter(
            (pl.col("slug") == outlet) & (pl.col("at") <= self.now) & (pl.col("at") > self.now - timedelta(days=2))
        )
        items = "".join(
            f"<item><title>{escape(row['title'])}</title><link>{escape(row['link'] or '')}</link>"
            f"<pubDate>{format_datetime(row['at'])}</pubDate></item>"
            for row in shown.iter_rows(named=True)
        )
        return f'<rss version="2.0"><channel><title>{outlet}</title>{items}</channel></rss>'


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Wire

    def do_GET(self) -> None:
        body = self.server.feed(self.path.strip("/")).encode()
        self.send_response(200)
        self.send_header("content-type", "application/rss+xml")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        """Keep the test's output to itself."""


@contextmanager
def wire(rows: pl.DataFrame) -> Iterator[Wire]:
    server = Wire(rows)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def replay(shared_data: Path) -> pl.DataFrame:
    """Two weeks: nine ordinary days, then the bank stress of March 2023."""
    rows = pl.read_csv(shared_data / "replay" / "finance_2023q1.csv").with_columns(
        at=pl.col("published").str.to_datetime(time_zone="UTC"),
        slug=pl.col("outlet").str.to_lowercase().str.replace_all(" ", "-"),
    )
    return rows.filter(pl.col("at").is_between(BEGIN, END))


def settings_for(folder: Path, server: Wire, hook: Hook) -> Settings:
    secret = folder / "secret"
    secret.write_text(SECRET)
    feeds = tuple(
        Feed(
            id=one,
            url=f"http://127.0.0.1:{server.server_port}/{one}",
            name=one,
            publisher=FAMILIES.get(one, one),
            every_minutes=60,
        )
        for one in sorted(set(server.rows["slug"]))
    )
    channel = WebhookSettings(
        name="desk",
        type="webhook",
        url=hook.url,
        secret=Secret(f"file:{secret}"),
        allow_private_addresses=("127.0.0.1",),
    )
    return Settings(
        store=StoreSettings(path=folder / "squall.duckdb"),
        watch=WatchSettings(default_feeds=False),
        polling=PollSettings(
            allow_private_addresses=("127.0.0.1",),
            per_host=5,
            host_spacing_seconds=0,
            slowest_factor=1,
            max_entries=5_000,
        ),
        rules=Rules(learning_days=5),
        feeds=feeds,
        channels=(channel,),
    )


async def played(server: Wire, hook: Hook, settings: Settings, store: Store) -> None:
    pipeline = Pipeline.begin(settings, store, BEGIN)
    now = BEGIN
    try:
        while now <= END:
            server.now = now
            hook.clock(now)
            await pipeline.ingest(now)
            pipeline.detect(now)
            await asyncio.to_thread(pipeline.deliver, "desk", now)
            now += STEP
    finally:
        await pipeline.aclose()


def told(posts: tuple[Post, ...], theme: str) -> list[Post]:
    return [post for post in posts if post.payload["data"]["series"] == theme]


@pytest.mark.slow
def test_real_headlines_become_a_verified_webhook(shared_data: Path, tmp_path: Path) -> None:
    rows = replay(shared_data)
    with wire(rows) as server, Hook(SECRET, BEGIN) as hook:
        settings = settings_for(tmp_path, server, hook)
        with Store.open(settings.store.path, BEGIN) as store:
            asyncio.run(played(server, hook, settings, store))
            counts = store.counts()
            assert store.rollup_faults().is_empty()
    distinct = rows.select("slug", "link", "title").unique().height
    assert 0.97 * distinct <= counts.headlines <= distinct
    assert counts.awaiting_score == 0
    assert {post.verification for post in hook.posts} == {Verification.VERIFIED}
    assert len({post.id for post in hook.posts}) == len(hook.posts)
    assert told(hook.posts, "theme:bank-stress"), [post.payload["type"] for post in hook.posts]
