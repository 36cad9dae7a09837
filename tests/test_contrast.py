"""Colours of the pages: words have 4.5 to 1 against their ground, marks of charts 3 to 1 (WCAG 2.2, 1.4.3, 1.4.11)."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import dashboard.app
from dashboard import feed_charts, marks, model_charts
from dashboard.periods import Period

THEME = tomllib.loads(Path(dashboard.app.__file__).with_name(".streamlit").joinpath("config.toml").read_text())["theme"]
# Captions are words at this part of their strength; so are commands in them.
FADED = 0.6
CHARTS = {
    *(marks.NEGATIVE, marks.OTHER, marks.TONE, marks.USUAL, marks.BETTER),
    *(feed_charts.WELL, feed_charts.FAILED, model_charts.LINE, model_charts.ODD, model_charts.SURE),
    *model_charts._COLOURS.values(),
    *marks._SEVERITY_COLOURS.values(),
}


def channels(colour: str) -> list[float]:
    return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def contrast(one: str, other: str, strength: float = 1.0) -> float:
    """Of a colour, laid over the other with a strength, against the other."""

    def luminance(parts: list[float]) -> float:
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ground = channels(other)
    laid = [strength * a + (1 - strength) * b for a, b in zip(channels(one), ground, strict=True)]
    lower, higher = sorted((luminance(laid), luminance(ground)))
    return (higher + 0.05) / (lower + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read(theme: str) -> None:
    colours = THEME[theme]
    for ground in ("backgroundColor", "secondaryBackgroundColor"):
        assert contrast(colours["textColor"], colours[ground], FADED) >= 4.5
        assert contrast(colours["codeTextColor"], colours[ground], FADED) >= 4.5
        assert contrast(colours["linkColor"], colours[ground]) >= 4.5
    assert contrast("#ffffff", colours["primaryColor"]) >= 4.5, "words on a button"
    assert contrast(colours["primaryColor"], colours["backgroundColor"]) >= 3, (
        "what is chosen, and where the keyboard is"
    )


@pytest.mark.parametrize("colour", sorted(CHARTS))
def test_marks_stand_out_from_both_grounds(colour: str) -> None:
    assert all(contrast(colour, THEME[theme]["backgroundColor"]) >= 3 for theme in ("light", "dark"))


def test_alerts_of_each_severity_differ_by_their_strokes_too() -> None:
    at = datetime(2026, 3, 10, tzinfo=UTC)
    marked = pl.DataFrame(
        {
            "opened_at": [at] * 3,
            "resolved_at": [None, None, at],
            "severity": ["critical", "warning", "info"],
            "series": ["market"] * 3,
            "state": ["firing"] * 3,
            "fired_at": [at] * 3,
            "acknowledged_by": [None, None, "ana"],
        },
        schema_overrides={"resolved_at": pl.Datetime("us", "UTC"), "acknowledged_by": pl.String},
    )
    *_, line = marks.alert_marks(marked, Period(at, at + timedelta(days=1), "hour"))
    dashes = line.to_dict()["encoding"]["strokeDash"]["scale"]
    assert set(dashes["domain"]) == set(marked["severity"])
    assert len({tuple(one) for one in dashes["range"]}) == 3
