"""One series: negative stories and tone over time against what is usual, and the stories behind every point.

takes  a `Moment`; the address names series and range: `?series=theme:bank-stress&from=2026-03-09T10:00&to=…`
gives  the page
never  works out what is usual by itself: `alerts.detection.bands` does, with the baseline that detection uses
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import streamlit as st

from dashboard import charts, choosing, frame, reads, steady, story_list, texts

_SERIES, _RANGE, _PICKED, _NEGATIVE = "series_chosen", "series_range", "series_picked", "series_negative"
_CHART, _LIST = "series_chart", "series_list"
_LIMIT, _MOST_STORIES = 400, 25
_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "month": timedelta(days=31)}


def draw(moment: frame.Moment) -> None:
    """The whole page."""
    if moment.status.last_hour is None:
        frame.empty(
            "No headlines yet",
            f"A series begins with its first headline. {frame.first_news(moment)}",
            "show_chart",
        )
        return
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
    with left:
        name = choosing.series(moment, _SERIES)
    with right:
        over = choosing.period(moment, _RANGE, reads.Choice.WEEK, custom=True)
    points = reads.trend(moment.reader, name, over)
    usual = reads.usual(moment.reader, name, over, reads.rules(moment.notes))
    _title(name, points, usual, over)
    if points.is_empty():
        st.info(
            f"No story between {moment.zone.full(over.since)} and {moment.zone.full(over.until)}. "
            "Choose a longer range, or another series.",
            icon=":material/bar_chart_off:",
        )
        return
    marked = reads.alerts(moment.reader, over.since, over.until, name="" if name == "market" else name)
    _charts(moment, name, points, usual, marked, over)
    _alerts(moment, marked)
    _stories(moment, name, over)


def _title(name: str, points: pl.DataFrame, usual: pl.DataFrame, over: reads.Period) -> None:
    st.subheader(texts.literal(texts.series_title(name)), anchor=False)
    stories, negative = int(points["stories"].sum()), int(points["negative"].sum())
    weighed = points.select((pl.col("tone") * pl.col("stories")).sum()).item() or 0.0
    with frame.figures():
        st.metric(
            "Negative stories",
            f"{negative:,}",
            delta=expected(usual, over),
            delta_arrow="off",
            delta_color="off",
            help="Distinct stories; for a company those that are negative towards it.",
            width=frame.FIGURE,
        )
        st.metric("Stories", f"{stories:,}", width=frame.FIGURE)
        st.metric("Share negative", f"{negative / stories:.0%}" if stories else "none", width=frame.FIGURE)
        st.metric(
            "Mean tone",
            f"{weighed / stories:+.2f}" if stories else "unknown",
            delta=f"usual: {usual['tone_usual'].item(0):+.2f}" if usual.height else None,
            delta_arrow="off",
            delta_color="off",
            help="From −1 to +1; for a company, towards it.",
            width=frame.FIGURE,
        )


def expected(usual: pl.DataFrame, over: reads.Period) -> str | None:
    """How many negative stories are usual, and since when where that is known of a part of the range only."""
    if usual.is_empty():
        return None
    words, first = f"usual: {texts.amount(float(usual['expected'].sum()))}", usual["at"].item(0)
    return words if first <= over.since else f"{words} since {over.zone.there(first):%-d %b %Y}"


def _charts(
    moment: frame.Moment, name: str, points: pl.DataFrame, usual: pl.DataFrame, marked: pl.DataFrame, over: reads.Period
) -> None:
    st.markdown(f"##### Negative stories per {over.step}")
    # Another series or range is another chart: a selection must not slide to other times.
    key = f"{_CHART}_{abs(hash((name, over.since, over.step, over.zone.name)))}"

    def chosen() -> None:
        if (picked := selected(st.session_state[key].selection, over)) is not None:
            st.session_state[_PICKED] = (name, *picked)

    st.altair_chart(
        charts.negatives(points, usual, marked, over),
        key=key,
        on_select=chosen,
        selection_mode=[charts.POINT, charts.SPAN],
        alt=f"Negative stories per {over.step}, with the band in which nine steps of ten usually lie, and alerts",
    )
    st.markdown("##### Tone")
    st.altair_chart(charts.tone(points, marked, over, usual), alt="Mean tone over time, with its usual band")
    if usual.height:
        band = "Shaded band: where nine steps of ten usually lie; dashed in it: what is expected."
    elif over.step == "month":
        band = "In steps of months no band is drawn: choose a range of two years or less."
    elif not reads.watched(moment.reader, name):
        band = "This series is counted and not watched, as the settings say: it has no usual band, and raises no alert."
    else:
        needed = texts.amount(reads.rules(moment.notes).learning_days)
        band = f"Learning: the usual band needs {needed} days of history of this series."
    st.caption(
        "Click a step, or draw over several, to list the stories behind it. A story counts in the step in which it "
        f"begins; where only copies of it come later, it is listed and not counted again. {band}"
    )


def selected(selection: Mapping[str, Any], over: reads.Period) -> tuple[datetime, datetime] | None:
    """The times that a selection of the chart means, UTC; None when nothing is selected.

    Args:
        selection: as Streamlit tells it: `SPAN` as {"at": [from, to]}, `POINT` as [{"at": …}], in milliseconds.
        over: the chart's period.
    """
    span = (selection.get(charts.SPAN) or {}).get("at") or []
    if len(span) == 2 and span[1] > span[0]:
        begun, ended = (datetime.fromtimestamp(at / 1000, UTC) for at in span)
        edges = over.steps
        inside = [at for at, end in itertools.pairwise(edges) if end > begun and at < ended]
        return (inside[0], next(end for end in edges if end >= ended or end == edges[-1])) if inside else None
    points = selection.get(charts.POINT) or []
    if points and isinstance(points[0].get("at"), int | float):
        at = datetime.fromtimestamp(points[0]["at"] / 1000, UTC)
        return at, min((end for end in over.steps if end > at), default=over.until)
    return None


def _alerts(moment: frame.Moment, marked: pl.DataFrame) -> None:
    if marked.is_empty():
        return
    with st.container(horizontal=True, gap="small"):
        for row in marked.head(6).iter_rows(named=True):
            state = texts.alert_look(row["state"], fired=row["fired_at"] is not None)
            name = (
                texts.alert_title(row["series"], row["headline"])
                if row["headline"]
                else texts.series_name(row["series"])
            )
            series = texts.literal(texts.shortened(name, 50))
            words = f"{state.word}: {series}, since {moment.zone.clock(row['opened_at'])}"
            moment.link("alerts", words, state.icon, alert=row["id"])
        if marked.height > 6:
            moment.link("alerts", texts.count(marked.height - 6, "more alert"), "more_horiz")


def _stories(moment: frame.Moment, name: str, over: reads.Period) -> None:
    picked = st.session_state.get(_PICKED)
    narrow = over
    if picked and picked[0] == name and over.since <= picked[1] < picked[2] <= over.until:
        narrow = reads.Period(picked[1], picked[2], over.step, over.zone)
    listed = reads.counted(narrow)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"##### Stories, {_span(moment, narrow)}", width="content")
        if narrow is not over:
            st.button("Whole range", icon=":material/close:", on_click=_forget, type="tertiary", key="series_whole")
            if narrow.until - narrow.since > _STEPS["hour"]:
                st.button(
                    "Zoom in",
                    icon=":material/zoom_in:",
                    on_click=lambda: choosing.set_span(moment, _RANGE, listed.since, listed.until),
                    type="tertiary",
                    key="series_zoom",
                )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        negative_only = st.toggle("Only negative", value=True, key=_NEGATIVE, persist_state="session", width="content")
        sift = reads.Sift(negative_only=negative_only)
        found = reads.headlines(moment.reader, name, listed, sift, limit=_LIMIT)
        stories = reads.distinct(found)
        # "24 hours" moves on with the hour and is the same question; two times that were picked are themselves.
        chosen = st.session_state.get(_RANGE)
        times = (narrow.since, narrow.until) if narrow is not over or chosen == choosing.CUSTOM else None
        asked = (name, negative_only, str(chosen), times)
        shown = steady.hold(_LIST, asked, moment.now, stories.to_dicts(), _MOST_STORIES, story_list.KIND)
        steady.button(moment, shown, _LIST)
    if not shown.rows:
        st.info("No negative story here." if negative_only else "No story here.", icon=":material/check:")
        return
    story_list.draw(moment, shown.rows, name, "series_story")
    if stories.height > _MOST_STORIES:
        words = all_stories(found, stories.height)
        link: dict[str, Any] = {"series": name, "from": _iso(listed.since), "to": _iso(listed.until)}
        tone = "negative" if negative_only else ""
        moment.link("stories", words, "arrow_forward", **link, tone=tone, q="", publisher="")


def all_stories(found: pl.DataFrame, stories: int) -> str:
    """What a link to all of them says: their number, unless the headlines found were only the latest."""
    return f"All {stories} stories" if found.height < _LIMIT else "All stories of this time"


def _span(moment: frame.Moment, over: reads.Period) -> str:
    begun, ended = moment.zone.there(over.since), moment.zone.there(over.until)
    first, mark = moment.zone.mark(over.since), moment.zone.mark(over.until)
    begins = f"{begun:%-d %b %Y, %H:%M}" + ("" if first == mark else f" {first}")
    ends = f"{ended:%H:%M}" if begun.date() == ended.date() else f"{ended:%-d %b %Y, %H:%M}"
    return f"{begins} to {ends} {mark}"


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}"


def _forget() -> None:
    st.session_state.pop(_PICKED, None)
