"""`squall backfill`: a scored archive into the store."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from monitor.commands.opening import keep_private, make_folder, settings_of


@click.command()
@click.argument("archive")
@click.option(
    "--stories",
    type=click.Choice(("words", "copies")),
    default="words",
    help="Join headlines into stories by their words, as the daemon does, or only copies; words by default.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@click.pass_context
def backfill(ctx: click.Context, archive: str, stories: str, quiet: bool) -> None:
    """Take ARCHIVE, a folder that `squall score` filled, into the store, with stories and hourly counts.

    From then on series have their usual rates and seasons, and count as watched since the archive begins. Nothing of
    an archive ever alerts. The daemon must be stopped; a run that is cut off goes on at the next call.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from monitor.archives.backfill import By
    from monitor.archives.backfill import backfill as take_in
    from monitor.archives.slices import Archive
    from monitor.storage.store import Store

    settings = settings_of(ctx)
    keep_private()
    # Looked at first: an archive that is none leaves no store behind.
    told, chosen, now = Archive(archive), settings.store, datetime.now(UTC)
    make_folder(chosen.path.parent)
    with Store.open(chosen.path, now, memory_limit=chosen.memory_limit, threads=chosen.threads) as store:
        columns = (TextColumn("taking in"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
            bar = progress.add_task("taking in", total=told.rows)
            found = take_in(told, store, settings, now, By(stories), lambda some: progress.advance(bar, some))
    before = f", {found.resumed} of them before" if found.resumed else ""
    left = "".join(f", {rows} {reason}" for reason, rows in found.left_out.items())
    click.echo(f"{found.rows} rows read{before}: {found.kept} headlines kept{left}")
