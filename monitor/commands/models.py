"""`squall models`: what is at hand, which is better, which one scores."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.commands.opening import in_json, settings_of

if TYPE_CHECKING:
    from models.trust.metrics import Metrics
    from monitor.settings import ModelSettings

_FOLDER = click.Path(path_type=Path, file_okay=False)
_DATA = click.option("--data", type=_FOLDER, help="Folder of the public sets: their test parts are the frozen sets.")
_LABELS = click.option(
    "--labels",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Labels given with `squall label`: their test part.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class _Margin(click.FloatRange):
    """A range that refuses NaN too, which is neither below nor above anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or an error of usage."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


@click.group()
def models() -> None:
    """List, compare, promote and roll back models."""


@models.command("list")
@_JSON
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Every adapter at hand, and which one scores; exit 1 when that one cannot be used."""
    from models.library import Library

    settings = settings_of(ctx).model
    folder, model, fault = _scoring(settings)
    found = {one.folder: (one.model, one.fault) for one in Library(settings.library).adapters()}
    if folder is not None:
        found[folder] = (model, fault)
    rows = [
        {"model": name, "folder": str(place), "scores": place == folder, "fault": wrong}
        for place, (name, wrong) in found.items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            star = "*" if row["scores"] else " "
            click.echo(f"{star} {row['model'] or 'unusable':<28} {row['folder']}  {row['fault']}")
    if folder is None:
        click.echo(f"squall: which one scores is not known: {fault}", err=True)
    ctx.exit(1 if fault else 0)


def _scoring(settings: ModelSettings) -> tuple[Path | None, str, str]:
    """Folder and id of the model that scores, and why it cannot; no folder when it is not known which one does."""
    from models.errors import ModelError
    from monitor.chosen_model import chosen_adapter, chosen_folder

    folder = None
    try:
        folder = chosen_folder(settings)
        return folder, chosen_adapter(settings).model, ""
    except ModelError as error:
        return folder, "", str(error)


@models.command()
@click.argument("folders", nargs=-1, required=True, type=_FOLDER)
@_DATA
@_LABELS
@_JSON
@click.pass_context
def compare(
    ctx: click.Context, folders: tuple[Path, ...], data: Path | None, labels: tuple[Path, ...], as_json: bool
) -> None:
    """The champion and the adapters in FOLDERS, side by side on the frozen sets."""
    settings = settings_of(ctx).model
    figures = _measured(settings, folders, data, labels)
    if as_json:
        told = {model: {name: m.as_dict() for name, m in sets.items()} for model, sets in figures.items()}
        click.echo(json.dumps(told, indent=2))
        return
    _table(figures)


@models.command()
@click.argument("folder", type=_FOLDER)
@_DATA
@_LABELS
@click.option(
    "--margin",
    type=_Margin(0, 1),
    default=0.01,
    show_default=True,
    help="How much any set may lose in macro-F1 or negative recall.",
)
@click.pass_context
def promote(ctx: click.Context, folder: Path, data: Path | None, labels: tuple[Path, ...], margin: float) -> None:
    """Let the adapter in FOLDER score from now on, unless it is worse than the champion on any frozen set."""
    from models.adapters import find_adapter
    from models.library import Library
    from models.trust.promotion import judged

    settings = _of_the_library(ctx)
    figures = _measured(settings, (folder,), data, labels)
    (champion, before), *rest = figures.items()
    if not rest:
        click.echo(f"{champion} is the champion already")
        return
    ((challenger, after),) = rest
    _table(figures)
    verdict = judged(before, after, margin)
    if not verdict.promoted:
        for finding in verdict.findings:
            click.echo(f"refused: {finding}", err=True)
        click.echo(f"{champion} stays the champion", err=True)
        ctx.exit(1)
    Library(settings.library).promote(find_adapter(folder))
    click.echo(
        f"{challenger} is the champion; a running daemon takes it up in its next cycle, `squall rescore` redoes history"
    )


@models.command()
@click.pass_context
def rollback(ctx: click.Context) -> None:
    """Let the champion before this one score again."""
    from models.library import Library

    champion = Library(_of_the_library(ctx).library).roll_back()
    click.echo(f"{champion.model} is the champion again")


@models.command()
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How far back to look.")
@_JSON
@click.pass_context
def drift(ctx: click.Context, days: int, as_json: bool) -> None:
    """What the models said day by day: a mix that shifts, confidence that sinks, unknown words ask for a look."""
    import polars as pl

    from monitor.chosen_model import chosen_adapter
    from monitor.desk.odd_words import odd_words
    from monitor.service.page_actions import tokens_of
    from monitor.storage.reading import Reader

    settings, now = settings_of(ctx), datetime.now(UTC)
    since = now - timedelta(days=days)
    adapter = chosen_adapter(settings.model)
    tokens = tokens_of(adapter.settings.encoder, adapter.settings.longest)
    with Reader.open(settings.store.path) as reader:
        found = reader.query("drift", since=since, until=now, zone="UTC")
        odd = odd_words(reader, tokens, since, now)
    found = found.with_columns(unknown=pl.Series([odd.get(day, 0.0) for day in found["day"]], dtype=pl.Float64))
    if as_json:
        click.echo(in_json(found.to_dicts()))
        return
    columns = ("headlines", "negative", "neutral", "positive", "abstained", "confidence", "unknown")
    click.echo(f"{'day':<10}" + "".join(f"{name:>12}" for name in columns) + "  model")
    for row in found.iter_rows(named=True):
        shares = "".join(f"{row[name]:>12.3f}" for name in columns[1:])
        click.echo(f"{row['day']:%Y-%m-%d}{row['headlines']:>12}{shares}  {row['model']}")


def _of_the_library(ctx: click.Context) -> ModelSettings:
    """The settings, where the champion of the library is what scores."""
    settings = settings_of(ctx).model
    if settings.adapter:
        raise click.UsageError(
            "model.adapter in the settings names the model that scores; remove it to let a champion score"
        )
    return settings


def _measured(
    settings: ModelSettings, folders: tuple[Path, ...], data: Path | None, labels: tuple[Path, ...]
) -> dict[str, dict[str, Metrics]]:
    """Metrics by model and set: the champion first."""
    from models.trust.evaluation import frozen_sets, measured
    from monitor.chosen_model import adapter_in, chosen_adapter, scorer_of

    sets = frozen_sets(data, labels)
    if not sets:
        raise click.UsageError("name the frozen sets with --data FOLDER or --labels FILE")
    figures: dict[str, dict[str, Metrics]] = {}
    # The champion too: model.encoder may be there for a challenger of another size.
    for folder in (chosen_adapter(settings).folder, *folders):
        adapter = adapter_in(folder, settings)
        if adapter.model in figures:
            continue
        scorer = scorer_of(settings, adapter)
        figures[adapter.model] = {
            name: measured(scorer, rows) for name, rows in sets.items() if rows[0].task in scorer.tasks
        }
    return figures


def _table(figures: dict[str, dict[str, Metrics]]) -> None:
    names = list(dict.fromkeys(name for sets in figures.values() for name in sets))
    click.echo(f"{'set':<20}" + "".join(f"{model:>36}" for model in figures))
    click.echo(f"{'':<20}" + f"{'accuracy  macro-F1  neg. recall':>36}" * len(figures))
    for name in names:
        click.echo(f"{name:<20}" + "".join(f"{_cells(sets.get(name)):>36}" for sets in figures.values()))


def _cells(metrics: Metrics | None) -> str:
    if metrics is None:
        return "not learned"
    recall = f"{metrics.recall['negative']:.3f}" if "negative" in metrics.recall else "-"
    return f"{metrics.accuracy:.3f}     {metrics.macro_f1:.3f}        {recall:>5}"
