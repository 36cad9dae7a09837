"""`squall status`: is all well?"""

from __future__ import annotations

from datetime import UTC, datetime

import click

from monitor.commands.opening import in_json, settings_of


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say how everything is; exit 0 when a daemon runs and no stage has failed, else 1."""
    from monitor.service.status import status as look
    from monitor.storage.reading import Reader

    settings = settings_of(ctx)
    with Reader.open(settings.store.path) as reader:
        state = look(reader, settings, datetime.now(UTC))
    if as_json:
        click.echo(in_json(state.as_dict()))
    else:
        click.echo(f"daemon   {'running' if state.alive else 'not running'}")
        click.echo(f"store    {state.store}, schema {state.schema_version}, {state.headlines} headlines")
        click.echo(f"model    {state.model or 'no score yet'}{f', {state.runtime}' if state.runtime else ''}")
        click.echo(f"feeds    {state.feeds}, {len(state.feeds_failing)} failing")
        click.echo(f"alerts   {state.alerts_open} open")
        for trouble in state.troubles:
            click.echo(f"! {trouble}")
    ctx.exit(0 if state.alive and not any(stage.reason for stage in state.stages) else 1)
