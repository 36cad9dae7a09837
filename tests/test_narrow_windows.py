"""Lists in narrow windows: what a table shows, told in lines; others' words stay text."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import narrow

SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))


def test_a_row_is_told_by_its_first_column_and_then_by_the_names_of_the_others() -> None:
    shown = pl.DataFrame(
        {"Feed": ["*Wire*", "Post"], "State": [["Answers"], []], "New, 24 h": [1204, None], "Share": [0.125, 3.0]}
    )
    assert narrow.rows(shown) == [
        "**\\*Wire\\***  \n:small[State: Answers · New\\, 24 h: 1\\,204 · Share: 0\\.125]",
        "**Post**  \n:small[Share: 3]",
    ]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("narrow") / "squall.duckdb"
    SCENE["fill"](path, datetime.now(UTC))
    return path


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("stories_page", ":red-badge[:material/sentiment_dissatisfied: Negative] [Bank 1 in trouble](<https://"),
        ("feed_health", "**Sick Post**  \n:small[State: Failing · Reason: "),
        ("model_page", "**model\\-1**  \n:small[Headlines: "),
    ],
)
def test_a_list_is_told_in_lines_as_well(module: str, words: str, scene: Path) -> None:
    app = AppTest.from_string(
        f"from pathlib import Path\nfrom dashboard import frame, {module}\n"
        f"frame.show(Path({str(scene)!r}), {module}.draw)",
        default_timeout=60,
    ).run()
    assert not app.exception
    assert any(words in one.value for one in app.markdown)


def test_of_a_long_list_the_first_are_told_and_the_rest_is_counted() -> None:
    app = AppTest.from_function(_long, default_timeout=30).run()
    assert app.markdown[0].value.count("**") == 2 * narrow.MOST
    assert app.caption[0].value == "And 1,000 more, which a wider window lists."
    assert app.dataframe[0].value.shape == (narrow.MOST + 1000, 1)


def _long() -> None:
    import polars as pl

    from dashboard import narrow

    narrow.table("long", pl.DataFrame({"Word": [f"w{n}" for n in range(narrow.MOST + 1000)]}))
