"""Which words made a score: asked beside the page until the monitor answers, or says why it does not.

takes  a `Moment`, a headline, and the company that it is asked towards
gives  `Question`: what is done for it, then the answer or words why there is none; and its place on a page
never  keeps a page waiting, nor asks for longer than a quarter of an hour
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import streamlit as st

from dashboard import acting, frame, texts
from dashboard.beside import Beside

# Of the threads that ask.
THREAD = "which-words"
_LOG = logging.getLogger(__name__)
# As the monitor takes them.
_LONGEST = 2_000
# Loading the model a second time and weighing words take some twenty seconds of a processor: on a machine that has a
# tenth of one to spare, minutes.
_PATIENCE_SECONDS = 900.0
# The monitor waits itself before it says that there is no answer yet; this is for one that does not.
_PAUSE_SECONDS = 0.25
_GLANCE_SECONDS = 2.0
# What is under way, by the name that the monitor has for it.
_DOING = {
    "": "The monitor is asked",
    "loading": "The model is loaded for it, beside the one that scores",
    "others": "Other headlines come first",
    "working": "The model weighs each word",
}


@dataclass(slots=True)
class Question(Beside):
    """One question, under way or over.

    Attributes:
        begun: when it was asked, on the machine's steady clock.
        doing: what the monitor does for it, a key of `_DOING`.
        answer: what it said; None until then.
        fault: why there is no answer, a sentence; "" while all is well.
    """

    begun: float
    doing: str = ""
    answer: Mapping[str, Any] | None = None
    fault: str = ""

    def ask(self, moment: frame.Moment, headline: str, company: str) -> None:
        """Ask until there is an answer; whatever goes wrong stands in `fault`."""
        try:
            told = self._asked(moment, headline, company)
            if isinstance(told, str) and company:
                # Linked by more than its name, or an adapter without opinions on companies: the headline as a whole.
                told = self._asked(moment, headline, "")
            if isinstance(told, str):
                self.fault = texts.sentence(told)
            else:
                self.answer = told
        except Exception as error:
            _LOG.exception("a question for words failed")
            self.fault = f"It failed ({type(error).__name__}); the terminal of `squall dashboard` shows more."
        finally:
            self.end()

    def _asked(self, moment: frame.Moment, headline: str, company: str) -> dict[str, Any] | str:
        while not self.stopped_within(_PAUSE_SECONDS if self.doing else 0):
            told = acting.answer(moment, "explain", headline=headline[:_LONGEST], company=company)
            if isinstance(told, str) or "pending" not in told:
                return told
            self.doing = str(told["pending"])
            if time.monotonic() - self.begun > _PATIENCE_SECONDS:
                waited = texts.span(timedelta(seconds=_PATIENCE_SECONDS))
                return f"no answer came within {waited}: the machine is very busy, or the log of `squall run` says why"
        return "it was put away"


def begin(moment: frame.Moment, headline: str, company: str = "") -> Question:
    """Ask in a thread of its own.

    Args:
        company: a ticker, or a name as the headline has it; "" for the headline as a whole.
    """
    question = Question(time.monotonic())
    threading.Thread(target=question.ask, args=(moment, headline, company), name=THREAD, daemon=True).start()
    return question


def draw(find: Callable[[], Question | None], answered: Callable[[Mapping[str, Any]], None]) -> None:
    """The place of a question on the page: what is done for it, then what came of it.

    Args:
        find: the question as it is now, since another may have taken its place; None where none was asked.
        answered: draws the answer.
    """
    question = find()
    if question is not None and question.running:
        # Draws itself alone until there is an answer: the rest of the page stays as it is, under the pointer.
        _watched(find, answered)
    else:
        _drawn(question, answered)


@st.fragment(run_every=_GLANCE_SECONDS)
def _watched(find: Callable[[], Question | None], answered: Callable[[Mapping[str, Any]], None]) -> None:
    _drawn(find(), answered)


def _drawn(question: Question | None, answered: Callable[[Mapping[str, Any]], None]) -> None:
    if question is None:
        return
    if question.running:
        doing = _DOING.get(question.doing, _DOING[""])
        st.status(f"{doing} ({time.monotonic() - question.begun:.0f} s)", state="running")
    elif question.answer is None:
        st.warning(
            f"**No answer.** {texts.literal(question.fault)} Press the button once more to ask again.",
            icon=":material/error:",
        )
    else:
        answered(question.answer)
