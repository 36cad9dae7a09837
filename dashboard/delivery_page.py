"""Deliveries: does each channel work, what was given up, and one message with every attempt.

takes  a `Moment`; the address names a message by `?delivery=ID`, or a channel by `?channel=NAME`
gives  the health of channels with a test, dead letters with a way to send them again, the latest messages
never  shows a secret, nor what a receiver said as anything but text
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

from dashboard import acting, frame, links, narrow, texts

_STATES = {"All": "", "Waiting": "pending", "Delivered": "delivered", "Given up": "dead"}
_MOST, _MOST_DEAD = 200, 20
_CONDITION = "channel:"
_HEALTH = {
    "well": texts.Look("Works", "green", "check_circle"),
    "failing": texts.Look("Fails", "orange", "warning"),
    "disabled": texts.Look("Switched off", "red", "cancel"),
}
_NOT_NAMED = texts.Look("Not in the settings", "gray", "link_off")


def draw(moment: frame.Moment) -> None:
    """The message that the address names, else the whole page."""
    acting.tell()
    if wanted := st.query_params.get("delivery"):
        st.button("All messages", icon=":material/arrow_back:", on_click=_back, type="tertiary")
        _one(moment, wanted)
        return
    allowed = acting.leave(moment)
    if not allowed.given:
        st.caption(f":material/visibility: You may only look. {texts.literal(allowed.reason)}")
    names = _channels(moment, allowed)
    _dead(moment, allowed)
    _messages(moment, names)


def _back() -> None:
    st.session_state["deliveries_turn"] = st.session_state.get("deliveries_turn", 0) + 1
    st.query_params.pop("delivery", None)


def _channels(moment: frame.Moment, allowed: acting.Leave) -> list[str]:
    """A card for every channel of the settings and of the store; their names."""
    st.subheader("Channels", anchor=False)
    written = {row["channel"]: row for row in moment.reader.query("channels").iter_rows(named=True)}
    troubles = {
        row["subject"].removeprefix(_CONDITION): row
        for row in moment.reader.query("conditions").iter_rows(named=True)
        if row["subject"].startswith(_CONDITION)
    }
    told = acting.answer(moment, "settings") if moment.live else ""
    known = None if isinstance(told, str) else {one["name"]: one["type"] for one in told["channels"]}
    names = sorted({*(known or ()), *written})
    if not names:
        frame.empty(
            "No channel yet",
            "Nobody is told of alerts. Add a `[[channels]]` table to the settings: mail, webhook or chat; "
            "`squall config example` shows each.",
            "forward_to_inbox",
        )
    for name in names:
        kind = None if known is None else known.get(name, "")
        _channel(moment, name, kind, written.get(name, {}), troubles.get(name, {}), allowed)
    return names


def _channel(
    moment: frame.Moment,
    name: str,
    kind: str | None,
    counts: Mapping[str, Any],
    trouble: Mapping[str, Any],
    allowed: acting.Leave,
) -> None:
    """One card; `kind` is "" of a channel that the settings do not name, and None where nobody knows them."""
    look = _NOT_NAMED if kind == "" else health(counts, trouble)
    now = moment.now
    with st.container(border=True):
        st.markdown(f"{look.badge} **{texts.literal(name)}**{f' · {kind}' if kind else ''}")
        last = f"last delivered {texts.ago(counts.get('last_delivered_at'), now)}"
        st.caption(
            f"{counts.get('delivered', 0):,} delivered, {counts.get('pending', 0):,} waiting, "
            f"{counts.get('dead', 0):,} given up · {last}"
        )
        reason = trouble.get("reason") or (
            counts.get("last_reason") if counts.get("last_outcome") not in (None, "delivered") else ""
        )
        for words in [*([reason] if reason else []), *(counts.get("failing_recipients") or [])]:
            st.markdown(f":material/info: {texts.literal(str(words))}")
        if allowed.given:
            _channel_buttons(moment, name, kind or "", counts, trouble)


def _channel_buttons(
    moment: frame.Moment, name: str, kind: str, counts: Mapping[str, Any], trouble: Mapping[str, Any]
) -> None:
    with st.container(horizontal=True, gap="small"):
        if kind:
            request = acting.Request("test_channel", {"channel": name}, _tested)
            acting.button(moment, "Send a test", request, f"test_{name}", icon=":material/send:")
        if counts.get("dead"):
            request = acting.Request(
                "redeliver", {"channel": name, "delivery": ""}, lambda told: _again(told["deliveries"])
            )
            acting.button(moment, "Send all given up again", request, f"again_{name}", icon=":material/replay:")
        if trouble.get("state") == "disabled":
            request = acting.Request("enable", {"channel": name}, f"{name} is switched on again.")
            acting.button(moment, "Switch on again", request, f"enable_{name}", icon=":material/power_settings_new:")


def health(counts: Mapping[str, Any], trouble: Mapping[str, Any]) -> texts.Look:
    """How a channel is doing, of a row of query `channels` and one of `conditions`; either may be empty."""
    if trouble.get("state") in ("failing", "disabled"):
        return _HEALTH[str(trouble["state"])]
    if not counts.get("last_outcome"):
        return texts.Look("Never used", "gray", "circle")
    return _HEALTH["well" if counts["last_outcome"] == "delivered" else "failing"]


def _tested(told: dict[str, Any]) -> str:
    if told["outcome"] == "delivered" and told["reason"]:
        return f"The test message did not reach everybody on {told['channel']}: {told['reason']}"
    if told["outcome"] == "delivered":
        # A monitor that was not begun anew since an upgrade says nothing of it.
        waited = told.get("hastened", 0)
        now = (
            f" {texts.count(waited, 'message that waits', 'messages that wait')} for it will be tried now."
            if waited
            else ""
        )
        return f"The test message arrived on {told['channel']} in {told['millis']} ms.{now}"
    return f"The test message did not arrive on {told['channel']}: {told['reason']}"


def _again(deliveries: list[str]) -> str:
    return f"{texts.count(len(deliveries), 'message is', 'messages are')} sent again."


def _dead(moment: frame.Moment, allowed: acting.Leave) -> None:
    found = moment.reader.query("outbox", state="dead", channel="", limit=_MOST)
    st.subheader("Given up", anchor=False)
    if found.is_empty():
        st.success("No message was given up.", icon=":material/check_circle:")
        return
    st.caption("Tried for days without success, or the receiver wants nothing more. When it works again, send again.")
    for row in found.head(_MOST_DEAD).iter_rows(named=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                f"**{texts.literal(row['channel'])}** · {_what(row)} · {moment.zone.clock(row['created_at'])} · "
                f"{texts.literal(row['last_reason'] or row['outcome'])}"
            )
            moment.link("deliveries", "Attempts", delivery=row["id"])
            if allowed.given:
                request = acting.Request("redeliver", {"delivery": row["id"], "channel": ""}, "It is sent again.")
                acting.button(moment, "Send again", request, f"dead_{row['id']}", icon=":material/replay:")
    if (more := max(moment.status.deliveries_dead, found.height) - _MOST_DEAD) > 0:
        st.caption(f"And {more:,} more: the list below, *Given up*, has the latest.")


def _what(row: Mapping[str, Any]) -> str:
    about = texts.literal(texts.shortened(_title(row)))
    return texts.change(row["reason"]).lower() + (f", {about}" if about else "")


def _messages(moment: frame.Moment, names: list[str]) -> None:
    st.subheader("Latest messages", anchor=False)
    links.heed("channel", "deliveries_channel", lambda text: text if text in names else None)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        shown = st.segmented_control(
            "State", list(_STATES), default="All", required=True, key="deliveries_state", persist_state="session"
        )
        channel = st.selectbox(
            "Channel", ["", *names], key="deliveries_channel", width=260, format_func=_or_all, persist_state="session"
        )
    links.tell("channel", channel or "", key="deliveries_channel")
    found = moment.reader.query("outbox", state=_STATES[shown or "All"], channel=channel or "", limit=_MOST)
    if found.is_empty():
        st.info("No message fits. Messages are written when an alert fires, grows or ends.", icon=":material/mail:")
        return
    ids = found["id"].to_list()
    key = f"deliveries_table_{st.session_state.get('deliveries_turn', 0)}_{hash(tuple(ids))}"

    def opened() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            st.query_params["delivery"] = ids[rows[0]]

    with narrow.wide("messages", many=True):
        st.dataframe(
            table(found),
            hide_index=True,
            selection_mode="single-row",
            on_select=opened,
            key=key,
            height="content" if found.height <= 12 else 460,
            column_config={
                "at": st.column_config.DatetimeColumn(
                    f"Written ({moment.zone.marks(found['created_at'])})",
                    format="D MMM, HH:mm",
                    timezone=moment.zone.name,
                )
            },
            alt="Latest messages",
        )
        st.caption("Choose a row (the box at its left) to see every attempt.")
    _lines(moment, found)


def _lines(moment: frame.Moment, found: pl.DataFrame) -> None:
    """The list for narrow windows: each message leads to its attempts."""
    with narrow.narrow("messages", many=True):
        for row in found.head(narrow.MOST).iter_rows(named=True):
            look = texts.look(texts.DELIVERY_STATES, row["state"])
            words = f"{look.badge} **{texts.literal(row['channel'])}** · {_what(row)}"
            label = f"{words} · {moment.zone.clock(row['created_at'])}"
            moment.link("deliveries", label, fill=True, delivery=row["id"])
        if found.height > narrow.MOST:
            st.caption(f"And {found.height - narrow.MOST:,} more: narrow the list by state and channel.")


def _or_all(name: str) -> str:
    return name or "Every channel"


def table(found: pl.DataFrame) -> pl.DataFrame:
    """Query `outbox` as people read it."""
    look = pl.col("state").map_elements(lambda one: texts.look(texts.DELIVERY_STATES, one).word, return_dtype=pl.String)
    return found.select(
        look.alias("State"),
        pl.col("channel").map_elements(texts.cell, return_dtype=pl.String).alias("Channel"),
        pl.col("reason").map_elements(texts.change, return_dtype=pl.String).alias("Message"),
        pl.struct("series", "headline")
        .map_elements(lambda row: texts.cell(_title(row)), return_dtype=pl.String)
        .alias("Alert"),
        pl.col("created_at").alias("at"),
        pl.col("attempts").alias("Attempts"),
        pl.col("last_reason").map_elements(texts.cell, return_dtype=pl.String).alias("Last reason"),
    )


def _title(row: Mapping[str, Any]) -> str:
    """What the alert of a message is about; "" where it has none."""
    return texts.alert_title(row["series"], row["headline"]) if row["series"] else ""


def _one(moment: frame.Moment, wanted: str) -> None:
    found = moment.reader.query("delivery", delivery=wanted)
    if found.is_empty():
        frame.empty("No such message", "This store knows no message of that name.", "search_off")
        return
    row = found.row(0, named=True)
    state = texts.look(texts.DELIVERY_STATES, row["state"])
    st.subheader(f"{texts.change(row['reason'])} on {texts.literal(row['channel'])}", anchor=False)
    after = f", next try {texts.ago(row['next_attempt_at'], moment.now)}" if row["next_attempt_at"] else ""
    tried = texts.count(row["attempts"], "attempt")
    st.markdown(f"{state.badge} written {moment.zone.full(row['created_at'])}, {tried}{after}")
    if row["alert"]:
        moment.link("alerts", "Its alert", icon="notifications", alert=row["alert"])
    if row["state"] == "dead" and acting.leave(moment).given:
        request = acting.Request("redeliver", {"delivery": row["id"], "channel": ""}, "It is sent again.")
        acting.button(moment, "Send again", request, "one_again", icon=":material/replay:")
    attempts = moment.reader.query("delivery_attempts", delivery=wanted)
    if attempts.is_empty():
        st.caption("It was not tried yet, or it went in a group with others.")
        return
    for one in attempts.iter_rows(named=True):
        look = texts.Look(texts.outcome(one["outcome"]), "green" if one["outcome"] == "delivered" else "orange", "send")
        words = f" · {texts.literal(one['reason'])}" if one["reason"] else ""
        st.markdown(f"{look.badge} {moment.zone.full(one['at'])} · {one['millis']:,} ms{words}")
