"""Alerts: the list, and one alert with everything behind it.

takes  a `Moment`; the address names an alert by `?alert=ID`
gives  the list, or the alert's evidence, history and messages
never  shows a title as anything but text
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import charts, frame, reads, texts

_PARAMETER, _TURN, _SHOWN = "alert", "alerts_turn", "alerts_shown"
_OPEN = ("pending", "firing", "recovering")
_RANGES = {"Open now": None, "30 days": 30, "1 year": 365, "All": 36500}
_MOST_STORIES = 25
_BEFORE, _AFTER = timedelta(days=4), timedelta(days=1)


def draw(moment: frame.Moment) -> None:
    """The alert that the address names, else the list."""
    wanted = st.query_params.get(_PARAMETER)
    if wanted is None:
        _list(moment)
        return
    st.button("All alerts", icon=":material/arrow_back:", on_click=_back, type="tertiary")
    found = moment.reader.query("alert", alert=wanted)
    if found.is_empty():
        frame.empty(
            "No such alert", "This store knows no alert of that name. It may belong to another store.", "search_off"
        )
        return
    _one(moment, found.row(0, named=True))


def _back() -> None:
    # Another key for the table: a row that stays selected could not be chosen again.
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
    st.query_params.pop(_PARAMETER, None)


def _list(moment: frame.Moment) -> None:
    st.subheader("Alerts", anchor=False)
    chosen = st.segmented_control("Show", list(_RANGES), default="30 days", required=True, key=_SHOWN)
    days = _RANGES[chosen or "30 days"]
    now = moment.now
    since = datetime(1970, 1, 1, tzinfo=UTC) if days is None or days > 10000 else now - timedelta(days=days)
    found = reads.alerts(moment.reader, since, now + timedelta(days=1))
    if days is None:
        found = found.filter(pl.col("state").is_in(_OPEN))
    if found.is_empty():
        words = "No alert is open." if days is None else "There was no alert in this time."
        st.success(
            f"{words} A surge of negative news appears here as soon as it is seen.", icon=":material/check_circle:"
        )
        return
    ids = found["id"].to_list()
    # The key holds the rows: a selection is a position, and must not slide to another alert when a new one comes.
    key = f"alerts_table_{st.session_state.get(_TURN, 0)}_{hash(tuple(ids))}"

    def opened() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            st.query_params[_PARAMETER] = ids[rows[0]]

    st.dataframe(
        table(found, now),
        hide_index=True,
        column_config=_columns(),
        selection_mode="single-row",
        on_select=opened,
        key=key,
        height="content" if found.height <= 12 else 460,
        alt="Alerts",
    )
    st.caption("Choose a row (the box at its left) to see the evidence.")


def table(found: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Query `alerts` as people read it; state and severity are lists of one, which are shown as chips."""

    state = pl.struct("state", "fired_at").map_elements(
        lambda row: texts.alert_look(row["state"], fired=row["fired_at"] is not None).word, return_dtype=pl.String
    )
    severity = pl.col("severity").map_elements(
        lambda one: texts.look(texts.SEVERITIES, one).word, return_dtype=pl.String
    )

    length = pl.struct("opened_at", "resolved_at").map_elements(
        lambda row: texts.span((row["resolved_at"] or now) - row["opened_at"]), return_dtype=pl.String
    )
    return found.select(
        pl.concat_list(state).alias("state"),
        pl.concat_list(severity).alias("severity"),
        pl.col("series").map_elements(texts.series_title, return_dtype=pl.String),
        pl.col("opened_at"),
        length.alias("length"),
        pl.col("peak_observed"),
        pl.col("peak_expected").map_elements(texts.amount, return_dtype=pl.String),
        pl.format("{} h", "hours").alias("hours"),
        pl.col("peak_p_value").map_elements(texts.chance, return_dtype=pl.String),
    )


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "state": _chips("State", texts.STATES, 110),
        "severity": _chips("Severity", texts.SEVERITIES, 95),
        "series": column.TextColumn("Series", width=230),
        "opened_at": column.DatetimeColumn("Open since (UTC)", format="D MMM YYYY, HH:mm", timezone="UTC", width=150),
        "length": column.TextColumn("Length", width=80),
        "peak_observed": column.NumberColumn("Seen at peak", width=100),
        "peak_expected": column.TextColumn("Usual", width=70, alignment="right"),
        "hours": column.TextColumn("Window", width=70, alignment="right"),
        "peak_p_value": column.TextColumn("By chance", width=170),
    }


def _chips(label: str, looks: dict[str, texts.Look], width: int) -> ColumnConfig:
    words, colours = [one.word for one in looks.values()], [one.colour for one in looks.values()]
    return st.column_config.MultiselectColumn(label, options=words, color=colours, width=width)


def _one(moment: frame.Moment, alert: dict[str, Any]) -> None:
    state = texts.alert_look(alert["state"], fired=alert["fired_at"] is not None)
    severity = texts.look(texts.SEVERITIES, alert["severity"])
    st.subheader(texts.literal(texts.series_title(alert["series"])), anchor=False)
    st.markdown(f"{severity.badge} {state.badge} {state.meaning}")
    _figures(alert, moment.now)
    _chart(moment, alert)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _evidence(alert, moment.now)
    with right:
        _history(moment, alert)
        _messages(moment, alert)


