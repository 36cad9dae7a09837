"""`squall evaluate`: how good is the model on your own labels?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from monitor.commands.opening import settings_of


@click.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV with the columns text and label; for companies JSON lines of text and entities.",
)
@click.option(
    "--task",
    type=click.Choice(["sentiment", "topic", "company"]),
    default="sentiment",
    show_default=True,
    help="Which labels the file holds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def evaluate(ctx: click.Context, data: Path, task: str, as_json: bool) -> None:
    """Measure accuracy, macro-F1, per-class recall and calibration on labelled headlines."""
    from models.trust.evaluation import evaluate as measured
    from monitor.chosen_model import scorer_of

    scorer = scorer_of(settings_of(ctx).model)
    metrics = measured(scorer, data, task)
    result = {"data": str(data), "task": task, "model": scorer.model, **metrics.as_dict()}
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(f"{data}: {metrics.n} texts, accuracy {metrics.accuracy:.3f}, macro-F1 {metrics.macro_f1:.3f}")
    for name, recall in metrics.recall.items():
        click.echo(f"  recall {name:<28} {recall:.3f}")
