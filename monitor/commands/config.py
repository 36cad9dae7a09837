"""`squall config`: are the settings right, and what are they?"""

from __future__ import annotations

import json

import click

from alerts.errors import ChannelUnusable
from alerts.sending.channels import ChannelSettings, open_channel
from models.themes import Theme, head_of
from monitor.commands.opening import settings_of
from monitor.errors import SettingsUnusable
from monitor.settings import ModelSettings
from monitor.settings_file import find_settings, load_settings
from monitor.shown_settings import shown_settings


@click.group()
def config() -> None:
    """Check or show the settings."""


@config.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Read the settings, name every finding, exit 2 when there is one."""
    path = find_settings(ctx.find_root().obj)
    source = path or "no settings file: defaults and environment"
    settings = load_settings(path)
    found = (_unusable(settings.model), *map(_headless, settings.themes), *map(_finding, settings.channels))
    if findings := [*filter(None, found)]:
        raise SettingsUnusable(f"the settings in {source} are not usable:\n" + "\n".join(findings))
    click.echo(f"{source}: usable ({len(settings.feeds)} own feeds, {len(settings.channels)} channels)")


@config.command()
@click.pass_context
def show(ctx: click.Context) -> None:
    """Print the settings in force as JSON; secrets stay where they are, and webhook addresses lose their tokens."""
    click.echo(json.dumps(shown_settings(settings_of(ctx)), indent=2, ensure_ascii=False))


@config.command()
def example() -> None:
    """Print an example settings file that documents every key."""
    from monitor.example import example_toml

    click.echo(example_toml(), nl=False)


def _unusable(model: ModelSettings) -> str:
    """What is wrong with the adapter or encoder that scores; empty when nothing is. Neither is loaded."""
    from models.errors import ModelError
    from monitor.chosen_model import chosen_adapter

    try:
        chosen_adapter(model)
    except ModelError as error:
        return f"  model: {error}"
    return ""


def _headless(theme: Theme) -> str:
    """What is wrong with what a theme learned; empty when nothing is. Without it nothing at all could be scored."""
    from models.errors import ModelError

    try:
        head_of(theme)
    except ModelError as error:
        return f"  themes.{theme.id}: {error}"
    return ""


def _finding(channel: ChannelSettings) -> str:
    """What keeps a channel from working, as far as that shows without sending; empty when nothing does."""
    try:
        open_channel(channel)
    except ChannelUnusable as error:
        return f"  channels.{channel.name}: {error}"
    return ""
