"""`squall config`: are the settings right, and what are they?"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import click

from alerts.errors import ChannelUnusable
from alerts.sending.channels import open_channel
from models.themes import head_of
from monitor.commands.opening import settings_of
from monitor.errors import FeedListUnusable, SettingsUnusable
from monitor.settings_file import find_settings, load_settings
from monitor.shown_settings import shown_settings
from monitor.watched import watched_feeds


@click.group()
def config() -> None:
    """Check or show the settings."""


@config.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Read the settings, name every finding, exit 2 when there is one."""
    from monitor.chosen_model import chosen_adapter

    path = find_settings(ctx.find_root().obj)
    source = path or "no settings file: defaults and environment"
    settings = load_settings(path)
    # As far as that shows without sending and without loading a model.
    parts: list[tuple[str, Callable[[], object]]] = [
        ("model", partial(chosen_adapter, settings.model)),
        ("feeds", partial(watched_feeds, settings)),
        # Without what a theme learned nothing at all could be scored.
        *((f"themes.{theme.id}", partial(head_of, theme)) for theme in settings.themes),
        *((f"channels.{channel.name}", partial(open_channel, channel)) for channel in settings.channels),
    ]
    if findings := [*filter(None, (_fault(name, opened) for name, opened in parts))]:
        raise SettingsUnusable(f"the settings in {source} are not usable:\n" + "\n".join(findings))
    feeds, channels = sum(one.enabled for one in watched_feeds(settings)), len(settings.channels)
    click.echo(
        f"{source}: usable ({feeds} {'feed' if feeds == 1 else 'feeds'} watched, "
        f"{channels} {'channel' if channels == 1 else 'channels'})"
    )


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


def _fault(name: str, opened: Callable[[], object]) -> str:
    """What is wrong with a part of the settings, found by opening it; empty when nothing is."""
    from models.errors import ModelError

    try:
        opened()
    except (ModelError, ChannelUnusable, FeedListUnusable) as error:
        return f"  {name}: {error}"
    return ""