def _figures(alert: dict[str, Any], now: datetime) -> None:
    observed, expected, hours = alert["observed"], alert["expected"], alert["hours"]
    st.markdown(f"**{texts.surge(alert['series'], observed, expected, hours)}.**")
    ended = alert["resolved_at"]
    with frame.figures():
        what = "Publishers" if texts.series_kind(alert["series"]) == "Story" else "Negative stories"
        st.metric(f"{what} in {hours} h", f"{observed:,}", width=frame.FIGURE)
        st.metric(
            "Usual",
            texts.amount(expected),
            help="What this series has at this time of the week, as learned.",
            width=frame.FIGURE,
        )
        st.metric(
            "By chance",
            texts.chance(alert["p_value"]),
            help=f"How often ordinary days alone would bring as many or more (p = {alert['p_value']:.2g}).",
            width=frame.WIDE_FIGURE,
        )
        st.metric(
            "Lasted" if ended else "Open for", texts.span((ended or now) - alert["opened_at"]), width=frame.FIGURE
        )
    fired = f"fired {texts.utc(alert['fired_at'])}" if alert["fired_at"] else "did not fire"
    resolved = f"resolved {texts.utc(ended)}" if ended else f"surge last seen {texts.utc(alert['last_spike_at'])}"
    st.caption(
        f"Seen first {texts.utc(alert['opened_at'])}, {fired}, {resolved}. Peak: "
        f"{texts.counted(alert['series'], alert['peak_observed'])}, "
        f"{texts.utc(alert['peak_at'])} ({texts.chance(alert['peak_p_value'])} by chance)."
    )


def _chart(moment: frame.Moment, alert: dict[str, Any]) -> None:
    opened = alert["opened_at"]
    ended = alert["resolved_at"] or max(moment.now, opened + timedelta(hours=1))
    step = "hour" if ended - opened <= timedelta(days=8) else "day"
    over = reads.Period(opened - _BEFORE, min(ended + _AFTER, max(moment.now, ended)), step)
    points = reads.trend(moment.reader, alert["series"], over)
    if points.is_empty():
        return
    marked = reads.alerts(moment.reader, over.since, over.until, name=alert["series"]).filter(
        pl.col("id") == alert["id"]
    )
    st.altair_chart(charts.volume(points, marked, over), alt=f"Stories per {step} around the alert")


def _evidence(alert: dict[str, Any], now: datetime) -> None:
    found = reads.stories(alert["evidence"])
    st.markdown(f"##### Evidence: {texts.count(len(found), 'story', 'stories')}")
    if not found:
        st.caption("No story was noted with this alert.")
    for story in found[:_MOST_STORIES]:
        _story(story, now)
    if more := found[_MOST_STORIES:]:
        with st.expander(texts.count(len(more), "earlier story", "earlier stories")):
            for story in more:
                _story(story, now)


def _story(story: reads.Story, now: datetime) -> None:
    with st.container(gap=None):
        link = texts.linked(story.title, story.link)
        if link is None:
            # No address to lead to, so no Markdown either: as it stands.
            st.text(story.title)
        else:
            st.markdown(link)
        publishers = ", ".join(texts.literal(one) for one in story.publishers)
        st.caption(
            f"{publishers} · {texts.clock(story.at)} ({texts.ago(story.at, now)}) · {story.negative:.0%} negative"
        )


def _history(moment: frame.Moment, alert: dict[str, Any]) -> None:
    st.markdown("##### What happened")
    changes = moment.reader.query("alert_changes", alert=alert["id"])
    if changes.is_empty():
        st.caption("No change was recorded.")
    for row in changes.iter_rows(named=True):
        after = texts.look(texts.STATES, row["state_after"])
        severity = texts.look(texts.SEVERITIES, row["severity"])
        with st.container(gap=None):
            st.markdown(
                f":{after.colour}[:material/{after.icon}:] **{texts.change(row['reason'])}**, {severity.word.lower()}"
            )
            st.caption(f"{texts.clock(row['at'])} · {row['observed']} seen, {texts.amount(row['expected'])} usual")


def _messages(moment: frame.Moment, alert: dict[str, Any]) -> None:
    st.markdown("##### Messages")
    deliveries = moment.reader.query("alert_deliveries", alert=alert["id"])
    if deliveries.is_empty():
        st.caption("No message was sent: there is no channel in the settings, or none was due.")
        return
    attempts = moment.reader.query("alert_attempts", alert=alert["id"])
    for row in deliveries.iter_rows(named=True):
        state = texts.look(texts.DELIVERY_STATES, row["state"])
        with st.container(gap=None):
            st.markdown(f"{state.badge} **{texts.literal(row['channel'])}** · {texts.change(row['reason']).lower()}")
            tried = texts.count(row["attempts"], "attempt")
            after = f", next {texts.ago(row['next_attempt_at'], moment.now)}" if row["next_attempt_at"] else ""
            last = attempts.filter(pl.col("delivery") == row["id"]).tail(1)
            words = texts.literal(last["reason"].item()) if last.height else ""
            st.caption(f"{texts.clock(row['created_at'])} · {tried}{after}" + (f" · {words}" if words else ""))
    if attempts.height:
        with st.expander("Every attempt"):
            st.dataframe(_attempts(attempts), hide_index=True, alt="Attempts to deliver")


def _attempts(attempts: pl.DataFrame) -> pl.DataFrame:
    return attempts.select(
        pl.col("at").dt.strftime("%-d %b, %H:%M:%S").alias("Time (UTC)"),
        pl.col("channel").map_elements(texts.cell, return_dtype=pl.String).alias("Channel"),
        pl.col("outcome").map_elements(texts.outcome, return_dtype=pl.String).alias("Outcome"),
        pl.col("reason").map_elements(texts.cell, return_dtype=pl.String).alias("Reason"),
        pl.col("millis").alias("Milliseconds"),
    )
