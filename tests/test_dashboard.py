"""Pages without a browser: words, charts and what each page says in each state of the store."""

from __future__ import annotations

import math
import runpy
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

import dashboard.app
from dashboard import charts, headline_table, overview, reads, texts
from monitor.storage.readservice import ReadService
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
APP = str(Path(dashboard.app.__file__))
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dashboard") / "squall.duckdb"
    SCENE["fill"](path, datetime.now(UTC))
    return path


@pytest.fixture
def live_scene(tmp_path: Path) -> Iterator[Path]:
    """The scene with its read service running, as beside a daemon."""
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, datetime.now(UTC))
    with Store.open(path, datetime.now(UTC)) as store, ReadService(store):
        yield path


def opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app as the browser gets it first."""
    monkeypatch.setattr(sys, "argv", ["app.py", "--store", str(path)])
    return AppTest.from_file(APP, default_timeout=30).run()


def said(app: AppTest) -> str:
    """Every word on the page outside tables."""
    kinds = ("markdown", "text", "caption", "success", "info", "warning", "error", "subheader", "metric", "code")
    return "\n".join(
        f"{getattr(each, 'label', '')} {each.value}"
        for kind in kinds
        for each in app.get(kind)
        if hasattr(each, "value")
    )


# Pages


def test_the_overview_leads_with_the_open_alert(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(scene, monkeypatch)
    words = said(app)
    assert not app.exception
    assert not app.error
    assert "Risk now" in words
    assert "Critical" in words
    assert "Firing" in words
    assert "**13 negative stories** in 12 h" in words
    assert "Usual: 1.5 · by chance 1 in 43 million" in words
    assert "Told: mail; waiting: hook; given up: chat · nobody has taken it on" in words
    assert "all times in UTC" in words
    assert "Monitor not running" in words


def test_with_a_daemon_the_overview_says_so(live_scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(live_scene, monkeypatch)
    assert not app.exception
    assert "Monitor running" in said(app)
    assert not [one for one in app.warning if "not running" in one.value]


def test_the_overview_shows_where_and_what(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(scene, monkeypatch)
    words = said(app)
    assert ":red[**1** firing]" in words
    assert "##### Themes" in words
    assert "##### Topics" in words
    assert "[Bank 1 in trouble](<https://news.example/1?a=%28b%29>)" in words
    assert next(one for one in app.metric if one.label == "Negative stories").value in {"31", "32"}
    app.button_group(key="overview_range").set_value(reads.Choice.DAY).run()
    assert next(one for one in app.metric if one.label == "Negative stories").value == "20"
    assert not app.exception


def test_one_alert_shows_its_evidence_history_and_messages(scene: Path) -> None:
    page = AppTest.from_function(_alert_page, kwargs={"store": str(scene)}, default_timeout=30)
    page.query_params["alert"] = SCENE["ALERT"]
    page.run()
    words = said(page)
    assert not page.error
    assert "13 negative stories in 12 h, where 1.5 would be usual" in words
    assert "1 in 43 million" in words
    assert "Evidence: 3 stories" in words
    assert "Stories per hour; shaded while the alert was open." in words
    assert "Fired" in words
    assert "Given up" in words
    assert texts.literal("410: closed for good") in words


def _alert_page(store: str) -> None:
    from pathlib import Path

    from dashboard import alert_page, frame

    frame.show(Path(store), alert_page.draw)


def test_an_alert_that_nobody_knows_is_said_to_be_unknown(scene: Path) -> None:
    page = AppTest.from_function(_alert_page, kwargs={"store": str(scene)}, default_timeout=30)
    page.query_params["alert"] = "<b>alert_nobody</b>"
    page.run()
    assert not page.error
    assert "No such alert" in said(page)


def test_the_list_names_state_and_severity_and_tells_a_faded_alert(scene: Path) -> None:
    page = AppTest.from_function(_alert_page, kwargs={"store": str(scene)}, default_timeout=30).run()
    listed = page.dataframe[0].value
    assert [list(one) for one in listed["state"]] == [["Firing"], ["Faded"]]
    assert listed["series"].to_list() == ["Bank stress (theme)", "Macro (topic)"]


def test_without_a_store_the_page_says_how_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tmp_path / "none.duckdb", monkeypatch)
    assert not app.exception
    assert "squall run" in said(app)
    assert not (tmp_path / "none.duckdb").exists(), "looking must not make a store"


def test_an_empty_store_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "squall.duckdb"
    Store.open(path, datetime.now(UTC)).close()
    app = opened(path, monkeypatch)
    assert not app.error
    assert "No headlines yet" in said(app)


@pytest.mark.parametrize("module", ["overview", "series_page", "stories_page", "feed_health", "model_page"])
def test_nobody_is_told_to_start_a_monitor_that_runs(tmp_path: Path, module: str) -> None:
    path, now = tmp_path / "squall.duckdb", datetime.now(UTC)
    script = (
        f"from pathlib import Path\nfrom dashboard import frame, {module}\n"
        f"frame.show(Path({str(path)!r}), {module}.draw)"
    )
    with Store.open(path, now) as store, ReadService(store):
        live = AppTest.from_string(script, default_timeout=60).run()
    asleep = AppTest.from_string(script, default_timeout=60).run()
    assert not live.exception
    assert not live.dataframe, "no empty table either"
    assert "squall run" not in said(live)
    assert "squall run" in said(asleep)


def test_a_young_store_says_that_it_is_learning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, now = tmp_path / "squall.duckdb", datetime.now(UTC)
    with Store.open(path, now) as store, ReadService(store):
        store.watch(["market"], now - DAY)
        store.note("rules", '{"learning_days": 3}')
        app = opened(path, monkeypatch)
        words = said(app)
    assert "**Learning.**" in words
    assert "in 1 d 23 h" in words or "in 2 d" in words


def test_a_calm_store_says_that_all_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, now = tmp_path / "squall.duckdb", datetime.now(UTC)
    with Store.open(path, now) as store, ReadService(store):
        store.watch(["market"], now - 30 * DAY)
        app = opened(path, monkeypatch)
    assert any("All quiet" in one.value for one in app.success)


def test_a_broken_store_is_an_error_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "squall.duckdb"
    path.write_bytes(b"no store at all" * 1000)
    app = opened(path, monkeypatch)
    assert not app.exception
    assert any("cannot be read" in one.value for one in app.error)
    assert "restore" in said(app)


def test_a_monitor_that_refuses_the_token_is_not_said_to_be_missing(scene: Path) -> None:
    page = AppTest.from_function(_refused, kwargs={"store": str(scene)}, default_timeout=30).run()
    words = said(page)
    assert "the token is wrong" in words
    assert "Another process holds the store" in words
    assert "starts the monitor" not in words


def _refused(store: str) -> None:
    from pathlib import Path

    from dashboard import frame
    from monitor.errors import ServiceError, StoreLocked

    def draw(_: frame.Moment) -> None:
        raise ServiceError("the read service does not answer (the token is wrong)") from StoreLocked("held")

    frame.show(Path(store), draw)


def test_hundreds_of_alerts_do_not_hide_a_chart() -> None:
    days = [datetime(2026, 3, 10, tzinfo=UTC) + n * timedelta(hours=1) for n in range(90)]
    marked = pl.DataFrame(
        {
            "id": [f"alert_{n:02}" for n in range(90)],
            "severity": ["info", "warning", "critical"] * 30,
            "p_value": [0.01] * 90,
            "opened_at": days,
        }
    )
    kept, left_out = overview.gravest(marked)
    assert (kept.height, left_out) == (40, 50)
    assert kept["severity"].value_counts(sort=True).rows() == [("critical", 30), ("warning", 10)]
    assert kept.row(0)[0] == "alert_89", "of equals the latest"
    assert overview.gravest(marked.head(5))[1] == 0


def test_without_a_path_the_app_says_how_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py"])
    app = AppTest.from_file(APP, default_timeout=30).run()
    assert any("squall dashboard" in one.value for one in app.markdown)


# Words


@given(some.text(max_size=200))
def test_escaped_text_leaves_no_mark_of_markdown_bare(text: str) -> None:
    escaped = texts.literal(text)
    bare = [
        place
        for place, character in enumerate(escaped)
        if character in "<>[]()!*_`$:~#|\\&" and (place == 0 or escaped[place - 1] != "\\")
    ]
    # A backslash itself is escaped by one before it: of two, the first stands bare.
    assert all(escaped[place] == "\\" for place in bare)
    assert "\n" not in escaped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("الجزيرة", "\u2068الجزيرة\u2069"),
        ("\u202eevil\u202c بنك \u2069", "\u2068evil بنك \u2069"),
        ("\u2066plain", "plain"),
        ("新华社", "新华社"),
    ],
)
def test_what_is_written_from_right_to_left_turns_nothing_around_it(text: str, shown: str) -> None:
    assert texts.literal(text) == shown
    assert texts.cell(text) == shown.strip("\u2068\u2069")


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "http://", "http://a b", "", "http://[::1"]
)
def test_only_web_addresses_become_links(url: str) -> None:
    assert texts.web_link(url) is None
    assert texts.linked("title", url) is None


def test_an_address_cannot_end_its_link_early() -> None:
    link = texts.linked("a](http://evil.example)", 'https://news.example/a(b)>"<script>`x`|[y]{z}\\')
    assert link is not None
    shown, _, address = link.rpartition("](<")
    assert address == "https://news.example/a%28b%29%3E%22%3Cscript%3E%60x%60%7C%5By%5D%7Bz%7D%5C>)"
    assert shown.startswith("[a\\]\\(http\\:")


@pytest.mark.parametrize("title", ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)"])
def test_a_cell_is_no_formula_and_reads_the_same(title: str) -> None:
    cell = texts.cell(title)
    assert cell[0] not in "=+-@"
    assert cell.removeprefix("\u2060") == title


@pytest.mark.parametrize(
    ("p_value", "words"),
    [
        (0.9, "more likely than not"),
        (0.04, "1 in 25"),
        (0.00023, "1 in 4,300"),
        (2.3e-8, "1 in 43 million"),
        (4e-11, "1 in 25 billion"),
        (0.0, "less than 1 in a trillion"),
        (math.nan, "less than 1 in a trillion"),
    ],
)
def test_chances_are_odds(p_value: float, words: str) -> None:
    assert texts.chance(p_value) == words


@given(some.floats(min_value=0, max_value=1))
def test_every_chance_has_words(p_value: float) -> None:
    assert texts.chance(p_value)[0] in "1lm"


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=20), "less than a minute"),
        (timedelta(minutes=14), "14 min"),
        (timedelta(hours=2, minutes=5), "2 h 5 min"),
        (timedelta(hours=20, minutes=5), "20 h"),
        (timedelta(days=3, hours=2), "3 d 2 h"),
        (timedelta(days=1234), "1,234 d"),
    ],
)
def test_lengths_of_time_in_words(length: timedelta, words: str) -> None:
    assert texts.span(length) == words


def test_series_have_names_for_people() -> None:
    assert texts.series_title("market") == "Whole market"
    assert texts.series_title("theme:bank-stress") == "Bank stress (theme)"
    assert texts.series_title("topic:Fed | Central Banks") == "Fed / Central Banks (topic)"
    assert texts.series_title("sector:Energy") == "Energy (sector)"
    assert texts.series_title("story:95d422cdbf428548") == "Breaking story"
    assert texts.series_name("company:NOBODY") == "NOBODY"
    assert texts.series_name("company:GS").endswith("(GS)")


def test_a_state_that_the_page_does_not_know_is_shown_by_its_name() -> None:
    assert texts.look(texts.STATES, "half_open").word == "Half open"
    assert texts.outcome("brand_new") == "Brand new"


# What is read, and drawn


def known(**changes: Any) -> reads.Status:
    names = dict.fromkeys(reads.Status.__dataclass_fields__)
    numbers = {"headlines", "scored", "series", "feeds", "feeds_failing", "deliveries_pending", "deliveries_dead"}
    return reads.Status(**{**names, **dict.fromkeys(numbers, 0), **changes})


@given(
    some.sampled_from(reads.Choice),
    some.datetimes(datetime(2020, 1, 1), datetime(2029, 1, 1), timezones=some.just(UTC)),  # noqa: DTZ001 - zone follows
    some.integers(0, 50_000),
    some.booleans(),
)
def test_a_period_ends_with_the_current_hour_or_the_last_data(
    choice: reads.Choice, now: datetime, hours: int, live: bool
) -> None:
    last = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
    over = reads.period(choice, known(first_hour=last - 90 * DAY, last_hour=last), now, live=live)
    hour = timedelta(hours=1)
    assert over.until == (now.replace(minute=0, second=0, microsecond=0) + hour if live else last + hour)
    assert over.since < over.until
    assert over.step in {"hour", "day", "month"}


def test_a_period_must_be_in_order() -> None:
    now = datetime(2026, 3, 10, tzinfo=UTC)
    with pytest.raises(ValueError, match="in order"):
        reads.Period(now, now, "hour")


def test_the_choice_of_series_keeps_its_order_and_what_was_chosen() -> None:
    names = ["company:B", "market", "topic:Z", "sector:Energy", "theme:a", "topic:A", "company:A"]
    counted = pl.DataFrame({"series": names, "stories": [9, 9, 9, 9, 9, 9, 1]})
    assert reads.choices(counted, "company:A", companies=1) == [
        "market",
        "topic:A",
        "topic:Z",
        "theme:a",
        "sector:Energy",
        "company:A",
        "company:B",
    ]


def test_broken_evidence_does_not_break_the_page() -> None:
    whole = '{"title": "x", "publishers": ["p"], "link": "", "at": "2026-03-10T12:00:00+00:00", "negative": 0.9}'
    assert [one.title for one in reads.stories(f'[{whole}, {{"title": "no time"}}]')] == ["x"]


def test_charts_are_in_utc_and_hold_every_story() -> None:
    since = datetime(2026, 3, 9, tzinfo=UTC)
    over = reads.Period(since, since + DAY, "hour")
    trend = pl.DataFrame(
        {"at": [since, since + timedelta(hours=3)], "stories": [5, 1], "negative": [2, 3], "tone": [0.1, -0.5]},
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    none = pl.DataFrame(schema={"series": pl.String})
    drawn = charts.volume(trend, none, over).to_dict()
    (data,) = drawn["datasets"].values()
    assert sum(row["high"] - row["low"] for row in data if row["kind"] == "Negative") == 5
    assert all(row["low"] <= row["high"] for row in data), "no bar goes down"
    assert drawn["layer"][0]["encoding"]["x"]["scale"]["type"] == "utc"
    assert charts.tone(trend, none, over).to_dict()["layer"]


def test_the_table_of_headlines_has_only_web_links() -> None:
    at = datetime(2026, 3, 10, tzinfo=UTC)
    found = pl.DataFrame(
        {
            "effective": [at, at],
            "sentiment": ["negative", "neutral"],
            "abstention": ["none", "unsure"],
            "title": ["=1+1", "b"],
            "link": ["javascript:alert(1)", "https://news.example/"],
            "publisher": ["a", "b"],
            "negative": [0.9, 0.4],
            "tone_in": [-0.85, 0.0],
            "towards": [["GS", "JPM"], []],
            "towards_negative": [[0.9, 0.2], []],
            "towards_positive": [[0.05, 0.1], []],
            "themes": [["bank-stress"], []],
            "topics": [["Macro"], []],
            "companies": [["GS"], []],
        },
        schema_overrides={name: pl.List(pl.String) for name in ("themes", "topics", "companies", "towards")}
        | {name: pl.List(pl.Float32) for name in ("towards_negative", "towards_positive")},
    )
    shown = headline_table.table(found)
    assert shown["link"].to_list() == [None, "https://news.example/"]
    assert shown["sentiment"].to_list() == [["Negative"], ["Unsure"]]
    assert shown["themes"].to_list() == [["Bank stress"], []]
    assert shown["towards"].to_list() == [["GS 90% negative", "JPM neutral"], []]
    assert "toned" not in shown.columns
    assert headline_table.table(found, "company:GS")["toned"].to_list() == [-0.85, 0.0]
