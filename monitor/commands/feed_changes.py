"""`squall feeds add`, `remove`, `mute`, `import-opml`, `export-opml`: a running daemon follows all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.commands.opening import settings_of
from monitor.errors import FeedListUnusable, InputUnusable

if TYPE_CHECKING:
    from monitor.feeds.feed import Feed


@click.command("add")
@click.argument("url")
@click.option("--id", "feed_id", metavar="ID", help="Its id; made of its name when left out.")
@click.option("--name", metavar="NAME", help="What people call it; its own title when left out.")
@click.option("--publisher", metavar="HOUSE", help="The house behind it; that of its site when left out.")
@click.option("--every-minutes", type=click.IntRange(1, 1440), metavar="N", help="Minutes between two checks.")
@click.option("--take", type=click.IntRange(1), metavar="N", help="Which one to take of several that a page offers.")
@click.option("--unchecked", is_flag=True, help="Add it without looking at it.")
@click.pass_context
def add(
    ctx: click.Context,
    url: str,
    feed_id: str | None,
    name: str | None,
    publisher: str | None,
    every_minutes: int | None,
    take: int | None,
    unchecked: bool,
) -> None:
    """Watch the feed at URL, or the feed that the page at URL offers."""
    from monitor.desk.feed_requests import Wish
    from monitor.desk.feed_requests import add as watch

    wish = Wish(url, feed_id, name, publisher, every_minutes, take, unchecked)
    found = watch(settings_of(ctx), wish, datetime.now(UTC))
    if found.feed is None:
        lines = "\n".join(f"  {n}. {where}  {title}".rstrip() for n, (where, title) in enumerate(found.offers, start=1))
        raise InputUnusable(f"the page offers several feeds; choose one with --take N:\n{lines}")
    feed = found.feed
    click.echo(f"{feed.id}: {feed.name}, {feed.url}, is watched from the next round of checks on")


@click.command("remove")
@click.argument("feed_id", metavar="ID")
@click.pass_context
def remove(ctx: click.Context, feed_id: str) -> None:
    """Stop watching the feed ID; what it brought stays."""
    from monitor.desk import feed_requests

    feed = feed_requests.remove(settings_of(ctx), feed_id)
    click.echo(f"{feed.id} is no longer watched; `squall feeds add {feed.url}` watches it again")


@click.command("mute")
@click.argument("feed_id", metavar="ID")
@click.option("--off", is_flag=True, help="Hear it again; what it published meanwhile will not alert.")
@click.pass_context
def mute(ctx: click.Context, feed_id: str, off: bool) -> None:
    """Stop checking the feed ID for a while; it stays in the list."""
    from monitor.desk import feed_requests

    feed = feed_requests.mute(settings_of(ctx), feed_id, muted=not off)
    click.echo(
        f"{feed.id} is heard again" if off else f"{feed.id} is muted; `squall feeds mute {feed.id} --off` ends it"
    )


@click.command("import-opml")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--print", "printing", is_flag=True, help="Print them as [[feeds]] tables for your settings instead.")
@click.pass_context
def import_opml(ctx: click.Context, file: Path, printing: bool) -> None:
    """Watch the feeds of an OPML FILE that are not watched yet."""
    from monitor.feeds.added import adding, as_toml, changes_file, read_changes, write_changes
    from monitor.feeds.naming import unused
    from monitor.feeds.opml import read_opml
    from monitor.watched import watched_feeds

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FeedListUnusable(f"{file} cannot be read: {error}") from error
    found = read_opml(text)
    if printing:
        for feed in found:
            click.echo(as_toml(feed) + "\n")
        return
    settings = settings_of(ctx)
    watching = watched_feeds(settings)
    taken, addresses = {one.id for one in watching}, {one.url for one in watching}
    fresh: list[Feed] = []
    for feed in found:
        if feed.url not in addresses:
            fresh.append(feed.model_copy(update={"id": unused(feed.id, taken)}))
            taken.add(fresh[-1].id)
    target = changes_file(settings.store.path)
    if fresh:
        write_changes(target, adding(read_changes(target), fresh))
    click.echo(
        f"{len(fresh)} feeds are watched from the next round of checks on; {len(found) - len(fresh)} were already"
    )


@click.command("export-opml")
@click.pass_context
def export_opml(ctx: click.Context) -> None:
    """Print every watched feed as OPML 2.0, for other readers."""
    from monitor.feeds.opml import write_opml
    from monitor.watched import watched_feeds

    click.echo(write_opml(watched_feeds(settings_of(ctx))))
