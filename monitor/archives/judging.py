"""What the daemon's models say of headlines that are only text.

takes  settings, and texts
gives  `Judged`: scores, risk themes and opinions of companies, as the daemon would have them
never  raises on content, and never takes a broken model for broken rows
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.errors import ModelError
from models.themes import ThemeMatcher
from monitor.chosen_model import embedder_for, scorer_of
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import LONGEST_TITLE, clean
from monitor.news.own_companies import with_own
from monitor.series import Scored
from monitor.settings import Settings
from monitor.watched import watched_themes


@dataclass(frozen=True, slots=True)
class Judged:
    """One text's opinion, and the companies that it names: by ticker, the words that it names them by."""

    scored: Scored
    named: Mapping[str, str]


class Judge(Protocol):
    """Whoever has an opinion of texts.

    Attributes:
        model: id of the model.
    """

    model: str

    def judge(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> list[Judged]:
        """One opinion a text, in order; `progress` is called with the number of texts just scored."""
        ...


class DaemonsJudge:
    """The daemon's scorer, themes and companies.

    Args:
        settings: whose model, themes and companies.
        lean: sentiment and topics alone: no themes, no companies.

    Raises:
        ModelError: when the model cannot be found or loaded.
    """

    def __init__(self, settings: Settings, *, lean: bool = False) -> None:
        self._scorer = scorer_of(settings.model)
        self.model = self._scorer.model
        self._themes = None if lean else ThemeMatcher(watched_themes(settings), embedder_for(self._scorer))
        self._companies = None if lean else CompanyMatcher(with_own(settings.companies))

    def judge(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> list[Judged]:
        """See `Judge`; markup and invisible characters are taken out as from a feed's titles."""
        titles = [clean(text, LONGEST_TITLE) for text in texts]
        named = [self._named(title) for title in titles]
        scores = self._scorer.score(titles, [list(names.values()) for names in named], progress)
        themes = self._themes.match(titles) if self._themes else [()] * len(titles)
        # An adapter that has not learned companies gives no opinions: then there are fewer of them than names.
        return [
            Judged(Scored(score, matched, tuple(zip(names, score.companies, strict=False))), names)
            for score, names, matched in zip(scores, named, themes, strict=True)
        ]

    def _named(self, title: str) -> dict[str, str]:
        names: dict[str, str] = {}
        if self._companies is not None:
            for mention in self._companies.mentions(title):
                names.setdefault(mention.ticker, mention.name)
        return names


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a text has no opinion."""

    reason: str


def judged_or_failed(
    judge: Judge, texts: Sequence[str], progress: Callable[[int], None] | None = None
) -> list[Judged | Failure]:
    """One opinion or failure a text, in order: where many fail together, each is tried alone.

    Raises:
        ModelError: when more than half of several texts fail: then it is not they that are broken.
    """
    found = _halving(judge, texts, progress)
    failed = [one for one in found if isinstance(one, Failure)]
    if len(texts) > 1 and 2 * len(failed) > len(texts):
        raise ModelError(
            f"the model {judge.model} fails on {len(failed)} of {len(texts)} headlines: {failed[0].reason}"
        )
    return found


def _halving(judge: Judge, texts: Sequence[str], progress: Callable[[int], None] | None) -> list[Judged | Failure]:
    if not texts:
        return []
    try:
        return list(judge.judge(texts, progress))
    except ModelError:
        raise
    except Exception as error:
        # Whatever a library raises on one text must not cost the others: they are asked without it.
        if len(texts) == 1:
            return [Failure(str(error).strip().split("\n")[0] or type(error).__name__)]
    middle = len(texts) // 2
    # What was told of progress before the failure was told; the retry is silent.
    return [*_halving(judge, texts[:middle], None), *_halving(judge, texts[middle:], None)]
