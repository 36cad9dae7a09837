"""Search over headlines: what it finds, what it does not read, and that an index is never behind its titles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from models.score import CompanyScore, Score
from monitor.news.headlines import Headline, Standing
from monitor.storage.migrating import known_migrations
from monitor.storage.queries import QUERIES
from monitor.storage.store import Batch, Scored, Store
from monitor.storage.words import SLOTS, fold_words, wanted, words_of

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TITLES = {
    1: "Credit Suisse shares plunge as banks fear for deposits",
    2: "Bank of England holds rates",
    3: "Suisse watchmaker gets credit line",
    4: "Société Générale fined; deposit insurer calm",
    5: "=cmd|'/c calc'!A1 bankers",
}


def headline(number: int, title: str, *tickers: str, publisher: str = "wire") -> Headline:
    at = NOW - number * HOUR
    return Headline(number, "feed", publisher, title, "", "", "en", at, at, at, Standing.FRESH, tickers, number)


def scored(negative: float) -> Scored:
    return Scored(Score(negative, (1 - negative) / 2, (1 - negative) / 2, (("Macro", 0.9),), "model-1"))


@pytest.fixture(scope="module")
def store() -> Store:
    made = Store.open(":memory:", NOW)
    stories = [headline(number, title, *(["CS"] if number == 1 else [])) for number, title in TITLES.items()]
    stories[1] = headline(2, TITLES[2], publisher="Post")
    made.append(Batch(headlines=stories, scores={each: scored(0.9 if each < 3 else 0.1) for each in TITLES}), NOW)
    return made


def found(store: Store, text: str, **asked: object) -> list[int]:
    params = {
        "series": "market", "since": NOW - 24 * HOUR, "until": NOW, "negative_only": False, "tone": "",
        "publisher": "", "limit": 10, **asked,
    }  # fmt: skip
    with store.database.reading() as cursor:
        rows: pl.DataFrame = cursor.sql(QUERIES["search"].sql, params={**params, **wanted(text).params()}).pl()
    return rows["id"].to_list()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("bank", [1, 2, 5]),  # the beginning of banks and bankers
        ("BANKS fear", [1]),
        ("credit suisse", [1, 3]),
        ('"credit suisse"', [1]),
        ("societe generale", [4]),
        ("deposit", [1, 4]),
        ("of", [2]),  # a short word stands for itself: not for offer
        ("$cs", [1]),
        ("$CS bank", [1]),
        ("nothing", []),
        ("credit suisse shares plunge deposits", [1]),  # more words than are looked up
        ("credit suisse shares plunge deposits as", [1]),
        ("credit suisse shares plunge deposits zoo", []),  # the sixth word counts as well
        ("credit suisse shares plunge deposits fe", []),  # two letters are a word of their own
        ('credit suisse shares plunge deposits "banks fear"', [1]),
        ('"societe generale"', [4]),  # accents make no difference between quotation marks either
        ('"Société Générale"', [4]),
        ('"generale fined deposit"', [4]),  # signs between words are none
        ("“credit suisse”", [1]),  # as telephones write quotation marks
        ('"bank of" "holds rates"', [2]),
        ('"bank of" "rates holds"', []),  # each of two stands side by side
        ("($CS), bank", [1]),
        ('""', []),
    ],
)
def test_all_words_must_occur_each_at_the_beginning_of_a_word(store: Store, text: str, ids: list[int]) -> None:
    assert found(store, text) == ids


def test_what_is_said_of_a_company_is_found_among_more_of_the_same_words() -> None:
    title = "Shareholder alert: class action lawsuit, deadline reminder"
    others = [replace(headline(1, title), id=number, story=number) for number in range(10, 1300)]
    every = [headline(2, title, "CS"), *others]
    with Store.open(":memory:", NOW) as store:
        store.append(Batch(headlines=every, scores={one.id: scored(0.9) for one in every}), NOW)
        typed = "shareholder lawsuit deadline reminder $CS"
        assert found(store, typed, series="company:CS") == [2]
        assert found(store, "action " + typed, series="company:CS") == [2]
        assert found(store, "zoo " + typed, series="company:CS") == []


def test_filters_narrow_what_is_found(store: Store) -> None:
    assert found(store, "bank", tone="negative") == [1, 2]
    assert found(store, "bank", publisher="post") == [2]
    assert found(store, "bank", series="company:CS") == [1]
    assert found(store, "bank", series="topic:Macro", negative_only=True) == [1, 2]
    assert found(store, "bank", since=NOW - 2.5 * HOUR) == [1, 2]
    assert found(store, "bank", limit=1) == [1]


def test_words_that_moved_into_a_sorted_run_are_found_as_before(store: Store) -> None:
    before = found(store, "bank")
    with store.database.writing() as connection:
        assert not fold_words(connection, least=1000)
        assert fold_words(connection, least=1)
    assert found(store, "bank") == before
    with store.database.reading() as cursor:
        assert cursor.execute("SELECT count(*) FROM recent_words").fetchone() == (0,)


def test_headlines_that_were_stored_before_there_was_an_index_are_found(tmp_path: Path) -> None:
    path, steps = tmp_path / "old.duckdb", known_migrations()
    index = next(step.number for step in steps if step.name == "search")
    Store.open(path, NOW, migrations=tuple(step for step in steps if step.number < index)).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "INSERT INTO headlines (id, feed, publisher, title, summary, link, language, fetched, effective, standing, "
            "story, companies) VALUES (7, 'f', 'p', 'Banks wobble', '', '', 'en', $at, $at, 'fresh', 7, ['JPM'])",
            {"at": NOW - HOUR},
        )
    with Store.open(path, NOW) as store, store.database.reading() as cursor:
        rows = cursor.sql("SELECT word FROM words WHERE headline = 7 ORDER BY word").fetchall()
    assert rows == [("$jpm",), ("banks",), ("wobble",)]


def test_a_headline_that_comes_twice_is_written_once() -> None:
    with Store.open(":memory:", NOW) as store:
        for _ in range(2):
            store.append(Batch(headlines=[headline(1, TITLES[1])], scores={1: scored(0.9)}), NOW)
        with store.database.reading() as cursor:
            assert cursor.execute("SELECT count(*) FROM recent_words WHERE word = 'credit'").fetchone() == (1,)


@settings(deadline=None)
@given(some.lists(some.text(max_size=60), min_size=1, max_size=20))
def test_the_words_of_a_question_are_those_of_the_index(store: Store, titles: list[str]) -> None:
    """Whoever types a whole title finds it: the store and this process part words alike, for the same letters."""
    known = pl.DataFrame({"title": [_plain(one) for one in titles]})
    with store.database.writing(known=known) as connection:
        rows = connection.sql("SELECT title, words_of(title) FROM known").fetchall()
    for title, words in rows:
        assert sorted(words_of(title)) == sorted(words)


def _plain(title: str) -> str:
    """Letters of the scripts that feeds are written in: others may be folded in two ways."""
    return "".join(
        one for one in title.replace("\x00", "") if one.isascii() or "À" <= one <= "ž" or "一" <= one <= "龥"
    )


@given(some.text(max_size=100))
def test_whatever_is_typed_makes_a_search(text: str) -> None:
    asked = wanted(text)
    assert len(asked.ranges) <= SLOTS
    assert QUERIES["search"].objection({**_SIFT, **asked.params()}) == ""
    assert all(first < end for first, end in asked.ranges)


_SIFT: dict[str, object] = {
    "series": "market", "since": NOW, "until": NOW + HOUR, "negative_only": False, "tone": "", "publisher": "",
    "limit": 1,
}  # fmt: skip


def test_what_is_said_towards_a_company_is_told_in_its_series() -> None:
    towards = (("CS", CompanyScore("Credit Suisse", 0.9, 0.05, 0.05)),)
    mixed = Scored(Score(0.1, 0.1, 0.8, (("Macro", 0.9),), "model-1"), (), towards)
    with Store.open(":memory:", NOW) as store:
        store.append(Batch(headlines=[headline(1, TITLES[1], "CS")], scores={1: mixed}), NOW)
        assert found(store, "bank", series="company:CS", negative_only=True) == [1]
        assert found(store, "bank", series="market", negative_only=True) == []
