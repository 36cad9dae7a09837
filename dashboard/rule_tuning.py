"""Rule tuning: change a threshold, and see what the last 30 days would have given.

takes  a `Moment`, and what is typed
gives  two columns of alerts, with today's rules and with the tried ones, and the lines for the settings
never  changes a rule: the settings are the user's own file

Today's rules run as soon as the page is open, and what they found on the way is kept: by the time somebody has typed
another value, most of its answer is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import streamlit as st
from pydantic import ValidationError

from alerts.rules import Rules
from dashboard import frame, model_charts, narrow, periods, reads, rule_trial, texts
from monitor.backtesting.tuning import Tried

DAYS = 30
NOW, TRIED = "Today's rules", "The tried rules"
_TRIAL, _WANTED, _UNTIL = "rules_trial", "rules_wanted", "rules_until"
# A page that is open for longer than this tries the newer hours, too.
_FRESH = timedelta(hours=2)
# The thresholds that people turn, in order: the others need a backtest over more than weeks.
TURNED = (
    "false_alerts_per_week",
    "minimum_negative",
    "minimum_publishers",
    "minimum_ratio",
    "breaking_publishers",
    "breaking_hours",
    "warning_score",
    "critical_score",
    "pending_minutes",
    "recovering_minutes",
)


def draw(moment: frame.Moment, weights: Mapping[str, float]) -> None:
    """The form, and the trial under way or what came of it."""
    st.subheader("Try other rules", anchor=False)
    st.caption(
        f"The last {DAYS} days again, through the detection that runs, with what is stored. Nothing is changed, and "
        "nobody is told."
    )
    rules = reads.rules(moment.notes)
    if moment.status.last_hour is None:
        st.info("There is no history yet to try rules on.", icon=":material/hourglass_empty:")
        return
    with st.form("rules_form"):
        columns = st.columns(2, gap="medium")
        for place, name in enumerate(TURNED):
            with columns[place % 2]:
                _number(name, getattr(rules, name))
        st.form_submit_button(
            "Try them", type="primary", icon=":material/play_arrow:", on_click=_begin, args=(moment, rules, weights)
        )
    if wrong := st.session_state.get(_WANTED):
        st.error(texts.literal(wrong), icon=":material/error:")
        return
    trial: rule_trial.Trial | None = st.session_state.get(_TRIAL)
    if trial is None or (trial.rules[NOW] != rules and not trial.running):
        trial = rule_trial.begin(moment.reader, weights, {NOW: rules}, _until(moment), DAYS)
        st.session_state[_TRIAL] = trial
    if trial.running:
        _progress()
    elif trial.fault:
        st.error(texts.literal(texts.sentence(trial.fault)), icon=":material/error:")
    else:
        _result(moment, trial)


def changed(rules: Rules, wanted: Mapping[str, float]) -> Rules:
    """The rules with the values that were typed.

    Raises:
        pydantic.ValidationError: when a value is out of range, or two contradict each other.
    """
    return Rules.model_validate(rules.model_dump() | dict(wanted))


def settings_lines(rules: Rules, other: Rules) -> str:
    """The lines for the settings file that make the one of the other; "" when they are the same."""
    before, after = rules.model_dump(), other.model_dump()
    lines = [f"{name} = {json.dumps(after[name])}" for name in TURNED if before[name] != after[name]]
    return "\n".join(["[rules]", *lines]) if lines else ""


def _number(name: str, value: float) -> None:
    about = Rules.model_fields[name].description or ""
    whole = isinstance(value, int)
    st.number_input(
        texts.sentence_case(name),
        value=value,
        step=1 if whole else 0.1,
        format="%d" if whole else "%.2f",
        min_value=0 if whole else 0.0,
        key=f"rules_{name}",
        persist_state="session",
        help=texts.literal(about),
    )


def _begin(moment: frame.Moment, rules: Rules, weights: Mapping[str, float]) -> None:
    st.session_state.pop(_WANTED, None)
    running: rule_trial.Trial | None = st.session_state.get(_TRIAL)
    # What today's rules find serves the tried ones: that is waited for.
    if running is not None and TRIED in running.rules:
        running.stop()
    try:
        other = changed(rules, {name: st.session_state[f"rules_{name}"] for name in TURNED})
    except ValidationError as error:
        st.session_state.pop(_TRIAL, None)
        found = error.errors()[0]
        where = texts.sentence_case(str(found["loc"][0])) + ": " if found["loc"] else ""
        st.session_state[_WANTED] = f"{where}{found['msg']}"
        return
    compared = {NOW: rules, TRIED: other}
    st.session_state[_TRIAL] = rule_trial.begin(moment.reader, weights, compared, _until(moment), DAYS)


def _until(moment: frame.Moment) -> datetime:
    """The end of the range: where the last trial of this visitor ended, while that is recent."""
    until = moment.now
    if moment.status.last_hour is not None and not moment.live:
        until = min(until, moment.status.last_hour + timedelta(hours=1))
    before: datetime = st.session_state.get(_UNTIL, until)
    if not before <= until < before + _FRESH:
        before = until
    st.session_state[_UNTIL] = before
    return before


@st.fragment(run_every=1.0)
def _progress() -> None:
    trial: rule_trial.Trial = st.session_state[_TRIAL]
    if not trial.running:
        st.rerun()
    twice = ", twice" if TRIED in trial.rules else ""
    st.progress(trial.done, text=f"{trial.done:.0%} of {DAYS} days{twice}" if trial.done else "Reading the store")
    if not twice:
        return
    for name, found in [*trial.found.items()]:
        st.markdown(f"**{name}**: {texts.count(len(found.alerts), 'alert')}")
    st.button("Stop", icon=":material/stop:", on_click=trial.stop, key="rules_stop")


def _result(moment: frame.Moment, trial: rule_trial.Trial) -> None:
    if trial.stopped or not trial.found:
        st.info("It was stopped.", icon=":material/stop_circle:")
        return
    told = {name: trial.found[name] for name in trial.rules if name in trial.found}
    rows = [
        {"at": one.fired_at, "rules": name, "series": texts.series_title(one.series), "severity": one.severity}
        for name, found in told.items()
        for one in found.alerts
    ]
    if rows:
        fired = {column: [row[column] for row in rows] for column in rows[0]}
        over = periods.between(
            min(one.since for one in told.values()), max(one.until for one in told.values()), moment.zone
        )
        st.altair_chart(model_charts.tried(fired, over), alt="Alerts over time, by the rules that gave them")
    # One alone has the whole width.
    for column, (name, found) in zip(st.columns(len(told), gap="medium"), told.items(), strict=True):
        with column:
            st.markdown(f"**{name}**: {texts.count(len(found.alerts), 'alert')}")
            st.caption(looked(found))
            if found.alerts:
                narrow.table(f"rules_{name}", table(moment, found), alt=f"Alerts of {name.lower()}")
    if TRIED not in trial.rules:
        st.caption("Change a value above and try it: what today's rules found on the way serves the next.")
    elif lines := settings_lines(trial.rules[NOW], trial.rules[TRIED]):
        st.markdown(
            "To keep them, put these lines into your settings file; a running daemon says when it takes them up."
        )
        st.code(lines, language="toml")
    else:
        st.caption("Both are the same rules: change a value above.")


def looked(found: Tried) -> str:
    """How closely it was looked, in words."""
    each = "each hour" if found.step_hours == 1 else f"every {found.step_hours} hours, to be done in time"
    part = "" if found.whole else " Not all of the range was done in time."
    return f"{found.since:%-d %b} to {found.until:%-d %b %Y}, looked {each}.{part}"


def table(moment: frame.Moment, found: Tried) -> pl.DataFrame:
    """Alerts as people read them."""
    rows: list[dict[str, Any]] = [
        {
            "Fired": moment.zone.clock(one.fired_at),
            "Series": texts.cell(texts.series_title(one.series)),
            "Severity": texts.look(texts.SEVERITIES, one.severity).word,
            "Seen": one.observed,
            "Usual": texts.amount(one.expected),
            "Window": f"{one.hours} h",
            "Lasted": "open" if one.resolved_at is None else texts.span(one.resolved_at - one.fired_at),
        }
        for one in found.alerts
    ]
    return pl.DataFrame(rows)
