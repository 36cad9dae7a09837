"""Rows under the pointer: while somebody looks, a list keeps its rows in their places and says that there are newer."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from alerts.evidence import Evidence
from alerts.lifecycle import Change, ChangeReason
from dashboard import frame, reads
from monitor.storage.alert_store import AlertStore
from monitor.storage.reading import Reader
from monitor.storage.readservice import ReadService
from monitor.storage.store import Batch, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
WHY = "series_story_why_"
BEGUN = [1000, *range(1, 20)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "squall.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """The scene's store with its read service, as beside a daemon."""
    SCENE["fill"](path, NOW)
    with Store.open(path, NOW) as opened, ReadService(opened):
        yield opened


def page(path: Path, module: str = "series_page", **asked: str) -> AppTest:
    """One page at a minute of its own: `at` is set before each drawing."""
    lines = (
        "from datetime import datetime",
        "from pathlib import Path",
        "import streamlit as st",
        f"from dashboard import frame, {module}",
        f"frame.show(Path({str(path)!r}), {module}.draw, datetime.fromisoformat(st.session_state['at']))",
    )
    app = AppTest.from_string("\n".join(lines), default_timeout=60)
    for name, value in asked.items():
        app.query_params[name] = value
    return drawn(app, NOW)


def drawn(app: AppTest, at: datetime) -> AppTest:
    app.session_state["at"] = at.isoformat()
    app.run()
    assert not app.error
    assert not app.exception
    return app


def series(path: Path) -> AppTest:
    return page(path, series="theme:bank-stress", range="24 hours")


def published(store: Store, number: int, at: datetime, negative: float = 0.9, **changes: Any) -> None:
    """One more headline of the series, scored."""
    one = replace(SCENE["headline"](number, at, f"Bank {number} in trouble", "late"), **changes)
    store.append(Batch(headlines=[one], scores={number: SCENE["scored"](negative, "bank-stress")}), at)


def asking(app: AppTest) -> list[int]:
    """Of which headlines words can be asked, from top to bottom."""
    return [int(one.key.removeprefix(WHY)) for one in app.button if one.key and one.key.startswith(WHY)]


def test_a_newer_story_does_not_move_the_others_until_it_is_asked_for(store: Store, path: Path) -> None:
    app = series(path)
    assert asking(app) == BEGUN
    assert app.button(key="series_list_newer").disabled
    published(store, 2000, NOW - MINUTE)
    published(store, 2001, NOW - 90 * MINUTE)  # scored late: it belongs between others
    drawn(app, NOW + frame.REFRESH)
    assert asking(app) == BEGUN
    newer = app.button(key="series_list_newer")
    assert newer.label == "Show 2 newer stories"
    newer.click().run()
    assert asking(app) == [2000, 1000, 1, 2001, *range(2, 20)]
    assert app.button(key="series_list_newer").label == "No newer story"


def test_the_words_stay_with_their_story_when_a_worse_copy_of_it_comes(store: Store, path: Path) -> None:
    app = series(path)
    app.button(key=f"{WHY}3").click().run()
    (told,) = app.session_state["story_words"]
    assert told == 3
    published(store, 2000, NOW - MINUTE, 0.99, story=3)
    drawn(app, NOW + frame.REFRESH)
    assert asking(app) == BEGUN, "the title that was asked about stays, and with it its button"
    assert any("post, late" in one.value and "2 headlines" in one.value for one in app.caption), "who carries it grows"
    app.button(key=f"{WHY}3").click().run()
    app.button(key=f"{WHY}3").click().run()
    assert list(app.session_state["story_words"]) == [3]


@pytest.mark.parametrize("how", ["away", "range", "tone", "series"])
def test_another_question_and_a_new_visit_show_the_list_as_it_is(store: Store, path: Path, how: str) -> None:
    app = series(path)
    published(store, 2000, NOW - MINUTE)
    if how == "away":
        drawn(app, NOW + 10 * MINUTE)
    elif how == "range":
        app.button_group(key="series_range").set_value(reads.Choice.WEEK).run()
    elif how == "tone":
        app.toggle(key="series_negative").set_value(False).run()
    else:
        app.selectbox(key="series_chosen").select("market").run()
    assert asking(app)[:3] == [2000, 1000, 1]


def test_the_next_hour_is_no_other_question(store: Store, path: Path) -> None:
    app = drawn(series(path), NOW + HOUR - frame.REFRESH)  # a new visit, as nobody looked in between
    published(store, 2000, NOW + MINUTE)
    drawn(app, NOW + HOUR)
    assert asking(app) == BEGUN
    assert app.button(key="series_list_newer").label == "Show 1 newer story"


def test_a_list_that_was_empty_fills_by_itself(store: Store, path: Path) -> None:
    app = page(path, **{"series": "theme:bank-stress", "from": "2026-03-10T12:00", "to": "2026-03-10T13:00"})
    assert asking(app) == []
    published(store, 2000, NOW + MINUTE)
    drawn(app, NOW + frame.REFRESH)
    assert asking(app) == [2000]


def test_the_evidence_of_an_open_alert_keeps_its_places(store: Store, path: Path) -> None:
    app = page(path, "alert_page", alert=SCENE["ALERT"])

    def rows() -> list[str]:
        return [str(one.key) for one in app.button if str(one.key).startswith("evidence_why_")]

    before = rows()
    assert len(before) == 3
    alerts = AlertStore(store)
    (alert,) = (one for one in alerts.open_alerts() if one.id == SCENE["ALERT"])
    later = Evidence(2000, "Bank 2000 in trouble", ("wire",), "https://news.example/2000", NOW, 0.95)
    grown = replace(alert, evidence=(later, *alert.evidence[1:]))
    alerts.commit([Change(grown, alert.state, ChangeReason.CONTINUED, NOW)], [])
    drawn(app, NOW + frame.REFRESH)
    assert rows() == before
    assert app.button(key="alert_evidence_newer").label == "Show 1 newer story"
    app.button(key="alert_evidence_newer").click().run()
    assert len(rows()) == 3
    assert rows()[1:] == before[:2], "the newest first; one is evidence no longer"


def test_of_headlines_of_one_second_the_same_are_shown_each_time(store: Store, path: Path) -> None:
    at = NOW - MINUTE
    for number in (2004, 2001, 2003, 2002):
        published(store, number, at)
    over = reads.between(NOW - HOUR, NOW + HOUR)
    with Reader.open(path) as reader:
        found = reads.headlines(reader, "theme:bank-stress", over, limit=2)
    assert found["id"].to_list() == [2001, 2002]
