"""`squall feeds`: which feeds are watched, how they are, does one answer, and what is in a file."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.commands import feed_changes
from monitor.commands.opening import in_json, settings_of
from monitor.errors import InputUnusable, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from monitor.feeds.feed import Entry, FeedState
    from monitor.feeds.health import Health
    from monitor.settings import Settings

_CHECKS = 20
_SHOWN = 5


@click.group()
def feeds() -> None:
    """List, check and change feeds, read and write OPML."""


for _command in (
    feed_changes.add,
    feed_changes.remove,
    feed_changes.mute,
    feed_changes.import_opml,
    feed_changes.export_opml,
):
    feeds.add_command(_command)


@feeds.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Every watched feed with its state: `squall feeds show` tells more of one."""
    from monitor.feeds.health import health
    from monitor.watched import watched_feeds

    settings = settings_of(ctx)
    now = datetime.now(UTC)
    watched = watched_feeds(settings)
    states = _states(settings)
    looked = [(feed, health(feed, states.get(feed.id), now)) for feed in watched]
    if as_json:
        click.echo(json.dumps([feed.model_dump() | _told(found) for feed, found in looked], indent=2))
        return
    for feed, found in looked:
        following = "-" if found.next_check_at is None else f"{found.next_check_at:%m-%d %H:%M}"
        words = f"  {found.reason}" if found.reason else ""
        click.echo(f"{found.state:<9} {feed.id:<34} {following:<12} {feed.publisher:<22} {feed.url}{words}")


@feeds.command("show")
@click.argument("feed_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, feed_id: str, as_json: bool) -> None:
    """How the feed ID is, when it is asked next and why then, and its latest checks."""
    from monitor.desk.feed_requests import watched
    from monitor.feeds.health import health
    from monitor.watched import watched_feeds

    settings = settings_of(ctx)
    feed = watched(feed_id, watched_feeds(settings))
    found = health(feed, _states(settings).get(feed_id), datetime.now(UTC))
    past = _history(settings, feed_id)
    if as_json:
        click.echo(in_json(feed.model_dump() | _told(found) | {"checks": past}))
        return
    click.echo(f"{feed.name} ({feed.id}), {feed.url}")
    click.echo(f"state       {found.state}{': ' + found.reason if found.reason else ''}")
    if found.next_check_at is not None:
        click.echo(f"next check  {found.next_check_at:%Y-%m-%d %H:%M} UTC{', ' + found.pace if found.pace else ''}")
    for check in past:
        numbers = f"{check['entries']:>4} entries {check['fresh']:>4} new {check['millis']:>6} ms"
        click.echo(f"{check['at']:%Y-%m-%d %H:%M}  {check['outcome']:<15} {numbers}  {check['reason']}".rstrip())


@feeds.command("check")
@click.argument("address", metavar="URL-OR-FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, address: str, as_json: bool) -> None:
    """Fetch a URL once as the daemon would, or read a FILE, and say what came of it; exit 1 when it is no feed."""
    outcome, reason, millis, entries = _from_file(Path(address)) if _is_file(address) else _from_web(ctx, address)
    shown = [
        {"title": entry.title, "link": entry.link, "published": entry.published and entry.published.isoformat()}
        for entry in entries
    ]
    if as_json:
        click.echo(json.dumps({"outcome": outcome, "reason": reason, "entries": shown}, indent=2))
    elif not reason:
        click.echo(f"{outcome}: {len(shown)} entries in {millis} ms")
        for entry in shown[:_SHOWN]:
            click.echo(f"  {entry['published'] or 'undated'}  {entry['title']}")
    else:
        click.echo(f"{outcome}: {reason}", err=True)
    ctx.exit(1 if reason else 0)


@feeds.command("parse")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON; it always does.")
def parse(file: Path, as_json: bool) -> None:
    """Print what is in a feed FILE as JSON: {entries: [{id, title, link, published, summary}], problems: [...]}."""
    from monitor.feeds.feed import Feed
    from monitor.feeds.parsing import parse as parsed
    from monitor.news.headlines import headline
    from monitor.news.names import named

    now = datetime.now(UTC)
    feed = Feed(id="file", url="https://file.invalid/", name=file.name[:200] or "file", publisher="file")
    found = parsed(_bytes(file), "", feed, now)
    made = [(entry, headline(entry, now, first_fetch=False, companies=_NoCompanies())) for entry in found.entries]
    entries = [
        {
            "id": f"{one.id:016x}",
            "title": one.headline.title,
            "link": one.headline.link,
            "published": one.headline.published.isoformat() if one.headline.published else None,
            "summary": one.headline.summary,
        }
        for one in named(made)
    ]
    click.echo(json.dumps({"entries": entries, "problems": list(found.problems)}, indent=2, ensure_ascii=False))


class _NoCompanies:
    """Parsing a file asks for no companies."""

    def match(self, title: str) -> tuple[str, ...]:
        return ()


def _is_file(address: str) -> bool:
    return "://" not in address


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputUnusable(f"{file} cannot be read: {error}") from error


def _from_file(file: Path) -> tuple[str, str, int, Sequence[Entry]]:
    from monitor.feeds.concluding import judged
    from monitor.feeds.feed import Feed
    from monitor.feeds.parsing import parse as parsed

    begun = datetime.now(UTC)
    feed = Feed(id="file", url="https://file.invalid/", name=file.name[:200] or "file", publisher="file")
    answer = judged(parsed(_bytes(file), "", feed, begun), 0)
    millis = round((datetime.now(UTC) - begun).total_seconds() * 1_000)
    return answer.outcome, "" if answer.outcome.ok else f"{file}: {answer.words}", millis, answer.entries


def _from_web(ctx: click.Context, url: str) -> tuple[str, str, int, Sequence[Entry]]:
    from pydantic import ValidationError

    from monitor.feeds.feed import Check, Feed, unseen
    from monitor.feeds.polling import Poller
    from monitor.settings_findings import findings

    now = datetime.now(UTC)
    try:
        feed = Feed(id="checked", url=url, name="the feed", publisher="checked")
    except ValidationError as error:
        raise InputUnusable("; ".join(findings(error, Feed))) from error

    async def once() -> Check:
        async with Poller(settings_of(ctx).polling) as poller:
            return (await poller.poll([(feed, unseen(feed, now))], now))[0]

    result = asyncio.run(once())
    return result.outcome, result.reason, result.millis, result.entries


def _told(found: Health) -> dict[str, object]:
    following = found.next_check_at and found.next_check_at.isoformat()
    return {"state": found.state.value, "reason": found.reason, "next_check_at": following, "pace": found.pace}


def _states(settings: Settings) -> dict[str, FeedState]:
    """What the store remembers; nothing when there is no store yet."""
    from monitor.feeds.feed import FeedState

    return {row["feed"]: FeedState(**row) for row in _asked(settings, "feed_states")}


def _history(settings: Settings, feed: str) -> list[dict[str, Any]]:
    return _asked(settings, "feed_checks", feed=feed, limit=_CHECKS)


def _asked(settings: Settings, query: str, **params: object) -> list[dict[str, Any]]:
    from monitor.storage.reading import Reader

    if not settings.store.path.exists():
        return []
    try:
        with Reader.open(settings.store.path) as reader:
            rows: pl.DataFrame = reader.query(query, **params)
    except StoreUnavailable as error:
        click.echo(f"squall: what is remembered of the feeds cannot be read: {error}", err=True)
        return []
    return rows.to_dicts()
