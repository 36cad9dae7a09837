"""`squall reload`: the settings, read anew by the running daemon."""

from __future__ import annotations

import click

from monitor.commands.opening import settings_of


@click.command()
@click.pass_context
def reload(ctx: click.Context) -> None:
    """Let the running daemon read its settings anew: all of them come into force, or none.

    Sections [store], [dashboard] and [metrics] take a restart.
    """
    from monitor.storage.reading import Reader

    settings = settings_of(ctx)
    with Reader.open(settings.store.path) as reader:
        told = reader.act("reload")
    changed = told.get("changed", []) if isinstance(told, dict) else []
    if changed:
        click.echo(f"in force, with changes in: {', '.join(map(str, changed))}")
    else:
        click.echo("in force; the file says what it said before, secrets were read anew")
