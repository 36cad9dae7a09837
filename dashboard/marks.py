"""What charts are made of: the axis of time, alerts behind a chart, the band of the usual, steps to click.

takes  polars frames as monitor/storage gives them, the period of a chart
gives  layers and axes for `dashboard/charts.py`
never  reads the store, and never draws text that came from a feed
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import altair as alt
import polars as pl

from dashboard import texts
from dashboard.periods import Period

# At least 3 to 1 against white and near-black alike; what they tell apart differs in its place or pattern too.
NEGATIVE = "#d1493f"
OTHER = "#7a92a5"
TONE = "#4a90c2"
USUAL = "#7d93a6"
BETTER = "#2e9e6b"
COUNTS = alt.Axis(tickMinStep=1, tickCount=4)
_SEVERITY_COLOURS = {"critical": "#d1493f", "warning": "#c9791f", "info": "#4a90c2"}
_SEVERITY_DASHES = {"critical": [1, 0], "warning": [6, 3], "info": [2, 3]}
# Names of selections, for whoever listens to them.
SPAN, POINT = "span", "point"
# Midnights by their date, other hours on a 24-hour clock; the first year that is seen by its number too.
_LABELS = {
    True: "utcFormat(datum.value, utchours(datum.value) || utcminutes(datum.value) ? '%H:%M' : '%-d %b')",
    False: "timeFormat(datum.value, hours(datum.value) || minutes(datum.value) ? '%H:%M' : '%-d %b')",
}
_YEARLY = {
    True: "utcFormat(datum.value, utcmonth(datum.value) ? '%b' : '%Y')",
    False: "timeFormat(datum.value, month(datum.value) ? '%b' : '%Y')",
}
_SMOOTH = {"hour": "6h", "day": "3d", "month": "1mo"}
_TIME_FORMATS = {"hour": "%a %-d %b %Y, %H:%M", "day": "%a %-d %b %Y", "month": "%B %Y"}


def rows(frame: pl.DataFrame) -> alt.Chart:
    """A chart of these rows, each known by its place: the next drawing's first row then takes the place of this one's.

    Without a key Vega takes every row of a new drawing for another one, and keeps up to ten thousand that have left
    of each mark (its `cleanThreshold`). Not for lines and areas: a key would cut them into one path for each row.
    """
    # Encodings that are added later leave this one as it is.
    known: alt.Chart = alt.Chart(frame.with_row_index("row")).encode(key=alt.Key("row:Q"))
    return known


def band(usual: pl.DataFrame, over: Period, low: str, high: str, middle: str) -> list[alt.Chart]:
    """The stretch that holds nine steps of ten, stepwise, and the expected value in it."""
    if usual.is_empty():
        return []
    # One more row closes the last step.
    closing = usual.tail(1).with_columns(at=pl.lit(over.until, dtype=pl.Datetime("us", "UTC")))
    shown = pl.concat([usual, closing])
    x = time_axis("at", over)
    area = (
        alt.Chart(shown)
        .mark_area(color=USUAL, opacity=0.22, interpolate="step-after")
        .encode(x=x, y=alt.Y(f"{low}:Q", title=None), y2=f"{high}:Q")
    )
    line = (
        alt.Chart(shown)
        .mark_line(color=USUAL, strokeWidth=1.5, strokeDash=[4, 3], interpolate="step-after")
        .encode(x=x, y=alt.Y(f"{middle}:Q", title=None))
    )
    return [area, line]


def targets(points: pl.DataFrame, over: Period) -> alt.Chart:
    """Invisible columns over the whole height: what the pointer touches, also where no negative story is."""
    known = points.select("at", "negative", "stories", "expected", "low", "high")
    shown = (
        _columns(over)
        .join(known, on="at", how="left")
        .with_columns(
            pl.col("negative", "stories").fill_null(0),
            when=when("at", over),
            usual=pl.when(pl.col("expected").is_not_null())
            .then(
                pl.format(
                    "{} ({} to {})",
                    pl.col("expected").map_elements(texts.amount, return_dtype=pl.String),
                    pl.col("low").cast(pl.Int64),
                    pl.col("high").cast(pl.Int64),
                )
            )
            .otherwise(pl.lit("not known")),
        )
    )
    tooltip = [
        alt.Tooltip("when:N", title="Time"),
        alt.Tooltip("negative:Q", title="Negative stories"),
        alt.Tooltip("usual:N", title="Usual"),
        alt.Tooltip("stories:Q", title="All stories"),
    ]
    span = alt.selection_interval(name=SPAN, encodings=["x"])
    point = alt.selection_point(name=POINT, fields=["at"])
    drawn: alt.Chart = (
        rows(shown)
        .mark_rect(color=OTHER, cursor="pointer")
        .encode(
            x=time_axis("at", over),
            x2="end:T",
            opacity=alt.condition(point, alt.value(0.16), alt.value(0.0), empty=False),
            tooltip=tooltip,
        )
        .add_params(point, span)
    )
    return drawn


def _columns(over: Period) -> pl.DataFrame:
    """Where each step begins (`at`) and ends."""
    edges, instant = over.steps, pl.Datetime("us", "UTC")
    return pl.DataFrame({"at": edges[:-1], "end": edges[1:]}, schema={"at": instant, "end": instant})


def when(field: str, over: Period, step: str = "") -> pl.Expr:
    """A time in words, in the period's zone, which it names."""
    there = pl.col(field).dt.convert_time_zone(over.zone.name)
    mark = pl.col(field).map_elements(over.zone.mark, return_dtype=pl.String)
    return pl.format("{} {}", there.dt.strftime(_TIME_FORMATS[step or over.step]), mark)


