"""Buttons that do something: they ask the daemon, and say what came of it.

takes  a `Moment`, the name of one of the daemon's actions, and what it wants to know
gives  buttons where the visitor may act, words where not, and the answer on the next drawing
never  opens the store: without a running daemon nothing is done
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import streamlit as st

from dashboard import frame, texts
from dashboard.roles import Role, Visitor
from monitor.errors import MonitorError

_TOLD = "acting_told"
_NOT_RUNNING = "The monitor is not running, so nothing can be done from here."
_ONLY_SHOWN = "This monitor takes no requests: it is only shown."


class Acts(Protocol):
    """A reader that also takes requests."""

    def act(self, name: str, **body: object) -> object:
        """Ask the daemon to do something; raises `monitor.errors.MonitorError` when it does not."""
        ...


@dataclass(frozen=True, slots=True)
class Leave:
    """Whether the visitor may act, and the reason when not."""

    given: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the daemon.

    Attributes:
        action: its name there.
        body: what it wants to know; a value that is a function is called when the button is pressed.
        done: words for when it is done, or a function that makes them of the answer.
    """

    action: str
    body: Mapping[str, object]
    done: str | Callable[[dict[str, Any]], str]


def leave(moment: frame.Moment) -> Leave:
    """Whether this visitor may act here and now: the daemon decides."""
    who: Visitor = moment.visitor
    if not moment.live:
        return Leave(False, _NOT_RUNNING)
    if who.role is not Role.ACTS:
        return Leave(False, who.reason or "Sign in to act.")
    told = answer(moment, "access")
    if isinstance(told, str):
        # It may have ended since the head of the page was drawn.
        return Leave(False, _ONLY_SHOWN if moment.reader.live else _NOT_RUNNING)
    return Leave(bool(told.get("acts")), texts.sentence(str(told.get("reason", ""))))


def answer(moment: frame.Moment, action: str, **body: object) -> dict[str, Any] | str:
    """The daemon's answer; words why there is none. An answer that is a list stands under `rows`."""
    try:
        told = cast("Acts", moment.reader).act(action, visitor=moment.visitor.address, **body)
    except MonitorError as error:
        return str(error)
    return told if isinstance(told, dict) else {"rows": told}


def button(moment: frame.Moment, label: str, request: Request, key: str, **looks: Any) -> None:
    """A button that sends a request."""
    st.button(label, key=key, on_click=_send, args=(moment, request), **looks)


def submit(moment: frame.Moment, label: str, request: Request, **looks: Any) -> None:
    """The button at the end of a form; the form's values are read when it is pressed."""
    st.form_submit_button(label, on_click=_send, args=(moment, request), **looks)


def field(key: str) -> Callable[[], object]:
    """What stands in the widget of this key when a request is sent."""
    return lambda: st.session_state.get(key)


def tell() -> None:
    """Say what came of the last request; a page with buttons calls it on top."""
    told = st.session_state.pop(_TOLD, None)
    if told is None:
        return
    well, words = told
    if well:
        st.success(texts.literal(words), icon=":material/check:")
    else:
        st.error(texts.literal(words), icon=":material/error:")


def _send(moment: frame.Moment, request: Request) -> None:
    body = {name: value() if callable(value) else value for name, value in request.body.items()}
    told = answer(moment, request.action, **body)
    if isinstance(told, str):
        st.session_state[_TOLD] = (False, texts.sentence(told))
        return
    words = request.done if isinstance(request.done, str) else request.done(told)
    st.session_state[_TOLD] = (True, words)
