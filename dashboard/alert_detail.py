"""One alert: what was seen, the stories behind it, everything that happened, who was told.

takes  a `Moment`, and a row of query `alert`
gives  figures, chart, evidence, the timeline, messages with every attempt; buttons come from `alert_buttons`
never  shows a title as anything but text
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import streamlit as st

from dashboard import acting, alert_buttons, charts, frame, handling, narrow, reads, retitled, steady, story_list, texts

_LIST, _MOST_STORIES = "alert_evidence", 25
_LONGEST_NAME = 200
_KIND: steady.Kind[reads.Story] = steady.Kind(
    name=lambda story: (story.at, story.link, story.title), at=lambda story: story.at
)
_BEFORE, _AFTER = timedelta(days=4), timedelta(days=1)
_SAID = {
    "acknowledged": ("front_hand", "took it on"),
    "reopened": ("undo", "gave it back"),
    "note": ("edit_note", "noted"),
    "assigned": ("person_add", "assigned it to"),
    "true": ("thumb_up", "judged it a true alert"),
    "false": ("thumb_down", "judged it a false alert"),
}


def draw(moment: frame.Moment, alert: dict[str, Any]) -> None:
    """The whole page of one alert."""
    state = texts.alert_look(alert["state"], fired=alert["fired_at"] is not None)
    severity = texts.look(texts.SEVERITIES, alert["severity"])
    # The evidence below has the whole of it.
    name = texts.shortened(texts.alert_title(alert["series"], alert["headline"]), _LONGEST_NAME)
    st.subheader(texts.literal(name), anchor=False)
    then = "" if moment.live or alert["resolved_at"] else ", when the monitor last ran"
    st.markdown(f"{severity.badge} {state.badge} {state.meaning}{then}")
    acting.tell()
    alert_buttons.draw(moment, alert)
    _figures(moment, alert)
    _chart(moment, alert)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _evidence(moment, alert)
    with right:
        _timeline(moment, alert)
        _messages(moment, alert)


def _figures(moment: frame.Moment, alert: dict[str, Any]) -> None:
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
            "Lasted" if ended else "Open for",
            texts.span((ended or moment.now) - alert["opened_at"]),
            width=frame.FIGURE,
        )
    zone = moment.zone
    fired = f"fired {zone.full(alert['fired_at'])}" if alert["fired_at"] else "did not fire"
    over = "resolved" if alert["fired_at"] else "faded"
    resolved = f"{over} {zone.full(ended)}" if ended else f"surge last seen {zone.full(alert['last_spike_at'])}"
    st.caption(
        f"Seen first {zone.full(alert['opened_at'])}, {fired}, {resolved}. Peak: "
        f"{texts.counted(alert['series'], alert['peak_observed'])}, "
        f"{zone.full(alert['peak_at'])} ({texts.chance(alert['peak_p_value'])} by chance)."
    )


def _chart(moment: frame.Moment, alert: dict[str, Any]) -> None:
    opened = alert["opened_at"]
    ended = alert["resolved_at"] or max(moment.now, opened + timedelta(hours=1))
    step = "hour" if ended - opened <= timedelta(days=8) else "day"
    over = reads.Period(opened - _BEFORE, min(ended + _AFTER, max(moment.now, ended)), step, moment.zone)
    points = reads.trend(moment.reader, alert["series"], over)
    if points.is_empty():
        return
    marked = reads.alerts(moment.reader, over.since, over.until, name=alert["series"]).filter(
        pl.col("id") == alert["id"]
    )
    st.caption(f"Stories per {step}; shaded while the alert was open.")
    st.altair_chart(charts.volume(points, marked, over), alt=f"Stories per {step} around the alert")
    moment.link("series", "All of this series", icon="show_chart", series=alert["series"])


def _evidence(moment: frame.Moment, alert: dict[str, Any]) -> None:
    found = reads.stories(alert["evidence"])
    # While the surge goes on, every look of detection may bring other stories.
    shown = steady.hold(_LIST, alert["id"], moment.now, found, len(found), _KIND)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"##### Evidence: {texts.count(len(shown.rows), 'story', 'stories')}", width="content")
        if alert["state"] != "resolved":
            steady.button(moment, shown, _LIST)
    if not shown.rows:
        st.caption("No story was noted with this alert.")
    titles = retitled.later(moment, ((story.id, story.at) for story in shown.rows))
    for story in shown.rows[:_MOST_STORIES]:
        _story(moment, story, alert["series"], titles)
    if more := shown.rows[_MOST_STORIES:]:
        with st.expander(texts.count(len(more), "earlier story", "earlier stories")):
            for story in more:
                _story(moment, story, alert["series"], titles)


def _story(moment: frame.Moment, story: reads.Story, series: str, titles: retitled.Later) -> None:
    with st.container(gap=None):
        link = texts.linked(story.title, story.link)
        if link is None:
            # No address to lead to, so no Markdown either: as it stands.
            st.text(story.title)
        else:
            st.markdown(link)
        publishers = ", ".join(texts.literal(one) for one in story.publishers)
        when = f"{moment.zone.clock(story.at)} ({texts.ago(story.at, moment.now)})"
        about = (story.at, story.link, story.title)
        st.caption(f"{publishers} · {when} · {story.negative:.0%} negative")
        retitled.draw(moment, titles.get((story.id, story.title), ()))
        if moment.live:
            ticker = series.partition(":")[2] if series.startswith("company:") else ""
            story_list.which_words(moment, about, story.title, ticker, f"evidence_why_{hash(about)}")
        story_list.words(about)


def _timeline(moment: frame.Moment, alert: dict[str, Any]) -> None:
    st.markdown("##### What happened")
    steps = timeline(
        moment.reader.query("alert_changes", alert=alert["id"]),
        moment.reader.query("alert_remarks", alert=alert["id"]),
        moment.reader.query("alert_decisions", alert=alert["id"]),
    )
    if not steps:
        st.caption("No change was recorded.")
    for at, head, details in steps:
        with st.container(gap=None):
            st.markdown(head)
            st.caption(f"{moment.zone.clock(at)}{' · ' + details if details else ''}")


def timeline(changes: pl.DataFrame, remarks: pl.DataFrame, decisions: pl.DataFrame) -> list[tuple[datetime, str, str]]:
    """Changes of state, what people said, and what was not sent: time, a line of Markdown and details, as it happened.

    What is older than places in the record goes by its time.
    """
    steps: list[tuple[int, datetime, str, str]] = []
    for row in changes.iter_rows(named=True):
        after = texts.look(texts.STATES, row["state_after"])
        severity = texts.look(texts.SEVERITIES, row["severity"]).word.lower()
        head = f":{after.colour}[:material/{after.icon}:] **{texts.change(row['reason'])}**, {severity}"
        steps.append(
            (row.get("place") or 0, row["at"], head, f"{row['observed']} seen, {texts.amount(row['expected'])} usual")
        )
    for row in remarks.iter_rows(named=True):
        icon, did = _SAID.get(row["what"], ("chat", texts.sentence_case(row["what"]).lower()))
        words = texts.literal(row["words"])
        to = f" {words}" if row["what"] == "assigned" else ""
        head = f":blue[:material/{icon}:] **{texts.literal(row['who'])}** {did}{to}"
        steps.append((row.get("place") or 0, row["at"], head, "" if to else words))
    for row in decisions.iter_rows(named=True):
        to = f" to **{texts.literal(row['channel'])}**" if row["channel"] else ""
        why = handling.CHOICES.get(row["choice"], texts.sentence_case(row["choice"]).lower())
        delayed = "Sent later" if row["choice"].startswith("held_") else "Not sent"
        head = f":gray[:material/notifications_off:] {delayed}{to}: {why}"
        steps.append((row.get("place") or 0, row["at"], head, texts.literal(row["words"])))
    return [(at, head, details) for _, at, head, details in sorted(steps, key=lambda step: step[:2])]


def _messages(moment: frame.Moment, alert: dict[str, Any]) -> None:
    st.markdown("##### Messages")
    deliveries = moment.reader.query("alert_deliveries", alert=alert["id"])
    if deliveries.is_empty():
        st.caption("No message was sent: there is no channel in the settings, or none was due.")
        return
    attempts = moment.reader.query("alert_attempts", alert=alert["id"])
    allowed = acting.leave(moment)
    offered: set[str] = set()
    for row in deliveries.iter_rows(named=True):
        state = texts.look(texts.DELIVERY_STATES, row["state"])
        with st.container(gap=None):
            whom = f"{row['recipient']} of {row['channel']}" if row.get("recipient") else row["channel"]
            st.markdown(f"{state.badge} **{texts.literal(whom)}** · {texts.change(row['reason']).lower()}")
            tried = texts.count(row["attempts"], "attempt")
            after = f", next {texts.ago(row['next_attempt_at'], moment.now)}" if row["next_attempt_at"] else ""
            sent_as = row["id"] if row.get("recipient") else row["sent_as"]
            last = attempts.filter(pl.col("delivery") == sent_as).tail(1).to_dicts()
            taken_by = ", ".join((last[0].get("taken_by") or ()) if last else ())
            arrived = f" · arrived {moment.zone.clock(row['finished_at'])}" if row["state"] == "delivered" else ""
            to = f" for {texts.literal(taken_by)}" if taken_by and not row.get("recipient") else ""
            words = f" · {texts.literal(last[0]['reason'])}" if last and last[0]["reason"] else ""
            st.caption(f"{moment.zone.clock(row['created_at'])} · {tried}{after}{arrived}{to}{words}")
            # What is left of a group for somebody is shown at each of its messages about this alert.
            if row["state"] == "dead" and allowed.given and row["id"] not in offered:
                offered.add(row["id"])
                request = acting.Request("redeliver", {"delivery": sent_as, "channel": ""}, "It is sent again.")
                acting.button(moment, "Send again", request, f"again_{row['id']}", icon=":material/replay:")
    if attempts.height:
        with st.expander("Every attempt"):
            narrow.table("attempts", _attempts(attempts, moment), alt="Attempts to deliver")


def _attempts(attempts: pl.DataFrame, moment: frame.Moment) -> pl.DataFrame:
    return attempts.select(
        pl.col("at").map_elements(moment.zone.clock, return_dtype=pl.String).alias("Time"),
        pl.col("channel").map_elements(texts.cell, return_dtype=pl.String).alias("Channel"),
        pl.struct("recipient", *(["taken_by"] if "taken_by" in attempts.columns else []))
        .map_elements(_recipients, return_dtype=pl.String)
        .alias("Recipients"),
        pl.col("outcome").map_elements(texts.outcome, return_dtype=pl.String).alias("Outcome"),
        pl.col("reason").map_elements(texts.cell, return_dtype=pl.String).alias("Reason"),
        pl.col("millis").alias("Milliseconds"),
    )


def _recipients(row: Mapping[str, Any]) -> str:
    """Whom an attempt was for, or who took it; empty where a channel leads to one place."""
    return texts.cell(row["recipient"] or ", ".join(row.get("taken_by") or ()))
