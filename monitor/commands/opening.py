"""What commands share: the settings that the user named, and a log that keeps off standard output.

takes  click's context
gives  `Settings`; a mask that keeps what is written private; a folder to write into; answers as JSON
never  opens anything else
"""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import click

from monitor.errors import StoreUnavailable
from monitor.logs import set_up_logs
from monitor.settings import Settings
from monitor.settings_file import find_settings, load_settings


def settings_of(ctx: click.Context) -> Settings:
    """The settings of this call, from --config or the usual places.

    Raises:
        SettingsUnusable: see `load_settings`.
    """
    settings = load_settings(find_settings(ctx.find_root().obj))
    set_up_logs(settings.log)
    return settings


def keep_private() -> None:
    """From now on, whatever this process writes is for its owner's eyes only: the store, its log, backups, archives."""
    os.umask(0o077)


def demand_store(store: Path) -> None:
    """See that there is a store, where a command would otherwise make an empty one.

    Raises:
        StoreUnavailable: when there is none, or it cannot be seen whether there is.
    """
    try:
        there = store.exists()
    except OSError as error:
        raise StoreUnavailable(
            f"the store {store} cannot be looked at: {error.strerror or error}; check the rights of its folder"
        ) from error
    if not there:
        raise StoreUnavailable(f"there is no store at {store} yet: start one with `squall run`")


def in_json(told: object) -> str:
    """JSON for people and programs, every instant in ISO 8601."""
    return json.dumps(
        told, indent=2, default=lambda value: value.isoformat() if isinstance(value, date) else str(value)
    )


def make_folder(folder: Path) -> None:
    """Make a folder for the store or its backups, with all above it, where there is none yet.

    Raises:
        StoreUnavailable: when it cannot be made: rights, a disk that is read-only, a file in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"the folder {folder} cannot be made: {error.strerror or error} ({error.filename}); make it yourself, or "
            "name another place: store.path in the settings, FILE of a backup"
        ) from error
