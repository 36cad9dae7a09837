"""A box to type a headline: what the model says of it, towards whom, and which words made it say so.

takes  a `Moment`, and what is typed
gives  sentiment, topics, themes, one opinion a company, and the words in colours
never  stores the headline, and never shows it as anything but text
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard import frame, questions, texts

# As the monitor takes them.
_LONGEST = 2_000
_TYPED, _ASKED, _QUESTION = "model_headline", "model_headline_asked", "model_headline_question"
_LABELS = {
    "negative": texts.Look("Negative", "red", "trending_down"),
    "neutral": texts.Look("Neutral", "gray", "trending_flat"),
    "positive": texts.Look("Positive", "green", "trending_up"),
}
# Parts of the strongest word's weight from which a word is coloured strongly, and at all.
_STRONG, _SOME = 0.5, 0.15


def draw(moment: frame.Moment) -> None:
    """The box, and the answer to what was typed last."""
    st.markdown("##### Try a headline")
    if not moment.live:
        st.caption("The monitor has the model: start it with `squall run` to try one.")
        return
    with st.form("model_headline_form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Headline",
            key=_TYPED,
            max_chars=_LONGEST,
            placeholder="for example: Goldman Sachs profit falls as JPMorgan gains",
            label_visibility="collapsed",
            persist_state="session",
        )
        st.form_submit_button("Ask the model", type="primary", on_click=_ask, args=(moment,))
    questions.draw(lambda: st.session_state.get(_QUESTION), lambda told: _answer(moment, told))


def _ask(moment: frame.Moment, company: str = "") -> None:
    """Ask of what is typed; towards a company, of what was answered last."""
    text = str(st.session_state.get(_ASKED if company else _TYPED) or "").strip()
    st.session_state[_ASKED] = text
    former: questions.Question | None = st.session_state.pop(_QUESTION, None)
    if former is not None:
        former.stop()
    if text:
        st.session_state[_QUESTION] = questions.begin(moment, text, company)


def _answer(moment: frame.Moment, told: Mapping[str, Any]) -> None:
    look = texts.look(_LABELS, told["label"])
    towards = f" towards **{texts.literal(told['company'])}**" if told.get("company") else ""
    st.markdown(f"{look.badge} {told['probability']:.0%}{towards}, because of these words:")
    st.markdown(coloured(told["words"], told["label"]))
    st.caption(
        f"Without any of the words it would say {look.word.lower()} with {told['without_words']:.0%}. "
        f"Bold words speak for it, struck ones against it; together they miss {abs(told['delta']):.0%} of that."
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Sentiment** of the whole headline")
        st.markdown(_shares(told["sentiment"]))
        if told.get("abstention") not in (None, "", "none"):
            st.caption("Too unsure to count: it abstains.")
        if told.get("topics"):
            names = ", ".join(f"{texts.literal(texts.series_name(f'topic:{n}'))} ({p:.0%})" for n, p in told["topics"])
            st.markdown(f"**Topics** {names}")
        if told.get("themes"):
            st.markdown("**Themes** " + ", ".join(texts.literal(texts.sentence_case(one)) for one in told["themes"]))
    with right:
        _companies(moment, told.get("companies", ()))


def _companies(moment: frame.Moment, companies: Sequence[Mapping[str, Any]]) -> None:
    st.markdown("**Towards each company**")
    if not companies:
        st.caption("It names no company that Squall knows.")
    for one in companies:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"{texts.literal(str(one['name']))}: {_shares(one)}")
            st.button(
                "Which words?",
                key=f"model_why_{one['ticker']}",
                on_click=_ask,
                args=(moment, one["name"]),
                type="tertiary",
            )


def _shares(of: Mapping[str, Any]) -> str:
    best = max(_LABELS, key=lambda name: of[name])
    parts = [f"{_LABELS[name].word.lower()} {of[name]:.0%}" for name in _LABELS]
    return f"{_LABELS[best].badge} {', '.join(parts)}"


def coloured(words: Sequence[Mapping[str, Any]], label: str) -> str:
    """Markdown of the words: in the label's colour what speaks for it, struck through what speaks against it."""
    most = max((abs(one["weight"]) for one in words), default=0.0) or 1.0
    colour = texts.look(_LABELS, label).colour
    parts = []
    for one in words:
        word, part = texts.literal(str(one["word"])), one["weight"] / most
        if part >= _STRONG:
            parts.append(f":{colour}-background[**{word}**]")
        elif part >= _SOME:
            parts.append(f":{colour}[**{word}**]")
        elif part <= -_SOME:
            parts.append(f"~~{word}~~")
        else:
            parts.append(word)
    return " ".join(parts)
