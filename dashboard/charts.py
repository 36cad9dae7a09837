"""Charts: what a page draws.

takes  polars frames as monitor/storage/queries.py gives them
gives  Altair charts, every time in UTC
never  reads the store, and never draws text that came from a feed
"""

from __future__ import annotations

from datetime import UTC, datetime

import altair as alt
import polars as pl

from dashboard import texts
from dashboard.reads import Period

# Readable on white and on near-black alike.
NEGATIVE = "#d1493f"
OTHER = "#8fa6b8"
TONE = "#4a90c2"
_SEVERITY_COLOURS = {"critical": "#d1493f", "warning": "#e08a2e", "info": "#4a90c2"}
# Midnights by their date, other hours on a 24-hour clock.
_LABELS = "utcFormat(datum.value, utchours(datum.value) || utcminutes(datum.value) ? '%H:%M' : '%-d %b')"
_STEPS = {"hour": "1h", "day": "1d", "month": "1mo"}
_SMOOTH = {"hour": "6h", "day": "3d", "month": "1mo"}
_TIME_FORMATS = {"hour": "%a %-d %b %Y, %H:%M UTC", "day": "%a %-d %b %Y (UTC)", "month": "%B %Y (UTC)"}


def volume(trend: pl.DataFrame, marked: pl.DataFrame, over: Period) -> alt.LayerChart:
    """Bars of negative stories, with all others on top, with the time of every alert behind them.

    Args:
        trend: query `trend`.
        marked: query `alerts`: those to draw.
        over: the period that the chart spans, whether or not there is data at its ends.
    """
    drawn = (
        alt.Chart(_stacked(trend, over))
        .mark_rect()
        .encode(
            x=_time("at", over),
            x2="edge:T",
            y=alt.Y("low:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4)),
            y2="high:Q",
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=["Negative", "Other"], range=[NEGATIVE, OTHER]),
                legend=alt.Legend(title=None, orient="top", direction="horizontal", offset=4),
            ),
            tooltip=[
                alt.Tooltip("when:N", title="Time"),
                alt.Tooltip("negative:Q", title="Negative stories"),
                alt.Tooltip("stories:Q", title="All stories"),
                alt.Tooltip("share:Q", title="Share negative", format=".0%"),
            ],
        )
    )
    layers = alt.LayerChart(layer=[*_alert_marks(marked, over), drawn], height=260)
    # Severities and kinds of story are two scales: shared, each legend would list both.
    apart: alt.LayerChart = layers.resolve_scale(color="independent")
    return apart


def tone(trend: pl.DataFrame, marked: pl.DataFrame, over: Period) -> alt.LayerChart:
    """Mean tone: a dot for each step, larger with more stories, and a line that averages the last few steps."""
    dots = _smoothed(_timed(trend, over), over)
    x = _time("middle", over)
    y = alt.Y(
        "tone:Q",
        title=None,
        axis=alt.Axis(format="+.1f", tickCount=4),
        scale=alt.Scale(domain=[-1, 1], nice=False),
    )
    tooltip = [
        alt.Tooltip("when:N", title="Time"),
        alt.Tooltip("tone:Q", title="Mean tone", format="+.2f"),
        alt.Tooltip("stories:Q", title="Stories"),
    ]
    zero = alt.Chart(pl.DataFrame({"tone": [0.0]})).mark_rule(strokeDash=[3, 3], opacity=0.5, color=OTHER).encode(y=y)
    points = (
        alt.Chart(dots)
        .mark_circle(color=TONE, opacity=0.35)
        .encode(x=x, y=y, size=alt.Size("stories:Q", legend=None, scale=alt.Scale(range=[8, 90])), tooltip=tooltip)
    )
    line = (
        alt.Chart(dots)
        .mark_line(color=TONE, strokeWidth=2, interpolate="monotone")
        .encode(x=x, y=alt.Y("smooth:Q", title=None))
    )
    return alt.LayerChart(layer=[*_alert_marks(marked, over), zero, points, line], height=170)


