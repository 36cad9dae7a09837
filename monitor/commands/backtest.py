"""`squall backtest`: what would have been alerted?"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.commands.opening import settings_of
from monitor.errors import InputUnusable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from alerts.rules import Rules
    from monitor.backtesting.backtest import Report, Trial


_MINE = "your settings"


@click.command()
@click.argument("history")
@click.option(
    "--warmup-until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    metavar="TIME",
    help="Learn only, before this time (UTC, 2023-02-01 or 2023-02-01T12:00); else the learning period of the rules.",
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="A TOML file with a [rules] table, to be run beside your settings; may be given several times.",
)
@click.option(
    "--inject",
    type=click.IntRange(1, 200),
    multiple=True,
    help="Plant events of so many negative stories, and say how many are found; may be given several times.",
)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with pictures there.")
@click.option("--json", "as_json", is_flag=True, help="Print every alert as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@click.pass_context
def backtest(
    ctx: click.Context,
    history: str,
    warmup_until: datetime | None,
    compare: tuple[Path, ...],
    inject: tuple[int, ...],
    html: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Drive HISTORY through the real path.

    It is a CSV (published, outlet, title, and optionally summary, link), or a folder that `squall score` filled with
    scored Parquet, also in an object store, which is not scored again.
    """
    from rich.console import Console
    from rich.progress import Progress

    from monitor.backtesting.backtest import History

    settings = settings_of(ctx)
    rules = {_MINE: settings.rules} | {name: _rules(path, settings.rules) for name, path in _named(compare).items()}
    until = warmup_until.replace(tzinfo=UTC) if warmup_until else None
    _demand_folder(html)  # said before an hour of playing, not after it
    with Progress(console=Console(stderr=True), disable=quiet) as progress:
        played = History(history, settings, _bars(progress))
        reports = {name: played.play(one, until) for name, one in rules.items()}
        trials = {name: played.trials(one, until, inject, reports[name]) for name, one in rules.items()}
    if html:
        _write(html, reports, trials)
    if as_json:
        click.echo(json.dumps(_plain(reports, trials), indent=2))
        return
    _print(reports, trials)


def _bars(progress: Progress) -> Callable[[str, int, int], None]:
    """A bar for each stage, from its first step on."""
    bars: dict[str, TaskID] = {}

    def step(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = progress.add_task(stage, total=total)
        progress.update(bars[stage], completed=done)

    return step


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Each file by its name without folder and ending, or as it was given where another report has that name."""
    names = Counter([_MINE, *(path.stem for path in dict.fromkeys(paths))])
    return {path.stem if names[path.stem] == 1 else str(path): path for path in paths}


def _rules(path: Path, mine: Rules) -> Rules:
    """The rules of a file: what it leaves out is as in the settings."""
    from pydantic import ValidationError

    from alerts.rules import Rules
    from monitor.settings_findings import findings

    try:
        told = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("rules")
        if not isinstance(told, dict):
            raise InputUnusable(f"{path} has no [rules] table")
        return Rules.model_validate(mine.model_dump() | told)
    except ValidationError as error:
        raise InputUnusable(f"the rules in {path} cannot be used: {'; '.join(findings(error, Rules))}") from error
    except (OSError, ValueError) as error:
        raise InputUnusable(f"the rules in {path} cannot be used: {error}") from error


def _demand_folder(file: Path | None) -> None:
    if file is not None and not file.parent.is_dir():
        raise InputUnusable(f"{file} cannot be written: there is no folder {file.parent}")


def _write(file: Path, reports: Mapping[str, Report], trials: Mapping[str, Sequence[Trial]]) -> None:
    from monitor.backtesting.page import page

    try:
        file.write_text(page(reports, trials), encoding="utf-8")
    except OSError as error:
        raise InputUnusable(f"{file} cannot be written: {error.strerror or error}; name another with --html") from error


def _plain(reports: Mapping[str, Report], trials: Mapping[str, Sequence[Trial]]) -> dict[str, object]:
    """The first report as it always was; the others and the trials beside it where they were asked for."""
    from dataclasses import asdict

    first, *others = reports
    told = reports[first].as_dict()
    if others:
        told["compared"] = {name: reports[name].as_dict() for name in others}
    if any(trials.values()):
        told["trials"] = {
            name: [asdict(one) | {"recall": one.recall} for one in found] for name, found in trials.items()
        }
    return told


def _print(reports: Mapping[str, Report], trials: Mapping[str, Sequence[Trial]]) -> None:
    first = next(iter(reports.values()))
    click.echo(
        f"{first.headlines} headlines, {first.stories} stories, {first.since:%Y-%m-%d} to {first.until:%Y-%m-%d}"
    )
    for name, report in reports.items():
        under = f" under {name}" if len(reports) > 1 else ""
        click.echo(f"{len(report.alerts)} alerts after {report.warmup_until:%Y-%m-%d %H:%M} UTC{under}")
    for name, found in trials.items():
        for one in found:
            delay = "" if one.delay_hours is None else f", median delay {one.delay_hours:.1f} h"
            click.echo(
                f"{name}: {one.found} of {one.events} events of {one.size} stories found within a day{delay}; "
                f"{one.false_alerts} other new alerts"
            )
    for alert in first.alerts:
        ended = f"{alert.resolved_at:%Y-%m-%d %H:%M}" if alert.resolved_at else "open"
        click.echo(f"\n{alert.opened_at:%Y-%m-%d %H:%M} to {ended}  {alert.name}  [{alert.severity}]")
        click.echo(
            f"  {alert.detector}: {alert.seen} seen in {alert.hours} h, {alert.expected:.1f} expected, "
            f"p {alert.p_value:.1e}"
        )
        for story in alert.stories[:5]:
            click.echo(f"  - {story.publisher}: {story.title}")
