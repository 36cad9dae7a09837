"""`squall score`: a file or a pipe of headlines in, scores out."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.commands.opening import settings_of
from monitor.errors import InputUnusable
from monitor.headline_files import FORMATS, format_of, read_headlines, scored_frame, write_frame


@click.command()
@click.argument("source", default="-", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Write here instead of standard output.")
@click.option("--format", "-f", "format_", type=click.Choice(FORMATS), help="Else by the name of --out, else csv.")
@click.option("--column", default="", help="Column that holds the headline; else title, headline or text.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@click.pass_context
def score(ctx: click.Context, source: Path, out: Path | None, format_: str | None, column: str, quiet: bool) -> None:
    """Score SOURCE: text lines, CSV, JSON lines or Parquet, or `-` for lines on standard input.

    Every input row gives one output row, in order: its own columns, then sentiment, the three probabilities, topics,
    abstention and the model's id.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.scorer import load_scorer

    settings = settings_of(ctx)
    frame, name = read_headlines(source, column)
    if out is not None and not out.parent.is_dir():
        # Said before an hour of scoring, not after it.
        raise InputUnusable(f"{out} cannot be written: there is no folder {out.parent}")
    scorer = load_scorer(
        settings.model.adapter,
        device=settings.model.device,
        precision=settings.model.precision,
        budget=settings.model.token_budget,
    )
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        bar = progress.add_task("scoring", total=frame.height)
        scores = scorer.score(frame[name].to_list(), lambda done: progress.advance(bar, done))
    write_frame(scored_frame(frame, scores), out, format_ or format_of(out))
