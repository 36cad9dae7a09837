"""Upkeep: what is old is forgotten and only that, and nobody who reads or writes is kept waiting."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from monitor.errors import StoreBusy, StoreUnavailable
from monitor.feeds.feed import Check, Feed, Outcome, unseen
from monitor.news.headlines import Standing
from monitor.storage.rows import HEADLINES, frame_of, score_frame
from monitor.storage.store import Batch, Store
from monitor.storage.taking_in import Stretch, take_in

SCENE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
HOUR, NOON, append, headline, rollup = (SCENE[name] for name in ("HOUR", "NOON", "append", "headline", "rollup"))
rows, scored = (SCENE[name] for name in ("rows", "scored"))


def test_upkeep_forgets_what_is_old_and_only_that(store: Store) -> None:
    feed = Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire")
    for days in (31, 29):
        at = NOON - timedelta(days=days)
        check = Check("wire", at, Outcome.UNCHANGED, "", 304, 0, 9, (), unseen(feed, at))
        store.append(Batch(checks=[check], headlines=[headline(days, at)], scores={days: scored()}), at)
    append(store, (headline(1, NOON - 71 * HOUR), scored()), now=NOON - 71 * HOUR)
    append(store, (headline(2, NOON - 73 * HOUR), scored()), now=NOON - 73 * HOUR)
    store.maintain(NOON)
    assert rows(store, 'SELECT "at" FROM checks') == [(NOON - timedelta(days=29),)]
    assert rows(store, "SELECT DISTINCT story FROM sightings") == [(1,)]
    assert store.counts().headlines == 4
    assert store.rollup_faults().is_empty()


def test_a_story_is_remembered_from_its_last_change_not_its_first(store: Store) -> None:
    append(store, (headline(1, NOON, story=7), scored()), now=NOON)
    append(store, (headline(2, NOON + 40 * HOUR, story=7), scored()), now=NOON + 40 * HOUR)
    store.maintain(NOON + 80 * HOUR)
    append(store, (headline(3, NOON + 80 * HOUR, story=7), scored()), now=NOON + 80 * HOUR)
    assert sum(stories for _, _, stories, _ in rollup(store)) == 1


def archive(store: Store, until: datetime) -> None:
    """Take a stretch of an archive in."""
    old = headline(100 + until.day, until - 9 * HOUR, publisher="archive", standing=Standing.ARCHIVE)
    opinions = score_frame([old], {old.id: scored(0.1)})
    take_in(store.database, Stretch("scored", until - 24 * HOUR, until, 1, frame_of([old], HEADLINES), opinions), until)


@pytest.mark.parametrize("upkeep", [Store.maintain, archive])
def test_a_story_whose_copies_wait_for_the_model_is_remembered_until_they_are_scored(
    store: Store, upkeep: Callable[[Store, datetime], None]
) -> None:
    copies = [headline(number, NOON + HOUR, story=7, publisher=f"p{number}") for number in (2, 3)]
    append(store, (headline(7, NOON), scored()), now=NOON)
    store.append(Batch((), copies), NOON + HOUR)
    for day in range(5):
        upkeep(store, NOON + day * 24 * HOUR)
    store.add_scores({each.id: scored() for each in copies}, NOON + 98 * HOUR)
    assert sum(negative for *_, negative in rollup(store)) == 1
    assert store.rollup_faults().is_empty()
    store.maintain(NOON + 98 * HOUR + timedelta(days=4))
    assert rows(store, "SELECT * FROM sightings") == [], "nothing waits any more"


# Somebody reads while the log is to be folded


@contextmanager
def read_at_length(store: Store) -> Iterator[None]:
    """A reader who began before a row was last changed: the engine folds no log as long as he reads."""
    store.note("stage:poll", "before")
    with store.database.reading() as cursor:
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        cursor.sql("SELECT count(*) FROM meta").fetchall()
        store.note("stage:poll", "after")
        yield


def test_upkeep_leaves_the_log_to_the_next_turn_while_somebody_reads(path: Path) -> None:
    with Store.open(path, NOON) as store:
        append(store, (headline(1, NOON - 73 * HOUR), scored()), now=NOON - 73 * HOUR)
        with read_at_length(store):
            with pytest.raises(StoreBusy, match=r"somebody reads the store .* try again when they are through"):
                store.database.checkpoint(timedelta(0))
            with pytest.raises(StoreBusy), store.database.frozen(timedelta(0)):
                pass
            store.maintain(NOON, patience=timedelta(0))
            assert rows(store, "SELECT * FROM sightings") == [], "what is due is forgotten all the same"
            assert Path(f"{path}.wal").stat().st_size > 0
        store.maintain(NOON, patience=timedelta(0))
        assert not Path(f"{path}.wal").exists() or Path(f"{path}.wal").stat().st_size == 0


def test_folding_waits_for_readers_and_writers_go_on_meanwhile(path: Path) -> None:
    with Store.open(path, NOON) as store, ThreadPoolExecutor(1) as threads:
        with read_at_length(store):
            folding = threads.submit(store.database.checkpoint, timedelta(minutes=5))
            with pytest.raises(TimeoutError):
                folding.result(0.3)
            assert append(store, (headline(1), scored())) == (1,)
        folding.result(60)
        assert not Path(f"{path}.wal").exists() or Path(f"{path}.wal").stat().st_size == 0


def test_who_stops_waits_for_no_reader(path: Path) -> None:
    def copied(store: Store) -> None:
        with store.database.frozen(timedelta(minutes=5)):
            pass

    with Store.open(path, NOON) as store, ThreadPoolExecutor(1) as threads, read_at_length(store):
        copying = threads.submit(copied, store)
        with pytest.raises(TimeoutError):
            copying.result(0.3)
        store.database.thaw()
        with pytest.raises(StoreUnavailable, match="squall stops"):
            copying.result(60)
