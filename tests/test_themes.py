"""The matcher of themes: its laws, its reasons, whole words, and what makes no theme."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from models.themes import Reason, Theme, ThemeMatcher


class LetterEmbedder:
    """A real, if poor, embedding: letter counts, normalised; counts how many texts it was given."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen.append(len(texts))
        counts = np.array([[text.lower().count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for text in texts], np.float32)
        counts = counts.reshape(len(texts), 26) + 1e-3
        unit: NDArray[np.float32] = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        return unit


def theme(**settings: object) -> Theme:
    plain: dict[str, object] = {
        "id": "fire",
        "name": "Fire",
        "description": "Something burns.",
        "examples": ("A mill burns",),
    }
    return Theme.model_validate(plain | settings)


BOTH = (
    theme(strong_terms=("blaze*",), terms=("burn*",), excluded_terms=("burning question",), term_threshold=0.1),
    theme(id="water", strong_terms=("flood*",), examples=(), needs_term=True),
)


WORDS = st.lists(
    st.sampled_from(["blaze", "blazing", "burning question", "Flood", "mill", "unrelated", "burns", "", " "]),
    max_size=5,
)


@given(st.lists(WORDS.map(" ".join), max_size=12))
def test_order_is_kept_and_no_text_influences_another(texts: list[str]) -> None:
    matcher = ThemeMatcher(BOTH, LetterEmbedder())
    together = matcher.match(texts)
    assert together == [matcher.match([text])[0] for text in texts]
    assert matcher.match(texts[::-1]) == together[::-1]


@given(WORDS.map(" ".join))
def test_an_excluded_term_wins(text: str) -> None:
    (found,) = ThemeMatcher(BOTH, LetterEmbedder()).match([f"{text} blaze burning question"])
    assert "fire" not in found


@given(WORDS.map(" ".join))
def test_explain_agrees_with_match(text: str) -> None:
    matcher = ThemeMatcher(BOTH, LetterEmbedder())
    assert tuple(one.theme for one in matcher.explain(text) if one.reason.matches) == matcher.match([text])[0]


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "https://example.com/blaze"])
def test_an_empty_text_matches_nothing(text: str) -> None:
    matcher = ThemeMatcher(BOTH, LetterEmbedder())
    assert matcher.match([text]) == [()]
    assert {one.reason for one in matcher.explain(text)} == {Reason.EMPTY_TEXT}


def test_no_texts_no_embedding() -> None:
    embedder = LetterEmbedder()
    assert ThemeMatcher(BOTH, embedder).match([]) == []
    assert embedder.seen == []


def test_texts_that_words_settle_are_not_embedded_and_examples_only_once() -> None:
    embedder = LetterEmbedder()
    matcher = ThemeMatcher((theme(terms=("burn*",), term_threshold=0.1, needs_term=True),), embedder)
    assert matcher.match(["nothing here", "it burns", "still nothing"]) == [(), ("fire",), ()]
    assert embedder.seen == [1, 1]  # the example, then the one text with a term
    matcher.match(["burned", "burnt"])
    assert embedder.seen == [1, 1, 2]


def test_every_reason_is_told() -> None:
    examples: dict[str, object] = {
        "examples": ("aaaa",),
        "counter_examples": ("bbbb",),
        "threshold": 0.9,
        "term_threshold": 0.5,
    }
    plain = ThemeMatcher(
        (theme(**examples, strong_terms=("zzz",), terms=("aab",), excluded_terms=("no",)),), LetterEmbedder()
    )
    gated = ThemeMatcher((theme(**examples, terms=("aab",), needs_term=True),), LetterEmbedder())
    reasons = {text: plain.explain(text)[0].reason for text in ("zzz", "aab", "aaa", "zzz no", "qqq", "")}
    assert reasons == {
        "zzz": Reason.STRONG_TERM,
        "aab": Reason.TERM_AND_MEANING,
        "aaa": Reason.MEANING,
        "zzz no": Reason.EXCLUDED_TERM,
        "qqq": Reason.TOO_FAR,
        "": Reason.EMPTY_TEXT,
    }
    assert plain.explain("aab bbbb aaa")[0].reason is Reason.COUNTER_EXAMPLE
    assert gated.explain("aaa")[0].reason is Reason.NO_TERM


@pytest.mark.parametrize(
    ("term", "text", "caught"),
    [
        ("bank run", "A Bank-Run begins", True),
        ("bank run", "bank runner", False),
        ("collaps*", "It collapsed", True),
        ("collaps*", "precollapse", False),
        ("bank | lender + fail*", "failing Lender", True),
        ("bank | lender + fail*", "a bank", False),
        ("u.s. + can't pay", "U.S. can’t pay", True),
        ("at&t", "AT&T's bonds", True),
    ],
)
def test_terms_meet_whole_words(term: str, text: str, caught: bool) -> None:
    matcher = ThemeMatcher((theme(examples=(), strong_terms=(term,), needs_term=True),), LetterEmbedder())
    assert bool(matcher.match([text])[0]) is caught


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "Not A Slug"},
        {"examples": ()},
        {"examples": ("x",), "needs_term": True},
        {"strong_terms": ("bank*s",)},
        {"terms": ("",)},
        {"terms": ("bank |",)},
        {"terms": ("bank + ",)},
        {"threshold": 0.3, "term_threshold": 0.4},
        {"threshold": 1.2},
        {"colour": "red"},
    ],
)
def test_a_theme_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        theme(**wrong)


def test_two_themes_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="fire"):
        ThemeMatcher((theme(), theme()), LetterEmbedder())
