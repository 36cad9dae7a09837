"""`squall backtest`: what would have been alerted?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from monitor.commands.opening import settings_of


@click.command()
@click.argument("history", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--warmup-until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Learn only, before this time (UTC); else the learning period of the rules.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every alert as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@click.pass_context
def backtest(ctx: click.Context, history: Path, warmup_until: datetime | None, as_json: bool, quiet: bool) -> None:
    """Drive HISTORY (CSV: published, outlet, title, and optionally summary, link) through the real path."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from monitor.backtest import backtest as run

    settings = settings_of(ctx)
    until = warmup_until.replace(tzinfo=UTC) if warmup_until else None
    with Progress(console=Console(stderr=True), disable=quiet) as progress:
        bars: dict[str, TaskID] = {}

        def step(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(stage, total=total)
            progress.update(bars[stage], completed=done)

        report = run(history, settings, until, step)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
        return
    click.echo(
        f"{report.headlines} headlines, {report.stories} stories, {report.since:%Y-%m-%d} to {report.until:%Y-%m-%d}"
    )
    click.echo(f"{len(report.alerts)} alerts after {report.warmup_until:%Y-%m-%d %H:%M} UTC")
    for alert in report.alerts:
        ended = f"{alert.resolved_at:%Y-%m-%d %H:%M}" if alert.resolved_at else "open"
        click.echo(f"\n{alert.opened_at:%Y-%m-%d %H:%M} to {ended}  {alert.name}  [{alert.severity}]")
        click.echo(f"  {alert.seen} negative in {alert.hours} h, {alert.expected:.1f} expected, p {alert.p_value:.1e}")
        for story in alert.stories[:5]:
            click.echo(f"  - {story.publisher}: {story.title}")
