"""`squall label`: verdicts of people, one key each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from monitor.commands.opening import settings_of

# Older headlines are not what a desk remembers well enough to judge.
_BACK = timedelta(days=30)
_KEYS = {"n": "negative", "o": "neutral", "p": "positive"}


@click.command()
@click.argument("source", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("data/labels.jsonl"),
    show_default=True,
    help="Where labels go.",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Most headlines of one sitting.")
@click.option(
    "--unsure/--any", default=True, show_default=True, help="The headlines that the model is least sure of first."
)
@click.pass_context
def label(ctx: click.Context, source: Path | None, out: Path, limit: int, unsure: bool) -> None:
    """Show headlines of SOURCE, a file of any kind that `squall score` reads, or the store's latest, and label them.

    n is negative, o neutral, p positive, s skips, q ends. What was given is written at once.
    """
    from models.data.labels import Label, add_label, read_labels
    from models.text import readable

    texts = [text for text in map(readable, _texts(ctx, source, limit * 20)) if text]
    done = {one.text for one in read_labels(out, begins=True) if one.task == "sentiment"}
    waiting = [text for text in dict.fromkeys(texts) if text not in done]
    waiting = (_least_sure(ctx, waiting) if unsure else waiting)[:limit]
    given = 0
    for number, text in enumerate(waiting, 1):
        click.echo(f"\n{number}/{len(waiting)}  {text}")
        key = click.prompt("n negative, o neutral, p positive, s skip, q end", type=click.Choice([*_KEYS, "s", "q"]))
        if key == "q":
            break
        if key in _KEYS:
            add_label(out, Label(text, "sentiment", _KEYS[key]), datetime.now(UTC))
            given += 1
    click.echo(f"{given} labels added to {out}; learn from them with `squall train --continue ADAPTER --labels {out}`")


def _texts(ctx: click.Context, source: Path | None, limit: int) -> list[str]:
    if source is not None:
        from monitor.news.files import read_headlines

        frame, column = read_headlines(source)
        return [str(text) for text in frame[column].to_list()]
    from monitor.series import MARKET
    from monitor.storage.reading import Reader

    now = datetime.now(UTC)
    with Reader.open(settings_of(ctx).store.path) as reader:
        latest = reader.query(
            "headlines", series=MARKET, since=now - _BACK, until=now, negative_only=False, limit=limit
        )
    return [str(text) for text in latest["title"].to_list()]


def _least_sure(ctx: click.Context, texts: list[str]) -> list[str]:
    """Uncertainty sampling: a label teaches most where the model is in doubt."""
    if not texts:
        return texts
    from monitor.chosen_model import scorer_of

    sentiment, _ = scorer_of(settings_of(ctx).model).probabilities(texts)
    return [texts[index] for index in sentiment.max(1).argsort(kind="stable")]
