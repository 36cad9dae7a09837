"""What people ask of feeds: watch another one, mute, stop, look now.

takes  settings, and what is asked in plain values; now
gives  what came of it, in plain values; changes in the file beside the store, which the daemon follows
never  adds what was not looked at, unless that is asked for, and never makes a server be asked sooner than it wished
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from monitor.errors import InputUnusable
from monitor.feeds.added import adding, changes_file, muting, read_changes, removing, write_changes
from monitor.feeds.autodiscovery import Discovery, discover
from monitor.feeds.feed import Feed
from monitor.feeds.naming import described
from monitor.settings import Settings
from monitor.settings_findings import findings
from monitor.storage.store import Store
from monitor.watched import listed_feeds, watched_feeds

# A look at an address and at the feed that its page offers; less than a client waits for an answer.
_LOOK_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A feed as somebody asks for it; None where its own title, site and pace are to decide.

    Attributes:
        url: of the feed, or of a page that offers feeds.
        take: which of several feeds that a page offers, from 1.
        unchecked: add it without looking at it.
    """

    url: str
    id: str | None = None
    name: str | None = None
    publisher: str | None = None
    every_minutes: int | None = None
    take: int | None = None
    unchecked: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a wish: the feed that is watched from now on, or the offers to choose from."""

    feed: Feed | None
    offers: tuple[tuple[str, str], ...] = ()


def add(settings: Settings, wish: Wish, now: datetime) -> Looked:
    """Watch a feed from the next round of checks on; several offers of a page are given back instead.

    Raises:
        InputUnusable: when there is no feed, it does not answer, it is watched already, or a value cannot be.
        FeedListUnusable: when the file of changes cannot be read or written.
    """
    watching = watched_feeds(settings)
    url, title = wish.url, ""
    try:
        if not wish.unchecked:
            found = _looked(settings, wish, now)
            if not found.url and found.offers:
                return Looked(None, tuple((one.url, one.title) for one in found.offers))
            if not found.url:
                raise InputUnusable(found.check.reason or "there is no feed")
            url, title = found.url, found.title
        given = {"id": wish.id, "name": wish.name, "publisher": wish.publisher, "every_minutes": wish.every_minutes}
        feed = described(url, wish.name or title, {one.id for one in watching}, **given)
    except ValidationError as error:
        raise InputUnusable("; ".join(findings(error, Feed))) from error
    if same := next((one for one in watching if one.enabled and one.url == feed.url), None):
        raise InputUnusable(f"{feed.url} is watched already, as {same.id}")
    if wish.id is not None and any(one.id == wish.id for one in watching):
        raise InputUnusable(f"there is a feed {wish.id!r} already: choose another --id, or remove that one first")
    file = changes_file(settings.store.path)
    write_changes(file, adding(read_changes(file), [feed]))
    return Looked(feed)


def remove(settings: Settings, feed_id: str) -> Feed:
    """Stop watching a feed; what it brought stays.

    Raises:
        InputUnusable: when there is no such feed.
        FeedListUnusable: when the file of changes cannot be read or written.
    """
    feed = watched(feed_id, watched_feeds(settings))
    file = changes_file(settings.store.path)
    write_changes(file, removing(read_changes(file), feed.id))
    return feed


def mute(settings: Settings, feed_id: str, *, muted: bool) -> Feed:
    """Stop checking a feed for a while, or hear it again.

    Raises:
        InputUnusable: when there is no such feed, or the settings themselves disable it.
        FeedListUnusable: when the file of changes cannot be read or written.
    """
    feed = watched(feed_id, watched_feeds(settings))
    file = changes_file(settings.store.path)
    changes = read_changes(file)
    if not muted and feed.id not in changes.muted and not feed.enabled:
        where = "the settings" if any(one.id == feed.id for one in listed_feeds(settings)) else str(file)
        raise InputUnusable(f"{feed.id} is disabled in {where}: set enabled = true in its [[feeds]] table")
    write_changes(file, muting(changes, feed.id, muted=muted))
    return feed


def check_soon(store: Store, settings: Settings, feed_id: str, now: datetime) -> Feed:
    """Let the next round of checks take a feed, unless its server asked to be left alone.

    Raises:
        InputUnusable: when there is no such feed, it is muted, or its server's Retry-After runs.
        StoreUnavailable: when it cannot be noted.
    """
    feed = watched(feed_id, watched_feeds(settings))
    if not feed.enabled:
        raise InputUnusable(f"{feed.id} is muted: hear it again first")
    state = store.feed_states().get(feed.id)
    if state is None:
        return feed  # never checked: it is due already
    if state.retry_at is not None and now < state.retry_at <= now + timedelta(hours=24):
        raise InputUnusable(f"its server asked to be left alone until {state.retry_at:%Y-%m-%d %H:%M} UTC")
    if state.next_check_at is None or state.next_check_at > now:
        store.remember([replace(state, next_check_at=now)])
    return feed


def watched(feed_id: str, feeds: Sequence[Feed]) -> Feed:
    """The watched feed of this id.

    Raises:
        InputUnusable: when there is none; the message names the nearest.
    """
    found = next((feed for feed in feeds if feed.id == feed_id), None)
    if found is None:
        near = _nearest(feed_id, feeds)
        hint = f"; did you mean {near!r}?" if near else "; `squall feeds list` lists them"
        raise InputUnusable(f"there is no feed {feed_id!r}{hint}")
    return found


def _nearest(wanted: str, feeds: Sequence[Feed]) -> str:
    """The id that may be meant: by its feed's address or name, by a slip of the pen, or by a part of it alone."""
    told = wanted.casefold()
    named = [feed.id for feed in feeds if told and told in (feed.url.casefold(), feed.name.casefold())]
    slips = difflib.get_close_matches(wanted, [feed.id for feed in feeds], n=1)
    parts = [feed.id for feed in feeds if told and told in feed.id]
    return next(iter([*named, *slips, *parts]), "")


def _looked(settings: Settings, wish: Wish, now: datetime) -> Discovery:
    async def look() -> Discovery:
        async with asyncio.timeout(_LOOK_SECONDS):
            return await discover(wish.url, settings.polling, now, wish.take)

    try:
        return asyncio.run(look())
    except TimeoutError:
        raise InputUnusable(f"{wish.url} did not answer within {_LOOK_SECONDS:.0f} s") from None
