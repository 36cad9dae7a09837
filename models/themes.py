"""Which risk themes a headline is about.

takes  headlines, themes described by examples and terms, and something that embeds text
gives  the ids of the themes of each headline, in the order of the headlines; on request, why or why not
never  trains, stores, or knows where a headline came from

Meaning alone (the nearest example's similarity) is too blunt to tell a failing bank from a bank's results, and
words alone miss what they do not list; a theme therefore states both, and how near is near enough with and
without one of its words. Measured precision per theme is in docs/themes.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.encoder import EMBEDDED_SHA256
from models.errors import DataUnusable
from models.text import readable
from models.theme_heads import ThemeHead, load_head
from models.theme_terms import Hits, Terms, check_term

Vectors = NDArray[np.float32]

_DEFAULTS = Path(__file__).with_name("default_themes.toml")
_SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_QUOTES = str.maketrans({"’": "'", "‘": "'", "–": "-", "‑": "-"})

Text = Annotated[str, Field(min_length=1)]
Similarity = Annotated[float, Field(ge=0, le=1)]


class Embedder(Protocol):
    """What turns texts into meaning; `models.scorer.Scorer` is one."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors [texts, width], in the order of the texts."""
        ...


class Theme(BaseModel):
    """A kind of risk to watch for.

    A term is matched on whole words, whatever their case. `*` ends a word that may go on (`collaps*`), ` | `
    parts alternatives, and ` + ` parts what must all occur somewhere in the headline:
    `bank | banks | lender* + collaps* | rescu*`.

    Attributes:
        id: slug, as it appears in the series `theme:<id>`.
        name: for people.
        description: one sentence.
        examples: headlines of this theme, in words of their own.
        counter_examples: headlines that look alike and are not; a text nearer to one of them than to every
            example is refused.
        strong_terms: enough alone.
        terms: with one of them `term_threshold` suffices.
        excluded_terms: any of them refuses the headline, whatever else speaks for it.
        threshold: least cosine similarity to the nearest example when no term occurs.
        term_threshold: least cosine similarity when a term occurs; not above `threshold`.
        needs_term: refuse headlines without a term, however near; they then need not be embedded.
        learned: file of a head that `squall themes fit` made; it decides in the place of terms, examples and
            thresholds, while strong and excluded terms keep the first word.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=_SLUG, max_length=60)]
    name: Text
    description: Text
    examples: tuple[Text, ...] = ()
    counter_examples: tuple[Text, ...] = ()
    strong_terms: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    excluded_terms: tuple[str, ...] = ()
    threshold: Similarity = 0.6
    term_threshold: Similarity = 0.4
    needs_term: bool = False
    learned: str = ""

    @model_validator(mode="after")
    def _can_match(self) -> Self:
        for term in (*self.strong_terms, *self.terms, *self.excluded_terms):
            check_term(term)
        if self.term_threshold > self.threshold:
            raise ValueError(
                f"theme {self.id}: term_threshold {self.term_threshold} is above threshold {self.threshold}"
            )
        by_meaning = self.examples and (self.terms or not self.needs_term)
        if not by_meaning and not self.strong_terms and not self.learned:
            raise ValueError(f"theme {self.id} can never match: give it examples, or strong_terms")
        return self


class Reason(StrEnum):
    """Why a headline is, or is not, of a theme."""

    STRONG_TERM = "strong_term"
    TERM_AND_MEANING = "term_and_meaning"
    MEANING = "meaning"
    LEARNED = "learned"
    EMPTY_TEXT = "empty_text"
    EXCLUDED_TERM = "excluded_term"
    NO_TERM = "no_term"
    TOO_FAR = "too_far"
    COUNTER_EXAMPLE = "counter_example"
    LEARNED_OTHERWISE = "learned_otherwise"

    @property
    def matches(self) -> bool:
        """Whether the headline is of the theme."""
        return self in {Reason.STRONG_TERM, Reason.TERM_AND_MEANING, Reason.MEANING, Reason.LEARNED}


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near a headline comes to a theme; -1 stands for what the theme does not have.

    Attributes:
        example, counter_example: cosine similarity to the nearest one.
        learned: the probability that the theme's head gives.
        needed: the least probability at which that head says yes.
    """

    example: float = -1.0
    counter_example: float = -1.0
    learned: float = -1.0
    needed: float = -1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one headline and one theme.

    Attributes:
        theme: id.
        reason: the verdict and why; `reason.matches` says which way.
        hits: words caught by the terms.
        near: similarity to the nearest example and counter-example.
        needed: the similarity that was asked for, given the hits; of a learned theme, the probability.
        example: the nearest example, "" where the theme has none.
    """

    theme: str
    reason: Reason
    hits: Hits
    near: Nearness
    needed: float
    example: str


def by_terms(theme: Theme, text: str, hits: Hits) -> Reason | None:
    """The verdict where words settle it; None where meaning must decide."""
    if not text:
        return Reason.EMPTY_TEXT
    if hits.excluded:
        return Reason.EXCLUDED_TERM
    if hits.strong:
        return Reason.STRONG_TERM
    if theme.learned:
        return None
    if theme.needs_term and not hits.weak:
        return Reason.NO_TERM
    return None if theme.examples else Reason.TOO_FAR


def by_meaning(theme: Theme, hits: Hits, near: Nearness) -> Reason:
    """The verdict where words do not settle it."""
    if theme.learned:
        return Reason.LEARNED if near.learned >= near.needed else Reason.LEARNED_OTHERWISE
    if near.example < (theme.term_threshold if hits.weak else theme.threshold):
        return Reason.TOO_FAR
    if near.counter_example >= near.example:
        return Reason.COUNTER_EXAMPLE
    return Reason.TERM_AND_MEANING if hits.weak else Reason.MEANING


class ThemeMatcher:
    """Themes, their compiled terms and, from the first text that needs them on, their examples' embeddings."""

    def __init__(self, themes: Sequence[Theme], embedder: Embedder) -> None:
        """Prepare the terms.

        Raises:
            ValueError: when two themes share an id.
            DataUnusable: when the head of a theme cannot be read, or was fitted on another encoder.
        """
        ids = [theme.id for theme in themes]
        if len(set(ids)) != len(ids):
            raise ValueError(f"theme ids must be unique: {sorted(one for one in set(ids) if ids.count(one) > 1)}")
        self.themes = tuple(themes)
        self._embedder = embedder
        self._terms = tuple(Terms.of(theme) for theme in themes)
        self._heads = tuple(head_of(theme) for theme in themes)
        self._examples: tuple[tuple[Vectors, Vectors], ...] | None = None

    def match(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The ids of each text's themes, in the order of the texts; at most one call to the embedder for texts.

        Texts whose verdict is settled by words for every theme are not embedded.
        """
        clean = [readable(text).translate(_QUOTES) for text in texts]
        hits = [tuple(terms.hits(text) for terms in self._terms) for text in clean]
        settled = [
            [by_terms(theme, text, one) for theme, one in zip(self.themes, row, strict=True)]
            for text, row in zip(clean, hits, strict=True)
        ]
        open_rows = [row for row, verdicts in enumerate(settled) if None in verdicts]
        if open_rows:
            nearness = self._nearness(self._embedder.embed([clean[row] for row in open_rows]))
            for row, near in zip(open_rows, nearness, strict=True):
                for column, theme in enumerate(self.themes):
                    if settled[row][column] is None:
                        settled[row][column] = by_meaning(theme, hits[row][column], near[column])
        return [
            tuple(theme.id for theme, reason in zip(self.themes, verdicts, strict=True) if reason and reason.matches)
            for verdicts in settled
        ]

    def explain(self, text: str) -> tuple[Finding, ...]:
        """One finding per theme, in the order of the themes: what was caught, how near it came, and the verdict."""
        clean = readable(text).translate(_QUOTES)
        vector = self._embedder.embed([clean])
        (nearness,) = self._nearness(vector)
        columns = zip(self.themes, self._terms, nearness, self._example_vectors(), strict=True)
        return tuple(
            _finding(theme, terms.hits(clean), clean, near, vector @ own.T) for theme, terms, near, (own, _) in columns
        )

    def _nearness(self, vectors: Vectors) -> list[tuple[Nearness, ...]]:
        columns = [
            (_nearest(vectors, own), _nearest(vectors, counter), *_asked(head, vectors))
            for (own, counter), head in zip(self._example_vectors(), self._heads, strict=True)
        ]
        return [
            tuple(Nearness(*(float(values[row]) for values in column)) for column in columns)
            for row in range(len(vectors))
        ]

    def _example_vectors(self) -> tuple[tuple[Vectors, Vectors], ...]:
        if self._examples is None:
            texts = [text for theme in self.themes for text in (*theme.examples, *theme.counter_examples)]
            vectors = self._embedder.embed(texts)
            pairs: list[tuple[Vectors, Vectors]] = []
            start = 0
            for theme in self.themes:
                middle = start + len(theme.examples)
                end = middle + len(theme.counter_examples)
                pairs.append((vectors[start:middle], vectors[middle:end]))
                start = end
            self._examples = tuple(pairs)
        return self._examples


@cache
def default_themes() -> tuple[Theme, ...]:
    """The themes that come with Squall, in the order of models/default_themes.toml."""
    return tuple(Theme.model_validate(table) for table in tomllib.loads(_DEFAULTS.read_text("utf-8"))["themes"])


def _finding(theme: Theme, hits: Hits, text: str, near: Nearness, to_examples: Vectors) -> Finding:
    reason = by_terms(theme, text, hits) or by_meaning(theme, hits, near)
    needed = theme.term_threshold if hits.weak else theme.threshold
    example = theme.examples[int(to_examples[0].argmax())] if theme.examples else ""
    return Finding(theme.id, reason, hits, near, near.needed if theme.learned else needed, example)


def head_of(theme: Theme) -> ThemeHead | None:
    """What the theme learned; None when it did not.

    Raises:
        DataUnusable: when its head cannot be read, or was fitted on another encoder.
    """
    if not theme.learned:
        return None
    head = load_head(Path(theme.learned).expanduser())
    if head.encoder != EMBEDDED_SHA256:
        raise DataUnusable(f"{theme.learned} was fitted on another encoder; fit it again with `squall themes fit`")
    return head


def _asked(head: ThemeHead | None, vectors: Vectors) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Probability [texts] and what is needed [texts]; -1 without a head."""
    if head is None:
        nothing = np.full(len(vectors), -1.0)
        return nothing, nothing
    return head.probabilities(vectors), np.full(len(vectors), head.threshold)


def _nearest(vectors: Vectors, examples: Vectors) -> NDArray[np.float32]:
    """Similarity [texts] to the nearest example; -1 where there is none."""
    if not len(examples):
        return np.full(len(vectors), -1, dtype=np.float32)
    nearest: NDArray[np.float32] = (vectors @ examples.T).max(axis=1)
    return nearest
