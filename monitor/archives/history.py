"""A scored archive as a backtest plays it.

takes  an `Archive`
gives  entries in order of publication, and what the models said of each by its clean title
never  asks a model
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from monitor.archives.opinions import scored_of
from monitor.archives.slices import Archive
from monitor.errors import InputUnusable
from monitor.feeds.feed import Entry
from monitor.news.headlines import LONGEST_TITLE, clean
from monitor.news.outlets import feed_of
from monitor.series import Scored


def played(archive: Archive) -> tuple[list[Entry], dict[str, Scored]]:
    """Entries, each fetched at the moment it was published; and scores by title, as `headline` cleans it.

    Rows that failed, that have no title or no time are left out. All is held in memory, about 2 kB a headline: of ten
    years play the one that matters.

    Raises:
        InputUnusable: when no row is left, or a file cannot be read.
    """
    entries: list[Entry] = []
    scored: dict[str, Scored] = {}
    for row in _rows(archive):
        title = clean(row["title"], LONGEST_TITLE)
        if title:
            entries.append(_entry(row))
            if title not in scored:
                scored[title] = scored_of(row)
    if not entries:
        raise InputUnusable(f"{archive.folder} holds no headline that was scored and has a time")
    return entries, scored


def _rows(archive: Archive) -> Iterator[Mapping[str, Any]]:
    for part in archive.slices():
        rows = archive.read(part).filter(pl.col("sentiment").is_not_null())
        texts = [name for name in ("outlet", "title", "summary", "link", "guid", "language") if name in rows.columns]
        yield from rows.with_columns(pl.col(texts).cast(pl.String).fill_null("")).iter_rows(named=True)


def _entry(row: Mapping[str, Any]) -> Entry:
    feed, at = feed_of(row["outlet"], row.get("link") or ""), row["published"]
    language, guid = row.get("language") or "en", row.get("guid") or ""
    link, summary = row.get("link") or "", row.get("summary") or ""
    return Entry(feed.id, feed.publisher, language, guid, link, row["title"], summary, at, at)
