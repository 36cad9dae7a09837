"""`squall demo`: three invented weeks through the real path, offline, in about two minutes."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from alerts.lifecycle import Alert
from alerts.texts.wording import is_story, seen
from monitor.commands.opening import settings_of
from monitor.demo.play import ENDS, SEED, STORE, Tick, play
from monitor.demo.verdict import DemoResult
from monitor.errors import InputUnusable
from monitor.logs import set_up_logs
from monitor.settings import LogSettings, Settings, StoreSettings, WatchSettings

_EVIDENCE_SHOWN = 6


@click.command()
@click.option("--headless", is_flag=True, help="Do not open the dashboard afterwards.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; progress goes to standard error.")
@click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True, help="Which story is told.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder that keeps the demo's store.")
@click.pass_context
def demo(ctx: click.Context, headless: bool, as_json: bool, seed: int, keep: Path | None) -> None:
    """Play three invented weeks through the real path, offline.

    A newsroom on this machine publishes made-up headlines of made-up companies; polling, scoring, storing, detecting
    and delivering are the daemon's own. Near the end an invented bank fails. Exits 0 when exactly that raised an
    alert, and both a signed webhook and a mail told of it once.
    """
    from monitor.service.dashboarding import demand_port

    settings = settings_of(ctx)
    if not headless:
        demand_port(settings)  # said before minutes of playing, not after them
    # Only what goes wrong: the bar shows the rest.
    set_up_logs(LogSettings(level="warning", format=settings.log.format))
    console = Console(stderr=as_json)
    with _folder(keep) as folder:
        console.print("Everything that follows is fiction: companies, countries, people and publishers are invented.\n")
        result = asyncio.run(_play(folder, seed, settings, console))
        if as_json:
            click.echo(json.dumps(result.as_dict(), indent=2, ensure_ascii=False))
        else:
            _tell(result, console)
        if keep:
            console.print(f"The store is kept: {folder / STORE}")
        if not headless:
            _open_dashboard(folder, settings, console)
    ctx.exit(0 if result.ok else 1)


async def _play(folder: Path, seed: int, settings: Settings, console: Console) -> DemoResult:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("loading the model", total=None)

        def progress(tick: Tick) -> None:
            words = f"{tick.now:%a %d %b %H:00}  {tick.headlines:5} headlines  {'calm' if tick.calm else 'bank run'}"
            bar.update(task, completed=tick.number, total=tick.ticks, description=words)
            for change in tick.changes:
                if change.notifies:
                    alert = change.alert
                    found = f"{seen(alert.series, alert.observed)} in {alert.hours} h, {alert.expected:.1f} expected"
                    name = _name(alert)
                    bar.print(Text(f"{tick.now:%a %d %b %H:00}  {name} {change.reason.value}: {found}"))

        return await play(folder, seed=seed, ends=ENDS, progress=progress, model=settings.model)


def _name(alert: Alert) -> str:
    """The series; a breaking story by its title, since its id says nothing."""
    told = alert.evidence[0].title if is_story(alert.series) and alert.evidence else ""
    return f"breaking story {told!r}" if told else alert.series


def _tell(result: DemoResult, console: Console) -> None:
    played = result.played
    for change in result.fired:
        alert = change.alert
        title = (
            f"{_name(alert)} fired {change.at:%a %d %b %H:%M} UTC: {seen(alert.series, alert.observed)}, "
            f"{alert.expected:.1f} expected"
        )
        table = Table("at", "publishers", "story", title=Text(title), title_justify="left")
        for story in alert.evidence[:_EVIDENCE_SHOWN]:
            # Titles are text: rich must not read brackets in them as markup.
            table.add_row(f"{story.at:%d %b %H:%M}", Text(", ".join(story.publishers)), Text(story.title))
        console.print(table)
    facts = result.as_dict()
    console.print(
        f"{played.headlines} headlines, {played.stories} stories, {played.seconds:.0f} s; "
        f"{result.calm_alerts} alerts in the calm weeks; "
        f"webhooks: {facts['webhook']['received']}, signature valid: {facts['webhook']['verified']}; "
        f"mails: {facts['mail']['received']}"
    )
    for reason in result.reasons:
        console.print(Text(f"not as it should be: {reason}", style="bold red"))
    if result.ok:
        console.print("[bold green]All as it should be.[/]")


def _open_dashboard(folder: Path, settings: Settings, console: Console) -> None:
    """The dashboard on the demo's store, until Ctrl-C."""
    from monitor.desk.actions import actions_of
    from monitor.news.companies import CompanyMatcher
    from monitor.news.own_companies import with_own
    from monitor.service.dashboarding import dashboard_process, wait
    from monitor.service.explaining import Explainer
    from monitor.service.page_actions import for_pages
    from monitor.storage.readservice import ReadService
    from monitor.storage.store import Store
    from monitor.watched import watched_themes

    def ended() -> datetime:
        return ENDS

    path = folder / STORE
    shown = Settings(
        store=StoreSettings(path=path),
        watch=WatchSettings(default_feeds=False),
        dashboard=settings.dashboard,
        model=settings.model,
    )
    with ExitStack() as held:
        store = held.enter_context(Store.open(path, ENDS))
        explainer = Explainer(shown.model, watched_themes(shown), CompanyMatcher(with_own(shown.companies)))
        held.callback(explainer.close)
        acts = {**actions_of(store, ended), "explain": explainer.explain}
        held.enter_context(ReadService(store, for_pages(shown, store, ended, acts)))
        process = held.enter_context(dashboard_process(shown, ENDS))
        console.print("The dashboard shows the demo's store; Ctrl-C ends it.")
        try:
            wait(process)
        except KeyboardInterrupt:
            console.print("stopped")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="squall-demo-") as name:
            yield Path(name)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputUnusable(f"the folder {keep} cannot be made: {error.strerror}; name another with --keep") from error
    yield keep
