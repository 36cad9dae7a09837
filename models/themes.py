"""Which risk themes a headline is about.

takes  headlines, themes described by examples and terms, and something that embeds text
gives  the ids of the themes of each headline, in the order of the headlines; on request, why or why not
never  trains, stores, or knows where a headline came from

Meaning alone (the nearest example's similarity) is too blunt to tell a failing bank from a bank's results, and
words alone miss what they do not list; a theme therefore states both, and how near is near enough with and
without one of its words. Measured precision per theme is in docs/themes.md.
"""

from __future__ import annotations

import re
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

from models.text import readable

Vectors = NDArray[np.float32]

_DEFAULTS = Path(__file__).with_name("default_themes.toml")
_SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_BOTH = " + "
_EITHER = " | "
_WORD = re.compile(r"^[^\s*|+]+\*?$")
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

    @model_validator(mode="after")
    def _can_match(self) -> Self:
        for term in (*self.strong_terms, *self.terms, *self.excluded_terms):
            _check_term(term)
        if self.term_threshold > self.threshold:
            raise ValueError(
                f"theme {self.id}: term_threshold {self.term_threshold} is above threshold {self.threshold}"
            )
        by_meaning = self.examples and (self.terms or not self.needs_term)
        if not by_meaning and not self.strong_terms:
            raise ValueError(f"theme {self.id} can never match: give it examples, or strong_terms")
        return self


class Reason(StrEnum):
    """Why a headline is, or is not, of a theme."""

    STRONG_TERM = "strong_term"
    TERM_AND_MEANING = "term_and_meaning"
    MEANING = "meaning"
    EMPTY_TEXT = "empty_text"
    EXCLUDED_TERM = "excluded_term"
    NO_TERM = "no_term"
    TOO_FAR = "too_far"
    COUNTER_EXAMPLE = "counter_example"

    @property
    def matches(self) -> bool:
        """Whether the headline is of the theme."""
        return self in {Reason.STRONG_TERM, Reason.TERM_AND_MEANING, Reason.MEANING}


@dataclass(frozen=True, slots=True)
class Hits:
    """The words of one headline, in lower case, that one theme's terms caught.

    `excluded` is looked for only where the headline could still match.
    """

    strong: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Nearness:
    """Cosine similarity of a headline to a theme's nearest example and nearest counter-example (-1 without any)."""

    example: float = -1.0
    counter_example: float = -1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one headline and one theme.

    Attributes:
        theme: id.
        reason: the verdict and why; `reason.matches` says which way.
        hits: words caught by the terms.
        near: similarity to the nearest example and counter-example.
        needed: the similarity that was asked for, given the hits.
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
    if theme.needs_term and not hits.weak:
        return Reason.NO_TERM
    return None if theme.examples else Reason.TOO_FAR


def by_meaning(theme: Theme, hits: Hits, near: Nearness) -> Reason:
    """The verdict where words do not settle it."""
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
        """
        ids = [theme.id for theme in themes]
        if len(set(ids)) != len(ids):
            raise ValueError(f"theme ids must be unique: {sorted(one for one in set(ids) if ids.count(one) > 1)}")
        self.themes = tuple(themes)
        self._embedder = embedder
        self._terms = tuple(_Terms.of(theme) for theme in themes)
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
            nearness = self._nearness([clean[row] for row in open_rows])
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
        columns = zip(self.themes, self._terms, self._example_vectors(), strict=True)
        return tuple(_finding(theme, terms.hits(clean), clean, vector, own) for theme, terms, own in columns)

    def _nearness(self, texts: Sequence[str]) -> list[tuple[Nearness, ...]]:
        examples = self._example_vectors()
        vectors = self._embedder.embed(texts)
        columns = [(_nearest(vectors, own), _nearest(vectors, counter)) for own, counter in examples]
        return [
            tuple(Nearness(float(own[row]), float(counter[row])) for own, counter in columns)
            for row in range(len(texts))
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


@dataclass(frozen=True, slots=True)
class _Terms:
    """A theme's terms, compiled: each term is the patterns that must all occur."""

    strong: tuple[tuple[re.Pattern[str], ...], ...]
    weak: tuple[tuple[re.Pattern[str], ...], ...]
    excluded: tuple[tuple[re.Pattern[str], ...], ...]
    needs_term: bool

    @classmethod
    def of(cls, theme: Theme) -> _Terms:
        strong, weak, excluded = (
            tuple(map(_compiled, terms)) for terms in (theme.strong_terms, theme.terms, theme.excluded_terms)
        )
        return cls(strong, weak, excluded, theme.needs_term)

    def hits(self, text: str) -> Hits:
        line = text.lower()
        strong, weak = _caught(self.strong, line), _caught(self.weak, line)
        if self.needs_term and not strong and not weak:
            return Hits()
        return Hits(strong, weak, _caught(self.excluded, line))


def _caught(terms: Sequence[Sequence[re.Pattern[str]]], line: str) -> tuple[str, ...]:
    return tuple(caught for term in terms if (caught := _all_of(term, line)))


def _all_of(term: Sequence[re.Pattern[str]], line: str) -> str:
    """What the term's patterns caught, "" when one of them caught nothing."""
    found: list[str] = []
    for pattern in term:
        hit = pattern.search(line)
        if hit is None:
            return ""
        found.append(hit.group())
    return _BOTH.join(found)


def _compiled(term: str) -> tuple[re.Pattern[str], ...]:
    return tuple(_pattern(part.split(_EITHER)) for part in term.split(_BOTH))


def _pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    # A space in a term also meets a hyphen: "cyber attack" catches "cyber-attack".
    alternatives = (
        r"[\s-]+".join(
            re.escape(word.rstrip("*")) + (r"\w*" if word.endswith("*") else "") for word in phrase.lower().split()
        )
        for phrase in phrases
    )
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)")


def _check_term(term: str) -> None:
    for part in term.split(_BOTH):
        for phrase in part.split(_EITHER):
            if not phrase.split() or not all(_WORD.match(word) for word in phrase.split()):
                raise ValueError(
                    f"{term!r} is not a term: words, a * only at the end of a word, ' | ' between alternatives, "
                    "' + ' between what must all occur"
                )


def _finding(theme: Theme, hits: Hits, text: str, vector: Vectors, examples: tuple[Vectors, Vectors]) -> Finding:
    own, counter = examples
    near = Nearness(float(_nearest(vector, own)[0]), float(_nearest(vector, counter)[0]))
    reason = by_terms(theme, text, hits) or by_meaning(theme, hits, near)
    needed = theme.term_threshold if hits.weak else theme.threshold
    example = theme.examples[int((own @ vector[0]).argmax())] if theme.examples else ""
    return Finding(theme.id, reason, hits, near, needed, example)


def _nearest(vectors: Vectors, examples: Vectors) -> NDArray[np.float32]:
    """Similarity [texts] to the nearest example; -1 where there is none."""
    if not len(examples):
        return np.full(len(vectors), -1, dtype=np.float32)
    nearest: NDArray[np.float32] = (vectors @ examples.T).max(axis=1)
    return nearest
