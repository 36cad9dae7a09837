"""`squall score`: a file or a pipe of headlines in, scores out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import polars as pl

from monitor.commands.opening import settings_of
from monitor.errors import InputUnusable
from monitor.news.files import FORMATS, format_of, read_headlines, scored_frame, write_frame

if TYPE_CHECKING:
    from monitor.news.companies import CompanyMatcher


@click.command()
@click.argument("source", default="-", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Write here instead of standard output.")
@click.option("--format", "-f", "format_", type=click.Choice(FORMATS), help="Else by the name of --out, else csv.")
@click.option("--column", default="", help="Column that holds the headline; else title, headline or text.")
@click.option("--companies", is_flag=True, help="Also score the sentiment towards each company that a headline names.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@click.pass_context
def score(
    ctx: click.Context,
    source: Path,
    out: Path | None,
    format_: str | None,
    column: str,
    companies: bool,
    quiet: bool,
) -> None:
    """Score SOURCE: text lines, CSV, JSON lines or Parquet, or `-` for lines on standard input.

    Every input row gives one output row, in order: its own columns, then sentiment, the three probabilities, topics,
    abstention and the model's id.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from monitor.chosen_model import scorer_of
    from monitor.news.companies import CompanyMatcher
    from monitor.news.own_companies import with_own

    settings = settings_of(ctx)
    frame, name = read_headlines(source, column)
    if out is not None and not out.parent.is_dir():
        # Said before an hour of scoring, not after it.
        raise InputUnusable(f"{out} cannot be written: there is no folder {out.parent}")
    scorer = scorer_of(settings.model)
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    texts = frame[name].to_list()
    named = _named(texts, CompanyMatcher(with_own(settings.companies))) if companies else None
    scored: list[pl.DataFrame] = []
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        bar = progress.add_task("scoring", total=frame.height)
        done = 0
        # Of an archive only a portion is held as scores; as columns of a frame they take a tenth of the memory.
        for scores in scorer.portions(texts, named, lambda some: progress.advance(bar, some)):
            scored.append(scored_frame(frame.slice(done, len(scores)), scores, companies=companies))
            done += len(scores)
    whole = pl.concat(scored) if scored else scored_frame(frame, [], companies=companies)
    write_frame(whole, out, format_ or format_of(out))


def _named(texts: list[str], matcher: CompanyMatcher) -> list[list[str]]:
    """For each text the companies that it names, each once, by the words that it uses first."""
    found = []
    for text in texts:
        names: dict[str, str] = {}
        for mention in matcher.mentions(text):
            names.setdefault(mention.ticker, mention.name)
        found.append(list(names.values()))
    return found
