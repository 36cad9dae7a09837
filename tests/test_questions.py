"""Which words made a score: a page asks on until there is an answer, shows what is under way, and says what failed."""

from __future__ import annotations

import runpy
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import questions
from monitor.errors import ServiceError
from monitor.storage.readservice import ReadService
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
LOADING, WORKING = {"pending": "loading"}, {"pending": "working"}
ANSWER = {"label": "negative", "probability": 0.9, "words": [{"word": "trouble", "weight": 0.7}], "without_words": 0.4}
SECONDS = 30


@dataclass
class Model:
    """The monitor's side: each question is held until a test says what it hears."""

    path: Path
    answers: list[object] = field(default_factory=list)
    asked: list[dict[str, object]] = field(default_factory=list)
    change: threading.Condition = field(default_factory=threading.Condition)

    def explain(self, body: dict[str, object]) -> object:
        with self.change:
            self.asked.append(body)
            self.change.notify_all()
            assert self.change.wait_for(lambda: bool(self.answers), SECONDS)
            told = self.answers.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    def says(self, *answers: object) -> None:
        """What the next questions hear."""
        with self.change:
            self.answers += answers
            self.change.notify_all()

    def is_asked(self, times: int) -> None:
        """Block until it was asked so often, all in all."""
        with self.change:
            assert self.change.wait_for(lambda: len(self.asked) >= times, SECONDS)


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    made = Model(tmp_path / "squall.duckdb")
    SCENE["fill"](made.path, datetime.now(UTC))
    with Store.open(made.path, datetime.now(UTC)) as store, ReadService(store, {"explain": made.explain}):
        yield made
        made.says(ServiceError("the test is over"))


def opened(model: Model, **asked: str) -> AppTest:
    words = "from pathlib import Path\nfrom dashboard import frame, series_page\n"
    app = AppTest.from_string(words + f"frame.show(Path({str(model.path)!r}), series_page.draw)", default_timeout=60)
    for name, value in asked.items():
        app.query_params[name] = value
    return app.run()


def pressed(app: AppTest) -> AppTest:
    return next(one for one in app.button if one.label == "Which words?").click().run()


def over(app: AppTest) -> AppTest:
    """The page once its only question is over."""
    (question,) = app.session_state["story_words"].values()
    assert question.wait(SECONDS)
    return app.run()


def said(app: AppTest) -> str:
    return "\n".join(
        [*(one.value for one in app.markdown), *(one.value for one in app.caption), *(one.value for one in app.warning)]
    )


def under_way(app: AppTest) -> list[str]:
    return [one.label.partition(" (")[0] for one in app.status]


def test_a_page_asks_on_while_the_model_is_loaded_and_shows_the_answer_when_it_comes(model: Model) -> None:
    app = pressed(opened(model, series="theme:bank-stress"))
    assert under_way(app) == ["The monitor is asked"]
    model.says(LOADING)
    model.is_asked(2)
    assert under_way(app.run()) == ["The model is loaded for it, beside the one that scores"]
    assert "Bank 1 in trouble" in said(app), "the page is there meanwhile"
    model.says(LOADING, WORKING)
    model.is_asked(4)
    assert under_way(app.run()) == ["The model weighs each word"]
    model.says(ANSWER)
    app = over(app)
    assert under_way(app) == []
    assert ":red-background[**trouble**]" in said(app)
    assert not app.exception
    assert ":red-background[**trouble**]" not in said(pressed(app)), "pressed again, it is put away"
    assert len(model.asked) == 4


def test_a_page_says_clearly_that_there_is_no_answer_and_asks_anew(model: Model) -> None:
    app = pressed(opened(model, series="theme:bank-stress"))
    model.says(ServiceError("the process that explains headlines ended"))
    app = over(app)
    assert "**No answer.** The process that explains headlines ended" in said(app)
    app = pressed(app)
    assert under_way(app) == ["The monitor is asked"]
    model.says(ANSWER)
    assert ":red-background[**trouble**]" in said(over(app))


def test_a_monitor_that_always_has_something_else_to_do_is_not_asked_for_ever(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "_PATIENCE_SECONDS", 0.0)
    app = pressed(opened(model, series="theme:bank-stress"))
    model.says({"pending": "others"})
    assert "**No answer.** No answer came within" in said(over(app))


def test_a_question_that_is_put_away_is_asked_no_more(model: Model) -> None:
    app = pressed(opened(model, series="theme:bank-stress"))
    (question,) = app.session_state["story_words"].values()
    app = pressed(app)
    assert under_way(app) == []
    model.says(LOADING)
    assert question.wait(SECONDS)
    assert len(model.asked) == 1
