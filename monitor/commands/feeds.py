"""`squall feeds`: which feeds are watched, does one answer, and lists in and out."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import click

from monitor.commands.opening import settings_of
from monitor.errors import FeedListUnusable, InputUnusable


@click.group()
def feeds() -> None:
    """List and check feeds, read and write OPML."""


@feeds.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Every feed of the settings and the shipped list."""
    from monitor.watched import watched_feeds

    watched = watched_feeds(settings_of(ctx))
    if as_json:
        click.echo(json.dumps([feed.model_dump() for feed in watched], indent=2))
        return
    for feed in watched:
        mark = " " if feed.enabled else "-"
        click.echo(f"{mark} {feed.id:<34} {feed.publisher:<22} {feed.language}  {feed.category:<16} {feed.url}")


@feeds.command("check")
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, url: str, as_json: bool) -> None:
    """Fetch URL once as the daemon would, and say what came of it; exit 1 when it is no working feed."""
    from pydantic import ValidationError

    from monitor.feeds import Feed, unseen
    from monitor.polling import Poller

    now = datetime.now(UTC)
    try:
        feed = Feed(id="checked", url=url, name="the feed", publisher="checked")
    except ValidationError as error:
        raise InputUnusable("; ".join(one["msg"] for one in error.errors())) from error

    async def once() -> object:
        async with Poller(settings_of(ctx).polling) as poller:
            return (await poller.poll([(feed, unseen(feed, now))], now))[0]

    result = asyncio.run(once())
    from monitor.feeds import Check

    if not isinstance(result, Check):
        raise TypeError("the poller gives checks")
    entries = [
        {"title": entry.title, "link": entry.link, "published": entry.published and entry.published.isoformat()}
        for entry in result.entries
    ]
    if as_json:
        click.echo(json.dumps({"outcome": result.outcome, "reason": result.reason, "entries": entries}, indent=2))
    elif result.outcome.ok:
        click.echo(f"{result.outcome}: {len(entries)} entries in {result.millis} ms")
        for entry in entries[:5]:
            click.echo(f"  {entry['published'] or 'undated'}  {entry['title']}")
    else:
        click.echo(f"{result.outcome}: {result.reason}", err=True)
    ctx.exit(0 if result.outcome.ok else 1)


@feeds.command("parse")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def parse(file: Path) -> None:
    """Print what is in a feed FILE as JSON: {entries: [{id, title, link, published, summary}], problems: [...]}."""
    from monitor.companies import CompanyMatcher
    from monitor.feeds import Feed
    from monitor.headlines import headline
    from monitor.parsing import parse as parsed

    try:
        body = file.read_bytes()
    except OSError as error:
        raise InputUnusable(f"{file} cannot be read: {error}") from error
    now = datetime.now(UTC)
    feed = Feed(id="file", url="https://file.invalid/", name=file.name or "file", publisher="file")
    found = parsed(body, "", feed, now)
    companies = CompanyMatcher()
    made = [headline(entry, now, first_fetch=False, companies=companies) for entry in found.entries]
    entries = [
        {
            "id": f"{one.id:016x}",
            "title": one.title,
            "link": one.link,
            "published": one.published.isoformat() if one.published else None,
            "summary": one.summary,
        }
        for one in made
    ]
    click.echo(json.dumps({"entries": entries, "problems": list(found.problems)}, indent=2, ensure_ascii=False))


@feeds.command("import-opml")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def import_opml(file: Path) -> None:
    """Print the feeds of an OPML FILE as [[feeds]] tables, to be appended to your settings."""
    from monitor.opml import read_opml

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FeedListUnusable(f"{file} cannot be read: {error}") from error
    for feed in read_opml(text):
        click.echo("[[feeds]]")
        for key, value in feed.model_dump(exclude_defaults=True).items():
            # JSON's strings, numbers and booleans are TOML's as well.
            click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")
        click.echo()


@feeds.command("export-opml")
@click.pass_context
def export_opml(ctx: click.Context) -> None:
    """Print every watched feed as OPML 2.0, for other readers."""
    from monitor.opml import write_opml
    from monitor.watched import watched_feeds

    click.echo(write_opml(watched_feeds(settings_of(ctx))))
