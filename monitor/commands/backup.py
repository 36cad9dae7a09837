"""`squall backup`, `squall restore`, `squall compact`: a second copy of the store, the way back, a smaller file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.commands.opening import demand_store, keep_private, make_folder, settings_of

if TYPE_CHECKING:
    from monitor.storage.backup import Manifest

# A store of ten gigabytes on a slow disk.
_LONGEST_SECONDS = 3600.0


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--check/--no-check", default=True, help="Read the backup from end to end, and note what lies in it.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
@click.pass_context
def backup(ctx: click.Context, file: Path | None, check: bool, as_json: bool) -> None:
    """Copy the store into FILE, while the daemon runs or not.

    FILE may be a folder; without it the backup lies in the folder backups beside the store. It is never overwritten.
    """
    from monitor.storage.backup import look_into

    settings, now = settings_of(ctx), datetime.now(UTC)
    keep_private()
    demand_store(settings.store.path)
    to = _target(file, settings.store.path, now)
    manifest = _copied(settings.store.path, to, now)
    if check:
        manifest = look_into(to, manifest)
    if as_json:
        told = {name: table.rows for name, table in manifest.tables.items()}
        click.echo(json.dumps({"file": str(to), "bytes": manifest.bytes, "sha256": manifest.sha256, "rows": told}))
        return
    rows = manifest.tables.get("headlines")
    held = f", {rows.rows} headlines, every value read" if rows else ", not looked into"
    click.echo(f"{to}: {manifest.bytes / 2**20:.1f} MiB{held}; `squall restore {to}` brings it back")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
def restore(ctx: click.Context, file: Path) -> None:
    """Put the backup FILE in the place of the store; the daemon must be stopped.

    The former store is kept beside it. What the feeds bring first after the next start is stored and counted, and does
    not alert.
    """
    from monitor.storage.backup import restore as put_back

    settings, now = settings_of(ctx), datetime.now(UTC)
    keep_private()
    make_folder(settings.store.path.parent)
    done = put_back(file, settings.store.path, now)
    made = f" of {done.made_at[:16].replace('T', ' ')} UTC" if done.made_at else ""
    kept = f"; the former store is {done.replaced}: remove it when all is well" if done.replaced else ""
    click.echo(f"{settings.store.path}: restored from the backup{made}, {done.headlines} headlines{kept}")


@click.command()
@click.pass_context
def compact(ctx: click.Context) -> None:
    """Write the store into a fresh file, without the free space in it; the daemon must be stopped.

    Free space is used again by itself: this is for a disk that needs it back after much was moved to the archive.
    """
    from monitor.storage.compacting import compact as rewrite

    settings = settings_of(ctx).store
    keep_private()
    demand_store(settings.path)
    done = rewrite(settings.path, settings.memory_limit, settings.threads)
    click.echo(f"{settings.path}: {done.before / 2**20:.1f} MiB before, {done.after / 2**20:.1f} MiB now")


def _target(file: Path | None, store: Path, now: datetime) -> Path:
    """Where the backup goes: a file of its own, by the minute."""
    name = f"squall-{now:%Y%m%dT%H%M%SZ}.duckdb"
    if file is None:
        folder = store.parent / "backups"
        make_folder(folder)
        return (folder / name).absolute()
    with _looking_at(file):
        return (file / name if file.is_dir() else file).absolute()


@contextmanager
def _looking_at(path: Path) -> Iterator[None]:
    from monitor.errors import InputUnusable

    try:
        yield
    except OSError as error:
        raise InputUnusable(
            f"{path} cannot be looked at: {error.strerror or error}; check the rights of its folder, or name another"
        ) from error


def _copied(store: Path, to: Path, now: datetime) -> Manifest:
    """Let the daemon copy the store when one runs, else copy it here."""
    from monitor.storage.backup import Manifest, copy_store
    from monitor.storage.database import Database
    from monitor.storage.reading import Reader

    with Reader(store) as reader:
        told = reader.act_if_live("backup", _LONGEST_SECONDS, to=str(to))
    if told is not None:
        told.pop("tables")
        return Manifest(**told)
    database = Database(store)
    try:
        return copy_store(database, to, now)
    finally:
        database.close()
