"""The store: what goes in comes out, each story counts once, errors name the way out, and a kill loses nothing."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.score import Abstention, Score
from monitor.errors import StoreBusy, StoreDamaged, StoreLocked, StoreTooNew, StoreUnavailable
from monitor.feeds.feed import Check, Entry, Feed, FeedState, Outcome, unseen
from monitor.news.headlines import Headline, Standing
from monitor.storage.migrating import Migration, known_migrations
from monitor.storage.rows import HEADLINES, frame_of, score_frame
from monitor.storage.store import Batch, Scored, Store
from monitor.storage.taking_in import Stretch, take_in

ROOT = Path(__file__).parents[1]
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def headline(id_: int, at: datetime = NOON, **changes: Any) -> Headline:
    plain = Headline(
        id=id_,
        feed="wire",
        publisher="wire",
        title=f"Bank {id_} in trouble",
        summary="",
        link=f"https://news.example/{id_}",
        language="en",
        published=at,
        fetched=at,
        effective=at,
        standing=Standing.FRESH,
        companies=(),
        story=id_,
    )
    return replace(plain, **changes)


def scored(negative: float = 0.75, *themes: str, abstention: Abstention = Abstention.NONE) -> Scored:
    rest = (1 - negative) / 4
    return Scored(Score(negative, rest, 3 * rest, (("Macro", 0.5),), "model-1", abstention), themes)


def append(store: Store, *pairs: tuple[Headline, Scored | None], now: datetime = NOON) -> tuple[int, ...]:
    told = {each.id: opinion for each, opinion in pairs if opinion is not None}
    return store.append(Batch(headlines=[each for each, _ in pairs], scores=told), now)


def rollup(store: Store, series: str = "market") -> list[tuple[int, int, int, int]]:
    """(hour of the day, headlines, stories, negative) of a series."""
    query = """SELECT hour(hour), headlines, stories, negative FROM rollups WHERE series = $series ORDER BY hour"""
    with store.database.reading() as cursor:
        return cursor.sql(query, params={"series": series}).fetchall()


def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    with store.database.reading() as cursor:
        frame: pl.DataFrame = cursor.sql(query).pl()
    return frame.rows()


@pytest.fixture
def store() -> Any:
    with Store.open(":memory:", NOON) as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "squall.duckdb"


@pytest.fixture(scope="module")
def shared_store() -> Any:
    """One store for the many examples of a law, each of which begins with `emptied`."""
    with Store.open(":memory:", NOON) as opened:
        yield opened


@contextmanager
def emptied(store: Store) -> Iterator[Store]:
    with store.database.writing() as connection:
        for table in ("headlines", "scores", "awaiting", "sightings", "rollups", "feeds", "checks"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a name from the line above
    yield store


# Round trips

INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds must be naive
TEXTS = st.text(max_size=60)
IDS = st.integers(0, 2**64 - 1)


@st.composite
def headlines(draw: st.DrawFn) -> Headline:
    early, late = sorted((draw(INSTANTS), draw(INSTANTS)))
    return Headline(
        id=draw(IDS),
        feed=draw(TEXTS),
        publisher=draw(TEXTS),
        title=draw(TEXTS),
        summary=draw(TEXTS),
        link=draw(TEXTS),
        language="en",
        published=draw(st.none() | INSTANTS),
        fetched=late,
        effective=early,
        standing=draw(st.sampled_from(Standing)),
        companies=tuple(draw(st.lists(TEXTS, max_size=3))),
        story=draw(IDS),
    )


@given(st.lists(headlines(), max_size=8, unique_by=lambda each: each.id))
@settings(max_examples=30, deadline=None)
def test_headlines_come_back_as_they_went_in(shared_store: Store, given_ones: list[Headline]) -> None:
    with emptied(shared_store) as store:
        assert store.append(Batch(headlines=given_ones), NOON) == tuple(each.id for each in given_ones)
        back = store.unscored(100)
        assert {each.id: each for each in back} == {each.id: each for each in given_ones}
        assert store.known([each.id for each in given_ones]) == {each.id for each in given_ones}
        titles = store.recent_titles(datetime(1990, 1, 1, tzinfo=UTC))
        assert sorted(titles) == sorted(
            (each.story, each.title, each.summary, each.effective, each.publisher) for each in given_ones
        )


@given(
    st.builds(
        FeedState,
        feed=TEXTS,
        url=TEXTS,
        name=TEXTS,
        publisher=TEXTS,
        etag=st.none() | TEXTS,
        last_modified=st.none() | TEXTS,
        added_at=INSTANTS,
        first_success_at=st.none() | INSTANTS,
        last_check_at=st.none() | INSTANTS,
        last_success_at=st.none() | INSTANTS,
        last_entry_at=st.none() | INSTANTS,
        next_check_at=st.none() | INSTANTS,
        failures=st.integers(0, 10_000),
        outcome=st.none() | TEXTS,
        reason=st.none() | TEXTS,
        body=st.none() | st.integers(0, 2**64 - 1),
        millis=st.none() | st.integers(0, 10**6),
        ttl_seconds=st.none() | st.integers(0, 10**9),
        pace=st.none() | TEXTS,
        dates=st.none() | TEXTS,
        newest_at=st.none() | INSTANTS,
        gap_seconds=st.none() | st.floats(0, 1e9),
        longest_gap_seconds=st.none() | st.floats(0, 1e9),
        guids=st.none() | TEXTS,
        moved_to=st.none() | TEXTS,
        moved_since=st.none() | INSTANTS,
        moved_seen=st.integers(0, 10_000),
        retry_at=st.none() | INSTANTS,
        muted_at=st.none() | INSTANTS,
        paused_at=st.none() | INSTANTS,
    )
)
@settings(max_examples=25, deadline=None)
def test_feed_states_come_back_as_they_went_in(shared_store: Store, state: FeedState) -> None:
    check = Check(state.feed, NOON, Outcome.TIMEOUT, "no answer in 20 s", None, 0, 20_000, (), state)
    with emptied(shared_store) as store:
        store.append(Batch(checks=[check]), NOON)
        assert store.feed_states() == {state.feed: state}


def test_a_check_is_kept_with_its_numbers_and_the_last_state_of_a_feed_wins(store: Store) -> None:
    feed = Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire")
    entry = Entry("wire", "wire", "en", "g", "", "t", "", None, NOON)
    first = unseen(feed, NOON)
    second = replace(first, etag="v2", last_check_at=NOON)
    good = Check("wire", NOON, Outcome.NEW, "", 200, 5_000, 80, (entry, entry), first)
    bad = Check("wire", NOON + HOUR, Outcome.NOT_FOUND, "404: look for its new address", 404, 0, 30, (), second)
    store.append(Batch(checks=[good, bad], headlines=[headline(1), headline(2)]), NOON)
    store.append(Batch(checks=[good], headlines=[headline(2)]), NOON)
    kept = rows(store, "SELECT outcome, reason, status, entries, fresh, bytes, millis FROM checks")
    assert kept == [
        ("new", "", 200, 2, 2, 5_000, 80),
        ("not_found", "404: look for its new address", 404, 0, 2, 0, 30),
        ("new", "", 200, 2, 0, 5_000, 80),
    ]
    assert store.feed_states() == {"wire": first}


def test_a_title_with_broken_unicode_does_not_cost_the_batch(store: Store) -> None:
    torn = headline(1, title="\ud800 bank", companies=("\udfff",))
    assert append(store, (torn, None), (headline(2), None)) == (1, 2)
    assert [(each.title, each.companies) for each in store.unscored(9)] == [
        ("? bank", ("?",)),
        ("Bank 2 in trouble", ()),
    ]


def test_a_score_of_a_stranger_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the batch"):
        Batch(headlines=[headline(1)], scores={2: scored()})


# Each headline once


def test_a_second_poll_and_a_copy_in_the_batch_change_nothing(store: Store) -> None:
    pair = (headline(1), scored())
    assert append(store, pair, pair) == (1,)
    before = rollup(store)
    assert append(store, pair, (headline(2), scored())) == (2,)
    assert append(store, pair) == ()
    assert before == [(12, 1, 1, 1)]
    assert rollup(store) == [(12, 2, 2, 2)]
    assert store.counts().headlines == 2


def test_a_headline_keeps_the_first_text_that_it_came_with(store: Store) -> None:
    append(store, (headline(1, title="first"), None))
    append(store, (headline(1, title="second"), None))
    assert [each.title for each in store.unscored(9)] == ["first"]


# Each story once


def test_a_story_counts_in_the_hour_of_its_first_headline_and_copies_only_as_headlines(store: Store) -> None:
    append(store, (headline(1, story=7), scored(0.1)))
    append(store, (headline(2, NOON + HOUR, story=7, publisher="other"), scored(0.1)))
    append(store, (headline(3, NOON + HOUR, story=8), scored(0.1)))
    assert rollup(store) == [(12, 1, 1, 0), (13, 2, 1, 0)]
    assert rollup(store, "topic:Macro") == rollup(store)


def test_a_story_is_negative_in_the_hour_of_its_first_negative_headline(store: Store) -> None:
    append(store, (headline(1, story=7), scored(0.1)))
    append(store, (headline(2, NOON + HOUR, story=7), scored(0.9)))
    append(store, (headline(3, NOON + 2 * HOUR, story=7), scored(0.9)))
    assert rollup(store) == [(12, 1, 1, 0), (13, 1, 0, 1), (14, 1, 0, 0)]


def test_an_earlier_copy_that_comes_late_moves_the_count_to_its_hour(store: Store) -> None:
    append(store, (headline(1, NOON, story=7), scored(0.9)))
    append(store, (headline(2, NOON - HOUR, story=7, fetched=NOON), scored(0.8)))
    assert rollup(store) == [(11, 1, 1, 1), (12, 1, 0, 0)]
    tones = rows(store, "SELECT tone FROM rollups WHERE series = 'market' ORDER BY hour")
    assert [round(tone, 6) for (tone,) in tones] == [round(0.15 - 0.8, 6), 0.0]
    assert store.rollup_faults().is_empty()


def test_a_story_counts_once_in_each_of_its_series(store: Store) -> None:
    append(store, (headline(1, story=7, companies=("JPM",)), scored(0.9, "bank-stress")))
    append(store, (headline(2, story=7, companies=("JPM", "C")), scored(0.9)))
    found = rows(store, "SELECT series, headlines, stories, negative FROM rollups ORDER BY series")
    assert found == [
        ("company:C", 1, 1, 1),
        ("company:JPM", 2, 1, 1),
        ("market", 2, 1, 1),
        ("sector:Financials", 2, 1, 1),
        ("theme:bank-stress", 1, 1, 1),
        ("topic:Macro", 2, 1, 1),
    ]


def test_an_unsure_score_is_no_negative_story_and_has_no_tone(store: Store) -> None:
    append(store, (headline(1), scored(0.9, abstention=Abstention.UNSURE)))
    assert rollup(store) == [(12, 1, 1, 0)]
    assert rows(store, "SELECT DISTINCT tone FROM rollups") == [(0.0,)]


@pytest.mark.parametrize("standing", [Standing.UNDATED, Standing.FUTURE])
def test_what_has_no_trustworthy_date_is_stored_and_not_counted(store: Store, standing: Standing) -> None:
    append(store, (headline(1, standing=standing, published=None), scored()))
    counts = store.counts()
    assert (counts.headlines, counts.rollups, counts.sightings, counts.awaiting_score) == (1, 0, 0, 0)
    assert store.rollup_faults().is_empty()


def test_a_sighting_gathers_publishers_in_order_of_arrival_and_turns_fresh(store: Store) -> None:
    append(
        store,
        (headline(1, story=7, publisher="b", standing=Standing.ARCHIVE), scored()),
        (headline(2, NOON - HOUR, story=7, publisher="a", fetched=NOON + HOUR, standing=Standing.ARCHIVE), scored()),
    )
    query = "SELECT publishers, fresh FROM sightings WHERE series = 'market'"
    assert rows(store, query) == [(["b", "a"], False)]
    append(store, (headline(3, NOON + HOUR, story=7, publisher="c"), scored(0.1)))
    append(store, (headline(4, NOON + HOUR, story=7, publisher="a"), scored(0.1)))
    assert rows(store, query) == [(["b", "a", "c"], True)]


ARRIVALS = st.lists(
    st.tuples(
        st.integers(1, 5),  # story
        st.integers(0, 30),  # quarters of an hour before noon
        st.sampled_from([0.1, 0.6, 0.9]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(Standing),
        st.sampled_from([(), ("JPM",), ("JPM", "C")]),
        st.sampled_from(["scored", "late", "never"]),
        st.booleans(),  # whether the batch ends here
    ),
    max_size=16,
)


@given(ARRIVALS)
@settings(max_examples=30, deadline=None)
def test_counts_equal_a_recount_whatever_comes_in_which_order(shared_store: Store, arrivals: list[Any]) -> None:
    with emptied(shared_store) as store:
        batch: list[tuple[Headline, Scored | None]] = []
        late: dict[int, Scored] = {}
        for number, (story, quarters, negative, publisher, standing, companies, when, ends) in enumerate(arrivals):
            at = NOON - timedelta(minutes=15 * quarters)
            arrived = headline(
                number, at, fetched=NOON, story=story, publisher=publisher, standing=standing, companies=companies
            )
            opinion = scored(negative, "bank-stress")
            batch.append((arrived, opinion if when == "scored" else None))
            if when == "late":
                late[number] = opinion
            if ends:
                append(store, *batch)
                batch = []
        append(store, *batch)
        store.add_scores(late, NOON)
        assert store.rollup_faults().to_dicts() == []
        before = rows(store, "SELECT * EXCLUDE (tone) FROM rollups ORDER BY ALL")
        sightings = rows(store, "SELECT * EXCLUDE (tone) FROM sightings ORDER BY series, story")
        store.rebuild_rollups()
        assert rows(store, "SELECT * EXCLUDE (tone) FROM rollups ORDER BY ALL") == before
        assert rows(store, "SELECT * EXCLUDE (tone) FROM sightings ORDER BY series, story") == sightings


# Scores that come late


def test_an_unscored_headline_is_counted_when_its_score_comes(store: Store) -> None:
    append(store, (headline(1), None), (headline(2, NOON + HOUR), None))
    assert rollup(store) == []
    assert [each.id for each in store.unscored(9)] == [2, 1]
    assert [each.id for each in store.unscored(1)] == [2]
    assert store.add_scores({1: scored()}, NOON) == (1,)
    assert rollup(store) == [(12, 1, 1, 1)]
    assert [each.id for each in store.unscored(9)] == [2]


def test_a_score_is_counted_once_however_it_comes_again(store: Store) -> None:
    append(store, (headline(1), None))
    append(store, (headline(1), scored()))  # the same poll again, after the scorer came back
    assert store.add_scores({1: scored()}, NOON) == ()
    assert rollup(store) == [(12, 1, 1, 1)]
    assert store.counts().awaiting_score == 0


def test_a_late_score_of_an_unknown_headline_writes_nothing(store: Store) -> None:
    append(store, (headline(1), None))
    with pytest.raises(ValueError, match="not stored"):
        store.add_scores({1: scored(), 2: scored()}, NOON)
    assert store.counts().awaiting_score == 1


def test_a_new_model_replaces_scores_and_a_rebuild_brings_the_counts_up_to_date(store: Store) -> None:
    append(store, (headline(1), scored(0.9)), (headline(2, NOON - 5 * HOUR), scored(0.9)))
    assert [each.id for each in store.outdated("model-2", 9)] == [1, 2]
    new = replace(scored(0.1).score, model="model-2")
    store.replace_scores({1: Scored(new), 2: Scored(new)})
    assert store.outdated("model-2", 9) == []
    assert store.rollup_faults().height == 4
    store.rebuild_rollups(NOON + timedelta(minutes=30))
    assert rollup(store) == [(7, 1, 1, 1), (12, 1, 1, 0)]  # only from that hour on
    store.rebuild_rollups()
    assert rollup(store) == [(7, 1, 1, 0), (12, 1, 1, 0)]
    assert rows(store, "SELECT count(negative_at) FROM sightings") == [(0,)]


# Watching, notes, upkeep


def test_a_series_is_watched_since_it_was_first_named(store: Store) -> None:
    store.watch(["market", "theme:a", "market"], NOON)
    store.watch(["market", "theme:b"], NOON + HOUR)
    found = dict(rows(store, "SELECT series, since FROM series"))
    assert found == {"market": NOON, "theme:a": NOON, "theme:b": NOON + HOUR}


def test_notes_are_replaced_and_the_stores_own_are_out_of_reach(store: Store) -> None:
    store.note("scorer", "away")
    store.note("scorer", "ready")
    assert store.notes()["scorer"] == "ready"
    assert store.notes()["created_at"] == NOON.isoformat()
    with pytest.raises(ValueError, match="belongs to the store"):
        store.note("schema_version", "7")


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


# Opening, and what can be wrong with a file


def test_a_store_is_found_again_as_it_was_left(path: Path) -> None:
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()), (headline(2), None))
        before = rows(store, "SELECT * FROM rollups ORDER BY ALL")
    with Store.open(path, NOON + HOUR) as store:
        assert rows(store, "SELECT * FROM rollups ORDER BY ALL") == before
        assert [each.id for each in store.unscored(9)] == [2]
        assert store.notes()["created_at"] == NOON.isoformat()
        assert append(store, (headline(1), scored())) == ()


HOLDER = """
import sys
from datetime import UTC, datetime
from monitor.storage.store import Store
store = Store.open(sys.argv[1], datetime.now(UTC))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_held_by_another_process_is_locked_and_the_error_names_it(path: Path, read_only: bool) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreLocked, match="stop the other squall, or read through its read service") as caught:
        Store.open(path, NOON, read_only=read_only, patience=timedelta(0))
    assert str(path) in str(caught.value)
    assert f"process {holder.pid}" in str(caught.value)
    holder.communicate("")
    with Store.open(path, NOON, patience=timedelta(seconds=10)) as store:
        assert store.counts().headlines == 0


