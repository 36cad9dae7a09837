"""`squall dashboard`: the pages, on loopback."""

from __future__ import annotations

import click

from monitor.commands.opening import settings_of


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on, instead of dashboard.port.")
@click.pass_context
def dashboard(ctx: click.Context, port: int | None) -> None:
    """Serve the dashboard until Ctrl-C; it reads beside a running daemon, or the store alone."""
    from monitor.service.dashboarding import dashboard_process, wait
    from monitor.service.ports import web_address

    settings = settings_of(ctx)
    if port:
        settings = settings.model_copy(update={"dashboard": settings.dashboard.model_copy(update={"port": port})})
    with dashboard_process(settings) as process:
        click.echo(f"the dashboard is on {web_address(settings.dashboard.host, settings.dashboard.port)}", err=True)
        ctx.exit(wait(process))