def timed(trend: pl.DataFrame, over: Period) -> pl.DataFrame:
    """The trend with the end and middle of each step, its time in words and the share of negatives."""
    # Steps of a zone are not all of one length: the first may be a part of a day, and a day may have 23 hours.
    return (
        trend.join(_columns(over), on="at", how="left")
        .with_columns(
            when=when("at", over),
            zero=pl.lit(0),
            share=pl.when(pl.col("stories") > 0).then(pl.col("negative") / pl.col("stories")),
        )
        .with_columns(
            middle=pl.col("at") + (pl.col("end") - pl.col("at")) / 2,
            # A little short of the next step, so that bars stay apart.
            edge=pl.col("at") + (pl.col("end") - pl.col("at")) * 0.86,
        )
    )


def stacked(trend: pl.DataFrame, over: Period) -> pl.DataFrame:
    """Two rows a step, `Negative` from zero up and `Other` above: Vega-Lite does not stack bars that span a time.

    A story that turns negative later counts as negative in a later hour than as a story, so negatives of an hour may
    outnumber its stories: no bar is drawn downwards then.
    """
    shown = timed(trend, over)
    top = pl.max_horizontal("stories", "negative")
    zero = pl.lit(0, dtype=pl.Int64)
    return pl.concat(
        [
            shown.with_columns(kind=pl.lit("Negative"), low=zero, high=pl.col("negative")),
            shown.with_columns(kind=pl.lit("Other"), low=pl.col("negative"), high=top),
        ]
    ).filter(pl.col("high") > pl.col("low"))


def smoothed(points: pl.DataFrame, over: Period) -> pl.DataFrame:
    """Adds `smooth`, the mean tone of the stories of the last few steps, and a row without it where a line must break.

    Over a time without a story longer than these few steps nothing is known, and a line across would say otherwise.
    """
    window = _SMOOTH[over.step]
    known = points.filter(pl.col("tone").is_not_null()).sort("at")
    weighed = (pl.col("tone") * pl.col("stories")).rolling_sum_by("at", window_size=window)
    drawn = known.with_columns(smooth=weighed / pl.col("stories").rolling_sum_by("at", window_size=window))
    ends = pl.col("at").dt.offset_by(window)
    breaks = drawn.filter(pl.col("at").shift(-1) > ends).select(at=ends, middle=ends)
    return pl.concat([drawn, breaks], how="diagonal").sort("at")


def alert_marks(marked: pl.DataFrame, over: Period) -> list[alt.Chart]:
    """A line where each alert opened; a band to its resolution too when all are of one series (many would hide all)."""
    if marked.is_empty():
        return []
    bands = marked.select(
        opened=pl.max_horizontal("opened_at", pl.lit(over.since)),
        ended=pl.min_horizontal(pl.col("resolved_at").fill_null(over.until), pl.lit(over.until)),
        began_inside=pl.col("opened_at") >= over.since,
        severity="severity",
        series=pl.col("series").map_elements(texts.series_title, return_dtype=pl.String),
        what=pl.struct("severity", "state", "fired_at", "acknowledged_by").map_elements(_what, return_dtype=pl.String),
        since=pl.col("opened_at").map_elements(over.zone.full, return_dtype=pl.String),
        until=pl.col("resolved_at").map_elements(over.zone.full, return_dtype=pl.String).fill_null("still open"),
    )
    colour = alt.Color(
        "severity:N",
        scale=alt.Scale(domain=list(_SEVERITY_COLOURS), range=list(_SEVERITY_COLOURS.values())),
        legend=None,
    )
    dashes = alt.StrokeDash(
        "severity:N",
        scale=alt.Scale(domain=list(_SEVERITY_DASHES), range=list(_SEVERITY_DASHES.values())),
        legend=None,
    )
    tooltip = [
        alt.Tooltip("series:N", title="Series"),
        alt.Tooltip("what:N", title="Alert"),
        alt.Tooltip("since:N", title="Opened"),
        alt.Tooltip("until:N", title="Ended"),
    ]
    x = time_axis("opened", over)
    band = rows(bands).mark_rect(opacity=0.13).encode(x=x, x2="ended:T", color=colour, tooltip=tooltip)
    line = (
        rows(bands.filter("began_inside"))
        .mark_rule(strokeWidth=1.5)
        .encode(x=x, color=colour, strokeDash=dashes, tooltip=tooltip)
    )
    return [band, line] if marked["series"].n_unique() == 1 else [line]


def _what(alert: dict[str, Any]) -> str:
    """`Critical alert, firing`; also whether somebody has taken it on."""
    state = texts.alert_look(alert["state"], fired=alert["fired_at"] is not None).word.lower()
    taken = ", acknowledged" if alert["acknowledged_by"] else ""
    return f"{texts.look(texts.SEVERITIES, alert['severity']).word} alert, {state}{taken}"


def time_axis(field: str, over: Period) -> alt.X:
    """The axis of time. Vega knows two zones, UTC and the browser's, which is what `Local` means."""
    utc = over.zone.utc
    domain = [_wall(at, over) for at in (over.since, over.until)]
    scale = alt.Scale(type="utc" if utc else "time", domain=domain, nice=False)
    axis = alt.Axis(
        title=over.mark,
        titleAnchor="end",
        titleFontSize=10,
        titlePadding=2,
        labelExpr=_YEARLY[utc] if over.step == "month" else _LABELS[utc],
        labelOverlap=True,
        tickCount=10,
        grid=False,
    )
    return alt.X(f"{field}:T", scale=scale, axis=axis)


def _wall(at: datetime, over: Period) -> alt.DateTime:
    there = over.zone.there(at)
    return alt.DateTime(
        year=there.year, month=there.month, date=there.day, hours=there.hour, minutes=there.minute, utc=over.zone.utc
    )
