"""`squall themes`: which risk themes are watched, and why a headline matches one or not."""

from __future__ import annotations

import json

import click

from monitor.commands.opening import settings_of


@click.group()
def themes() -> None:
    """List risk themes, try them on a headline."""


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

    from models.scorer import load_scorer
    from models.themes import ThemeMatcher
    from monitor.watched import watched_themes

    settings = settings_of(ctx)
    matcher = ThemeMatcher(watched_themes(settings), load_scorer(settings.model.adapter, device=settings.model.device))
    findings = matcher.explain(headline)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2, default=str))
        return
    for finding in sorted(findings, key=lambda one: (not one.reason.matches, -one.near.example)):
        mark = "yes" if finding.reason.matches else "no "
        words = finding.reason.value.replace("_", " ")
        click.echo(
            f"{mark}  {finding.theme:<20} {words:<16} similarity {finding.near.example:.2f} of {finding.needed:.2f}"
        )
