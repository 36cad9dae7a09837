"""A history that is not scored: a CSV of dated headlines, or the months that left a store.

takes  a CSV with the columns published, outlet, title, and optionally summary and link; or an archive of the store
gives  entries in order of publication
never  guesses a date: a row without one is an error that names its line
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from monitor.archives.dated import LATEST, instant_of
from monitor.errors import InputUnusable
from monitor.feeds.feed import Entry
from monitor.feeds.habits import OLDEST
from monitor.news.outlets import feed_of
from monitor.news.utf8 import unread
from monitor.storage.retention import read_archive


def read_history(path: Path) -> list[Entry]:
    """Entries in order of publication, each fetched at the moment it was published.

    Raises:
        InputUnusable: when the file, a column or a date cannot be understood, or there are no rows.
    """
    try:
        frame = _archived(path) if path.is_dir() or path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        raise InputUnusable(f"there is no file {path}" if not path.exists() else str(error)) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = unread(path, error)
        raise InputUnusable(f"{path} cannot be read as CSV, or as an archive of the store: {reason}") from error
    missing = [name for name in ("published", "outlet", "title") if name not in frame.columns]
    if missing:
        raise InputUnusable(f"{path} lacks the column {', '.join(missing)}; it has {', '.join(frame.columns)}")
    for optional in ("summary", "link"):
        if optional not in frame.columns:
            frame = frame.with_columns(pl.lit("").alias(optional))
    frame = frame.with_row_index("line", offset=2).fill_null("").filter(pl.col("title") != "")
    if frame.is_empty():
        raise InputUnusable(f"{path} holds no headline")
    entries = [_entry(row, path) for row in frame.iter_rows(named=True)]
    return sorted(entries, key=lambda entry: entry.fetched)


def _archived(path: Path) -> pl.DataFrame:
    """The headlines of an archive, a folder or one of its files, as if they had been written as CSV."""
    rows = read_archive(path) if path.is_dir() else pl.scan_parquet(path)
    told = rows.filter(pl.col("standing").is_in(["undated", "future"]).not_()).select(
        "title", "summary", "link", published="effective", outlet="publisher"
    )
    return told.with_columns(pl.col("published").dt.to_string("iso:strict")).collect()


def _entry(row: Mapping[str, str], path: Path) -> Entry:
    published = instant_of(row["published"].strip())
    if published is None:
        raise InputUnusable(
            f"{path}, line {row['line']}: {row['published']!r} is no ISO 8601 time of the years {OLDEST.year} to "
            f"{LATEST.year - 1}"
        )
    feed = feed_of(row["outlet"], row["link"])
    return Entry(feed.id, feed.publisher, "en", "", row["link"], row["title"], row["summary"], published, published)
