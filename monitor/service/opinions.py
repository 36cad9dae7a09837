"""A model, and what is asked of it, wherever it runs.

takes  titles, with the companies that each of them names
gives  `Scored` in the same order; meanings of texts
never  knows of headlines, the store or retries: `monitor.service.scoring` does
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from models.themes import Theme, ThemeMatcher
from monitor.chosen_model import embedder_for, scorer_of
from monitor.series import Scored
from monitor.settings import ModelSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Question:
    """A title, and by ticker the words by which it names each company that is asked about."""

    title: str
    named: Mapping[str, str] = field(default_factory=dict)


class Model(Protocol):
    """A loaded model; `LoadedModel` and `monitor.service.model_process.ModelProcess` are two."""

    @property
    def id(self) -> str:
        """Id that every score carries."""

    @property
    def runtime(self) -> str:
        """What carries it out, for people."""

    @property
    def folder(self) -> Path:
        """Where its adapter lies."""

    def answer(self, questions: Sequence[Question]) -> list[Scored]:
        """What it says, in the order of the questions."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors [texts, width]."""

    def close(self) -> None:
        """Let it go; a second time does nothing."""


class LoadedModel:
    """A model in this process.

    Raises:
        ModelError: when it cannot be found or loaded.
    """

    def __init__(self, settings: ModelSettings, themes: Sequence[Theme]) -> None:
        self._scorer = scorer_of(settings)
        # Themes and stories share it: their thresholds were set with the embedded encoder, whatever model scores.
        self._embedder = embedder_for(self._scorer)
        self._matcher = ThemeMatcher(themes, self._embedder)

    @property
    def id(self) -> str:
        """See `Model`."""
        return self._scorer.model

    @property
    def runtime(self) -> str:
        """See `Model`."""
        return self._scorer.runtime

    @property
    def folder(self) -> Path:
        """See `Model`."""
        return self._scorer.adapter.folder

    def answer(self, questions: Sequence[Question]) -> list[Scored]:
        """See `Model`."""
        titles = [one.title for one in questions]
        scores = self._scorer.score(titles, [list(one.named.values()) for one in questions])
        themes = self._matcher.match(titles)
        # An adapter that has not learned companies gives no opinions: then there are fewer of them than names.
        return [
            Scored(score, matched, tuple(zip(one.named, score.companies, strict=False)))
            for one, score, matched in zip(questions, scores, themes, strict=True)
        ]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Model`."""
        return self._embedder.embed(texts)

    def close(self) -> None:
        """It goes with its last reference."""
