"""A picture of one feed's checks: how long each took, and which failed.

takes  query `feed_checks`, and a zone
gives  an Altair chart
never  draws what a feed said
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import altair as alt
import polars as pl

from dashboard import marks, texts
from dashboard.zones import Zone

WELL, FAILED = "#4a90c2", "#d1493f"
_WELL = ("new", "unchanged", "empty")
# Midnights by their date, other times on a 24-hour clock.
_LABELS = "utcFormat(datum.value, utchours(datum.value) || utcminutes(datum.value) ? '%H:%M' : '%-d %b')"
_LOCAL_LABELS = "timeFormat(datum.value, hours(datum.value) || minutes(datum.value) ? '%H:%M' : '%-d %b')"
# A single check is no range of time: the axis then spans an hour around it.
_LEAST = timedelta(minutes=30)


def history(checks: pl.DataFrame, zone: Zone) -> alt.LayerChart:
    """A dot for each check by time and milliseconds, larger with more new headlines; failed ones red triangles.

    Times stand on the axis in UTC, or in the browser's own zone where the visitor chose it.
    """
    drawn = checks.select(
        pl.col("at"),
        pl.col("millis"),
        pl.col("fresh"),
        when=pl.col("at").map_elements(zone.full, return_dtype=pl.String),
        outcome=pl.col("outcome").map_elements(texts.outcome, return_dtype=pl.String),
        kind=pl.when(pl.col("outcome").is_in(_WELL)).then(pl.lit("Answered")).otherwise(pl.lit("Failed")),
    )
    x = alt.X(
        "at:T",
        scale=alt.Scale(type="utc" if zone.utc else "time", domain=_domain(checks)),
        axis=alt.Axis(
            title="UTC" if zone.utc else zone.name,
            titleAnchor="end",
            titleFontSize=10,
            grid=False,
            labelOverlap=True,
            tickCount=8,
            labelExpr=_LABELS if zone.utc else _LOCAL_LABELS,
        ),
    )
    dots = (
        marks.rows(drawn)
        .mark_point(filled=True, opacity=0.75)
        .encode(
            x=x,
            y=alt.Y("millis:Q", title="Milliseconds", axis=alt.Axis(tickCount=4)),
            size=alt.Size("fresh:Q", legend=None, scale=alt.Scale(range=[20, 220])),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=["Answered", "Failed"], range=[WELL, FAILED]),
                legend=alt.Legend(title=None, orient="top", direction="horizontal", offset=4),
            ),
            shape=alt.Shape(
                "kind:N",
                scale=alt.Scale(domain=["Answered", "Failed"], range=["circle", "triangle-up"]),
                legend=alt.Legend(title=None),
            ),
            tooltip=[
                alt.Tooltip("when:N", title="Time"),
                alt.Tooltip("outcome:N", title="Outcome"),
                alt.Tooltip("millis:Q", title="Milliseconds"),
                alt.Tooltip("fresh:Q", title="New headlines"),
            ],
        )
    )
    return alt.LayerChart(layer=[dots], height=180)


def _domain(checks: pl.DataFrame) -> list[alt.DateTime]:
    first, last = cast("datetime", checks["at"].min()), cast("datetime", checks["at"].max())
    if last - first < _LEAST:
        first, last = first - _LEAST, last + _LEAST
    return [_instant(first), _instant(last)]


def _instant(at: datetime) -> alt.DateTime:
    there = at.astimezone(UTC)
    return alt.DateTime(
        year=there.year, month=there.month, date=there.day, hours=there.hour, minutes=there.minute, utc=True
    )
