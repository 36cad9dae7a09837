"""The store: what goes in comes out, as it was and once."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.feeds.feed import Check, Entry, Feed, FeedState, Outcome, unseen
from monitor.news.headlines import Headline, Standing
from monitor.storage.store import Batch, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
HOUR, NOON, append, emptied, headline = (SCENE[name] for name in ("HOUR", "NOON", "append", "emptied", "headline"))
rollup, rows, scored, shared_store = (SCENE[name] for name in ("rollup", "rows", "scored", "shared_store"))

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


def test_instants_come_out_in_utc_whatever_the_zone_of_the_machine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    with Store.open(path, NOON) as store:
        append(store, (headline(1, NOON + timedelta(minutes=59)), scored()))
        with store.database.reading() as cursor:
            frame = cursor.sql("SELECT hour FROM rollups").pl()
    assert frame.schema["hour"] == pl.Datetime("us", "UTC")
    assert frame["hour"].unique().to_list() == [NOON]


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


# Watching and notes


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