def test_patience_waits_for_a_process_that_lets_go(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreLocked):
        Store.open(path, NOON, patience=timedelta(milliseconds=120))
    with ThreadPoolExecutor(1) as threads:
        opening = threads.submit(Store.open, path, NOON, patience=timedelta(seconds=60))
        holder.communicate("")
        with opening.result() as store:
            assert store.counts().headlines == 0


def test_a_store_of_a_newer_squall_is_refused_with_both_versions(path: Path) -> None:
    steps = known_migrations()
    further = Migration(len(steps) + 1, "further", "CREATE TABLE further (x INTEGER)")
    Store.open(path, NOON, migrations=(*steps, further)).close()
    with pytest.raises(StoreTooNew, match=rf"schema version {further.number} .* up to {len(steps)}: upgrade squall"):
        Store.open(path, NOON)


def test_an_older_store_is_brought_up_to_date_but_not_by_a_reader(path: Path) -> None:
    steps = known_migrations()
    further = Migration(len(steps) + 1, "further", "CREATE TABLE further (x INTEGER); INSERT INTO further VALUES (1)")
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()))
    with pytest.raises(StoreUnavailable, match="`squall run` brings it up to date"):
        Store.open(path, NOON, read_only=True, migrations=(*steps, further))
    with Store.open(path, NOON, migrations=(*steps, further)) as store:
        assert store.notes()["schema_version"] == str(further.number)
        assert rows(store, "SELECT count(*) FROM headlines, further") == [(1,)]