def movers(found: pl.DataFrame) -> alt.LayerChart:
    """Negative stories of the series that stand out (bars), against what is usual for each (ticks)."""
    named = found.with_columns(
        name=pl.col("series").map_elements(texts.series_name, return_dtype=pl.String),
        kind=pl.col("series").map_elements(texts.series_kind, return_dtype=pl.String),
        usual=pl.col("usual_negative").map_elements(texts.amount, return_dtype=pl.String, skip_nulls=False),
    ).with_columns(
        label=pl.when(pl.col("name").is_duplicated()).then(pl.format("{} ({})", "name", "kind")).otherwise("name")
    )
    y = alt.Y(
        "label:N", sort=named["label"].to_list(), title=None, axis=alt.Axis(labelLimit=190, ticks=False, domain=False)
    )
    tooltip = [
        alt.Tooltip("label:N", title="Series"),
        alt.Tooltip("kind:N", title="Kind"),
        alt.Tooltip("negative:Q", title="Negative stories"),
        alt.Tooltip("usual:N", title="Usual"),
        alt.Tooltip("stories:Q", title="All stories"),
    ]
    bars = (
        alt.Chart(named)
        .mark_bar(color=NEGATIVE, height=12, cornerRadiusEnd=2)
        .encode(x=alt.X("negative:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4)), y=y, tooltip=tooltip)
    )
    ticks = (
        alt.Chart(named.drop_nulls("usual_negative"))
        .mark_tick(color=OTHER, thickness=3, height=20)
        .encode(x="usual_negative:Q", y=y, tooltip=tooltip)
    )
    return alt.LayerChart(layer=[bars, ticks], height=30 * named.height + 24)


def _timed(trend: pl.DataFrame, over: Period) -> pl.DataFrame:
    """The trend with the end and middle of each step, its time in words and the share of negatives."""
    end = pl.min_horizontal(pl.col("at").dt.offset_by(_STEPS[over.step]), pl.lit(over.until))
    return trend.with_columns(
        end=end,
        when=pl.col("at").dt.strftime(_TIME_FORMATS[over.step]),
        share=pl.when(pl.col("stories") > 0).then(pl.col("negative") / pl.col("stories")),
    ).with_columns(
        middle=pl.col("at") + (pl.col("end") - pl.col("at")) / 2,
        # A little short of the next step, so that bars stay apart.
        edge=pl.col("at") + (pl.col("end") - pl.col("at")) * 0.86,
    )


def _stacked(trend: pl.DataFrame, over: Period) -> pl.DataFrame:
    """Two rows a step, `Negative` from zero up and `Other` above: Vega-Lite does not stack bars that span a time.

    A story that turns negative later counts as negative in a later hour than as a story, so negatives of an hour may
    outnumber its stories: no bar is drawn downwards then.
    """
    timed = _timed(trend, over)
    top = pl.max_horizontal("stories", "negative")
    zero = pl.lit(0, dtype=pl.Int64)
    return pl.concat(
        [
            timed.with_columns(kind=pl.lit("Negative"), low=zero, high=pl.col("negative")),
            timed.with_columns(kind=pl.lit("Other"), low=pl.col("negative"), high=top),
        ]
    ).filter(pl.col("high") > pl.col("low"))


def _smoothed(timed: pl.DataFrame, over: Period) -> pl.DataFrame:
    """Adds `smooth`: the mean tone of the stories of the last few steps."""
    window = _SMOOTH[over.step]
    known = timed.filter(pl.col("tone").is_not_null()).sort("at")
    weighed = (pl.col("tone") * pl.col("stories")).rolling_sum_by("at", window_size=window)
    return known.with_columns(smooth=weighed / pl.col("stories").rolling_sum_by("at", window_size=window))


def _alert_marks(marked: pl.DataFrame, over: Period) -> list[alt.Chart]:
    """A line where each alert opened; a band to its resolution too when all are of one series (many would hide all)."""
    if marked.is_empty():
        return []
    bands = marked.select(
        opened=pl.max_horizontal("opened_at", pl.lit(over.since)),
        ended=pl.min_horizontal(pl.col("resolved_at").fill_null(over.until), pl.lit(over.until)),
        began_inside=pl.col("opened_at") >= over.since,
        severity="severity",
        series=pl.col("series").map_elements(texts.series_title, return_dtype=pl.String),
        what=pl.format(
            "{} alert, {}",
            pl.col("severity").map_elements(lambda one: texts.look(texts.SEVERITIES, one).word, return_dtype=pl.String),
            pl.col("state").map_elements(
                lambda one: texts.look(texts.STATES, one).word.lower(), return_dtype=pl.String
            ),
        ),
        since=pl.col("opened_at").map_elements(texts.utc, return_dtype=pl.String),
    )
    colour = alt.Color(
        "severity:N",
        scale=alt.Scale(domain=list(_SEVERITY_COLOURS), range=list(_SEVERITY_COLOURS.values())),
        legend=None,
    )
    tooltip = [
        alt.Tooltip("series:N", title="Series"),
        alt.Tooltip("what:N", title="Alert"),
        alt.Tooltip("since:N", title="Open since"),
    ]
    x = _time("opened", over)
    band = alt.Chart(bands).mark_rect(opacity=0.13).encode(x=x, x2="ended:T", color=colour, tooltip=tooltip)
    line = (
        alt.Chart(bands.filter("began_inside"))
        .mark_rule(strokeWidth=1.5, strokeDash=[5, 3])
        .encode(x=x, color=colour, tooltip=tooltip)
    )
    return [band, line] if marked["series"].n_unique() == 1 else [line]


def _time(field: str, over: Period) -> alt.X:
    scale = alt.Scale(type="utc", domain=[_instant(over.since), _instant(over.until)], nice=False)
    axis = alt.Axis(
        title="UTC",
        titleAnchor="end",
        titleFontSize=10,
        titlePadding=2,
        labelExpr=_LABELS,
        labelOverlap=True,
        tickCount=10,
        grid=False,
    )
    return alt.X(f"{field}:T", scale=scale, axis=axis)


def _instant(at: datetime) -> alt.DateTime:
    there = at.astimezone(UTC)
    return alt.DateTime(
        year=there.year, month=there.month, date=there.day, hours=there.hour, minutes=there.minute, utc=True
    )
