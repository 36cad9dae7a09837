"""Scores for headlines, whatever happens to the model.

takes  `Headline`s
gives  `Scored` by headline id: sentiment, topics, themes
never  raises when the model is missing, damaged or crashes: headlines then wait unscored, and `fault` says why
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

import structlog

from models.errors import ModelError
from models.themes import Theme
from monitor.chosen_model import chosen_folder
from monitor.errors import ModelLost
from monitor.news.headlines import Headline
from monitor.series import Scored
from monitor.service.opinions import LoadedModel, Model, Question
from monitor.settings import ModelSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from monitor.news.companies import Mention

log = structlog.get_logger(__name__)

# Between two portions the daemon may be asked to stop; what is left is scored after the next start.
_PORTION = 256
# What cannot be had now is tried again after a minute; a process that died may have been unlucky.
_RETRY_AFTER = timedelta(minutes=1)
_RETRIES_OF_THE_LOST = (timedelta(seconds=5), timedelta(seconds=15), _RETRY_AFTER)
# Stories go by words where meaning is not to be had soon.
_MEANING_SECONDS = 10.0
_FAULTS = (ModelError, ModelLost, RuntimeError, MemoryError, OSError, ImportError)


class Naming(Protocol):
    """What finds companies in a title; `CompanyMatcher` is one."""

    def mentions(self, title: str) -> Sequence[Mention]:
        """Where the title names which company."""


class Scoring:
    """The loaded model, or the reason why there is none. Safe for many threads.

    A model in a process of its own that dies is begun anew. Should a headline kill it, portions are halved at every
    death until that headline is alone. Then all others come first; when they can be scored, and it dies of that one
    alone again, that one is left out. A model that dies of everything dies of something else: all wait for its end.

    Args:
        settings: the [model] table.
        themes: risk themes to match.
        stopping: set when the process should end; scoring then stops after the portion in hand.
        companies: finds the names to ask the model about; without it no company is asked about.
        open_model: loads the model: into this process, or into one of its own, which is to be closed.
        meaning_loads: whether `embed` loads the model; without it meanings are to be had once `prepare` or `score`
            has loaded it, so that who stores headlines never waits for that.

    Attributes:
        fault: why nothing can be scored now; empty while it can.
        restarts: how often a model's process was lost.
    """

    def __init__(
        self,
        settings: ModelSettings,
        themes: Sequence[Theme],
        stopping: threading.Event | None = None,
        companies: Naming | None = None,
        *,
        open_model: Callable[[ModelSettings, Sequence[Theme]], Model] = LoadedModel,
        meaning_loads: bool = True,
    ) -> None:
        self._settings = settings
        self._themes = tuple(themes)
        self._companies = companies
        self._stopping = stopping or threading.Event()
        self._open_model = open_model
        self._meaning_loads = meaning_loads
        self._model: Model | None = None
        self._turn = threading.Lock()
        self._retry: tuple[datetime, datetime] | None = None  # since when, and until when to wait
        self._portion = _PORTION
        self._losses = 0
        self._successes = 0
        self._suspects: dict[int, int] = {}  # successes until the model died of it alone; the latest death last
        self._unscorable: set[int] = set()
        self.fault = ""
        self.restarts = 0

    @property
    def model(self) -> str:
        """Id of the loaded model; empty while there is none."""
        return self._model.id if self._model else ""

    @property
    def runtime(self) -> str:
        """What carries it out, for people; empty while there is none."""
        return self._model.runtime if self._model else ""

    def score(self, headlines: Sequence[Headline], now: datetime) -> dict[int, Scored]:
        """Score as many headlines as the model, and a request to stop, allow; the others are absent."""
        scored: dict[int, Scored] = {}
        with self._turn:
            waiting = self._in_order(headlines)
        # Similar lengths share a batch only within a portion, so a portion must not be small.
        while waiting and not self._stopping.is_set():
            with self._turn:
                # Who is asked to stop does not begin to load a model, which takes seconds.
                if not self._ready(now):
                    break
                portion = self._next(waiting)
                waiting = waiting[len(portion) :]
                try:
                    scored.update(self._answered(portion))
                except _FAULTS as error:
                    self._failed(error, now, portion)
                    break
                self._went_well(portion)
        return scored

    def score_all(self, headlines: Sequence[Headline]) -> dict[int, Scored]:
        """Score every headline, for work that makes no sense without a model.

        Raises:
            ModelError: when there is no model.
            ModelLost: when it is in a process of its own, which died.
        """
        with self._turn:
            return self._answered(headlines)

    def prepare(self, now: datetime) -> None:
        """Load the model if there is none and it is time to try; `fault` says what came of it."""
        with self._turn:
            if not self._stopping.is_set():
                self._ready(now)

    def load(self) -> str:
        """Load the model now; its id.

        Raises:
            ModelError, ModelLost: when there is no model.
        """
        with self._turn:
            return self._loaded().id

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Meanings [texts, width] of titles, for their stories; None while there is no model, or it is busy for long.

        That a model cannot be loaded is told by `score`, which comes next: stories then go by words.
        """
        if not texts or self._stopping.is_set() or (self._model is None and self._retry is not None):
            return None
        with self._soon() as mine:
            if not mine:
                log.warning("stories_by_words", reason="the model is busy")
                return None
            if self._model is None and not self._meaning_loads:
                return None
            try:
                return self._loaded().embed(texts)
            except _FAULTS as error:
                log.warning("stories_by_words", reason=str(error) or type(error).__name__)
                if isinstance(error, ModelLost):
                    self._drop()
                    self.restarts += 1
                return None

    def close(self) -> None:
        """Let the model go; who is asking it learns that it is lost."""
        if (model := self._model) is not None:
            model.close()

    @contextmanager
    def _soon(self) -> Iterator[bool]:
        """The model, or False when others keep it busy."""
        mine = self._turn.acquire(timeout=_MEANING_SECONDS)
        try:
            yield mine
        finally:
            if mine:
                self._turn.release()

    def _answered(self, headlines: Sequence[Headline]) -> dict[int, Scored]:
        answers = self._loaded().answer([Question(one.title, self._named(one)) for one in headlines])
        return {headline.id: scored for headline, scored in zip(headlines, answers, strict=True)}

    def _named(self, headline: Headline) -> dict[str, str]:
        """By ticker the words by which the headline first names a company that is linked to it."""
        names: dict[str, str] = {}
        if self._companies is not None and headline.companies:
            for mention in self._companies.mentions(headline.title):
                if mention.ticker in headline.companies:
                    names.setdefault(mention.ticker, mention.name)
        return names

    def _ready(self, now: datetime) -> bool:
        if self._model is not None and not self._superseded():
            return True
        # A clock that was set back must not make the wait longer.
        if self._retry is not None and self._retry[0] <= now < self._retry[1]:
            return False
        try:
            self._loaded()
        except _FAULTS as error:
            self._failed(error, now, ())
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
        if self._model is None or folder == self._model.folder:
            return False
        log.info("model_superseded", folder=str(folder))
        self._drop()
        return True

    def _loaded(self) -> Model:
        if self._model is None:
            begun = time.monotonic()
            self._model = self._open_model(self._settings, self._themes)
            seconds = round(time.monotonic() - begun, 2)
            log.info("model_loaded", model=self._model.id, runtime=self._model.runtime, seconds=seconds)
        return self._model

    def _drop(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            model.close()

    def _in_order(self, headlines: Sequence[Headline]) -> list[Headline]:
        """Without what cannot be scored; suspects last, who died long ago before who died just now."""
        turns = {suspect: turn for turn, suspect in enumerate(self._suspects)}
        waiting = [headline for headline in headlines if headline.id not in self._unscorable]
        return sorted(waiting, key=lambda headline: turns.get(headline.id, -1))

    def _next(self, waiting: Sequence[Headline]) -> Sequence[Headline]:
        """As many of those in order as may be asked about at once: a suspect alone."""
        if waiting[0].id in self._suspects:
            return waiting[:1]
        return list(takewhile(lambda headline: headline.id not in self._suspects, waiting[: self._portion]))

    def _went_well(self, portion: Sequence[Headline]) -> None:
        self.fault, self._losses, self._retry = "", 0, None
        self._portion = min(_PORTION, self._portion * 2)
        self._successes += 1
        for headline in portion:
            self._suspects.pop(headline.id, None)

    def _failed(self, error: Exception, now: datetime, portion: Sequence[Headline]) -> None:
        """Drop the model, so that the next try begins from a clean one."""
        self._drop()
        if self._stopping.is_set():
            return
        wait = _RETRY_AFTER
        if isinstance(error, ModelLost):
            wait = _RETRIES_OF_THE_LOST[min(self._losses, len(_RETRIES_OF_THE_LOST) - 1)]
            self._losses += 1
            self.restarts += 1
        self._retry = (now, now + wait)
        self.fault = str(error) or type(error).__name__
        log.error(
            "model_failed",
            reason=self.fault,
            way_out="headlines wait unscored; it is tried again",
            retry_seconds=wait.total_seconds(),
        )
        if isinstance(error, ModelLost) and portion:
            self._suspect(portion)

    def _suspect(self, portion: Sequence[Headline]) -> None:
        """After a death: ask about fewer at once; what alone kills it is not asked about again until a restart."""
        one = portion[0].id
        if len(portion) > 1 or (self._portion > 1 and one not in self._suspects):
            self._portion = max(1, self._portion // 2)
            return
        before = self._suspects.pop(one, self._successes)
        if before == self._successes:
            # Nothing else could be scored since: memory may be short, or a device lost.
            self._suspects[one] = before
            return
        self._unscorable.add(one)
        # What was wrong is found: the others need not wait for it.
        self.fault, self._losses, self._retry = "", 0, None
        log.error("headline_unscorable", headline=one, reason="the model's process dies of it, and of no other")
