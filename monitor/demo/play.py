"""The demo's run: the real path, fed by an invented newsroom, three weeks in two minutes.

takes  a folder for the store, a seed, the hour at which the story ends
gives  `DemoResult`; the store stays in the folder
never  reaches beyond 127.0.0.1, or puts anything else in the place of a part that the daemon runs

Only the clock is simulated: each tick is an hour of the story.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alerts.lifecycle import Change
from alerts.rules import Rules
from alerts.sending.mail import MailSettings
from alerts.sending.secrets import Secret
from alerts.sending.webhook import WebhookSettings
from monitor.demo.newsroom import LOOPBACK, Newsroom
from monitor.demo.receivers import Hook, Mailbox
from monitor.demo.storyline import PUBLISHERS, Storyline, storyline
from monitor.demo.verdict import MAIL, WEBHOOK, DemoResult, Played, judge
from monitor.errors import InputUnusable
from monitor.feeds.feed import Feed
from monitor.feeds.poll_settings import PollSettings
from monitor.service.pipeline import Pipeline
from monitor.settings import ModelSettings, Settings, StoreSettings, WatchSettings
from monitor.storage.desk_store import DeskStore
from monitor.storage.store import Store

STORE = "demo.duckdb"
SEED = 7
# A fixed hour, so that the demo tells everybody the same story on whatever day it is played: a Friday night, the
# second day of the bank run.
ENDS = datetime(2026, 11, 20, 22, tzinfo=UTC)
_SECRET = "webhook.secret"  # noqa: S105 - the name of a file
_LEARNING_DAYS = 5
_MAINTAIN_EVERY = 24  # ticks
_SETTLING = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Tick:
    """How far the run is: `number` of `ticks` simulated hours; headlines so far, and what just changed."""

    now: datetime
    number: int
    ticks: int
    headlines: int
    calm: bool
    changes: tuple[Change, ...]


Progress = Callable[[Tick], None]


@dataclass(slots=True)
class _Tally:
    """Sums over the run."""

    headlines: int = 0
    scored: int = 0
    checks: int = 0
    failed: int = 0


async def play(
    folder: Path, *, seed: int, ends: datetime, progress: Progress, model: ModelSettings | None = None
) -> DemoResult:
    """Play the story of a seed through the real path.

    Args:
        folder: exists; gets the store and the webhook's secret.
        seed: of the storyline.
        ends: when the story ends, aware UTC; the hour before it is the last.
        progress: called after every simulated hour.
        model: which model scores; the shipped one when None.

    Raises:
        InputUnusable: when the folder holds the store of an earlier demo, or is no folder.
        StoreError: when the store cannot be written.
    """
    begun = time.monotonic()
    story = storyline(seed, ends)
    _demand_fresh(folder)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    (folder / _SECRET).touch(mode=0o600)
    (folder / _SECRET).write_text(secret)
    with Newsroom(story) as newsroom, Hook(secret, story.starts) as hook, Mailbox() as mailbox:
        settings = demo_settings(folder, newsroom, hook, mailbox, model or ModelSettings())
        with Store.open(folder / STORE, story.starts) as store:
            tally, changes = await _run(Pipeline.begin(settings, store, story.starts), story, newsroom, hook, progress)
            stories = len({row[0] for row in store.recent_titles(story.starts)})
            unsent = DeskStore(store).unsent()
        return judge(
            Played(
                seed=seed,
                starts=story.starts,
                breaks=story.breaks,
                ends=story.ends,
                published=len(story.items),
                headlines=tally.headlines,
                scored=tally.scored,
                stories=stories,
                checks=tally.checks,
                failed_checks=tally.failed,
                changes=changes,
                posts=hook.posts,
                letters=mailbox.letters,
                seconds=time.monotonic() - begun,
                unsent=unsent,
            )
        )


def demo_settings(folder: Path, newsroom: Newsroom, hook: Hook, mailbox: Mailbox, model: ModelSettings) -> Settings:
    """The settings that a user would write, with the newsroom's six feeds and the two receivers in them."""
    return Settings(
        store=StoreSettings(path=folder / STORE),
        model=model,
        watch=WatchSettings(default_feeds=False),
        polling=PollSettings(
            allow_private_addresses=(LOOPBACK,), per_host=len(PUBLISHERS), host_spacing_seconds=0, slowest_factor=1
        ),
        rules=Rules(learning_days=_LEARNING_DAYS),
        feeds=tuple(
            Feed(
                id=publisher.id,
                url=newsroom.url(publisher.id),
                name=f"{publisher.name} (fiction)",
                publisher=publisher.id,
                every_minutes=30,
            )
            for publisher in PUBLISHERS
        ),
        channels=(
            WebhookSettings(
                name=WEBHOOK,
                type="webhook",
                url=hook.url,
                secret=Secret(f"file:{folder / _SECRET}"),
                allow_private_addresses=(LOOPBACK,),
            ),
            MailSettings(
                name=MAIL,
                type="mail",
                host=LOOPBACK,
                port=mailbox.port,
                security="none",
                sender="Squall <squall@demo.example>",
                recipients=("desk@demo.example",),
            ),
        ),
    )


async def _run(
    pipeline: Pipeline, story: Storyline, newsroom: Newsroom, hook: Hook, progress: Progress
) -> tuple[_Tally, tuple[Change, ...]]:
    tally = _Tally()
    changes: list[Change] = []
    hours = list(story.ticks())
    try:
        for number, now in enumerate(hours, 1):
            newsroom.clock(now)
            hook.clock(now)
            came = await pipeline.ingest(now)
            tally.headlines += came.headlines
            tally.scored += came.scored
            tally.checks += came.checks
            tally.failed += came.failed
            changed = pipeline.detect(now)
            changes += changed
            await _deliver(pipeline, now)
            if number % _MAINTAIN_EVERY == 0:
                pipeline.maintain(now)
            progress(Tick(now, number, len(hours), tally.headlines, now < story.breaks, changed))
        # What a receiver asked to wait for is sent a little later.
        await _deliver(pipeline, story.ends + _SETTLING)
    finally:
        await pipeline.aclose()
    return tally, tuple(changes)


async def _deliver(pipeline: Pipeline, now: datetime) -> None:
    """Channels block and must not be called on an event loop: each has a thread, as in the daemon."""
    await asyncio.gather(*(asyncio.to_thread(pipeline.deliver, channel, now) for channel in pipeline.channels))


def _demand_fresh(folder: Path) -> None:
    if not folder.is_dir():
        raise InputUnusable(f"{folder} is no folder: make it first")
    if (folder / STORE).exists():
        raise InputUnusable(f"{folder / STORE} is the store of an earlier demo: name another folder, or remove it")
