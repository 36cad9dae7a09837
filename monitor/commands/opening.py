"""What commands share: the settings that the user named, and a log that keeps off standard output.

takes  click's context
gives  `Settings`; a mask that keeps what is written private
never  opens anything else
"""

from __future__ import annotations

import os

import click

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
