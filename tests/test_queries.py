"""Questions about the store: each runs on real tables, counts right, and takes values only as values."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.storage.queries import QUERIES, Query
from monitor.storage.reading import Reader
from monitor.storage.store import Store
from monitor.storage.words import wanted

SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK: dict[str, Any] = {"since": NOW - 7 * DAY, "until": NOW + DAY}
SAMPLE: dict[type, Any] = {str: "hour", int: 10, bool: True, datetime: NOW}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    path = tmp_path_factory.mktemp("queries") / "squall.duckdb"
    SCENE["fill"](path, NOW)
    return Reader.open(path)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    path = tmp_path_factory.mktemp("empty") / "squall.duckdb"
    Store.open(path, NOW).close()
    return Reader.open(path)


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_question_is_answered_by_an_empty_store(name: str, empty: Reader) -> None:
    values = {key: SAMPLE[kind] for key, kind in QUERIES[name].params.items()}
    answer = empty.query(name, **values)
    assert answer.width >= 1
    assert answer.height == (1 if name in {"status", "tally"} else answer.height if name == "meta" else 0)


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_question_only_reads_and_says_what_it_answers(name: str) -> None:
    first = QUERIES[name].sql.split()[0]
    assert first in {"SELECT", "WITH"}
    assert QUERIES[name].about.endswith(".")


@given(st.sampled_from(sorted(QUERIES)), st.data())
def test_values_of_another_kind_are_refused_in_words(name: str, data: st.DataObject) -> None:
    query = QUERIES[name]
    right = {key: SAMPLE[kind] for key, kind in query.params.items()}
    assert query.objection(right) == ""
    assert "unknown parameter: surprise" in query.objection({**right, "surprise": 1})
    if query.params:
        key = data.draw(st.sampled_from(sorted(query.params)))
        others = [value for kind, value in SAMPLE.items() if kind is not query.params[key]]
        wrong = data.draw(st.sampled_from([*others, None, 1.5, [1]]))
        assert f"parameter {key} must be" in query.objection({**right, key: wrong})
        del right[key]
        assert f"missing parameter: {key}" in query.objection(right)


def test_a_time_without_its_zone_is_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    assert "time zone" in QUERIES["feeds"].objection({"since": naive})


def test_a_parameter_that_does_not_occur_is_refused_at_birth() -> None:
    with pytest.raises(ValueError, match="does not occur"):
        Query("Nothing.", "SELECT 1", {"x": int})
    with pytest.raises(ValueError, match="must be str, int, bool or datetime"):
        Query("Nothing.", "SELECT $x", {"x": list})


def test_status_counts_what_there_is(reader: Reader) -> None:
    row = reader.query("status").row(0, named=True)
    assert (row["headlines"], row["scored"], row["feeds"], row["feeds_failing"]) == (320, 320, 2, 1)
    assert (row["deliveries_pending"], row["deliveries_dead"]) == (1, 1)
    assert row["model"] == "model-1"
    assert row["last_hour"] == datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_a_trend_counts_each_story_once_and_gives_the_mean_tone(reader: Reader) -> None:
    by_hour = reader.query("trend", series="theme:bank-stress", step="hour", zone="UTC", **WEEK)
    by_day = reader.query("trend", series="theme:bank-stress", step="day", zone="UTC", **WEEK)
    assert by_hour["negative"].sum() == by_day["negative"].sum() == 20
    assert by_hour["at"].is_sorted()
    assert by_day["tone"].to_list() == pytest.approx([-0.85] * by_day.height)


def test_the_usual_number_comes_from_the_time_before_and_only_where_there_was_enough(reader: Reader) -> None:
    since = NOW - 2 * DAY
    found = reader.query("series", since=since, until=NOW, baseline=NOW - 30 * DAY, limit=10)
    rows = {row["series"]: row for row in found.iter_rows(named=True)}
    first = reader.query("status")["first_hour"].item()
    before = reader.query("trend", series="market", step="hour", zone="UTC", since=first, until=since)
    share = (2 * DAY) / (since - max(first, NOW - 14 * DAY))
    assert rows["market"]["usual_negative"] == pytest.approx(before["negative"].sum() * share)
    assert rows["theme:bank-stress"]["usual_negative"] == 0
    assert rows["company:JPM"]["usual_negative"] is None, "it is watched for an hour only"
    assert found["negative"].is_sorted(descending=True)


def test_headlines_come_newest_first_and_of_the_series_only(reader: Reader) -> None:
    every = reader.query("headlines", series="market", **WEEK, negative_only=False, limit=50)
    banks = reader.query("headlines", series="theme:bank-stress", **WEEK, negative_only=False, limit=500)
    assert every.height == 50
    assert every["effective"].is_sorted(descending=True)
    assert banks.height == 20
    assert set(banks["title"]) == {SCENE["HOSTILE"], *(f"Bank {n} in trouble" for n in range(1, 20))}


def test_only_negatives_are_only_negatives(reader: Reader) -> None:
    found = reader.query("headlines", series="market", **WEEK, negative_only=True, limit=500)
    every = reader.query("headlines", series="market", **WEEK, negative_only=False, limit=500)
    assert set(found["sentiment"]) == {"negative"}
    assert found.height == every["sentiment"].to_list().count("negative") < every.height


def searched(reader: Reader, text: str) -> pl.DataFrame:
    sift = {"series": "market", "negative_only": False, "tone": "", "publisher": "", "limit": 500}
    return reader.query("search", **wanted(text).params(), **sift, **WEEK)


@pytest.mark.parametrize("text", ["bank 7", "BANK 7", "Bank 7 in"])
def test_search_finds_words_in_any_case(reader: Reader, text: str) -> None:
    assert searched(reader, text)["title"].to_list() == ["Bank 7 in trouble"]


@pytest.mark.parametrize("text", ["'; DROP TABLE headlines; --", "%", "_", "\\", '" OR 1=1'])
def test_a_searched_text_is_a_value_and_no_pattern(reader: Reader, text: str) -> None:
    sought = wanted(text)
    # Signs are no words: where nothing else was typed, there is nothing to look for.
    assert sought.empty or searched(reader, text).is_empty()
    assert reader.query("status")["headlines"].item() == 320


def test_alerts_are_found_by_the_time_that_they_were_open(reader: Reader) -> None:
    def ids(since: datetime, until: datetime, series: str = "") -> list[str]:
        return reader.query("alerts", series=series, since=since, until=until, limit=9)["id"].to_list()

    firing, faded = "alert_00000000000000aa", "alert_00000000000000bb"
    assert set(ids(NOW - DAY, NOW)) == {firing, faded}
    assert ids(NOW, NOW + DAY) == [firing], "the other one was over"
    assert ids(NOW - 3 * DAY, NOW - 2 * DAY) == []
    assert ids(NOW - DAY, NOW, "topic:Macro") == [faded]
    assert reader.query("open_alerts")["id"].to_list() == [firing]


def test_open_alerts_come_by_severity_then_surprise_then_time(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    told = [
        # id, state, severity, p-value, hours ago
        ("late", "firing", "warning", 1e-6, 1),
        ("early", "firing", "warning", 1e-6, 9),
        ("odd", "recovering", "warning", 1e-12, 5),
        ("grave", "pending", "critical", 1e-3, 7),
        ("light", "firing", "info", 1e-20, 2),
        ("over", "resolved", "critical", 1e-30, 3),
    ]
    with Store.open(path, NOW) as store, store.database.reading() as cursor:
        cursor.executemany(
            "INSERT INTO alerts BY NAME SELECT $1 AS id, 'market' AS series, $2 AS state, $3 AS severity, "
            "$5::TIMESTAMPTZ AS opened_at, $5::TIMESTAMPTZ AS last_spike_at, 3 AS hours, 9 AS observed, "
            "1.0 AS expected, $4::DOUBLE AS p_value, 9 AS peak_observed, 1.0 AS peak_expected, "
            "$4::DOUBLE AS peak_p_value, $5::TIMESTAMPTZ AS peak_at, '[]' AS evidence",
            [(name, state, severity, p, NOW - timedelta(hours=ago)) for name, state, severity, p, ago in told],
        )
    with Reader.open(path) as reader:
        opened = reader.query("open_alerts")
    assert opened["id"].to_list() == ["grave", "odd", "late", "early", "light"]


def test_one_alert_comes_with_evidence_history_and_messages(reader: Reader) -> None:
    alert = {"alert": SCENE["ALERT"]}
    assert "Bank 1 in trouble" in reader.query("alert", **alert)["evidence"].item()
    assert reader.query("alert_changes", **alert)["reason"].to_list() == ["opened", "fired"]
    sent = reader.query("alert_deliveries", **alert)
    assert dict(zip(sent["channel"], sent["state"], strict=True)) == {
        "mail": "delivered",
        "hook": "pending",
        "chat": "dead",
    }
    tried = reader.query("alert_attempts", **alert)
    assert dict(zip(tried["channel"], tried["outcome"], strict=True))["chat"] == "gone"
    assert reader.query("alert", alert="nobody").is_empty()


def test_feeds_and_channels_say_how_they_are(reader: Reader) -> None:
    feeds = reader.query("feeds", since=NOW - DAY)
    assert feeds["feed"].to_list() == ["sick-post", "calm-wire"], "the failing first"
    assert feeds["checks"].to_list() == [1, 1]
    assert reader.query("feed_checks", feed="sick-post", limit=9)["outcome"].to_list() == ["not_found"]
    channels = {row["channel"]: row for row in reader.query("channels").iter_rows(named=True)}
    assert (channels["chat"]["dead"], channels["mail"]["delivered"], channels["hook"]["pending"]) == (1, 1, 1)
    assert channels["hook"]["last_reason"] == "no connection to hooks.example"
