"""What a visitor chose stays chosen, a link means what it says, and a second click undoes nothing."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import dashboard.app
from dashboard import choosing, periods
from monitor.desk.actions import actions_of
from monitor.feeds.added import changes_file, read_changes
from monitor.service.page_actions import for_pages
from monitor.settings import Settings
from monitor.storage.reading import Reader
from monitor.storage.readservice import ReadService
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
ALERT = SCENE["ALERT"]
HOUR = timedelta(hours=1)
PATIENCE = 180


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("choices") / "squall.duckdb"
    SCENE["fill"](path, datetime.now(UTC))
    return path


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """The scene with a read service that takes requests, as a daemon's does."""
    path = tmp_path / "squall.duckdb"
    SCENE["fill"](path, clock())
    feeds = [
        {"id": name, "url": f"https://{name}.example/rss", "name": name, "publisher": name}
        for name in ("calm-wire", "sick-post")
    ]
    settings = Settings.model_validate(
        {"store": {"path": str(path)}, "watch": {"default_feeds": False}, "feeds": feeds}
    )
    with Store.open(path, clock()) as store:
        acts = for_pages(settings, store, clock, actions_of(store, clock))
        with ReadService(store, acts):
            yield path


def page(module: str, store: Path, **asked: str) -> AppTest:
    lines = (
        "from pathlib import Path",
        "import streamlit as st",
        f"from dashboard import frame, {module}",
        "if not st.session_state.get('elsewhere'):",
        f"    frame.show(Path({str(store)!r}), {module}.draw)",
    )
    app = AppTest.from_string("\n".join(lines), default_timeout=PATIENCE)
    return at(app, **asked)


def at(app: AppTest, **asked: str) -> AppTest:
    """The page at another address, in the same visit."""
    for name in [*app.query_params]:
        del app.query_params[name]
    for name, value in asked.items():
        app.query_params[name.rstrip("_")] = value
    return app.run()


def said(app: AppTest) -> str:
    kinds = ("markdown", "text", "caption", "success", "info", "warning", "error", "subheader")
    return "\n".join(str(each.value) for kind in kinds for each in app.get(kind) if hasattr(each, "value"))


def told(app: AppTest, parameter: str) -> str:
    value = app.query_params[parameter]
    return value if isinstance(value, str) else value[0]


# Addresses


@pytest.mark.parametrize("module", ["series_page", "stories_page"])
@pytest.mark.parametrize(
    ("begun", "ended"),
    [("0001-01-01T00:00", "9999-12-31T23:59"), ("2026-01-01T00:00", "9999-12-31T23:30"), ("1900-01-01", "1900-01-02")],
)
def test_times_beyond_every_calendar_are_no_traceback(scene: Path, module: str, begun: str, ended: str) -> None:
    app = page(module, scene, from_=begun, to=ended)
    assert not app.error
    assert not app.exception


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "2026-03-10T10:30", "x"])
def test_a_time_of_an_address_is_one_that_can_be_drawn(text: str) -> None:
    found = periods.told_time(text)
    assert (found is None) is (text == "x")
    if found is not None:
        over = periods.between(*choosing.whole_hours(found - HOUR, found + HOUR))
        assert over.steps


def test_the_end_of_an_address_is_not_cut_off(scene: Path) -> None:
    app = page("stories_page", scene, from_="2026-03-10T10:30", to="2026-03-10T11:15")
    assert told(app, "from") == "2026-03-10T10:00"
    assert told(app, "to") == "2026-03-10T12:00"


def test_a_link_that_names_no_words_shows_all_of_them(scene: Path) -> None:
    app = page("stories_page", scene, q="bank 7", tone="negative", publisher="post", series="theme:bank-stress")
    at(app, q="", tone="", publisher="", series="market", range="7 days")
    assert app.text_input(key="stories_text").value == ""
    assert app.selectbox(key="stories_tone").value == "Any"
    assert app.selectbox(key="stories_publisher").value == "Any"
    assert app.selectbox(key="stories_series").value == "market"
    at(app)
    assert app.button_group(key="stories_range").value in ("7 days", ["7 days"]), "a bare address keeps what was chosen"


