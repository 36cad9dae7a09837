"""Scores for headlines, whatever happens to the model.

takes  `Headline`s
gives  `Scored` by headline id: sentiment, topics, themes
never  raises when the model is missing, damaged or crashes: headlines then wait unscored, and `fault` says why
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from models.errors import ModelError
from models.themes import Theme, ThemeMatcher
from monitor.headlines import Headline
from monitor.series import Scored
from monitor.settings import ModelSettings

if TYPE_CHECKING:
    from models.scorer import Scorer

log = structlog.get_logger(__name__)

# Between two portions the daemon may be asked to stop; what is left is scored after the next start.
_PORTION = 256
_RETRY_AFTER = timedelta(minutes=1)


class Scoring:
    """The loaded model and theme matcher, or the reason why there is none.

    Args:
        settings: the [model] table.
        themes: risk themes to match.
        stopping: set when the process should end; scoring then stops after the portion in hand.
    """

    def __init__(
        self, settings: ModelSettings, themes: Sequence[Theme], stopping: threading.Event | None = None
    ) -> None:
        self._settings = settings
        self._themes = tuple(themes)
        self._stopping = stopping or threading.Event()
        self._scorer: Scorer | None = None
        self._matcher: ThemeMatcher | None = None
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
        scores = scorer.score(titles)
        themes = matcher.match(titles)
        return {h.id: Scored(s, t) for h, s, t in zip(headlines, scores, themes, strict=True)}

    def _ready(self, now: datetime) -> bool:
        if self._scorer is not None:
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

    def _loaded(self) -> tuple[Scorer, ThemeMatcher]:
        if self._scorer is None or self._matcher is None:
            from models.scorer import load_scorer

            chosen = self._settings
            self._scorer = load_scorer(
                chosen.adapter, device=chosen.device, precision=chosen.precision, budget=chosen.token_budget
            )
            self._matcher = ThemeMatcher(self._themes, self._scorer)
            log.info("model_loaded", model=self._scorer.model, device=str(self._scorer.device))
        return self._scorer, self._matcher

    def _failed(self, error: Exception, now: datetime) -> None:
        """Drop the model, so that the next try begins from a clean one."""
        self._scorer = self._matcher = None
        self._retry_at = now + _RETRY_AFTER
        self.fault = str(error) or type(error).__name__
        log.error("model_failed", reason=self.fault, way_out="headlines wait unscored; trying again in a minute")
