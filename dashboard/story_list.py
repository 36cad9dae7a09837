"""Stories one under the other: title, who carries it, scores, and on request the words that made them.

takes  a `Moment`, headlines by story (rows of `dashboard.reads.distinct`), the series that they are shown for
gives  the list
never  shows a title as anything but text, and never works a score out itself: the monitor does
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard import frame, headline_box, questions, retitled, steady, texts

_WORDS = "story_words"
_MOST_KEPT = 50
_MOST_PUBLISHERS = 6

# The headline that stands for a story stays while it is looked at, and with it the button and the words beneath;
# who carries the story may grow.
KIND: steady.Kind[Mapping[str, Any]] = steady.Kind(
    name=lambda row: row["story"],
    at=lambda row: row["last_at"],
    renewed=lambda drawn, now: {**drawn, **{name: now[name] for name in ("publishers", "copies", "first_at")}},
)


def draw(moment: frame.Moment, found: Sequence[Mapping[str, Any]], series: str, key: str) -> None:
    """The list.

    Args:
        found: rows of `dashboard.reads.distinct`.
        series: for a company, scores towards it are shown beside those of the headline.
        key: begins the keys of the buttons: another list on the page has another.
    """
    titles = retitled.later(moment, ((row["story"], row["effective"]) for row in found))
    for row in found:
        with st.container(border=True, gap=None):
            _story(moment, row, series, key, titles)


def scores(row: Mapping[str, Any], series: str) -> str:
    """What the model says of a headline, in Markdown: its tone, how negative, and towards the companies it names."""
    unsure = row["abstention"] not in (None, "none")
    look = texts.look(texts.TONES, "unsure" if unsure else str(row["sentiment"]))
    parts = [f"{look.badge} {row['negative']:.0%} negative, {row['positive']:.0%} positive"]
    for ticker, negative, positive in towards(row):
        name = texts.literal(texts.series_name(f"company:{ticker}"))
        emphasis = "**" if series == f"company:{ticker}" else ""
        parts.append(f"{emphasis}towards {name}: {negative:.0%} negative, {positive:.0%} positive{emphasis}")
    return " · ".join(parts)


def towards(row: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """(ticker, negative, positive) of each company that the model was asked about."""
    told = (row.get("towards") or (), row.get("towards_negative") or (), row.get("towards_positive") or ())
    return list(zip(*told, strict=False))


def _story(moment: frame.Moment, row: Mapping[str, Any], series: str, key: str, titles: retitled.Later) -> None:
    link = texts.linked(row["title"], row["link"])
    if link is None:
        # No address to lead to, so no Markdown either: as it stands.
        st.text(row["title"])
    else:
        st.markdown(link)
    publishers = [texts.literal(one) for one in row["publishers"]]
    more = f" and {len(publishers) - _MOST_PUBLISHERS} more" if len(publishers) > _MOST_PUBLISHERS else ""
    copies = f" · {row['copies']} headlines" if row["copies"] > 1 else ""
    st.caption(
        f"{', '.join(publishers[:_MOST_PUBLISHERS])}{more} · {moment.zone.clock(row['effective'])} "
        f"({texts.ago(row['effective'], moment.now)}){copies}"
    )
    retitled.draw(moment, titles.get((row["story"], row["title"]), ()))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(scores(row, series), width="content")
        if moment.live:
            ticker = series.partition(":")[2] if series.startswith("company:") else ""
            asked = ticker if ticker in (row["companies"] or ()) else ""
            which_words(moment, row["id"], row["title"], asked, f"{key}_why_{row['id']}")
    words(row["id"])


def which_words(moment: frame.Moment, headline: Hashable, title: str, company: str, key: str) -> None:
    """The button that asks for the words; `words` shows the answer.

    Args:
        headline: tells it from others of the visit.
        company: its ticker, where the score towards it is asked about; else "".
        key: of the button.
    """
    st.button(
        "Which words?",
        key=key,
        on_click=_ask,
        args=(moment, headline, title, company),
        type="tertiary",
        icon=":material/psychology_alt:",
        help="Show what each word added to the score.",
    )


def _ask(moment: frame.Moment, headline: Hashable, title: str, company: str) -> None:
    kept: dict[Hashable, questions.Question] = st.session_state.setdefault(_WORDS, {})
    former = kept.pop(headline, None)
    if former is not None:
        former.stop()
        if not former.fault:
            return  # pressed again: put away
    while len(kept) >= _MOST_KEPT:
        kept.pop(next(iter(kept))).stop()
    kept[headline] = questions.begin(moment, title, company)


def words(headline: Hashable) -> None:
    """What each word of a headline added to its score, where that was asked; else nothing."""
    questions.draw(lambda: st.session_state.get(_WORDS, {}).get(headline), _answer)


def _answer(told: Mapping[str, Any]) -> None:
    label = texts.look(texts.TONES, told["label"]).word.lower()
    towards_whom = f" towards {texts.literal(told['company'])}" if told.get("company") else ""
    st.markdown(headline_box.coloured(told["words"], told["label"]))
    st.caption(
        f"{told['probability']:.0%} {label}{towards_whom}; without its words {told['without_words']:.0%}. "
        "Bold words speak for it, struck ones against it."
    )
