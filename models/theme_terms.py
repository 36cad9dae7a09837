"""The words of a risk theme, and what they catch in a headline.

takes  terms in the syntax of `models.themes.Theme`, a headline in plain quotes and hyphens
gives  `Hits`: the words that were caught
never  decides whether a headline is of a theme
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_BOTH = " + "
_EITHER = " | "
_WORD = re.compile(r"^[^\s*|+]+\*?$")


class HasTerms(Protocol):
    """What terms are compiled from; `models.themes.Theme` is one."""

    @property
    def strong_terms(self) -> tuple[str, ...]:
        """Each enough alone."""
        ...

    @property
    def terms(self) -> tuple[str, ...]:
        """Each speaks for the theme."""
        ...

    @property
    def excluded_terms(self) -> tuple[str, ...]:
        """Each refuses."""
        ...

    @property
    def needs_term(self) -> bool:
        """Whether a headline without strong_terms and terms is refused, so that nothing else need be looked for."""
        ...

    @property
    def learned(self) -> str:
        """Where a head decides instead of terms and examples; then every headline is looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Hits:
    """The words of one headline, in lower case, that one theme's terms caught.

    `excluded` is looked for only where the headline could still match.
    """

    strong: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """A theme's terms, compiled: each term is the patterns that must all occur."""

    strong: tuple[tuple[re.Pattern[str], ...], ...]
    weak: tuple[tuple[re.Pattern[str], ...], ...]
    excluded: tuple[tuple[re.Pattern[str], ...], ...]
    needs_term: bool

    @classmethod
    def of(cls, theme: HasTerms) -> Terms:
        """The terms of a theme, compiled."""
        strong, weak, excluded = (
            tuple(map(_compiled, terms)) for terms in (theme.strong_terms, theme.terms, theme.excluded_terms)
        )
        return cls(strong, weak, excluded, theme.needs_term and not theme.learned)

    def hits(self, text: str) -> Hits:
        """What the terms catch in a text."""
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


def check_term(term: str) -> None:
    """Refuse what is no term.

    Raises:
        ValueError: naming the term and the form that it should have.
    """
    for part in term.split(_BOTH):
        for phrase in part.split(_EITHER):
            if not phrase.split() or not all(_WORD.match(word) for word in phrase.split()):
                raise ValueError(
                    f"{term!r} is not a term: words, a * only at the end of a word, ' | ' between alternatives, "
                    "' + ' between what must all occur"
                )
