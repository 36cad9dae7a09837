"""`squall doctor`: what keeps Squall from its work, and what to do about it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.commands.opening import settings_of
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.service.checkup import Finding
    from monitor.storage.forecast import Growth
    from monitor.storage.reading import Reader

# No clock that is right says less: this version did not exist then.
_RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
_LONGEST_SECONDS = 1800.0

# By channel: outcome and reason of its last attempt, and how many of its messages were given up.
_Last = dict[str, tuple[str, str, int]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print every finding as JSON.")
@click.option("--quick", is_flag=True, help="Leave out what takes long: reading the whole store, loading the model.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, quick: bool) -> None:
    """Look at store, disk, clock, ports, model, channels, feeds, files and backups; exit 1 when one of them is bad."""
    from monitor.service.checkup import Verdict

    settings, now = settings_of(ctx), datetime.now(UTC)
    found: list[Finding] = []
    for finding in _findings(settings, now, quick=quick):
        found.append(finding)
        if not as_json:
            click.echo(f"{finding.verdict.value:<5} {finding.subject}: {finding.words}")
            if finding.way_out:
                click.echo(f"      {finding.way_out}")
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    ctx.exit(1 if any(finding.verdict is Verdict.BAD for finding in found) else 0)


def _findings(settings: Settings, now: datetime, *, quick: bool) -> Iterator[Finding]:
    from monitor.errors import ServiceError, StoreError
    from monitor.service.checkup import Finding, Verdict
    from monitor.storage.reading import Reader

    running = False
    last: _Last = {}
    try:
        with Reader.open(settings.store.path) as reader:
            running = reader.live
            last = yield from _of_the_store(reader, settings, now, quick=quick)
    except (StoreError, ServiceError) as error:
        told, _, way_out = str(error).partition(": ")
        yield Finding("store", Verdict.BAD, told, way_out or "see docs/operations.md")
    yield from _of_channels(settings, last)
    yield from _of_the_machine(settings, now, running=running)
    if not quick:
        yield _of_the_model(settings)


def _of_the_store(reader: Reader, settings: Settings, now: datetime, *, quick: bool) -> Generator[Finding, None, _Last]:
    """What is in the store; gives how channels did at last."""
    from monitor.service.checkup import clock_finding, disk_finding, feeds_finding, store_finding
    from monitor.service.status import status

    growth, faults, rows = _examined(reader, settings, now, quick=quick)
    if not quick:
        yield store_finding(faults, rows)
    yield disk_finding(shutil.disk_usage(settings.store.path.parent).free, growth, settings.store.keep_days)
    counts = reader.query("status").row(0, named=True)
    yield clock_finding(now, counts["last_check_at"], _RELEASED)
    state = status(reader, settings, now)
    failing = [(one.feed, one.reason) for one in state.feeds_failing]
    silent_hours = settings.notify.no_data_hours
    unasked = _unasked(reader, settings, now)
    yield feeds_finding(state.feeds, failing, counts["last_success_at"], now, silent_hours, unasked=unasked)
    return {one.channel: (one.last_outcome, one.last_reason, one.dead) for one in state.channels}


def _unasked(reader: Reader, settings: Settings, now: datetime) -> int:
    """How many watched feeds nobody has asked yet."""
    from monitor.watched import watched_feeds

    asked = {row["feed"] for row in reader.query("feeds", since=now).iter_rows(named=True) if row["last_check_at"]}
    return sum(feed.enabled and feed.id not in asked for feed in watched_feeds(settings))


def _examined(reader: Reader, settings: Settings, now: datetime, *, quick: bool) -> tuple[Growth, list[str], int]:
    """How the store grows, what is wrong in it, and how many rows were read: asked of the daemon where one runs."""
    from monitor.desk.care import examined
    from monitor.storage.database import Database
    from monitor.storage.forecast import Growth

    told = reader.act_if_live("examine", _LONGEST_SECONDS, quick=quick)
    if told is None:
        database = Database(settings.store.path, read_only=True)
        try:
            told = examined(database, now, quick=quick)
        finally:
            database.close()
    return Growth(**told["growth"]), list(told["faults"]), int(told["rows"])


def _of_channels(settings: Settings, last: _Last) -> Iterator[Finding]:
    from alerts.errors import ChannelUnusable
    from alerts.sending.channels import open_channel
    from monitor.service.checkup import channel_finding, no_channel_finding

    if not settings.channels:
        yield no_channel_finding()
    for channel in settings.channels:
        unusable = ""
        try:
            open_channel(channel)
        except ChannelUnusable as error:
            unusable = str(error)
        outcome, reason, dead = last.get(channel.name, ("", "", 0))
        yield channel_finding(channel.name, unusable, "" if outcome in ("", "delivered") else reason, dead)


def _of_the_machine(settings: Settings, now: datetime, *, running: bool) -> Iterator[Finding]:
    from monitor.service.checkup import Finding, Verdict, backup_finding, files_finding, port_finding
    from monitor.service.ports import refusal
    from monitor.storage.backup import manifest_file

    yield port_finding(
        "dashboard", settings.dashboard.port, refusal(settings.dashboard.host, settings.dashboard.port), running=True
    )
    if settings.metrics.port:
        yield port_finding(
            "metrics", settings.metrics.port, refusal("127.0.0.1", settings.metrics.port), running=running
        )
    store = settings.store.path
    private = [store, Path(f"{store}.wal"), Path(f"{store}.service.json"), *_secret_files(settings)]
    folder = store.parent / "backups"
    try:
        yield files_finding({path: path.stat().st_mode for path in private if path.exists()})
        made = [
            datetime.fromtimestamp(file.stat().st_mtime, UTC)
            for file in folder.glob("*.duckdb")
            if manifest_file(file).exists()
        ]
        yield backup_finding(made, now, folder)
    except OSError as error:
        words = f"{error.filename} cannot be looked at: {error.strerror}"
        yield Finding("files", Verdict.LOOK, words, "ask as the user that the daemon runs as, or check the rights")


def _secret_files(settings: Settings) -> Iterator[Path]:
    """Files that channels read secrets from."""
    for channel in settings.channels:
        for value in channel.model_dump(mode="json").values():
            if isinstance(value, str) and value.startswith("file:"):
                with suppress(RuntimeError):  # no home folder
                    yield Path(value.removeprefix("file:")).expanduser()


def _of_the_model(settings: Settings) -> Finding:
    from models.errors import ModelError
    from monitor.service.checkup import Finding, Verdict
    from monitor.service.scoring import Scoring
    from monitor.watched import watched_themes

    scoring = Scoring(settings.model, watched_themes(settings))
    try:
        model = scoring.load()
    except (ModelError, RuntimeError, OSError, ImportError) as error:
        way_out = "headlines wait unscored until it can: put [model] in the settings right, or `squall models rollback`"
        return Finding("model", Verdict.BAD, str(error) or type(error).__name__, way_out)
    finally:
        scoring.close()
    return Finding("model", Verdict.WELL, f"{model}, by {scoring.runtime or 'this process'}")
