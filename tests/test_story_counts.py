"""What the store counts: each story once in each of its series, in whatever order headlines and scores come."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.score import Abstention
from monitor.news.headlines import Headline, Standing
from monitor.storage.store import Scored, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
HOUR, NOON, append, emptied, headline = (SCENE[name] for name in ("HOUR", "NOON", "append", "emptied", "headline"))
rollup, rows, scored, shared_store = (SCENE[name] for name in ("rollup", "rows", "scored", "shared_store"))


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
