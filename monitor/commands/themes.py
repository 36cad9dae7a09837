"""`squall themes`: which risk themes are watched, why a headline matches one or not, and themes that are learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.commands.opening import settings_of
from monitor.errors import InputUnusable

if TYPE_CHECKING:
    from models.themes import Finding


@click.group()
def themes() -> None:
    """List risk themes, try them on a headline, add your own."""


@themes.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Every watched theme with its description."""
    from monitor.watched import watched_themes

    watched = watched_themes(settings_of(ctx))
    if as_json:
        click.echo(json.dumps([theme.model_dump(mode="json") for theme in watched], indent=2))
        return
    width = max((len(theme.id) for theme in watched), default=0)
    for theme in watched:
        click.echo(f"{theme.id:<{width}}  {theme.name}: {theme.description}")


@themes.command("test")
@click.argument("headline")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def test(ctx: click.Context, headline: str, as_json: bool) -> None:
    """Say which themes HEADLINE matches, and why the others do not."""
    from dataclasses import asdict

    from models.themes import ThemeMatcher
    from monitor.chosen_model import embedder_for, scorer_of
    from monitor.watched import watched_themes

    settings = settings_of(ctx)
    matcher = ThemeMatcher(watched_themes(settings), embedder_for(scorer_of(settings.model)))
    findings = matcher.explain(headline)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2, default=str))
        return
    for finding in sorted(findings, key=lambda one: (not one.reason.matches, -one.near.example)):
        mark = "yes" if finding.reason.matches else "no "
        words = finding.reason.value.replace("_", " ")
        click.echo(f"{mark}  {finding.theme:<20} {words:<17} {_measure(finding)} of {finding.needed:.2f}")


def _measure(finding: Finding) -> str:
    """What was held against what was needed."""
    learned = finding.near.learned >= 0
    return f"probability {finding.near.learned:.2f}" if learned else f"similarity {finding.near.example:.2f}"


@themes.command("add")
@click.argument("id_", metavar="ID")
@click.option("--name", required=True, help="What people call it.")
@click.option("--description", required=True, help="One sentence that says what belongs to it.")
@click.option("--example", multiple=True, help="A headline that belongs to it; give five or more.")
@click.option("--counter-example", multiple=True, help="A headline that looks alike and does not belong to it.")
@click.option("--term", multiple=True, help="Words that speak for it; with one of them less similarity suffices.")
@click.option("--strong-term", multiple=True, help="Words that are enough alone.")
@click.option("--excluded-term", multiple=True, help="Words that refuse a headline, whatever else speaks for it.")
@click.option("--needs-term", is_flag=True, help="Refuse headlines without a term, however similar.")
@click.pass_context
def add(
    ctx: click.Context,
    id_: str,
    name: str,
    description: str,
    example: tuple[str, ...],
    counter_example: tuple[str, ...],
    term: tuple[str, ...],
    strong_term: tuple[str, ...],
    excluded_term: tuple[str, ...],
    needs_term: bool,
) -> None:
    """Write a theme of your own into the settings file; it is watched from the next start, or `squall reload`, on."""
    from pydantic import ValidationError

    from models.themes import Theme
    from monitor.settings_file import FILE, find_settings
    from monitor.settings_findings import findings
    from monitor.theme_file import add_theme
    from monitor.watched import watched_themes

    if any(theme.id == id_ for theme in watched_themes(settings_of(ctx))):
        raise InputUnusable(f"the theme {id_!r} is watched already; `squall themes list` shows it")
    try:
        theme = Theme(
            id=id_,
            name=name,
            description=description,
            examples=example,
            counter_examples=counter_example,
            terms=term,
            strong_terms=strong_term,
            excluded_terms=excluded_term,
            needs_term=needs_term,
        )
    except ValidationError as error:
        raise InputUnusable("; ".join(findings(error, Theme))) from error
    path = find_settings(ctx.find_root().obj) or Path(FILE)
    add_theme(path, theme)
    click.echo(f"theme {id_} is in {path}; try it with `squall themes test`, and watch it with `squall reload`")


@themes.command("fit")
@click.argument("id_", metavar="ID")
@click.argument("labels", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path), help="Where the head goes; data/themes/ID.json by default.")
@click.pass_context
def fit(ctx: click.Context, id_: str, labels: Path, out: Path | None) -> None:
    """Learn the theme ID from LABELS, a CSV with the columns text and label (yes or no); sixteen of each or more."""
    from models.data.datasets import of_theme
    from models.encoder import EMBEDDED_SHA256
    from models.theme_heads import fitted, save_head
    from monitor.chosen_model import embedder_for, scorer_of
    from monitor.settings_file import FILE, find_settings
    from monitor.theme_file import add_theme
    from monitor.watched import watched_themes

    settings = settings_of(ctx)
    theme = next((one for one in watched_themes(settings) if one.id == id_), None)
    if theme is None:
        raise InputUnusable(
            f"no theme {id_!r} is watched; `squall themes list` shows them, `squall themes add` adds one"
        )
    texts, verdicts = of_theme(labels)
    head = fitted(embedder_for(scorer_of(settings.model)).embed(texts), verdicts, EMBEDDED_SHA256)
    file = out or Path("data/themes") / f"{id_}.json"
    save_head(head, file)
    click.echo(
        f"{file}: fitted on {head.positives} headlines of the theme and {head.negatives} others; of those left out of "
        f"the fit in turn, precision {head.precision:.2f}, recall {head.recall:.2f}"
    )
    if any(one.id == id_ for one in settings.themes):
        click.echo(
            f"put this line into its [[themes]] table, and restart the daemon:\nlearned = {json.dumps(str(file))}"
        )
        return
    path = find_settings(ctx.find_root().obj) or Path(FILE)
    add_theme(path, theme.model_copy(update={"learned": str(file)}))
    click.echo(f"theme {id_} is in {path} with it; try it with `squall themes test`, and restart the daemon")