def test_a_migration_that_fails_leaves_the_version_before_it(path: Path) -> None:
    steps = known_migrations()
    broken = Migration(len(steps) + 1, "broken", "CREATE TABLE half (x INTEGER); SELECT * FROM nowhere")
    with pytest.raises(duckdb.CatalogException):
        Store.open(path, NOON, migrations=(*steps, broken))
    with Store.open(path, NOON) as store:
        assert store.notes()["schema_version"] == str(len(steps))
        assert rows(store, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'half'") == [(0,)]


def test_a_file_that_is_no_database_is_damaged(path: Path) -> None:
    path.write_bytes(b"not a database" * 1_000)
    with pytest.raises(StoreDamaged, match=r"squall\.duckdb is no readable store: move the file away"):
        Store.open(path, NOON)
    assert path.read_bytes() == b"not a database" * 1_000


@pytest.mark.parametrize("size", [0, 9_000, 30_000])
def test_a_store_that_was_cut_short_is_damaged(path: Path, size: int) -> None:
    with Store.open(path, NOON) as store:
        append(store, *((headline(number), scored()) for number in range(200)))
        store.maintain(NOON)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreDamaged, match="restore a backup"):
        Store.open(path, NOON)


def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE invoices (number INTEGER)")
    with pytest.raises(StoreDamaged, match="no Squall store: name another file"):
        Store.open(path, NOON)
    with duckdb.connect(str(path)) as other:
        assert other.sql("SELECT table_name FROM duckdb_tables()").fetchall() == [("invoices",)]


