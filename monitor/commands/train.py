"""`squall train`: an adapter of your own."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from models.data.datasets import Example
    from models.training.recipes import Recipe
    from models.training.train import Step

# Characters of a summary's first sentence that is worth an opinion: neither a stub nor a paragraph.
_SENTENCE = (40, 220)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--data",
    type=_FOLDER,
    help="Folder of the public sets: sentiment/sentfin.jsonl, sentiment/tfns.csv, topic/tfnt.csv.",
)
@click.option(
    "--out",
    type=_FOLDER,
    default=Path("runs/adapter"),
    show_default=True,
    help="Folder for the adapter, its metrics and its card.",
)
@click.option("--recipe", type=click.Path(path_type=Path), help="TOML file that overrides values of the recipe.")
@click.option(
    "--unlabelled",
    type=_FILE,
    multiple=True,
    help="Headlines (lines, CSV, JSON lines, Parquet) to learn the teachers' opinion of; may be repeated.",
)
@click.option("--labels", type=_FILE, multiple=True, help="Labels given with `squall label`; may be repeated.")
@click.option(
    "--continue", "start", type=_FOLDER, help="Go on from this adapter, keeping its skill, instead of from nothing."
)
@click.option(
    "--left-out",
    metavar="PART",
    help="Train without that part of the labelled texts, such as 2/6: of several teachers each leaves out another.",
)
@click.option("--resume", is_flag=True, help="Go on with a run of the same recipe and data that was cut off.")
@click.option("--tensorboard", type=_FOLDER, help="Write TensorBoard event files into this folder.")
def train(
    data: Path | None,
    out: Path,
    recipe: Path | None,
    unlabelled: tuple[Path, ...],
    labels: tuple[Path, ...],
    start: Path | None,
    left_out: str | None,
    resume: bool,
    tensorboard: Path | None,
) -> None:
    """Train adapter and heads, measure them on the held-out test parts, write the card."""
    if data is None and not (start and labels):
        raise click.UsageError("name the training sets with --data, or --continue ADAPTER with --labels FILE")
    from models.training.adapting import shaped_like
    from models.training.recipes import Recipe, load_recipe
    from models.training.train import train as trained

    if out.name in ("", ".."):
        # `.` and `..` are names that no model can be called by.
        out = out.resolve()
    base = _gentle(shaped_like(Recipe(), start), start) if start else Recipe()
    chosen = load_recipe(recipe, base)
    if start:
        chosen = replace(chosen, start=str(start))
    if left_out:
        chosen = replace(chosen, left_out=left_out)
    if unlabelled and not chosen.teachers:
        raise click.UsageError("--unlabelled needs a recipe with teachers: nobody else knows what they say")
    examples = [*_public(data), *_labelled(labels), *_unlabelled(unlabelled)]
    with _watching(tensorboard) as watch:
        trained(chosen, examples, out, click.echo, watch, resume=resume)
    click.echo(f"the adapter is in {out}; put it to work with `squall models promote {out}`")


def _gentle(recipe: Recipe, start: Path) -> Recipe:
    """Few small steps from an adapter that knows its trade, which also teaches: what it knew is what it keeps."""
    return replace(
        recipe,
        start=str(start),
        teachers=(str(start),),
        teacher_weight=0.5,
        teacher_softness=1.0,
        epochs=3,
        lora_rate=recipe.lora_rate / 8,
        heads_rate=recipe.heads_rate / 8,
        averaging=0.9,
    )


def _public(data: Path | None) -> list[Example]:
    from models.data.datasets import phrasebank, training_sets

    if data is None:
        return []
    examples = training_sets(data)
    # Not ours to train on: every row of it is a test row.
    evaluated_only = data / "sentiment" / "fpb_50Agree.txt"
    return examples + (phrasebank(evaluated_only) if evaluated_only.is_file() else [])


def _labelled(files: tuple[Path, ...]) -> list[Example]:
    from models.data.labels import examples, labels_of

    return examples(labels_of(files))


def _unlabelled(files: tuple[Path, ...]) -> list[Example]:
    """For the teachers: each headline, alone and with every company that it names; each summary's first sentence."""
    from models.data.datasets import UNLABELLED, Example, Part
    from models.text import readable
    from monitor.news.companies import CompanyMatcher
    from monitor.news.files import read_headlines

    matcher = CompanyMatcher()
    examples: dict[tuple[str, str], Example] = {}
    for file in files:
        frame, column = read_headlines(file)
        summaries = frame["summary"].cast(str).fill_null("").to_list() if "summary" in frame.columns else []
        for title in filter(None, map(readable, frame[column].to_list())):
            examples[(title, "")] = Example(title, UNLABELLED, "sentiment", "unlabelled", Part.TRAIN)
            for mention in matcher.mentions(title):
                one = Example(title, UNLABELLED, "company", "unlabelled", Part.TRAIN, mention.name)
                examples[(title, mention.name)] = one
        for sentence in map(_first_sentence, map(readable, summaries)):
            if _SENTENCE[0] < len(sentence) < _SENTENCE[1]:
                examples[(sentence, "")] = Example(sentence, UNLABELLED, "sentiment", "unlabelled", Part.TRAIN)
    return list(examples.values())


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]


@contextmanager
def _watching(tensorboard: Path | None) -> Iterator[Callable[[Step], None]]:
    """A line of progress on a terminal, and TensorBoard's event files where they are asked for."""
    from models.training.event_files import EventFiles

    events = EventFiles(tensorboard) if tensorboard else None
    terminal = sys.stderr.isatty()

    def step_done(step: Step) -> None:
        if events:
            events.add(step)
        if terminal:
            line = f"\rstep {step.number}/{step.total}  loss {step.loss:.4f}  {step.texts_per_second:.0f} texts/s "
            click.echo(line, nl=step.number == step.total, err=True)

    try:
        yield step_done
    finally:
        if events:
            events.close()
