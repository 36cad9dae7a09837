"""Alerts: the list with its filters, silences, and the way to one alert.

takes  a `Moment`; the address names an alert by `?alert=ID`, or which to list by `?show=`
gives  the list, or the alert that the address names (`alert_detail`)
never  shows a title as anything but text
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import polars as pl
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dashboard import acting, alert_detail, frame, links, narrow, reads, texts
from dashboard.zones import Zone

_PARAMETER, _TURN, _SHOWN = "alert", "alerts_turn", "alerts_shown"
_MOST = 500
_RANGES, _USUAL = {texts.OPEN_NOW: None, "30 days": 30, "1 year": 365, "All": 36500}, "30 days"
_JUDGED = {"true": "True alert", "false": "False alert"}
_UNJUDGED = "Not judged"


def draw(moment: frame.Moment) -> None:
    """The alert that the address names, else the list."""
    wanted = st.query_params.get(_PARAMETER)
    if wanted is None:
        _list(moment)
        _silences(moment)
        return
    st.button("All alerts", icon=":material/arrow_back:", on_click=_back, type="tertiary")
    found = moment.reader.query("alert", alert=wanted)
    if found.is_empty():
        frame.empty(
            "No such alert", "This store knows no alert of that name. It may belong to another store.", "search_off"
        )
        return
    alert_detail.draw(moment, found.row(0, named=True))


def _back() -> None:
    # Another key for the table: a row that stays selected could not be chosen again.
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
    st.query_params.pop(_PARAMETER, None)


def _list(moment: frame.Moment) -> None:
    st.subheader("Alerts", anchor=False)
    links.heed("show", _SHOWN, lambda told: told if told in _RANGES else None)
    if st.session_state.get(_SHOWN) not in _RANGES:
        st.session_state[_SHOWN] = _USUAL
    shown = st.segmented_control(
        "Show", list(_RANGES), required=True, key=_SHOWN, label_visibility="collapsed", persist_state="session"
    )
    chosen = shown or _USUAL
    links.tell("show", "" if chosen == _USUAL else chosen, _SHOWN)
    days = _RANGES[chosen]
    now = moment.now
    if days is None:
        # However old they are: a list of the latest would lose one that stays open for months.
        every = moment.reader.query("open_alerts")
    else:
        since = datetime(1970, 1, 1, tzinfo=UTC) if days > 10000 else now - timedelta(days=days)
        every = reads.alerts(moment.reader, since, now + timedelta(days=1), limit=_MOST)
    if every.is_empty():
        words = "No alert is open." if days is None else "There was no alert in this time."
        st.success(
            f"{words} A surge of negative news appears here as soon as it is seen.", icon=":material/check_circle:"
        )
        return
    found = filtered(every, *_filters(every))
    if found.is_empty():
        st.info("No alert fits these filters. Take one out to see others.", icon=":material/filter_alt_off:")
        return
    ids = found["id"].to_list()
    # The key holds the rows: a selection is a position, and must not slide to another alert when a new one comes.
    key = f"alerts_table_{st.session_state.get(_TURN, 0)}_{hash(tuple(ids))}"

    def opened() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            st.query_params[_PARAMETER] = ids[rows[0]]

    with narrow.wide("alerts", many=True):
        st.dataframe(
            table(found, now),
            hide_index=True,
            column_config=_columns(moment.zone, found["opened_at"]),
            selection_mode="single-row",
            on_select=opened,
            key=key,
            height="content" if found.height <= 12 else 460,
            alt="Alerts",
        )
        st.caption("Choose a row (the box at its left) to see the evidence.")
    _lines(moment, found)
    if days is not None and every.height >= _MOST:
        st.caption(f"The latest {_MOST} of this time are listed.")


def _lines(moment: frame.Moment, found: pl.DataFrame) -> None:
    """The list for narrow windows: each alert leads to its evidence."""
    with narrow.narrow("alerts", many=True):
        for row in found.head(narrow.MOST).iter_rows(named=True):
            state = texts.alert_look(row["state"], fired=row["fired_at"] is not None)
            name = texts.shortened(texts.alert_title(row["series"], row["headline"]))
            seen = texts.counted(row["series"], row["peak_observed"])
            moment.link(
                "alerts",
                f"{texts.look(texts.SEVERITIES, row['severity']).badge} {state.badge} **{texts.literal(name)}** · "
                f"{seen}, usual {texts.amount(row['peak_expected'])} · since {moment.zone.clock(row['opened_at'])}",
                fill=True,
                alert=row["id"],
            )
        if found.height > narrow.MOST:
            st.caption(f"And {found.height - narrow.MOST:,} more: narrow the list by the filters above.")


def _filters(every: pl.DataFrame) -> tuple[list[str], list[str], list[str], list[str]]:
    """What was chosen of severities, states, kinds and judgements; an empty choice lets everything through."""
    words = _words(every)
    asked = []
    with st.container(horizontal=True, gap="small"):
        for column, label in (("severity", "Severity"), ("state", "State"), ("kind", "Kind"), ("judged", "Judged")):
            options = words[column].unique(maintain_order=True).to_list()
            # What was chosen stays an option, or a refresh that takes the last such alert away would forget it.
            kept = st.session_state.get(f"alerts_{column}", [])
            asked.append(
                st.multiselect(
                    label,
                    sorted({*options, *kept}),
                    key=f"alerts_{column}",
                    placeholder="All",
                    width=165,
                    persist_state="session",
                )
            )
    severity, state, kind, judged = asked
    return severity, state, kind, judged


def filtered(
    every: pl.DataFrame, severities: list[str], states: list[str], kinds: list[str], judged: list[str]
) -> pl.DataFrame:
    """Query `alerts`, those whose words are among the chosen ones; an empty list lets everything through."""
    words = _words(every)
    keep = pl.Series([True] * every.height, dtype=pl.Boolean)
    for column, chosen in (("severity", severities), ("state", states), ("kind", kinds), ("judged", judged)):
        if chosen:
            keep &= words[column].is_in(chosen)
    return every.filter(keep)


def _words(every: pl.DataFrame) -> pl.DataFrame:
    return every.select(
        severity=pl.col("severity").map_elements(
            lambda one: texts.look(texts.SEVERITIES, one).word, return_dtype=pl.String
        ),
        state=_state(),
        kind=pl.col("series").map_elements(texts.series_kind, return_dtype=pl.String),
        judged=pl.col("judged").replace_strict(_JUDGED, default=_UNJUDGED, return_dtype=pl.String),
    )


def _state() -> pl.Expr:
    return pl.struct("state", "fired_at").map_elements(
        lambda row: texts.alert_look(row["state"], fired=row["fired_at"] is not None).word, return_dtype=pl.String
    )


def table(found: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Query `alerts` as people read it; state and severity are lists of one, which are shown as chips."""
    severity = pl.col("severity").map_elements(
        lambda one: texts.look(texts.SEVERITIES, one).word, return_dtype=pl.String
    )
    length = pl.struct("opened_at", "resolved_at").map_elements(
        lambda row: texts.span((row["resolved_at"] or now) - row["opened_at"]), return_dtype=pl.String
    )
    return found.select(
        pl.concat_list(_state()).alias("state"),
        pl.concat_list(severity).alias("severity"),
        pl.struct("series", "headline")
        .map_elements(lambda row: texts.cell(texts.alert_title(row["series"], row["headline"])), return_dtype=pl.String)
        .alias("series"),
        pl.col("opened_at"),
        length.alias("length"),
        pl.col("peak_observed"),
        pl.col("peak_expected").map_elements(texts.amount, return_dtype=pl.String),
        pl.format("{} h", "hours").alias("hours"),
        pl.col("peak_p_value").map_elements(texts.chance, return_dtype=pl.String),
        pl.col("acknowledged_by").fill_null("").map_elements(texts.cell, return_dtype=pl.String),
        pl.col("judged").replace_strict({"true": "True", "false": "False"}, default="", return_dtype=pl.String),
    )