def test_a_folder_that_is_missing_or_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"make the folder .*missing first"):
        Store.open(tmp_path / "missing" / "squall.duckdb", NOON)
    with pytest.raises(StoreUnavailable, match="check that its folder exists, may be written and has space"):
        Store.open(tmp_path, NOON)


def test_a_reader_of_no_store_is_told_how_to_begin_one(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="start one with `squall run`"):
        Store.open(path, NOON, read_only=True)
    assert not path.exists()


def test_a_store_opened_for_reading_reads_and_refuses_to_write(path: Path) -> None:
    with Store.open(path, NOON) as store:
        append(store, (headline(1), scored()))
    with Store.open(path, NOON, read_only=True) as store:
        assert store.known([1, 2]) == {1}
        with pytest.raises(StoreUnavailable, match="opened for reading"):
            append(store, (headline(2), None))


def test_a_closed_store_says_so_and_closing_twice_is_no_error(path: Path) -> None:
    store = Store.open(path, NOON)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        store.counts()


def test_an_error_in_the_middle_undoes_the_whole_batch(store: Store) -> None:
    append(store, (headline(1), scored()))
    feed = Feed(id="wire", url="https://news.example/rss", name="Wire", publisher="wire")
    impossible = Check("wire", NOON, Outcome.NEW, "", 2**40, 0, 0, (), unseen(feed, NOON))
    with pytest.raises((TypeError, OverflowError)):
        store.append(Batch([impossible], [headline(2)], {2: scored()}), NOON)
    assert store.counts().headlines == 1
    assert append(store, (headline(2), scored())) == (2,)


