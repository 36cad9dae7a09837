"""Settings: what is in force, without secrets; and other rules, tried on the last weeks.

takes  a `Moment`
gives  every table of the settings, and the trial of rules
never  shows a secret, and never changes a setting
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import streamlit as st

from dashboard import acting, frame, narrow, roles, rule_tuning, texts

_ABOUT = {
    "store": "Where everything is kept",
    "model": "Which model scores",
    "daemon": "How often the daemon does what",
    "watch": "What is watched",
    "polling": "How feeds are fetched",
    "rules": "When negative news is a surge",
    "notify": "How people are told",
    "dashboard": "Where the dashboard listens",
    "log": "How the log looks",
    "metrics": "Numbers for other monitoring",
    "feeds": "Your own feeds",
    "companies": "Your own companies",
    "themes": "Your own themes",
    "channels": "Who is told",
    "routes": "Which alerts go where",
    "digests": "Summaries",
}


def draw(moment: frame.Moment) -> None:
    """The whole page."""
    told = acting.answer(moment, "settings") if moment.live else ""
    weights = {} if isinstance(told, str) else told["watch"]["weights"]
    rule_tuning.draw(moment, weights)
    st.subheader("Settings in force", anchor=False)
    _signed_in(moment)
    if isinstance(told, str):
        words = (
            texts.literal(texts.sentence(told)) if told else "A running monitor shows them: start it with `squall run`."
        )
        st.caption(words)
        return
    st.caption(
        "As the running monitor read them; changes belong into the settings file (`squall config check` checks it). "
        "Secrets are shown as the place where they lie."
    )
    for name, table in told.items():
        count = f" ({len(table)})" if isinstance(table, list) else ""
        about = f" · {_ABOUT[name]}" if name in _ABOUT else ""
        with st.expander(f"**{texts.sentence_case(name)}**{count}{about}"):
            rows = list(flat(table))
            if not rows:
                st.caption("None.")
                continue
            narrow.table(
                f"settings_{name}",
                pl.DataFrame(rows, schema=["Key", "Value"], orient="row"),
                height="content" if len(rows) <= 14 else 460,
                alt=f"Settings: {name}",
            )


def flat(table: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a table with its dotted key; of a list of tables with its number or name."""
    if isinstance(table, Mapping):
        for key, value in table.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(table, list) and any(isinstance(one, Mapping) for one in table):
        for number, one in enumerate(table, start=1):
            named = one.get("name") or one.get("id") or number if isinstance(one, Mapping) else number
            yield from flat(one, f"{path}[{named}]" if path else str(named))
    else:
        yield path, texts.cell(_words(table))


def _words(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "none"
    return str(value)


def _signed_in(moment: frame.Moment) -> None:
    who = moment.visitor
    if who.address:
        allowed = acting.leave(moment)
        words = "you may act" if allowed.given else "you may only look"
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/person: Signed in as **{texts.literal(who.address)}**: {words}.", width="content")
            st.button("Sign out", on_click=st.logout, type="tertiary", icon=":material/logout:")
    elif who.role is roles.Role.LOOKS:
        st.warning(texts.literal(who.reason), icon=":material/lock_open:")
