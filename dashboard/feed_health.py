"""Feeds: how each is doing and why, its history, and a way to add, mute and check one.

takes  a `Moment`; the address names a feed by `?feed=ID`
gives  the health of every feed, the latest checks of one with a picture, and buttons
never  shows what a feed said as anything but text
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import streamlit as st

from dashboard import acting, feed_buttons, feed_charts, frame, links, narrow, texts
from monitor.feeds.feed import Feed, FeedState
from monitor.feeds.health import Health, HealthState, health

_DAY = timedelta(days=1)
_MOST_CHECKS = 300
# What is shown of each state: the worst stands first.
LOOKS: dict[HealthState, texts.Look] = {
    HealthState.FAILING: texts.Look("Failing", "red", "error", "its last check failed"),
    HealthState.SILENT: texts.Look("Silent", "orange", "volume_off", "answers, and publishes nothing of late"),
    HealthState.EMPTY: texts.Look("Empty", "orange", "inbox", "answers, and carries nothing"),
    HealthState.UNDATED: texts.Look("Undated", "orange", "event_busy", "its dates are worth nothing"),
    HealthState.RENAMING: texts.Look("Renaming", "yellow", "drive_file_rename_outline", "renames what it published"),
    HealthState.SLOW: texts.Look("Slow", "yellow", "hourglass_top", "takes long to answer"),
    HealthState.NEW: texts.Look("New", "blue", "fiber_new", "not checked yet"),
    HealthState.OK: texts.Look("Answers", "green", "check", "all is well"),
    HealthState.MUTED: texts.Look("Muted", "gray", "notifications_off", "is not checked"),
}
_ORDER = {state: place for place, state in enumerate(LOOKS)}


@dataclass(frozen=True, slots=True)
class Watched:
    """One feed with how it is doing, and what it brought in a day."""

    feed: Feed
    state: FeedState | None
    health: Health
    fresh: int
    checks: int


def draw(moment: frame.Moment) -> None:
    """The whole page."""
    st.subheader("Feeds", anchor=False)
    acting.tell()
    allowed = acting.leave(moment)
    found = watched(moment)
    if not allowed.given and found:
        st.caption(f":material/visibility: You may only look. {texts.literal(allowed.reason)}")
    if allowed.given:
        feed_buttons.adding(moment)
    if not found:
        frame.empty(
            "No feed yet",
            "The monitor watches no feed: name some in the settings, or add one above where you may."
            if moment.live
            else "No feed was checked with this store. `squall run` begins with the default feeds; your own come from "
            "the settings.",
            "rss_feed",
        )
        return
    _figures(found)
    _table(found, moment)
    _one(moment, found, allowed)


def watched(moment: frame.Moment) -> list[Watched]:
    """Every watched feed, the ones that need a look first.

    The daemon knows what is watched, also what was added a moment ago; without one, or where its settings name none
    (a demo that is over), it is what the store remembers.
    """
    states = {row["feed"]: FeedState(**row) for row in moment.reader.query("feed_states").iter_rows(named=True)}
    counts = {
        row["feed"]: (row["fresh"], row["checks"])
        for row in moment.reader.query("feeds", since=moment.now - _DAY).iter_rows(named=True)
    }
    told = acting.answer(moment, "watched") if moment.live else ""
    if isinstance(told, str) or not told["rows"]:
        feeds = [_remembered(state) for state in states.values()]
    else:
        feeds = [Feed.model_validate(one) for one in told["rows"]]
    found = [
        Watched(feed, states.get(feed.id), health(feed, states.get(feed.id), moment.now), *counts.get(feed.id, (0, 0)))
        for feed in feeds
    ]
    return sorted(found, key=lambda one: (_ORDER[one.health.state], one.feed.name.lower(), one.feed.id))


def _remembered(state: FeedState) -> Feed:
    return Feed(
        id=state.feed, url=state.url, name=state.name, publisher=state.publisher, enabled=state.paused_at is None
    )


def _figures(found: list[Watched]) -> None:
    states = [one.health.state for one in found]
    well = sum(state is HealthState.OK for state in states)
    muted = states.count(HealthState.MUTED)
    new = states.count(HealthState.NEW)
    with frame.figures():
        st.metric("All well", well, width=frame.FIGURE)
        st.metric("Need a look", len(found) - well - muted - new, width=frame.FIGURE)
        st.metric("Not checked yet", new, width=frame.FIGURE)
        st.metric("Muted", muted, width=frame.FIGURE)
        st.metric("New headlines, 24 h", f"{sum(one.fresh for one in found):,}", width=frame.FIGURE)


def _table(found: list[Watched], moment: frame.Moment) -> None:
    column = st.column_config
    words, colours = [one.word for one in LOOKS.values()], [one.colour for one in LOOKS.values()]
    shown = table(found, moment.now)
    narrow.table(
        "feeds",
        shown,
        shown.drop("Publisher", "Address"),
        many=True,
        height="content" if len(found) <= 14 else 520,
        column_config={
            "Feed": column.TextColumn(width=190),
            "State": column.MultiselectColumn(options=words, color=colours, width=92),
            "Reason": column.TextColumn(width=330),
            "Last success": column.TextColumn(width=110),
            "Next check": column.TextColumn(width=100),
            "New, 24 h": column.NumberColumn(width=80),
            "Publisher": column.TextColumn(width=110),
            "Address": column.TextColumn(width=170),
        },
        alt="Health of every feed",
    )


def table(found: list[Watched], now: datetime) -> pl.DataFrame:
    """Feeds as people read them, in the order given."""
    return pl.DataFrame(
        {
            "Feed": [texts.cell(one.feed.name) for one in found],
            "State": [[LOOKS[one.health.state].word] for one in found],
            "Reason": [texts.cell(one.health.reason) for one in found],
            "Last success": [texts.ago(one.state.last_success_at if one.state else None, now) for one in found],
            "Next check": [_next(one.health.next_check_at, one.health.state, now) for one in found],
            "New, 24 h": [one.fresh for one in found],
            "Publisher": [texts.cell(one.feed.publisher) for one in found],
            "Address": [texts.cell(one.feed.url) for one in found],
        },
        schema_overrides={"State": pl.List(pl.String), "New, 24 h": pl.Int64},
    )


def _next(at: datetime | None, state: HealthState, now: datetime) -> str:
    if state is HealthState.MUTED and at is None:
        return "never"
    return "due" if at is None or at <= now else texts.ago(at, now)


def _one(moment: frame.Moment, found: list[Watched], allowed: acting.Leave) -> None:
    st.markdown("##### One feed")
    by_id = {one.feed.id: one for one in found}
    links.heed("feed", "feeds_chosen", lambda text: text if text in by_id else None)
    names = [one.feed.name for one in found]

    def called(feed_id: str) -> str:
        """Its name; beside its id where others have that name too: the box knows its options by their words."""
        name = by_id[feed_id].feed.name if feed_id in by_id else feed_id
        return name if names.count(name) < 2 else f"{name} ({feed_id})"

    options = sorted(by_id, key=lambda one: called(one).lower())
    chosen = st.selectbox(
        "Feed",
        options,
        # The one that needs a look most, as the table above begins with it.
        index=options.index(found[0].feed.id),
        format_func=called,
        key="feeds_chosen",
        label_visibility="collapsed",
        persist_state="session",
    )
    links.tell("feed", chosen, key="feeds_chosen")
    one = by_id[chosen]
    look = LOOKS[one.health.state]
    reason = texts.literal(one.health.reason or look.meaning)
    st.markdown(f":{look.colour}-badge[:material/{look.icon}: {look.word}] {reason}")
    if one.health.next_check_at is not None:
        pace = f", {texts.literal(one.health.pace)}" if one.health.pace else ""
        st.caption(f"Next check {moment.zone.full(one.health.next_check_at)}{pace}.")
    if allowed.given:
        feed_buttons.one(moment, one.feed)
    checks = moment.reader.query("feed_checks", feed=chosen, limit=_MOST_CHECKS)
    if checks.is_empty():
        st.caption("This feed has not been checked yet, or its checks are older than what is kept.")
        return
    st.altair_chart(feed_charts.history(checks, moment.zone), alt=f"Checks of this feed: {checks.height}")
    shown = history(checks)
    narrow.table(
        "checks",
        shown,
        shown.with_columns(at=pl.col("at").map_elements(moment.zone.clock, return_dtype=pl.String)),
        many=True,
        height="content" if checks.height <= 10 else 390,
        column_config={
            "at": st.column_config.DatetimeColumn(
                f"Time ({moment.zone.marks(checks['at'])})", format="D MMM, HH:mm:ss", timezone=moment.zone.name
            )
        },
        alt="Latest checks",
    )


def history(checks: pl.DataFrame) -> pl.DataFrame:
    """Query `feed_checks` as people read it."""
    return checks.select(
        pl.col("at"),
        pl.col("outcome").map_elements(texts.outcome, return_dtype=pl.String).alias("Outcome"),
        pl.col("status").alias("HTTP status"),
        pl.col("entries").alias("Entries"),
        pl.col("fresh").alias("New"),
        pl.col("millis").alias("Milliseconds"),
        (pl.col("bytes") / 1024).round(1).alias("KiB"),
        pl.col("reason").map_elements(texts.cell, return_dtype=pl.String).alias("Reason"),
    )