# A full disk is played by a limit on the size of files: the kernel refuses to write beyond it, as it does there.
FULL_DISK = """
import json, resource, signal, sys
from datetime import UTC, datetime
from monitor.errors import StoreUnavailable
sys.path.insert(0, "tests")
from test_store import NOON, append, headline, scored
from monitor.storage.store import Store

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
told = {"acknowledged": 0, "errors": []}
store = Store.open(sys.argv[1], NOON)

def fill(rounds, size=300):
    for _ in range(rounds):
        first = told["acknowledged"]
        append(store, *((headline(n, title="x" * 400), scored()) for n in range(first, first + size)))
        told["acknowledged"] += size

fill(3)
resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, unlimited[1]))
for attempt in (lambda: fill(50), lambda: store.maintain(NOON), lambda: store.counts()):
    try:
        attempt()
    except StoreUnavailable as error:
        told["errors"].append(str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
store.reopen()
told["stored"] = store.counts().headlines
fill(2)
told["stored_after"] = store.counts().headlines
told["faults"] = store.rollup_faults().height
print(json.dumps(told))
"""


def test_a_full_disk_is_told_and_survived_by_reopening(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["errors"]) >= 2
    assert all(str(path) in words and "has space" in words for words in told["errors"])
    assert told["stored"] == told["acknowledged"] - 600
    assert told["stored_after"] == told["acknowledged"]
    assert told["faults"] == 0


