"""What a person may do with one alert: take it on, judge it, note, assign, silence its series.

takes  a `Moment`, and a row of query `alert`
gives  buttons for who may act; one line of words for who may only look
never  changes anything itself: the daemon does
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from dashboard import acting, frame, texts

_SILENCES = {"1 hour": 1, "8 hours": 8, "1 day": 24, "1 week": 168}


def draw(moment: frame.Moment, alert: dict[str, Any]) -> None:
    """The row of buttons, or why there is none."""
    _standing(alert)
    allowed = acting.leave(moment)
    if not allowed.given:
        st.caption(f":material/visibility: You may only look. {texts.literal(allowed.reason)}")
        return
    with st.container(horizontal=True, gap="small"):
        _take_on(moment, alert)
        _judge(moment, alert)
        _note(moment, alert)
        _silence(moment, alert)


def _standing(alert: dict[str, Any]) -> None:
    told = [
        alert["acknowledged_by"] and f"taken on by **{texts.literal(alert['acknowledged_by'])}**",
        alert["assigned_to"] and f"assigned to **{texts.literal(alert['assigned_to'])}**",
        alert["judged"] and f"judged **{alert['judged']}**",
    ]
    words = ", ".join(one for one in told if one)
    if words:
        st.markdown(f":material/person: {words[:1].upper()}{words[1:]}.")


def _remark(moment: frame.Moment, alert: dict[str, Any], what: str, done: str, words: object = "") -> acting.Request:
    body = {"alert": alert["id"], "what": what, "who": moment.visitor.name, "words": words}
    return acting.Request("remark", body, done)


def _take_on(moment: frame.Moment, alert: dict[str, Any]) -> None:
    taken = bool(alert["acknowledged_by"])
    label, what = ("Give it back", "reopened") if taken else ("Acknowledge", "acknowledged")
    done = (
        "Reminders of it are sent again." if taken else "It is yours: no more reminders. That it grows is still told."
    )
    icon = ":material/undo:" if taken else ":material/front_hand:"
    # Keys of their own: the second click of two would take back what the first did.
    key = "alert_give_back" if taken else "alert_take_on"
    acting.button(moment, label, _remark(moment, alert, what, done), key, icon=icon)


def _judge(moment: frame.Moment, alert: dict[str, Any]) -> None:
    if alert["fired_at"] is None:
        return  # nobody was told of it, so there is nothing to judge
    for what, label, icon in (("true", "True alert", "thumb_up"), ("false", "False alert", "thumb_down")):
        request = _remark(moment, alert, what, f"Judged {what}; the last judgement counts.")
        kind = "primary" if alert["judged"] == what else "secondary"
        acting.button(moment, label, request, f"alert_{what}", icon=f":material/{icon}:", type=kind)


def _note(moment: frame.Moment, alert: dict[str, Any]) -> None:
    with st.popover("Note", icon=":material/edit_note:"):
        with st.form("alert_note_form", clear_on_submit=True, border=False):
            st.text_area("Note", key="alert_note", max_chars=2000, placeholder="What did you find out?")
            words = acting.field("alert_note")
            acting.submit(moment, "Write it down", _remark(moment, alert, "note", "Noted.", words))
        with st.form("alert_assign_form", clear_on_submit=True, border=False):
            st.text_input("Assign to", key="alert_assign", max_chars=200, placeholder="a name")
            words = acting.field("alert_assign")
            acting.submit(moment, "Assign", _remark(moment, alert, "assigned", "Assigned.", words))


def _silence(moment: frame.Moment, alert: dict[str, Any]) -> None:
    with (
        st.popover("Silence", icon=":material/notifications_off:"),
        st.form("alert_silence_form", clear_on_submit=True, border=False),
    ):
        st.markdown(f"No notices of **{texts.literal(texts.series_title(alert['series']))}** for")
        st.segmented_control(
            "For", list(_SILENCES), default="8 hours", key="alert_silence_for", label_visibility="collapsed"
        )
        st.text_input("Why", key="alert_silence_why", max_chars=500)
        body = {
            "pattern": alert["series"],
            "until": _until(moment),
            "who": moment.visitor.name,
            "why": acting.field("alert_silence_why"),
        }
        acting.submit(moment, "Silence", acting.Request("silence", body, "Silenced; the list of alerts ends it early."))


def _until(moment: frame.Moment) -> Callable[[], object]:
    def end() -> str:
        hours = _SILENCES[st.session_state.get("alert_silence_for") or "8 hours"]
        # From the press on: the page may have been drawn before the machine slept.
        return (max(moment.now, datetime.now(UTC)) + timedelta(hours=hours)).isoformat()

    return end
