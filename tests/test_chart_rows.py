"""Rows of charts keep their places from one drawing to the next, so that an open page does not grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import altair as alt
import polars as pl
import pytest

from dashboard import charts, feed_charts, model_charts
from dashboard.periods import Period
from dashboard.zones import UTC_ZONE

START = datetime(2026, 3, 2, tzinfo=UTC)
HOURS = [START + timedelta(hours=number) for number in range(24)]
OVER = Period(START, START + timedelta(days=1), "hour")
TREND = pl.DataFrame({"at": HOURS, "negative": [1] * 24, "stories": [3] * 24, "tone": [0.1] * 24})
USUAL = pl.DataFrame(
    {"at": HOURS, "low": 0.0, "high": 3.0, "expected": 1.0, "tone_low": -0.2, "tone_high": 0.2, "tone_usual": 0.0}
)
ALERTS = pl.DataFrame(
    {
        "opened_at": HOURS[3:5],
        "resolved_at": HOURS[6:8],
        "severity": ["critical", "info"],
        "series": ["market", "market"],
        "state": ["resolved", "resolved"],
        "fired_at": [HOURS[4], None],
        "acknowledged_by": ["ana", None],
    }
)
HEAT = pl.DataFrame({"series": "market", "at": HOURS, "until": [at + timedelta(hours=1) for at in HOURS]}).with_columns(
    negative=1, stories=3, tone=0.1, usual=1.0, surplus=0.5
)
MOVES = pl.DataFrame(
    {"series": ["company:A", "company:B"], "tone": [-0.5, 0.2], "usual_tone": [0.1, 0.0], "stories": [3, 4]}
).with_columns(negative=1, past_stories=9)
CHECKS = pl.DataFrame({"at": HOURS, "millis": 12.0, "fresh": 1, "outcome": "new"})
FIRED: dict[str, list[Any]] = {
    "at": HOURS[:2],
    "rules": ["now", "tried"],
    "series": ["Market", "Market"],
    "severity": ["info", "critical"],
}
# A line or an area is one path through all of its rows: a key would cut it into one for each.
PATHS = {"line", "area"}
DRAWN: dict[str, Callable[[], alt.Chart | alt.LayerChart]] = {
    "volume": lambda: charts.volume(TREND, ALERTS, OVER),
    "negatives": lambda: charts.negatives(TREND, USUAL, ALERTS, OVER),
    "tone": lambda: charts.tone(TREND, ALERTS, OVER, USUAL),
    "heatmap": lambda: charts.heatmap(HEAT, OVER),
    "moves": lambda: charts.moves(MOVES),
    "checks of a feed": lambda: feed_charts.history(CHECKS, UTC_ZONE),
    "tried rules": lambda: model_charts.tried(FIRED, OVER),
}


def leaves(chart: alt.Chart | alt.LayerChart) -> Iterator[tuple[str, str | None, list[int] | None]]:
    """Of each layer: its mark, the field that is its key, and the places of its rows."""
    whole = chart.to_dict()
    for layer in whole.get("layer", [whole]):
        data = whole["datasets"][(layer.get("data") or whole["data"])["name"]]
        places = [row.get("row") for row in data]
        yield layer["mark"]["type"], layer["encoding"].get("key", {}).get("field"), places


@pytest.mark.parametrize("name", DRAWN)
def test_every_row_but_those_of_a_path_is_known_by_its_place(name: str) -> None:
    seen = 0
    for mark, key, places in leaves(DRAWN[name]()):
        if mark in PATHS:
            assert key is None, "one path for each row"
            continue
        seen += 1
        assert key == "row"
        assert places == [*range(len(places or []))]
    assert seen


def test_the_chart_of_tried_rules_spans_what_was_tried() -> None:
    [layer] = model_charts.tried(FIRED, OVER).to_dict()["layer"]
    first, last = layer["encoding"]["x"]["scale"]["domain"]

    assert (first["month"], first["date"], first["hours"]) == (3, 2, 0)
    assert (last["month"], last["date"], last["hours"]) == (3, 3, 0)
