"""`squall run` and `squall once`: the daemon, and a single cycle of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import structlog

from monitor.commands.opening import keep_private, make_folder, settings_of
from monitor.errors import ServiceError, StoreError, StoreLocked
from monitor.settings import Settings
from monitor.settings_file import find_settings, load_settings

if TYPE_CHECKING:
    from monitor.service.pipeline import Pipeline
    from monitor.storage.store import Store

log = structlog.get_logger(__name__)

# What somebody who starts a second one on the same store most likely wants.
_BESIDE_A_DAEMON = {
    "run": "`squall status` says how it is, `squall reload` gives it changed settings; to begin it anew",
    "once": "it polls, scores and alerts by itself, so a single cycle has nothing to do; `squall status` says how it "
    "is. To have single cycles instead",
}


@click.command()
@click.option("--dashboard", "with_dashboard", is_flag=True, help="Open the dashboard beside the daemon.")
@click.pass_context
def run(ctx: click.Context, with_dashboard: bool) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; what is in hand is finished first. SIGHUP reads the settings anew."""
    from monitor.service.daemon import Daemon
    from monitor.service.dashboarding import dashboard_process
    from monitor.service.notifying import service_manager

    settings = settings_of(ctx)
    # The file of the start, also when another one would be found later.
    file = find_settings(ctx.find_root().obj)

    async def serve() -> None:
        with ExitStack() as held:
            store = held.enter_context(_opened(settings, "run"))
            daemon = Daemon(
                settings, store, read_settings=lambda: load_settings(file), manager=service_manager(os.environ)
            )

            def ready() -> None:
                if with_dashboard:
                    try:
                        held.enter_context(dashboard_process(settings))
                    except ServiceError as error:
                        # A port is no reason to leave the news unwatched.
                        log.error("dashboard_unavailable", reason=str(error))

            await daemon.run(ready)
        if daemon.busy:
            # A receiver that hangs holds its thread, and asyncio and Python would wait for it; the store is closed.
            sys.stderr.flush()
            os._exit(0)

    asyncio.run(serve())


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON.")
@click.pass_context
def once(ctx: click.Context, as_json: bool) -> None:
    """Poll, score, store, detect and deliver once, and let the store forget what is old: for cron or a first look."""
    from monitor.service.pipeline import Pipeline
    from monitor.storage.setting_back import set_back

    settings = settings_of(ctx)
    now = datetime.now(UTC)

    async def cycle() -> dict[str, object]:
        with _opened(settings, "once") as store:
            # A clock that ran ahead the last time: what was due then would otherwise wait until then.
            set_back(store, now)
            pipeline = Pipeline.begin(settings, store, now)
            try:
                brought = await pipeline.ingest(now)
                changes = pipeline.detect(now)
                pipeline.oversee(now, {})
                # Each channel in a thread of its own: one that hangs keeps no other waiting.
                senders = (asyncio.to_thread(_sent, pipeline, channel) for channel in pipeline.channels)
                sent = sum(await asyncio.gather(*senders))
            finally:
                await pipeline.aclose()
            return {
                "checks": brought.checks,
                "failed": brought.failed,
                "headlines": brought.headlines,
                "scored": brought.scored,
                "alerts_changed": sum(change.notifies for change in changes),
                "deliveries_attempted": sent,
                "model_fault": pipeline.scoring.fault,
                "upkeep_fault": _forgotten(pipeline, now),
            }

    result = asyncio.run(cycle())
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in result.items() if value != ""))


def _forgotten(pipeline: Pipeline, now: datetime) -> str:
    """Upkeep, or a store that only single cycles write would grow without end; why it failed, empty when it did not."""
    try:
        pipeline.maintain(now)
    except StoreError as error:
        return str(error)
    return ""


def _sent(pipeline: Pipeline, channel: str) -> int:
    """Send everything that is due on one channel, each delivery once; the number of attempts."""
    now, sent = datetime.now(UTC), 0
    while made := pipeline.deliver(channel, now):
        sent += made
    return sent


def _opened(settings: Settings, asked: str) -> Store:
    from monitor.storage.readservice import read_address
    from monitor.storage.store import Store

    keep_private()
    chosen = settings.store
    path = Path(chosen.path)
    make_folder(path.parent)
    try:
        return Store.open(path, datetime.now(UTC), memory_limit=chosen.memory_limit, threads=chosen.threads)
    except StoreLocked as error:
        daemon = read_address(path)
        if daemon is None or f"held by process {daemon.pid}:" not in str(error):
            raise
        raise StoreLocked(
            f"the store {path} is held by process {daemon.pid}, the daemon: {_BESIDE_A_DAEMON[asked]}, stop it first "
            f"(`kill {daemon.pid}`, or `systemctl stop squall`)"
        ) from error
