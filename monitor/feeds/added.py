"""The feeds that `squall feeds` added, removed and muted: a small file beside the store.

takes  the path of the store
gives  `FeedChanges`, read and written; and what is watched once they are applied
never  touches the settings, which are the user's own, nor the store, which the daemon may hold

The daemon looks at the file before each round of checks, so a change takes effect while it runs.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from monitor.errors import FeedListUnusable
from monitor.feeds.feed import Feed
from monitor.whole_file import put_whole

_HEAD = (
    "# Written by `squall feeds add`, `remove`, `mute` and `import-opml`. You may edit it; a running daemon follows.\n"
)


@dataclass(frozen=True, slots=True)
class FeedChanges:
    """What differs from settings and shipped list: feeds added, and ids of feeds removed and muted."""

    added: tuple[Feed, ...] = ()
    removed: frozenset[str] = frozenset()
    muted: frozenset[str] = frozenset()


def changes_file(store: Path | str) -> Path:
    """Where the changes to the feeds of this store lie."""
    return Path(f"{store}.feeds.toml")


def applied(feeds: Iterable[Feed], changes: FeedChanges) -> tuple[Feed, ...]:
    """These feeds with the changes: an added feed replaces one of its id, a muted one is there but disabled."""
    own = {feed.id for feed in changes.added}
    kept = [feed for feed in feeds if feed.id not in own and feed.id not in changes.removed]
    return tuple(
        feed.model_copy(update={"enabled": False}) if feed.id in changes.muted else feed
        for feed in (*kept, *changes.added)
    )


def read_changes(path: Path) -> FeedChanges:
    """The changes; none when there is no file.

    Raises:
        FeedListUnusable: on a file that cannot be read or understood; the message says where.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return FeedChanges()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FeedListUnusable(
            f"the feed changes in {path} cannot be read: {error}; mend or remove the file"
        ) from error
    if unknown := document.keys() - {"removed", "muted", "feeds"}:
        raise FeedListUnusable(f"{path}: unknown key {sorted(unknown)[0]!r}; known are removed, muted and [[feeds]]")
    names = {key: document.get(key, []) for key in ("removed", "muted")}
    for key, value in names.items():
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise FeedListUnusable(f"{path}: {key} must be a list of feed ids")
    tables = document.get("feeds", [])
    added: dict[str, Feed] = {}
    for number, table in enumerate(tables if isinstance(tables, list) else [tables], start=1):
        try:
            feed = Feed.model_validate(table)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the table"
            raise FeedListUnusable(f"table {number} in {path}: {where}: {first['msg']}") from error
        if feed.id in added:
            raise FeedListUnusable(f"{path}: two feeds have the id {feed.id!r}")
        added[feed.id] = feed
    return FeedChanges(tuple(added.values()), frozenset(names["removed"]), frozenset(names["muted"]))


def write_changes(path: Path, changes: FeedChanges) -> None:
    """Put the changes in place of the old ones: whole or not at all.

    Raises:
        FeedListUnusable: when the file cannot be written.
    """
    parts = [_HEAD]
    for key, ids in (("removed", changes.removed), ("muted", changes.muted)):
        if ids:
            parts.append(f"{key} = {json.dumps(sorted(ids))}\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put_whole(path, "\n".join([*parts, *(f"{as_toml(feed)}\n" for feed in changes.added)]))
    except OSError as error:
        raise FeedListUnusable(f"the feed changes cannot be written to {path}: {error}") from error


def as_toml(feed: Feed) -> str:
    """A [[feeds]] table."""
    # JSON's strings, numbers and booleans are TOML's as well.
    values = feed.model_dump(exclude_defaults=True).items()
    return "\n".join(["[[feeds]]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values)])


def adding(changes: FeedChanges, feeds: Sequence[Feed]) -> FeedChanges:
    """The changes with these feeds added; one that was removed or muted under the same id is neither any more."""
    ids = {feed.id for feed in feeds}
    kept = tuple(feed for feed in changes.added if feed.id not in ids)
    return FeedChanges((*kept, *feeds), changes.removed - ids, changes.muted - ids)


def removing(changes: FeedChanges, feed: str) -> FeedChanges:
    """The changes with this feed taken out, wherever it came from."""
    kept = tuple(one for one in changes.added if one.id != feed)
    return FeedChanges(kept, changes.removed | {feed}, changes.muted - {feed})


def muting(changes: FeedChanges, feed: str, *, muted: bool) -> FeedChanges:
    """The changes with this feed muted, or heard again."""
    return FeedChanges(changes.added, changes.removed, changes.muted | {feed} if muted else changes.muted - {feed})