def test_links_of_pages_name_all_that_they_mean(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page keeps what was chosen on it last: a link to it says what is to hold instead."""
    monkeypatch.setattr(sys, "argv", ["app.py", "--store", str(scene)])
    app = AppTest.from_file(str(Path(dashboard.app.__file__)), default_timeout=PATIENCE).run()
    links = {one.proto.label: dict(parse_qsl(one.proto.query_string, True)) for one in app.get("page_link")}
    assert links["Open the series"] == {"series": "market", "range": "7 days"}
    everything = {"tone": "negative", "series": "market", "range": "7 days", "q": "", "publisher": ""}
    assert links["All headlines"] == everything


# Zones


def test_another_clock_shows_the_same_time(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(st.context), "timezone", property(lambda _: "Europe/Berlin"))
    app = page("series_page", scene, from_="2026-03-10T10:00", to="2026-03-10T12:00")
    app.button_group(key="zone_switch").set_value("Local").run()
    assert told(app, "from") == "2026-03-10T10:00"
    assert told(app, "to") == "2026-03-10T12:00"
    assert app.session_state["series_range_since"] == datetime(2026, 3, 10, 11)  # noqa: DTZ001 - a time of a clock
    assert told(app, "tz") == "local"
    at(app, series="market")
    assert told(app, "tz") == "local", "also where the way to the page has left it out"


def test_the_hour_that_comes_twice_is_told_by_the_address(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(st.context), "timezone", property(lambda _: "Europe/Berlin"))
    # 02:00 to 03:00, for the second time that night.
    app = page("series_page", scene, tz="local", from_="2025-10-26T01:00", to="2025-10-26T02:00").run()
    assert told(app, "from") == "2025-10-26T01:00"
    assert told(app, "to") == "2025-10-26T02:00"
    at(app, tz="local", from_="2025-10-26T00:00", to="2025-10-26T01:00")
    app.run()
    assert (told(app, "from"), told(app, "to")) == ("2025-10-26T00:00", "2025-10-26T01:00")
    assert "ends before it begins" not in said(app)


# Lists


def test_the_way_back_from_an_alert_finds_the_list_as_it_was(scene: Path) -> None:
    app = page("alert_page", scene)
    app.button_group(key="alerts_shown").set_value("1 year").run()
    app.multiselect(key="alerts_state").select("Firing").run()
    at(app, alert=ALERT)
    assert "Evidence" in said(app)
    at(app)
    assert app.multiselect(key="alerts_state").value == ["Firing"]
    assert app.button_group(key="alerts_shown").value in ("1 year", ["1 year"])
    assert [list(one) for one in app.dataframe[0].value["state"]] == [["Firing"]]


def test_an_address_says_which_alerts_to_list_and_bears_the_choice(scene: Path) -> None:
    app = page("alert_page", scene)
    assert "show" not in app.query_params
    at(app, show="Open now")
    assert app.button_group(key="alerts_shown").value in ("Open now", ["Open now"])
    assert [list(one) for one in app.dataframe[0].value["state"]] == [["Firing"]]
    app.button_group(key="alerts_shown").set_value("1 year").run()
    assert told(app, "show") == "1 year"
    at(app, show="anything")
    assert app.button_group(key="alerts_shown").value in ("1 year", ["1 year"])


def test_the_way_back_from_a_message_finds_the_list_as_it_was(scene: Path) -> None:
    app = page("delivery_page", scene)
    app.button_group(key="deliveries_state").set_value("Given up").run()
    app.selectbox(key="deliveries_channel").select("chat").run()
    at(app, delivery="msg_chat")
    assert "Fired on chat" in said(app)
    at(app)
    assert app.button_group(key="deliveries_state").value in ("Given up", ["Given up"])
    assert app.selectbox(key="deliveries_channel").value == "chat"


# Clicks


def test_the_second_click_of_two_does_not_undo_the_first(live: Path) -> None:
    app = page("alert_page", live, alert=ALERT)
    _twice(app, "alert_take_on")
    with Reader.open(live) as reader:
        assert reader.query("alert_remarks", alert=ALERT)["what"].to_list() == ["acknowledged"]
    app = page("feed_health", live, feed="calm-wire")
    _twice(app, "feed_mute_calm-wire")
    assert read_changes(changes_file(live)).muted == {"calm-wire"}


def test_the_second_click_of_two_does_not_remove_the_next_feed(live: Path) -> None:
    app = page("feed_health", live, feed="calm-wire")
    assert "**calm\\-wire** is no longer watched; what it brought stays." in said(app)
    _twice(app, "feed_remove_calm-wire")
    assert [one["id"] for one in _watched(live)] == ["sick-post"]


def _twice(app: AppTest, key: str) -> None:
    """Press a button, and once more where it was: what stands there now hears it only if it has the same key."""
    app.button(key=key).click().run()
    assert not app.exception
    assert key not in {one.key for one in app.button}


def _watched(path: Path) -> list[dict[str, Any]]:
    with Reader.open(path) as reader:
        told: Any = reader.act("watched")
    return list(told)


# What the model says


def test_a_headline_and_its_answer_are_there_after_a_look_at_another_page(tmp_path: Path) -> None:
    path, asked = tmp_path / "squall.duckdb", list[dict[str, object]]()
    shares = {"negative": 0.9, "neutral": 0.05, "positive": 0.05}

    def explain(body: dict[str, object]) -> object:
        asked.append(body)
        goldman = {"name": "Goldman", "ticker": "GS", **shares}
        told = {"label": "negative", "probability": 0.9, "words": [], "without_words": 0.4, "delta": 0.0}
        return {**told, "company": body["company"], "sentiment": shares, "companies": [goldman]}

    SCENE["fill"](path, datetime.now(UTC))
    with Store.open(path, datetime.now(UTC)) as store, ReadService(store, {"explain": explain}):
        app = page("model_page", path)
        app.text_input(key="model_headline").input("Goldman falls")
        next(one for one in app.button if one.label == "Ask the model").click().run()
        assert app.session_state["model_headline_question"].wait(PATIENCE)
        app.session_state["elsewhere"] = True
        app.run()
        app.session_state["elsewhere"] = False
        app.run()
        assert app.text_input(key="model_headline").value == "Goldman falls"
        app.button(key="model_why_GS").click().run()
        assert app.session_state["model_headline_question"].wait(PATIENCE)
        assert not app.run().exception
    assert [(one["headline"], one["company"]) for one in asked] == [("Goldman falls", ""), ("Goldman falls", "Goldman")]