def test_a_store_in_memory_cannot_be_reopened(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="in memory"):
        store.reopen()


# Dying at any moment

WRITER = """
import random, sys
sys.path.insert(0, "tests")
from test_store import HOUR, NOON, append, headline, scored
from datetime import timedelta
from monitor.news.headlines import Standing
from monitor.storage.store import Store

path, seed, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dice = random.Random(seed)
store = Store.open(path, NOON)
print("open", flush=True)
for batch in range(10_000):
    ids = range(first + batch * 40, first + batch * 40 + 40)
    at = NOON + batch * timedelta(minutes=7)
    pairs = []
    for number in ids:
        story = dice.randrange(max(0, number - 200), number + 1)
        arrived = headline(
            number, at - timedelta(minutes=dice.randrange(180)), fetched=at, story=story,
            publisher=f"p{dice.randrange(5)}", companies=dice.choice([(), ("JPM",), ("C", "JPM")]),
            standing=dice.choice([Standing.FRESH, Standing.FRESH, Standing.ARCHIVE, Standing.UNDATED]),
        )
        pairs.append((arrived, scored(dice.choice([0.1, 0.9])) if dice.random() < 0.9 else None))
    append(store, *pairs, now=at)
    print("stored", ids[0], ids[-1], flush=True)
    if batch % 3 == 2:
        late = store.unscored(5)
        store.add_scores({each.id: scored(0.9) for each in late}, at)
        print("scored", *(each.id for each in late), flush=True)
    if batch % 5 == 4:
        store.maintain(at)
"""


