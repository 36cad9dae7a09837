"""`squall feeds add`, `remove`, `mute`, `import-opml`, `export-opml`: a running daemon follows all of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.commands.opening import settings_of
from monitor.errors import FeedListUnusable, InputUnusable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.feeds.autodiscovery import Discovery
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
    from pydantic import ValidationError

    from monitor.feeds.added import adding, changes_file, read_changes, write_changes
    from monitor.feeds.naming import described
    from monitor.watched import watched_feeds

    settings = settings_of(ctx)
    watching = watched_feeds(settings)
    try:
        title = ""
        if not unchecked:
            from monitor.feeds.autodiscovery import discover

            found = asyncio.run(discover(url, settings.polling, datetime.now(UTC), take))
            url, title = _chosen(found), found.title
        given = {"id": feed_id, "name": name, "publisher": publisher, "every_minutes": every_minutes}
        feed = described(url, name or title, {one.id for one in watching}, **given)
    except ValidationError as error:
        raise InputUnusable("; ".join(one["msg"] for one in error.errors())) from error
    if same := next((one for one in watching if one.enabled and one.url == feed.url), None):
        raise InputUnusable(f"{feed.url} is watched already, as {same.id}")
    if feed_id is not None and any(one.id == feed_id for one in watching):
        raise InputUnusable(f"there is a feed {feed_id!r} already: choose another --id, or remove that one first")
    file = changes_file(settings.store.path)
    write_changes(file, adding(read_changes(file), [feed]))
    click.echo(f"{feed.id}: {feed.name}, {feed.url}, is watched from the next round of checks on")


def _chosen(found: Discovery) -> str:
    """The address of the feed that was found.

    Raises:
        InputUnusable: when none was, with the reason; or several, with the list.
    """
    if found.url:
        return found.url
    if found.offers:
        lines = "\n".join(f"  {n}. {one.url}  {one.title}".rstrip() for n, one in enumerate(found.offers, start=1))
        raise InputUnusable(f"the page offers several feeds; choose one with --take N:\n{lines}")
    raise InputUnusable(found.check.reason or "there is no feed")


@click.command("remove")
@click.argument("feed_id", metavar="ID")
@click.pass_context
def remove(ctx: click.Context, feed_id: str) -> None:
    """Stop watching the feed ID; what it brought stays."""
    from monitor.feeds.added import changes_file, read_changes, removing, write_changes
    from monitor.watched import watched_feeds

    settings = settings_of(ctx)
    feed = watched(feed_id, watched_feeds(settings))
    file = changes_file(settings.store.path)
    write_changes(file, removing(read_changes(file), feed.id))
    click.echo(f"{feed.id} is no longer watched; `squall feeds add {feed.url}` watches it again")


@click.command("mute")
@click.argument("feed_id", metavar="ID")
@click.option("--off", is_flag=True, help="Hear it again; what it published meanwhile will not alert.")
@click.pass_context
def mute(ctx: click.Context, feed_id: str, off: bool) -> None:
    """Stop checking the feed ID for a while; it stays in the list."""
    from monitor.feeds.added import changes_file, muting, read_changes, write_changes
    from monitor.watched import listed_feeds, watched_feeds

    settings = settings_of(ctx)
    feed = watched(feed_id, watched_feeds(settings))
    file = changes_file(settings.store.path)
    changes = read_changes(file)
    if off and feed.id not in changes.muted and not feed.enabled:
        where = "the settings" if any(one.id == feed.id for one in listed_feeds(settings)) else str(file)
        raise InputUnusable(f"{feed.id} is disabled in {where}: set enabled = true in its [[feeds]] table")
    write_changes(file, muting(changes, feed.id, muted=not off))
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


def watched(feed_id: str, feeds: Sequence[Feed]) -> Feed:
    """The watched feed of this id.

    Raises:
        InputUnusable: when there is none; the message names the nearest.
    """
    import difflib

    found = next((feed for feed in feeds if feed.id == feed_id), None)
    if found is None:
        near = difflib.get_close_matches(feed_id, [feed.id for feed in feeds], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; `squall feeds list` lists them"
        raise InputUnusable(f"there is no feed {feed_id!r}{hint}")
    return found
