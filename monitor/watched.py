"""What is watched: the shipped feeds and themes, and the user's own.

takes  settings, and the changes that `squall feeds` made
gives  feeds, themes and series, each id once
never  fetches or matches
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

import structlog

from alerts.patterns import covers
from models.score import TOPICS
from models.themes import Theme, default_themes
from monitor.errors import FeedListUnusable
from monitor.feeds.added import applied, changes_file, read_changes
from monitor.feeds.feed import Feed
from monitor.feeds.lists import default_feeds
from monitor.news.own_companies import with_own
from monitor.series import MARKET, Kind, sector_of
from monitor.settings import Settings

log = structlog.get_logger(__name__)


def watched_feeds(settings: Settings) -> tuple[Feed, ...]:
    """The user's feeds, and the shipped ones that they do not replace, with the changes that `squall feeds` made.

    Raises:
        FeedListUnusable: when the file of these changes cannot be understood.
    """
    return applied(listed_feeds(settings), read_changes(changes_file(settings.store.path)))


def listed_feeds(settings: Settings) -> tuple[Feed, ...]:
    """The user's feeds, and the shipped ones that they do not replace, as the settings say."""
    shipped = default_feeds() if settings.watch.default_feeds else ()
    own = {feed.id for feed in settings.feeds}
    return (*settings.feeds, *(feed for feed in shipped if feed.id not in own))


class Watchlist:
    """The watched feeds as they are now: follows changes that are made while the daemon runs.

    Raises:
        FeedListUnusable: when the file of changes cannot be understood at the beginning. One that is broken later is
            told of once, and the feeds stay as they were.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = changes_file(settings.store.path)
        self._seen = self._mark()
        self._feeds = watched_feeds(settings)

    def feeds(self) -> tuple[Feed, ...]:
        """What is watched now."""
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            try:
                self._feeds = watched_feeds(self._settings)
            except FeedListUnusable as error:
                log.error("feed_changes_unusable", reason=str(error))
        return self._feeds

    def _mark(self) -> tuple[int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


def watched_themes(settings: Settings) -> tuple[Theme, ...]:
    """The user's themes, and the shipped ones that they do not replace."""
    shipped = default_themes() if settings.watch.default_themes else ()
    own = {theme.id for theme in settings.themes}
    return (*settings.themes, *(theme for theme in shipped if theme.id not in own))


def watched_series(settings: Settings) -> list[str]:
    """Everything that is watched. A company counts as watched whether or not it was ever in the news."""
    tickers = settings.watch.companies or tuple(one.ticker for one in with_own(settings.companies))
    return _series(settings, tickers)


def silent_series(settings: Settings) -> list[str]:
    """The companies that are counted like others, and may not alert."""
    if not (chosen := settings.watch.companies):
        return []
    return [f"{Kind.COMPANY}:{one.ticker}" for one in with_own(settings.companies) if one.ticker not in chosen]


def _series(settings: Settings, tickers: Iterable[str]) -> list[str]:
    return [
        MARKET,
        *(f"{Kind.TOPIC}:{topic}" for topic in TOPICS),
        *(f"{Kind.THEME}:{theme.id}" for theme in watched_themes(settings)),
        *(f"{Kind.SECTOR}:{sector}" for sector in sorted(set(sector_of().values()))),
        *(f"{Kind.COMPANY}:{ticker}" for ticker in tickers),
    ]


def nameable_series(settings: Settings) -> list[str]:
    """Every series that somebody may name ahead: also of companies that may not alert now, and one breaking story."""
    everybody = tuple(one.ticker for one in with_own(settings.companies))
    return [*_series(settings, everybody), f"{Kind.STORY}:0123456789abcdef"]


def misnamed(name: str, there: Collection[str], *, alone: bool = False) -> str:
    """Why a name stands for none of these series, with the nearest that is there; empty when it stands for one.

    Args:
        name: of one series, or of several by `*` and `?` unless it must stand for one `alone`.
    """
    if name in there or (not alone and any(covers(name, series) for series in there)):
        return ""
    near = difflib.get_close_matches(name, there, n=1)
    kinds = "series are market, topic:NAME, theme:ID, sector:NAME and company:TICKER"
    hint = f"did you mean {near[0]!r}?" if near else kinds
    return f"{name!r} is no series that is watched; {hint}"
