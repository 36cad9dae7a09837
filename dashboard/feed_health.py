"""Feeds: which answer, which do not and why, and whether messages get out.

takes  a `Moment`
gives  the health of every feed, the latest checks of one, and the state of every channel
never  shows what a feed said as anything but text
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import streamlit as st

from dashboard import frame, reads, texts

_DAY = timedelta(days=1)
_MOST_CHECKS = 100


def draw(moment: frame.Moment) -> None:
    """The whole page."""
    st.subheader("Feeds", anchor=False)
    feeds = moment.reader.query("feeds", since=moment.now - _DAY)
    if feeds.is_empty():
        frame.empty(
            "No feed yet",
            "The monitor has not checked a feed with this store. `squall run` starts it with the default feeds; your "
            "own come from the settings.",
            "rss_feed",
        )
    else:
        _figures(feeds)
        _table(feeds, moment.now)
        _checks(moment.reader, feeds)
    _channels(moment)


def _figures(feeds: pl.DataFrame) -> None:
    failing = feeds.filter(pl.col("failures") > 0).height
    unchecked = feeds.filter(pl.col("last_check_at").is_null()).height
    with frame.figures():
        st.metric("Answering", feeds.height - failing - unchecked, width=frame.FIGURE)
        st.metric("Failing", failing, width=frame.FIGURE)
        st.metric("Not checked yet", unchecked, width=frame.FIGURE)
        st.metric("New headlines, 24 h", f"{int(feeds['fresh'].sum()):,}", width=frame.FIGURE)


def _table(feeds: pl.DataFrame, now: datetime) -> None:
    column = st.column_config
    st.dataframe(
        table(feeds, now),
        hide_index=True,
        height="content" if feeds.height <= 14 else 520,
        column_config={
            "Feed": column.TextColumn(width=180),
            "State": column.TextColumn(width=190),
            "Last success": column.TextColumn(width=110),
            "Failures": column.NumberColumn(width=75, help="Failed checks since the last success."),
            "Next check": column.TextColumn(width=100),
            "New, 24 h": column.NumberColumn(width=80),
            "Reason": column.TextColumn(width=330),
        },
        alt="Health of every feed",
    )


def table(feeds: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Query `feeds` as people read it; the failing ones first."""

    def state(row: dict[str, object]) -> str:
        mark = "○" if row["outcome"] is None else "▼" if row["failures"] else "●"
        return f"{mark} {texts.outcome(None if row['outcome'] is None else str(row['outcome']))}"

    def since(column: str) -> pl.Expr:
        return pl.col(column).map_elements(lambda at: texts.ago(at, now), return_dtype=pl.String, skip_nulls=False)

    next_check = pl.col("next_check_at").map_elements(
        lambda at: "due" if at is None or at <= now else texts.ago(at, now), return_dtype=pl.String, skip_nulls=False
    )
    return feeds.select(
        pl.col("name").map_elements(texts.cell, return_dtype=pl.String).alias("Feed"),
        pl.struct("outcome", "failures").map_elements(state, return_dtype=pl.String).alias("State"),
        pl.col("reason").fill_null("").map_elements(texts.cell, return_dtype=pl.String).alias("Reason"),
        pl.col("failures").alias("Failures"),
        since("last_success_at").alias("Last success"),
        next_check.alias("Next check"),
        pl.col("fresh").alias("New, 24 h"),
        pl.col("publisher").map_elements(texts.cell, return_dtype=pl.String).alias("Publisher"),
        pl.col("url").map_elements(texts.cell, return_dtype=pl.String).alias("Address"),
    )


def _checks(reader: reads.Reader, feeds: pl.DataFrame) -> None:
    st.markdown("##### Latest checks of one feed")
    names = dict(zip(feeds["feed"].to_list(), feeds["name"].to_list(), strict=True))
    chosen = st.selectbox(
        "Feed",
        sorted(names, key=lambda one: str(names[one]).lower()),
        format_func=lambda one: str(names.get(one, one)),
        key="feeds_chosen",
        label_visibility="collapsed",
    )
    found = reader.query("feed_checks", feed=chosen, limit=_MOST_CHECKS)
    if found.is_empty():
        st.caption("This feed has not been checked yet, or its checks are older than what is kept.")
        return
    st.dataframe(checks(found), hide_index=True, height="content" if found.height <= 10 else 390, alt="Latest checks")


def checks(found: pl.DataFrame) -> pl.DataFrame:
    """Query `feed_checks` as people read it."""
    return found.select(
        pl.col("at").dt.strftime("%-d %b, %H:%M:%S").alias("Time (UTC)"),
        pl.col("outcome").map_elements(texts.outcome, return_dtype=pl.String).alias("Outcome"),
        pl.col("status").alias("HTTP status"),
        pl.col("entries").alias("Entries"),
        pl.col("fresh").alias("New"),
        pl.col("millis").alias("Milliseconds"),
        (pl.col("bytes") / 1024).round(1).alias("KiB"),
        pl.col("reason").map_elements(texts.cell, return_dtype=pl.String).alias("Reason"),
    )


def _channels(moment: frame.Moment) -> None:
    st.subheader("Messages", anchor=False)
    found = moment.reader.query("channels")
    if found.is_empty():
        st.caption("No message was written yet. Channels (mail, webhook, chat) are set up in the settings.")
        return
    now = moment.now
    for row in found.iter_rows(named=True):
        if row["dead"]:
            given_up = texts.count(row["dead"], "message was", "messages were")
            st.warning(
                f"{given_up} given up on channel **{texts.literal(row['channel'])}**. When the channel works again, "
                "`squall alerts redeliver` sends them again.",
                icon=":material/cancel:",
            )
    st.dataframe(
        found.select(
            pl.col("channel").map_elements(texts.cell, return_dtype=pl.String).alias("Channel"),
            pl.col("delivered").alias("Delivered"),
            pl.col("pending").alias("Waiting"),
            pl.col("dead").alias("Given up"),
            pl.col("last_delivered_at")
            .map_elements(lambda at: texts.ago(at, now), return_dtype=pl.String, skip_nulls=False)
            .alias("Last delivered"),
            pl.col("last_outcome").map_elements(texts.outcome, return_dtype=pl.String).alias("Last outcome"),
            pl.col("last_reason").fill_null("").map_elements(texts.cell, return_dtype=pl.String).alias("Reason"),
        ),
        hide_index=True,
        alt="Messages by channel",
    )