def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(path: Path) -> None:
    dice = random.Random(20260310)
    stored: set[int] = set()
    with_score: set[int] = set()
    for round_ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(round_), str(round_ * 1_000_000)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        lines = [writer.stdout.readline() for _ in range(dice.randrange(2, 14))]
        with suppress(subprocess.TimeoutExpired):  # it works on while we wait: the blow falls at any moment of its work
            writer.wait(timeout=dice.random() * 0.12)
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        # The last line may have been cut by the kill.
        for line in "".join([*lines, rest]).split("\n")[:-1]:
            what, *numbers = line.split()
            if what == "stored":
                stored.update(range(int(numbers[0]), int(numbers[1]) + 1))
            else:
                with_score.update(map(int, numbers))
        with Store.open(path, NOON) as store:
            assert store.known(sorted(stored)) == stored
            ids = [row[0] for row in rows(store, "SELECT id FROM headlines")]
            assert len(ids) == len(set(ids))
            assert len(ids) % 40 == 0, "a batch is there whole or not at all"
            assert with_score <= {row[0] for row in rows(store, "SELECT headline FROM scores")}
            waiting = rows(store, "SELECT id FROM headlines ANTI JOIN scores ON headline = id ORDER BY id")
            assert rows(store, "SELECT headline FROM awaiting ORDER BY headline") == waiting
            assert store.rollup_faults().to_dicts() == []
    assert len(stored) >= 5 * 40


def test_readers_see_whole_batches_while_another_thread_writes(path: Path) -> None:
    with Store.open(path, NOON) as store, ThreadPoolExecutor(4) as threads:

        def write() -> None:
            for batch in range(20):
                append(store, *((headline(batch * 10 + n), scored()) for n in range(10)))

        def read() -> list[int]:
            return [store.counts().headlines for _ in range(20)]

        writing = threads.submit(write)
        seen = [threads.submit(read) for _ in range(3)]
        writing.result()
        for counts in (each.result() for each in seen):
            assert all(count % 10 == 0 for count in counts)
            assert counts == sorted(counts)
        assert store.counts().headlines == 200


def test_instants_come_out_in_utc_whatever_the_zone_of_the_machine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    with Store.open(path, NOON) as store:
        append(store, (headline(1, NOON + timedelta(minutes=59)), scored()))
        with store.database.reading() as cursor:
            frame = cursor.sql("SELECT hour FROM rollups").pl()
    assert frame.schema["hour"] == pl.Datetime("us", "UTC")
    assert frame["hour"].unique().to_list() == [NOON]
