"""A scored archive taken into the store, so that what is usual is known from the first day.

takes  a folder of scored Parquet, settings, a store that no daemon holds
gives  headlines, scores, stories and hourly counts as the daemon would have stored them; `Backfilled`
never  alerts, and never takes a headline twice, however often it is stopped and begun again

The archive is taken in by stretches of time, each in one transaction. A headline of an archive is never fresh, and
only what is fresh can alert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import polars as pl

from monitor.archives.copies import Copies
from monitor.archives.dated import dated
from monitor.archives.slices import ROWS, Archive, Slice
from monitor.news.companies import CompanyMatcher
from monitor.news.names import alike, crowd_name, link_name, title_name
from monitor.news.own_companies import with_own
from monitor.news.stories import WINDOW, Stories
from monitor.settings import Settings
from monitor.storage.rows import headline_of
from monitor.storage.store import Store
from monitor.storage.taking_in import (
    Stretch,
    known_names,
    stretches_done,
    take_in,
    titles_between,
    titles_of,
    watch_since,
)
from monitor.watched import watched_series


class By(StrEnum):
    """What tells the stories of an archive."""

    WORDS = "words"  # as the daemon without a model: titles that differ in wording are joined too
    COPIES = "copies"  # the same words alone: far faster


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What came of a backfill.

    Attributes:
        rows: of the archive that were read, in this run and those before.
        kept: of them, headlines that were new to the store.
        left_out: rows of this run that were not taken in, by reason.
        resumed: rows that runs before had read.
    """

    rows: int
    kept: int
    left_out: Mapping[str, int]
    resumed: int


# (story, title, summary, effective, publisher) of a stored headline.
_Told = tuple[int, str, str, datetime, str]


class _TellsStories(Protocol):
    def restore(self, rows: Iterable[_Told]) -> None:
        """Remember stored headlines with their stories."""
        ...

    def assign(self, headlines: pl.DataFrame) -> pl.DataFrame:
        """The same headlines with their stories; they come in order of time."""
        ...


def backfill(
    archive: Archive,
    store: Store,
    settings: Settings,
    now: datetime,
    by: By = By.WORDS,
    progress: Callable[[int], None] = lambda _: None,
    rows: int = ROWS,
) -> Backfilled:
    """Take in everything that is not taken in yet.

    Args:
        now: aware UTC; headlines of the archive count as fetched then.
        progress: called with the number of rows just done.
        rows: of a stretch, at least.

    Raises:
        InputUnusable: when a file cannot be read any more.
        StoreError: when the store cannot be written; what was taken in stays, and the next run goes on.
    """
    database = store.database
    done, resumed, kept = stretches_done(database, archive.name)
    left = archive.slices(rows, done)
    progress(archive.failed + archive.undated + resumed)
    left_out = Counter({"failed": archive.failed, "undated": archive.undated})
    if left:
        teller = _teller(by, settings, store, left[0].since)
        for part in left:
            stretch, out = _stretch(archive, part, store, teller, now)
            new = take_in(database, stretch, now)
            kept += new
            # What another archive brought, or this one before its files changed, is known by its identity alone.
            left_out.update({**out, "known": out["known"] + stretch.headlines.height - new})
            progress(part.rows)
    watch_since(database, watched_series(settings), archive.since, now)
    store.database.checkpoint()
    return Backfilled(
        archive.rows,
        kept,
        {reason: rows for reason, rows in sorted(left_out.items()) if rows},
        resumed,
    )


def _stretch(
    archive: Archive, part: Slice, store: Store, teller: _TellsStories, now: datetime
) -> tuple[Stretch, Mapping[str, int]]:
    made = dated(archive.read(part), now, lambda ids: titles_of(store.database, ids))
    headlines, scores = made.headlines, made.scores
    if known_names(store.database, part.since - WINDOW):
        headlines = _strange(headlines, store)
        scores = scores.join(headlines.select(headline="id"), on="headline", how="semi", maintain_order="left")
    known = made.headlines.height - headlines.height
    # What is stored from these hours already, out of feeds or another archive: its stories go on.
    teller.restore(titles_between(store.database, part.since, part.until))
    told = teller.assign(headlines)
    return Stretch(archive.name, part.since, part.until, part.rows, told, scores), {**made.left_out, "known": known}


def _strange(headlines: pl.DataFrame, store: Store) -> pl.DataFrame:
    """Without those that a feed brought already, under a guid of its own: known by their house's link or title."""
    rows = [
        (link_name(publisher, link) if link else None, title_name(publisher, title), title)
        for publisher, link, title in headlines.select("publisher", "link", "title").iter_rows()
    ]
    links = {link for link, _, _ in rows if link is not None}
    known = store.named({*links, *map(crowd_name, links), *(name for _, name, _ in rows)})
    bearers = Counter(link for link, _ in {(link, name) for link, name, _ in rows})

    def brought(link: int | None, name: int, title: str) -> bool:
        owner = known.get(link) if link is not None and crowd_name(link) not in known else None
        # The address of a page that several headlines bear, in feeds or here, tells only what is worded alike.
        return name in known or (owner is not None and (bearers[link] == 1 or alike(owner.title, title)))

    return headlines.filter(pl.Series([not brought(*row) for row in rows], dtype=pl.Boolean))


def _teller(by: By, settings: Settings, store: Store, since: datetime) -> _TellsStories:
    """What goes on where the store ends, as if it had never stopped.

    A headline joins a title of the two days before it, whose story began in the two days before that.
    """
    teller: _TellsStories = _ByCopies() if by is By.COPIES else _ByWords(settings)
    teller.restore(titles_between(store.database, since - 2 * WINDOW, since))
    return teller


class _ByCopies:
    """Stories of headlines that say the same."""

    def __init__(self) -> None:
        self._copies = Copies()

    def restore(self, rows: Iterable[_Told]) -> None:
        self._copies.restore((story, title, at) for story, title, _, at, _ in rows)

    def assign(self, headlines: pl.DataFrame) -> pl.DataFrame:
        return self._copies.assign(headlines)


class _ByWords:
    """The daemon's own stories, without a model."""

    def __init__(self, settings: Settings) -> None:
        self._stories = Stories(CompanyMatcher(with_own(settings.companies)))

    def restore(self, rows: Iterable[_Told]) -> None:
        self._stories.restore(rows)

    def assign(self, headlines: pl.DataFrame) -> pl.DataFrame:
        told: list[int] = []
        # Hour by hour, since how rare a word is hangs on what is remembered.
        for _, rows in headlines.group_by(pl.col("effective").dt.truncate("1h"), maintain_order=True):
            made = [headline_of(row) for row in rows.iter_rows(named=True)]
            self._stories.forget(made[0].effective - WINDOW)
            told += [one.story for one in self._stories.assign(made)]
        return headlines.with_columns(pl.Series("story", told, pl.UInt64))
