"""What is watched: the shipped feeds and themes, and the user's own.

takes  settings, and the changes that `squall feeds` made
gives  feeds, themes and series, each id once
never  fetches or matches
"""

from __future__ import annotations

import structlog

from models.themes import Theme
from monitor.errors import FeedListUnusable
from monitor.feeds.added import applied, changes_file, read_changes
from monitor.feeds.feed import Feed
from monitor.feeds.lists import default_feeds
from monitor.named_series import series_of, themes_beside
from monitor.news.own_companies import with_own
from monitor.series import Kind
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
    return themes_beside(settings.themes, shipped=settings.watch.default_themes)


def watched_series(settings: Settings) -> list[str]:
    """Everything that is watched. A company counts as watched whether or not it was ever in the news."""
    return series_of(watched_themes(settings), settings.watch.companies or _tickers(settings))


def silent_series(settings: Settings) -> list[str]:
    """The companies that are counted like others, and may not alert."""
    if not (chosen := settings.watch.companies):
        return []
    return [f"{Kind.COMPANY}:{ticker}" for ticker in _tickers(settings) if ticker not in chosen]


def _tickers(settings: Settings) -> tuple[str, ...]:
    return tuple(one.ticker for one in with_own(settings.companies))
