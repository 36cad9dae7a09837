"""Charts of the model: how far its confidence can be believed, and what it said day by day.

takes  what was measured of an adapter; query `drift` with the share of odd words
gives  Altair charts, days of the period's zone
never  draws text that came from a feed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

from dashboard import marks
from dashboard.periods import Period

_COLOURS = {"Negative": "#d1493f", "Neutral": "#7a92a5", "Positive": "#2e9d6f"}
LINE, ODD, SURE = "#4a90c2", "#c9791f", "#8a6fc2"


def calibration(measured: Mapping[str, Sequence[Mapping[str, float]]], names: Mapping[str, str]) -> alt.LayerChart:
    """Accuracy against confidence, a line a set; on the diagonal the model is right as often as it says.

    Args:
        measured: rows of `confidence`, `accuracy`, `n` by set.
        names: of the sets, for people.
    """
    rows = [
        {"set": names.get(name, name), "confidence": row["confidence"], "accuracy": row["accuracy"], "n": row["n"]}
        for name, table in measured.items()
        for row in table
    ]
    diagonal = pl.DataFrame({"confidence": [0.0, 1.0], "accuracy": [0.0, 1.0]})
    axis = alt.Axis(format=".0%", tickCount=5)
    x = alt.X("confidence:Q", title="Confidence", axis=axis, scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("accuracy:Q", title="Accuracy", axis=axis, scale=alt.Scale(domain=[0, 1]))
    ideal = alt.Chart(diagonal).mark_line(strokeDash=[4, 4], color="#7a92a5").encode(x=x, y=y)
    drawn = (
        alt.Chart(pl.DataFrame(rows))
        .mark_line(point=True, strokeWidth=1.5)
        .encode(
            x=x,
            y=y,
            color=alt.Color("set:N", legend=alt.Legend(title=None, orient="bottom", columns=1, labelLimit=320)),
            tooltip=[
                alt.Tooltip("set:N", title="Set"),
                alt.Tooltip("confidence:Q", title="Confidence", format=".1%"),
                alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
                alt.Tooltip("n:Q", title="Texts", format=",.0f"),
            ],
        )
    )
    # The legend stands beneath the plot and takes its height from it.
    return alt.LayerChart(layer=[ideal, drawn], height=300 + 30 * len(measured))


def mix(drift: pl.DataFrame, over: Period) -> alt.LayerChart:
    """The share of each sentiment by day; several models of a day are added up by how much each scored.

    Args:
        drift: query `drift`.
        over: the period that it is of.
    """
    days = _dated(by_day(drift)).unpivot(
        ["Negative", "Neutral", "Positive"], index=["day", "when"], variable_name="kind"
    )
    drawn = (
        alt.Chart(days)
        .mark_bar(width={"band": 0.85})
        .encode(
            x=_day(over, band=True),
            y=alt.Y("value:Q", stack="normalize", title=None, axis=alt.Axis(format=".0%", tickCount=4)),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values())),
                legend=alt.Legend(title=None, orient="top", direction="horizontal", offset=4),
            ),
            tooltip=[
                alt.Tooltip("when:N", title="Day"),
                alt.Tooltip("kind:N", title="Tone"),
                alt.Tooltip("value:Q", title="Share", format=".1%"),
            ],
        )
    )
    return alt.LayerChart(layer=[drawn], height=220)


def share(days: pl.DataFrame, column: str, title: str, colour: str, over: Period) -> alt.LayerChart:
    """One share by day as a line, on an axis of its own: a few points of change matter.

    Args:
        days: `day` and the column, which holds shares of 1.
        over: the period that they are of.
    """
    known = _dated(days.drop_nulls(column))
    # A share that does not move would stand on an axis without a second tick.
    most: float = known.select(pl.col(column).max()).item() or 0.0
    still = known[column].n_unique() < 2
    scale = alt.Scale(domain=[0, max(0.05, most * 2)]) if still else alt.Scale(zero=False)
    y = alt.Y(f"{column}:Q", title=None, scale=scale, axis=alt.Axis(format=".1%", tickCount=4))
    drawn = (
        alt.Chart(known)
        .mark_line(point=alt.OverlayMarkDef(color=colour), color=colour)
        .encode(
            x=_day(over),
            y=y,
            tooltip=[
                alt.Tooltip("when:N", title="Day"),
                alt.Tooltip(f"{column}:Q", title=title, format=".2%"),
            ],
        )
    )
    return alt.LayerChart(layer=[drawn], height=150)


def by_day(drift: pl.DataFrame) -> pl.DataFrame:
    """Query `drift` with one row a day: shares weighed by how many headlines each model scored."""
    weighed = {
        "Negative": "negative",
        "Neutral": "neutral",
        "Positive": "positive",
        "abstained": "abstained",
        "confidence": "confidence",
    }
    total = pl.col("headlines").sum()
    return (
        drift.group_by("day")
        .agg(
            total.alias("headlines"),
            *(
                (pl.col(column) * pl.col("headlines")).sum().truediv(total).alias(name)
                for name, column in weighed.items()
            ),
        )
        .sort("day")
    )


def tried(found: Mapping[str, list[Any]], over: Period) -> alt.LayerChart:
    """Alerts that two sets of rules would have fired, on one line of time each.

    Args:
        found: columns `at` (aware), `rules`, `series`, `severity`.
        over: the range that was tried, which the axis spans.
    """
    frame = pl.DataFrame(dict(found)).with_columns(when=marks.when("at", over, "hour"))
    drawn = (
        marks.rows(frame)
        .mark_point(filled=True, size=110, opacity=0.8)
        .encode(
            x=marks.time_axis("at", over),
            y=alt.Y("rules:N", title=None),
            color=alt.Color(
                "severity:N",
                scale=alt.Scale(domain=["critical", "warning", "info"], range=["#d1493f", "#c9791f", "#4a90c2"]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            shape=alt.Shape(
                "severity:N",
                scale=alt.Scale(domain=["critical", "warning", "info"], range=["diamond", "triangle-up", "circle"]),
                legend=alt.Legend(title=None),
            ),
            tooltip=[
                alt.Tooltip("when:N", title="Time"),
                alt.Tooltip("series:N", title="Series"),
                alt.Tooltip("severity:N", title="Severity"),
            ],
        )
    )
    return alt.LayerChart(layer=[drawn], height=150)


def _dated(days: pl.DataFrame) -> pl.DataFrame:
    """Adds `when`: each date in words. A tooltip would tell the browser's date of its midnight in UTC."""
    return days.with_columns(when=pl.col("day").dt.strftime("%a %-d %b %Y"))


def _day(over: Period, *, band: bool = False) -> alt.X:
    """The axis of days. Each is a date of the period's zone, told by its midnight in UTC, and so drawn in UTC."""
    axis = alt.Axis(
        title=over.mark, titleAnchor="end", titleFontSize=10, titlePadding=2, format="%-d %b", grid=False,
        labelOverlap=True, tickCount=8,
    )  # fmt: skip
    if band:
        return alt.X("utcyearmonthdate(day):T", axis=axis)
    return alt.X("day:T", scale=alt.Scale(type="utc"), axis=axis)