def _columns(zone: Zone, times: Iterable[datetime]) -> dict[str, ColumnConfig]:
    column = st.column_config
    since = f"Open since ({zone.marks(times)})"
    return {
        "state": _chips("State", texts.STATES, 102),
        "severity": _chips("Severity", texts.SEVERITIES, 85),
        "series": column.TextColumn("Series", width=212),
        "opened_at": column.DatetimeColumn(since, format="D MMM YYYY, HH:mm", timezone=zone.name, width=136),
        "length": column.TextColumn("Length", width=70),
        "peak_observed": column.NumberColumn("Peak", width=55, help="Seen in the window at its peak."),
        "peak_expected": column.TextColumn("Usual", width=58, alignment="right"),
        "hours": column.TextColumn("Window", width=68, alignment="right"),
        "peak_p_value": column.TextColumn("By chance", width=152),
        "acknowledged_by": column.TextColumn("Taken on by", width=92),
        "judged": column.TextColumn("Judged", width=64),
    }


def _chips(label: str, looks: dict[str, texts.Look], width: int) -> ColumnConfig:
    words, colours = [one.word for one in looks.values()], [one.colour for one in looks.values()]
    return st.column_config.MultiselectColumn(label, options=words, color=colours, width=width)


def _silences(moment: frame.Moment) -> None:
    found = moment.reader.query("silences", now=moment.now, over=False)
    acting.tell()
    if found.is_empty():
        return
    st.markdown("##### Silences")
    allowed = acting.leave(moment)
    for row in found.iter_rows(named=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            why = f" · {texts.literal(row['why'])}" if row["why"] else ""
            st.markdown(
                f":material/notifications_off: **{texts.literal(row['pattern'])}** until "
                f"{moment.zone.clock(row['until'])} · by {texts.literal(row['who'])}{why}",
                width="content",
            )
            if allowed.given:
                request = acting.Request(
                    "unsilence", {"silence": row["id"]}, f"Notices of {row['pattern']} are sent again."
                )
                acting.button(moment, "End it", request, f"unsilence_{row['id']}", type="tertiary")
