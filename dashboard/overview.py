"""The overview: risk now, trends, what stands out, and the latest headlines.

takes  a `Moment` and the page of alerts to lead to
gives  the page
never  decides what is a surge: it shows what the monitor decided
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import streamlit as st

from dashboard import charts, frame, reads, texts
from dashboard.headline_table import headline_table

_SERIES, _RANGE = "overview_series", "overview_range"
_MOST_CARDS = 4
_MOST_MOVERS = 10


def draw(moment: frame.Moment, alert_page: st.Page) -> None:
    """The whole page."""
    _risk_now(moment, alert_page)
    if moment.status.last_hour is None:
        _nothing_counted(moment)
        return
    name, over = _chosen(moment)
    counted = reads.series(moment.reader, over)
    # Drawn where its place is, above the choice's results, though it needs what the choice says.
    _figures(name, counted, over)
    left, right = st.columns([2, 1], gap="large")
    with left:
        _trends(moment, name, over)
    with right:
        _standing_out(counted, over)
    headline_table(moment.reader, name, over)


def _risk_now(moment: frame.Moment, alert_page: st.Page) -> None:
    st.subheader("Risk now", anchor=False)
    opened = moment.reader.query("open_alerts")
    if opened.is_empty():
        _quiet(moment)
        return
    shown = opened.head(_MOST_CARDS)
    for column, row in zip(st.columns(shown.height), shown.iter_rows(named=True), strict=True):
        with column, st.container(border=True, gap="xsmall", height="stretch"):
            _card(row, moment, alert_page)
    if opened.height > shown.height:
        more = texts.count(opened.height - shown.height, "more open alert")
        st.page_link(alert_page, label=more, icon=":material/more_horiz:")


def _card(row: dict[str, Any], moment: frame.Moment, alert_page: st.Page) -> None:
    state, severity = texts.look(texts.STATES, row["state"]), texts.look(texts.SEVERITIES, row["severity"])
    st.markdown(f"{severity.badge} {state.badge}")
    st.markdown(f"##### {texts.literal(texts.series_name(row['series']))}")
    seen = texts.counted(row["series"], row["observed"])
    st.markdown(f"**{seen}** in {row['hours']} h, {texts.amount(row['expected'])} usual")
    since = row["opened_at"]
    st.caption(f"Open for {texts.span(moment.now - since)}, since {texts.clock(since)}")
    st.page_link(
        alert_page,
        label="Evidence",
        icon=":material/arrow_forward:",
        icon_position="right",
        query_params={"alert": row["id"]},
        width="stretch",
    )


def _quiet(moment: frame.Moment) -> None:
    """No open alert: whether that means quiet, or that nothing may alert yet."""
    since, needed = moment.status.watched_since, reads.learning_days(moment.notes)
    watched = texts.count(moment.status.series, "series", "series")
    if since is None:
        st.info("Nothing is watched yet: no headline has been counted.", icon=":material/school:")
    elif (left := since + timedelta(days=needed) - moment.now) > timedelta(0) and moment.live:
        st.info(
            f"**Learning.** Squall is measuring what is usual, since {texts.utc(since)}. The first alerts are possible "
            f"in {texts.span(left)}; trends and headlines are complete already.",
            icon=":material/school:",
        )
    elif moment.live:
        st.success(f"**All quiet.** No surge of negative news in {watched}.", icon=":material/check_circle:")
    else:
        st.info("No open alert when the monitor last ran.", icon=":material/history:")


def _nothing_counted(moment: frame.Moment) -> None:
    if moment.status.feeds == 0:
        words = "No feed has been checked yet. Start the monitor with `squall run`; this page fills by itself."
    elif moment.status.feeds_failing == moment.status.feeds:
        words = "No feed has answered so far. The page **Feeds** says why for each of them."
    else:
        words = "Feeds are being read; the first headlines appear here as soon as they are scored."
    frame.empty("No headlines yet", words, "newspaper")


def _chosen(moment: frame.Moment) -> tuple[str, reads.Period]:
    """The series and the period that the reader of the page wants."""
    held = str(st.session_state.get(_SERIES) or "market")
    everything = reads.period(reads.Choice.MONTH, moment.status, moment.now, live=moment.live)
    left, right = st.columns([2, 1], gap="large", vertical_alignment="bottom")
    with left:
        name = st.selectbox(
            "Series",
            reads.choices(reads.series(moment.reader, everything), held),
            format_func=lambda one: texts.series_name(one) if one == "market" else _option(one),
            key=_SERIES,
        )
    with right:
        choice = st.segmented_control(
            "Range", list(reads.Choice), default=reads.Choice.WEEK, required=True, key=_RANGE, width="stretch"
        )
    wanted = choice or reads.Choice.WEEK
    return name or "market", reads.period(wanted, moment.status, moment.now, live=moment.live)


def _option(series: str) -> str:
    return f"{texts.series_kind(series)}: {texts.series_name(series)}"


def _figures(name: str, counted: pl.DataFrame, over: reads.Period) -> None:
    found = counted.filter(pl.col("series") == name)
    nothing: dict[str, Any] = {"stories": 0, "negative": 0, "tone": None, "usual_negative": None}
    row = found.row(0, named=True) if found.height else nothing
    share = f"{row['negative'] / row['stories']:.0%}" if row["stories"] else "none"
    usual = row["usual_negative"]
    with frame.figures():
        st.metric(
            "Stories",
            f"{row['stories']:,}",
            help="Distinct stories: copies of one story count once.",
            width=frame.FIGURE,
        )
        st.metric(
            "Negative stories",
            f"{row['negative']:,}",
            delta=None if usual is None else f"usual: {texts.amount(usual)}",
            delta_arrow="off",
            delta_color="off",
            help=f"Usual: the mean of a range of this length in the 28 days before {texts.utc(over.since)}.",
            width=frame.FIGURE,
        )
        st.metric("Share negative", share, width=frame.FIGURE)
        st.metric(
            "Mean tone",
            "unknown" if row["tone"] is None else f"{row['tone']:+.2f}",
            help="Probability of positive less that of negative, from −1 to +1.",
            width=frame.FIGURE,
        )


def _trends(moment: frame.Moment, name: str, over: reads.Period) -> None:
    st.markdown(f"##### Stories per {over.step}: {texts.literal(texts.series_name(name))}")
    points = reads.trend(moment.reader, name, over)
    if points.is_empty():
        st.info(
            f"No story between {texts.utc(over.since)} and {texts.utc(over.until)}. Choose a longer range.",
            icon=":material/bar_chart_off:",
        )
        return
    # On the market all alerts are drawn: what happened in its parts explains its own line.
    marked = reads.alerts(moment.reader, over.since, over.until, name="" if name == "market" else name)
    st.altair_chart(charts.volume(points, marked, over), alt=f"Stories per {over.step}, negative ones on top")
    st.markdown("##### Tone")
    st.altair_chart(charts.tone(points, marked, over), alt="Mean tone over time")
    st.caption(
        "Tone: each dot is the mean of one step, the line an average over the last few. "
        "Dashed: an alert opened; shaded: it lasted. Red for critical, orange for warning, blue for info."
    )


def _standing_out(counted: pl.DataFrame, over: reads.Period) -> None:
    st.markdown("##### Where negative news stands out")
    found = reads.standing_out(counted, _MOST_MOVERS)
    if found.is_empty():
        st.info("No series has more negative stories than usual in this range.", icon=":material/check:")
        return
    st.altair_chart(charts.movers(found), alt="Negative stories by series against the usual number")
    st.caption(
        "Bar: negative stories in this range. Mark: what is usual there, where a day or more of history tells. "
        f"{texts.clock(over.since)} to {texts.clock(over.until)}."
    )
