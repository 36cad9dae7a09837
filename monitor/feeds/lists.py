"""Lists of feeds: the one that Squall brings, and any other in the same form.

takes  TOML with one [[feeds]] table per feed
gives  `Feed`s, their ids unique
never  fetches, and never skips a table that is wrong: it names it
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from pydantic import ValidationError

from monitor.errors import FeedListUnusable
from monitor.feeds.feed import Feed


@cache
def default_feeds() -> tuple[Feed, ...]:
    """The feeds that are watched when the settings name none."""
    return read_feed_list(files("monitor.feeds").joinpath("default_feeds.toml").read_text(encoding="utf-8"))


def read_feed_list(text: str) -> tuple[Feed, ...]:
    """The feeds of a list in TOML, in its order.

    Raises:
        FeedListUnusable: on text that is no TOML, a wrong table, an id used twice, or no feed at all; the message
            names the table.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FeedListUnusable(f"the feed list is no TOML: {error}") from error
    tables = document.get("feeds")
    if not isinstance(tables, list) or not tables or len(document) > 1:
        raise FeedListUnusable("a feed list holds [[feeds]] tables, at least one, and nothing else")
    feeds: list[Feed] = []
    for number, table in enumerate(tables, start=1):
        try:
            feeds.append(Feed.model_validate(table))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the table"
            raise FeedListUnusable(f"table {number} of the feed list: {field}: {first['msg']}") from error
    return distinct(feeds)


def distinct(feeds: Iterable[Feed]) -> tuple[Feed, ...]:
    """The feeds, once it is sure that no id is used twice.

    Raises:
        FeedListUnusable: naming the id that is.
    """
    seen: dict[str, Feed] = {}
    for feed in feeds:
        if feed.id in seen:
            raise FeedListUnusable(f"two feeds have the id {feed.id!r}: {seen[feed.id].url} and {feed.url}")
        seen[feed.id] = feed
    return tuple(seen.values())
