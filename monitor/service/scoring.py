"""Scores for headlines, whatever happens to the model.

takes  `Headline`s
gives  `Scored` by headline id: sentiment, topics, themes
never  raises when the model is missing, damaged or crashes: headlines then wait unscored, and `fault` says why
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from models.errors import ModelError
from models.themes import Theme, ThemeMatcher
from monitor.chosen_model import chosen_folder, embedder_for, scorer_of
from monitor.news.headlines import Headline
from monitor.series import Scored
from monitor.settings import ModelSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.scorer import Scorer
    from monitor.news.companies import Mention

log = structlog.get_logger(__name__)

# Between two portions the daemon may be asked to stop; what is left is scored after the next start.
_PORTION = 256
_RETRY_AFTER = timedelta(minutes=1)


class Naming(Protocol):
    """What finds companies in a title; `CompanyMatcher` is one."""

    def mentions(self, title: str) -> Sequence[Mention]:
        """Where the title names which company."""


class Scoring:
    """The loaded model and theme matcher, or the reason why there is none.

    Args:
        settings: the [model] table.
        themes: risk themes to match.
        stopping: set when the process should end; scoring then stops after the portion in hand.
        companies: finds the names to ask the model about; without it no company is asked about.
    """

    def __init__(
        self,
        settings: ModelSettings,
        themes: Sequence[Theme],
        stopping: threading.Event | None = None,
        companies: Naming | None = None,
    ) -> None:
        self._settings = settings
        self._themes = tuple(themes)
        self._companies = companies
        self._stopping = stopping or threading.Event()
        self._scorer: Scorer | None = None
        self._matcher: ThemeMatcher | None = None
        self._embedder: Scorer | None = None
        self._retry_at: datetime | None = None
        self.fault = ""

    @property
    def model(self) -> str:
        """Id of the loaded model; empty while there is none."""
        return self._scorer.model if self._scorer else ""

    def score(self, headlines: Sequence[Headline], now: datetime) -> dict[int, Scored]:
        """Score as many headlines as the model, and a request to stop, allow; the others are absent."""
        scored: dict[int, Scored] = {}
        # Who is asked to stop does not begin to load a model, which takes seconds.
        if not headlines or self._stopping.is_set() or not self._ready(now):
            return scored
        # Similar lengths share a batch only within a portion, so a portion must not be small.
        for start in range(0, len(headlines), _PORTION):
            if self._stopping.is_set():
                break
            portion = headlines[start : start + _PORTION]
            try:
                scored.update(self.score_all(portion))
            except (ModelError, RuntimeError, MemoryError, OSError) as error:
                self._failed(error, now)
                break
        return scored

    def score_all(self, headlines: Sequence[Headline]) -> dict[int, Scored]:
        """Score every headline, for work that makes no sense without a model.

        Raises:
            ModelError: when there is no model.
        """
        scorer, matcher = self._loaded()
        titles = [headline.title for headline in headlines]
        named = [self._named(headline) for headline in headlines]
        scores = scorer.score(titles, [list(names.values()) for names in named])
        themes = matcher.match(titles)
        # An adapter that has not learned companies gives no opinions: then there are fewer of them than names.
        return {
            headline.id: Scored(score, matched, tuple(zip(names, score.companies, strict=False)))
            for headline, names, score, matched in zip(headlines, named, scores, themes, strict=True)
        }

    def load(self) -> str:
        """Load the model now; its id.

        Raises:
            ModelError: when there is no model.
        """
        scorer, _ = self._loaded()
        return scorer.model

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Meanings [texts, width] of titles, for their stories; None while there is no model.

        That a model cannot be loaded is told by `score`, which comes next: stories then go by words.
        """
        if self._stopping.is_set() or (self._scorer is None and self._retry_at is not None):
            return None
        try:
            self._loaded()
            # Themes and stories share it: their thresholds were set with the embedded encoder, whatever model scores.
            return None if self._embedder is None else self._embedder.embed(texts)
        except (ModelError, RuntimeError, MemoryError, OSError, ImportError) as error:
            log.warning("stories_by_words", reason=str(error) or type(error).__name__)
            return None

    def _named(self, headline: Headline) -> dict[str, str]:
        """By ticker the words by which the headline first names a company that is linked to it."""
        names: dict[str, str] = {}
        if self._companies is not None and headline.companies:
            for mention in self._companies.mentions(headline.title):
                if mention.ticker in headline.companies:
                    names.setdefault(mention.ticker, mention.name)
        return names

    def _ready(self, now: datetime) -> bool:
        if self._scorer is not None and not self._superseded():
            return True
        if self._retry_at is not None and now < self._retry_at:
            return False
        try:
            self._loaded()
        except (ModelError, RuntimeError, OSError, ImportError) as error:
            self._failed(error, now)
            return False
        self.fault = ""
        return True

    def _superseded(self) -> bool:
        """Whether another model was promoted meanwhile; a record that cannot be read changes nothing."""
        try:
            folder = chosen_folder(self._settings)
        except ModelError as error:
            log.error("model_record_unreadable", reason=str(error))
            return False
        if self._scorer is None or folder == self._scorer.adapter.folder:
            return False
        log.info("model_superseded", folder=str(folder))
        self._scorer = self._matcher = self._embedder = None
        return True

    def _loaded(self) -> tuple[Scorer, ThemeMatcher]:
        if self._scorer is None or self._matcher is None:
            self._scorer = scorer_of(self._settings)
            self._embedder = embedder_for(self._scorer)
            self._matcher = ThemeMatcher(self._themes, self._embedder)
            log.info("model_loaded", model=self._scorer.model, runtime=self._scorer.runtime)
        return self._scorer, self._matcher

    def _failed(self, error: Exception, now: datetime) -> None:
        """Drop the model, so that the next try begins from a clean one."""
        self._scorer = self._matcher = self._embedder = None
        self._retry_at = now + _RETRY_AFTER
        self.fault = str(error) or type(error).__name__
        log.error("model_failed", reason=self.fault, way_out="headlines wait unscored; trying again in a minute")
