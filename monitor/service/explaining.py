"""Which words made a score: worked out on request, in a process of its own that ends when nobody asks any more.

takes  a headline, and on request one of the companies that it names
gives  the action `explain`: what the model says of it, and what each word added to the probability of its label
never  loads torch into the daemon, nor keeps whoever scores and alerts waiting

Attributions need gradients, so the child loads the model in full precision beside the one that scores. Run as
`python -m monitor.service.explaining` it is that child: one JSON text a line, on its standard input and output.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from models.errors import ModelError
from models.themes import Theme
from monitor.chosen_model import chosen_folder
from monitor.errors import InputUnusable, ServiceError
from monitor.service.scoring import Naming
from monitor.settings import LogSettings, ModelSettings

if TYPE_CHECKING:
    from models.scorer import Scorer
    from models.themes import ThemeMatcher

_LONGEST = 2000
# Far less than a client waits for (monitor.storage.reading), so that it hears what is under way, and asks again.
_PATIENCE_SECONDS = 3.0
_IDLE_SECONDS = 300.0
_MOST_KNOWN = 500
_GOING_SECONDS = 2.0


# A headline, and the company that it is explained towards, by the name that it bears there; or ''.
Question = tuple[str, str]


class Pending(StrEnum):
    """Why there is no answer yet; who asks again gets it."""

    LOADING = "loading"
    OTHERS = "others"  # it works at what was asked before
    WORKING = "working"


class Explainer:
    """Explains headlines, one at a time. Safe for many threads; close it at the end.

    Args:
        settings: the [model] table.
        themes: to match.
        companies: finds the names of companies in a title.
        idle_seconds: how long the child is kept after its last answer.
    """

    def __init__(
        self,
        settings: ModelSettings,
        themes: Sequence[Theme],
        companies: Naming,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._settings = settings
        self._themes = tuple(themes)
        self._companies = companies
        self._idle = idle_seconds
        self._turn = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._ready = False
        self._timer: threading.Timer | None = None
        self._open: Question | None = None  # asked, and not answered yet
        self._known: dict[Question, dict[str, Any]] = {}
        self._folder: Path | None = None  # of the adapter that all of this is of

    def explain(self, body: Mapping[str, object]) -> dict[str, Any]:
        """Explain `headline`, towards `company` (its ticker, or the name it bears there) where one is asked about.

        What takes longer than a few seconds is answered with `pending` (`Pending`), and goes on: ask again.

        Raises:
            InputUnusable: when the headline is missing or too long, or does not name the company.
            ServiceError: when the model cannot be had, or its process ended.
        """
        title, ticker = body.get("headline"), body.get("company", "")
        if not isinstance(title, str) or not title.strip() or len(title) > _LONGEST:
            raise InputUnusable(f"headline must be a text of 1 to {_LONGEST} characters")
        named: dict[str, str] = {}
        for mention in self._companies.mentions(title):
            named.setdefault(mention.ticker, mention.name)
        asked = named.get(str(ticker), str(ticker))
        if asked and asked not in named.values():
            raise InputUnusable(f"the headline does not name {ticker}")
        until = time.monotonic() + _PATIENCE_SECONDS
        if not self._turn.acquire(timeout=_PATIENCE_SECONDS):
            return {"pending": self._under_way((title, asked))}
        try:
            told = self._asked((title, asked), named, until)
        finally:
            self._turn.release()
        if "error" in told:
            # The next time it may be otherwise.
            self._known.pop((title, asked), None)
            raise ServiceError(str(told["error"]))
        return told

    def close(self) -> None:
        """Let the child go; who waits for its answer learns that it ended. It may be asked anew afterwards."""
        if (child := self._child) is not None:
            child.kill()
        with self._turn:
            self._end()

    def _rest(self) -> None:
        """Let the child go unless somebody asks it just now."""
        if self._turn.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._turn.release()

    def _follow(self) -> None:
        """Once another model was promoted, forget what the former said, and let it go."""
        try:
            folder = chosen_folder(self._settings)
        except ModelError:
            return  # a record that cannot be read changes nothing, as for who scores
        if self._folder not in (None, folder):
            self._end()
            self._known.clear()
        self._folder = folder

    def _asked(self, question: Question, named: Mapping[str, str], until: float) -> dict[str, Any]:
        """The answer, from the child or remembered: whoever gave up waiting finds it when asking again."""
        self._follow()
        if question in self._known:
            return self._known[question]
        if self._timer is not None:
            self._timer.cancel()
        child = self._started()
        try:
            if not self._ready:
                ready = _line(child, until)
                if ready is None:
                    return {"pending": self._under_way(question)}
                if "error" in ready:
                    self._end()
                    return ready
                self._ready = True
            if self._open is not None and not self._took_answer(child, until):
                return {"pending": self._under_way(question)}
            if question not in self._known:
                _tell(child, {"title": question[0], "named": dict(named), "company": question[1]})
                self._open = question
                if not self._took_answer(child, until):
                    return {"pending": self._under_way(question)}
            return self._known[question]
        except (OSError, ValueError, EOFError) as error:
            self._end()
            raise ServiceError("the process that explains headlines ended: ask again") from error
        finally:
            self._timer = threading.Timer(self._idle, self._rest)
            self._timer.daemon = True
            self._timer.start()

    def _under_way(self, question: Question) -> Pending:
        """Why it waits; also for who has not got the turn, so that it is a glance."""
        if not self._ready:
            return Pending.LOADING
        return Pending.WORKING if self._open == question else Pending.OTHERS

    def _took_answer(self, child: subprocess.Popen[str], until: float) -> bool:
        """Whether the answer to the open question came; it is known then."""
        answered = _line(child, until)
        if answered is None:
            return False
        while len(self._known) >= _MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        if self._open is not None:
            self._known[self._open] = answered
        self._open = None
        return True

    def _started(self) -> subprocess.Popen[str]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "monitor.service.explaining"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # Ctrl-C is for the daemon, which ends its helpers itself.
            start_new_session=True,
        )
        themes = [theme.model_dump(mode="json") for theme in self._themes]
        _tell(self._child, {"settings": self._settings.model_dump(mode="json"), "themes": themes})
        return self._child

    def _end(self) -> None:
        child, self._child, self._ready, self._open = self._child, None, False, None
        if self._timer is not None:
            self._timer.cancel()
        if child is None:
            return
        with suppress(OSError):
            _pipe(child.stdin).close()
        try:
            child.wait(_GOING_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        _pipe(child.stdout).close()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # noqa: S101  # every child is started with pipes
    return stream


def _tell(child: subprocess.Popen[str], told: dict[str, Any]) -> None:
    stream = _pipe(child.stdin)
    stream.write(json.dumps(told) + "\n")
    stream.flush()


def _line(child: subprocess.Popen[str], until: float) -> dict[str, Any] | None:
    """The child's next answer; None when it takes longer.

    Raises:
        EOFError: when the child is gone.
    """
    stream = _pipe(child.stdout)
    waiting, _, _ = select.select([stream], [], [], max(0.0, until - time.monotonic()))
    if not waiting:
        return None
    if not (line := stream.readline()):
        raise EOFError
    told: dict[str, Any] = json.loads(line)
    return told


# In the child


def _answered(scorer: Scorer, matcher: ThemeMatcher, asked: dict[str, Any]) -> dict[str, Any]:
    from models.explanation.explaining import explain

    title, named = asked["title"], asked["named"]
    (score,) = scorer.score([title], [list(named.values())])
    (themes,) = matcher.match([title])
    told = explain(scorer, title, asked["company"], alone=len(named) == 1)
    return {
        "model": scorer.model,
        "label": told.target.value,
        "company": asked["company"],
        "probability": told.probability,
        "without_words": told.baseline,
        "delta": told.delta,
        "words": [{"word": one.word, "weight": one.weight} for one in told.words],
        "sentiment": {"negative": score.negative, "neutral": score.neutral, "positive": score.positive},
        "abstention": score.abstention.value,
        "topics": [[name, share] for name, share in score.topics],
        "themes": list(themes),
        "companies": [
            {
                "ticker": ticker,
                "name": one.name,
                "negative": one.negative,
                "neutral": one.neutral,
                "positive": one.positive,
            }
            for ticker, one in zip(named, score.companies, strict=False)
        ],
    }


def _main() -> None:
    from models.themes import ThemeMatcher
    from monitor.chosen_model import embedder_for, scorer_of
    from monitor.logs import set_up_logs

    # What libraries print is no answer to anybody.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        set_up_logs(LogSettings(level="warning"))

        def say(told: dict[str, Any]) -> None:
            answers.write(json.dumps(told) + "\n")
            answers.flush()

        with suppress(BrokenPipeError):
            try:
                told = json.loads(sys.stdin.readline())
                scorer = scorer_of(ModelSettings.model_validate(told["settings"]))
                matcher = ThemeMatcher([Theme.model_validate(one) for one in told["themes"]], embedder_for(scorer))
                say({"ready": scorer.model})
            except (ModelError, RuntimeError, MemoryError, OSError, ImportError) as error:
                say({"error": str(error) or type(error).__name__})
                return
            for line in sys.stdin:
                try:
                    say(_answered(scorer, matcher, json.loads(line)))
                except (ModelError, RuntimeError, MemoryError, OSError) as error:
                    say({"error": str(error) or type(error).__name__})


if __name__ == "__main__":
    _main()
