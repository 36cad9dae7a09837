"""`squall score`: a file or a pipe of headlines in, scores out; or whole archives, on one machine or many."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import polars as pl

from monitor.commands.opening import settings_of
from monitor.errors import InputUnusable
from monitor.news.files import FORMATS, format_of, read_headlines, scored_frame, write_frame

if TYPE_CHECKING:
    from rich.progress import Progress

    from monitor.archives.run import Wanted
    from monitor.news.companies import CompanyMatcher
    from monitor.settings import Settings


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option("--out", "-o", help="Write here instead of standard output; of an archive, the folder of its parts.")
@click.option("--format", "-f", "format_", type=click.Choice(FORMATS), help="Else by the name of --out, else csv.")
@click.option("--column", default="", help="Column that holds the headline; else title, headline or text.")
@click.option("--companies", is_flag=True, help="Also score the sentiment towards each company that a headline names.")
@click.option(
    "--engine", type=click.Choice(("local", "ray")), help="Score an archive: in this process, or on a Ray cluster."
)
@click.option("--lean", is_flag=True, help="Of an archive: sentiment and topics alone, without companies and themes.")
@click.option(
    "--workers",
    type=click.IntRange(0, 100_000),
    default=0,
    help="Actors on the cluster at most; 0: one a GPU, else one for every few cores.",
)
@click.option("--part-rows", type=click.IntRange(1, 10_000_000), default=20_000, help="Rows of a part of an archive.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@click.pass_context
def score(
    ctx: click.Context,
    paths: tuple[str, ...],
    out: str | None,
    format_: str | None,
    column: str,
    companies: bool,
    engine: str | None,
    lean: bool,
    workers: int,
    part_rows: int,
    quiet: bool,
) -> None:
    """Score PATH: text lines, CSV, JSON lines or Parquet, or `-` for lines on standard input.

    Every input row gives one output row, in order: its own columns, then sentiment, the three probabilities, topics,
    abstention and the model's id.

    Several paths, a folder, a glob, an address such as s3://bucket/news, or --engine make it an archive: it is scored
    in parts into the folder --out, as the daemon would score it, and goes on where it was stopped.
    """
    settings = settings_of(ctx)
    if engine is None and not _is_archive(paths):
        _score_file(
            settings, Path(paths[0] if paths else "-"), Path(out) if out else None, format_, column, companies, quiet
        )
        return
    from monitor.archives.engines import Engine
    from monitor.archives.run import Wanted

    if not paths or "-" in paths:
        raise click.UsageError("an archive is files, folders, globs or addresses: name some")
    if out is None:
        raise click.UsageError("an archive is scored into a folder: name it with --out")
    if format_ is not None or companies:
        raise click.UsageError(
            "an archive is written as Parquet, with its companies: leave out --format and --companies"
        )
    _score_archive(settings, Wanted(paths, out, Engine(engine or "local"), column, lean, workers, part_rows), quiet)


def _is_archive(paths: tuple[str, ...]) -> bool:
    return len(paths) > 1 or any(
        "://" in one or Path(one).is_dir() or (any(c in one for c in "*?") and not Path(one).exists()) for one in paths
    )


def _score_archive(settings: Settings, wanted: Wanted, quiet: bool) -> None:
    from monitor.archives.run import score_archive

    with _progress(quiet) as progress:
        bar = progress.add_task("scoring", total=None)
        found = score_archive(
            wanted,
            settings,
            lambda: datetime.now(UTC),
            lambda total, kept: progress.update(bar, total=total, completed=kept),
            lambda some: progress.advance(bar, some),
        )
    before = f", {found.kept} of them before" if found.kept else ""
    failed = f"; {found.failed} failed, see {wanted.out}/failed" if found.failed else ""
    click.echo(f"{found.rows} rows in {found.parts} parts scored by {found.model}{before}{failed}")


def _score_file(
    settings: Settings, source: Path, out: Path | None, format_: str | None, column: str, companies: bool, quiet: bool
) -> None:
    from monitor.chosen_model import scorer_of
    from monitor.news.companies import CompanyMatcher
    from monitor.news.own_companies import with_own

    frame, name = read_headlines(source, column)
    if out is not None and not out.parent.is_dir():
        # Said before an hour of scoring, not after it.
        raise InputUnusable(f"{out} cannot be written: there is no folder {out.parent}")
    scorer = scorer_of(settings.model)
    texts = frame[name].to_list()
    named = _named(texts, CompanyMatcher(with_own(settings.companies))) if companies else None
    scored: list[pl.DataFrame] = []
    with _progress(quiet) as progress:
        bar = progress.add_task("scoring", total=frame.height)
        done = 0
        # Of an archive only a portion is held as scores; as columns of a frame they take a tenth of the memory.
        for scores in scorer.portions(texts, named, lambda some: progress.advance(bar, some)):
            scored.append(scored_frame(frame.slice(done, len(scores)), scores, companies=companies))
            done += len(scores)
    whole = pl.concat(scored) if scored else scored_frame(frame, [], companies=companies)
    write_frame(whole, out, format_ or format_of(out))


def _progress(quiet: bool) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=quiet)


def _named(texts: list[str], matcher: CompanyMatcher) -> list[list[str]]:
    """For each text the companies that it names, each once, by the words that it uses first."""
    found = []
    for text in texts:
        names: dict[str, str] = {}
        for mention in matcher.mentions(text):
            names.setdefault(mention.ticker, mention.name)
        found.append(list(names.values()))
    return found
