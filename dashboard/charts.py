"""Charts: what a page draws.

takes  polars frames as monitor/storage/queries.py gives them
gives  Altair charts, every time in the period's zone: UTC, or that of the browser
never  reads the store, and never draws text that came from a feed
"""

from __future__ import annotations

import altair as alt
import polars as pl

from dashboard import marks, texts
from dashboard.marks import BETTER, COUNTS, NEGATIVE, OTHER, POINT, SPAN, TONE
from dashboard.periods import Period

__all__ = ["POINT", "SPAN", "heatmap", "moves", "negatives", "tone", "volume"]


def volume(trend: pl.DataFrame, marked: pl.DataFrame, over: Period) -> alt.LayerChart:
    """Bars of negative stories, with all others on top, with the time of every alert behind them.

    Args:
        trend: query `trend`.
        marked: query `alerts`: those to draw.
        over: the period that the chart spans, whether or not there is data at its ends.
    """
    drawn = (
        marks.rows(marks.stacked(trend, over))
        .mark_rect()
        .encode(
            x=marks.time_axis("at", over),
            x2="edge:T",
            y=alt.Y("low:Q", title=None, axis=COUNTS),
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
    layers = alt.LayerChart(layer=[*marks.alert_marks(marked, over), drawn], height=260)
    # Severities and kinds of story are two scales: shared, each legend would list both.
    apart: alt.LayerChart = layers.resolve_scale(color="independent")
    return apart


def negatives(trend: pl.DataFrame, usual: pl.DataFrame, marked: pl.DataFrame, over: Period) -> alt.LayerChart:
    """Bars of negative stories over the band in which nine steps of ten lie, with every alert behind them.

    A click on a step, or a stretch drawn with the pointer, is told as selection `POINT` or `SPAN` of the field `at`.

    Args:
        trend: query `trend`.
        usual: `alerts.detection.bands.BAND`; no row when the usual is not known.
        marked: query `alerts`: those to draw.
        over: the period that the chart spans.
    """
    timed = marks.timed(trend, over).join(usual, on="at", how="left")
    x = marks.time_axis("at", over)
    bars = (
        marks.rows(timed.filter(pl.col("negative") > 0))
        .mark_rect(color=NEGATIVE)
        .encode(x=x, x2="edge:T", y=alt.Y("zero:Q", title=None, axis=COUNTS), y2="negative:Q")
    )
    layers = [
        *marks.alert_marks(marked, over),
        *marks.band(usual, over, "low", "high", "expected"),
        bars,
        marks.targets(timed, over),
    ]
    apart: alt.LayerChart = alt.LayerChart(layer=layers, height=240).resolve_scale(color="independent")
    return apart


def tone(
    trend: pl.DataFrame, marked: pl.DataFrame, over: Period, usual: pl.DataFrame | None = None, height: int = 170
) -> alt.LayerChart:
    """Mean tone: a dot for each step, larger with more stories, and a line that averages the last few steps.

    Args:
        trend, marked, over: as in `negatives`.
        usual: the band to draw behind it; none when None.
        height: in pixels.
    """
    dots = marks.smoothed(marks.timed(trend, over), over)
    x = marks.time_axis("middle", over)
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
    zero = marks.rows(pl.DataFrame({"tone": [0.0]})).mark_rule(strokeDash=[3, 3], opacity=0.5, color=OTHER).encode(y=y)
    keyed = marks.rows(dots)
    points = keyed.mark_circle(color=TONE, opacity=0.35).encode(
        x=x, y=y, size=alt.Size("stories:Q", legend=None, scale=alt.Scale(range=[8, 90])), tooltip=tooltip
    )
    line = (
        # The same rows are sent once.
        alt.Chart(keyed.data)
        .mark_line(color=TONE, strokeWidth=2, interpolate="monotone")
        .encode(x=x, y=alt.Y("smooth:Q", title=None))
    )
    behind = [] if usual is None else marks.band(usual, over, "tone_low", "tone_high", "tone_usual")
    return alt.LayerChart(layer=[*marks.alert_marks(marked, over), *behind, zero, points, line], height=height)


# From below the usual to far above it. What is usual recedes into the page, so each ground has its own.
_HEAT = {
    False: ["#7fb2d8", "#c9d3db", "#efc9b0", "#dd7a5c", "#a81f1f"],
    True: ["#33658c", "#2c3945", "#7d4a3b", "#c4583f", "#ff7765"],
}


def heatmap(found: pl.DataFrame, over: Period, most: int = 20, *, dark: bool = False) -> alt.Chart:
    """A row for each series, a column for each stretch of time: the redder, the more above the usual.

    A click on a cell is told as selection `POINT` of the fields `series`, `start` and `end` (milliseconds).

    Args:
        found: `dashboard.reads.heat`.
        over: the period that the chart spans.
        most: rows at most: those that stand out most.
        dark: whether it is drawn on a dark page.
    """
    loudest = found.group_by("series").agg(pl.col("surplus").max().fill_null(0.0), pl.col("negative").sum())
    kept = loudest.sort("surplus", "negative", "series", descending=[True, True, False]).head(most)["series"]
    named = found.filter(pl.col("series").is_in(kept.implode())).with_columns(
        name=pl.col("series").map_elements(texts.series_name, return_dtype=pl.String),
        usual_words=pl.col("usual").map_elements(texts.amount, return_dtype=pl.String, skip_nulls=False),
        # Where nothing is known of the usual, a negative story is mildly red by itself.
        heat=pl.col("surplus").fill_null(pl.min_horizontal(pl.col("negative") / 2, 1.5)).clip(-2, 6),
        when=marks.when("at", over, "hour"),
        start=pl.col("at").dt.epoch("ms"),
        end=pl.col("until").dt.epoch("ms"),
    )
    tooltip = [
        alt.Tooltip("name:N", title="Series"),
        alt.Tooltip("when:N", title="From"),
        alt.Tooltip("negative:Q", title="Negative stories"),
        alt.Tooltip("usual_words:N", title="Usual"),
        alt.Tooltip("stories:Q", title="All stories"),
        alt.Tooltip("tone:Q", title="Mean tone", format="+.2f"),
    ]
    colour = alt.Color(
        "heat:Q",
        # By the shortest way between two colours, which leads through no third one.
        scale=alt.Scale(domain=[-2, 0, 1, 3, 6], range=_HEAT[dark], clamp=True, interpolate="rgb"),
        legend=None,
    )
    y = alt.Y(
        "name:N",
        sort="ascending",
        title=None,
        axis=alt.Axis(labelLimit=170, labelOverlap=False, labelBaseline="middle", ticks=False, domain=False),
    )
    point = alt.selection_point(POINT, fields=["series", "start", "end"])
    chosen = alt.when(point, empty=False)
    drawn: alt.Chart = (
        marks.rows(named)
        .mark_rect(cursor="pointer")
        .encode(
            x=marks.time_axis("at", over),
            x2="until:T",
            y=y,
            color=colour,
            stroke=chosen.then(alt.value("#ffffff" if dark else "#101820")).otherwise(alt.value("#80808040")),
            strokeWidth=chosen.then(alt.value(2)).otherwise(alt.value(0.6)),
            tooltip=tooltip,
        )
        .add_params(point)
        .properties(height=alt.Step(19))
    )
    return drawn


def moves(found: pl.DataFrame) -> alt.LayerChart:
    """Companies whose tone changed: from the usual (tick) to now (dot), those that changed most first.

    Args:
        found: query `moves`.
    """
    named = found.with_columns(
        name=pl.col("series").map_elements(texts.series_name, return_dtype=pl.String),
        way=pl.when(pl.col("tone") < pl.col("usual_tone")).then(pl.lit("worse")).otherwise(pl.lit("better")),
    )
    y = alt.Y(
        "name:N", sort=named["name"].to_list(), title=None, axis=alt.Axis(labelLimit=190, ticks=False, domain=False)
    )
    scale = alt.Scale(domain=[-1, 1], nice=False)
    x = alt.X("tone:Q", title="tone, from −1 to +1", scale=scale, axis=alt.Axis(format="+.1f", tickCount=4))
    colour = alt.Color("way:N", scale=alt.Scale(domain=["worse", "better"], range=[NEGATIVE, BETTER]), legend=None)
    tooltip = [
        alt.Tooltip("name:N", title="Company"),
        alt.Tooltip("tone:Q", title="Tone now", format="+.2f"),
        alt.Tooltip("usual_tone:Q", title="Tone before", format="+.2f"),
        alt.Tooltip("stories:Q", title="Stories now"),
        alt.Tooltip("negative:Q", title="Negative ones"),
        alt.Tooltip("past_stories:Q", title="Stories before"),
    ]
    drawn = marks.rows(named)
    span = drawn.mark_rule(strokeWidth=3, opacity=0.5).encode(x=x, x2="usual_tone:Q", y=y, color=colour)
    ticks = drawn.mark_tick(color=OTHER, thickness=3, height=14).encode(x="usual_tone:Q", y=y, tooltip=tooltip)
    dots = drawn.mark_circle(size=110, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip)
    return alt.LayerChart(layer=[span, ticks, dots], height=28 * named.height + 24)
