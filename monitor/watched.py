"""What is watched: the shipped feeds and themes, and the user's own.

takes  settings
gives  feeds and themes, each id once
never  fetches or matches
"""

from __future__ import annotations

from models.themes import Theme, default_themes
from monitor.feedlist import default_feeds
from monitor.feeds import Feed
from monitor.settings import Settings


def watched_feeds(settings: Settings) -> tuple[Feed, ...]:
    """The user's feeds, and the shipped ones that they do not replace."""
    shipped = default_feeds() if settings.watch.default_feeds else ()
    own = {feed.id for feed in settings.feeds}
    return (*settings.feeds, *(feed for feed in shipped if feed.id not in own))


def watched_themes(settings: Settings) -> tuple[Theme, ...]:
    """The user's themes, and the shipped ones that they do not replace."""
    shipped = default_themes() if settings.watch.default_themes else ()
    own = {theme.id for theme in settings.themes}
    return (*settings.themes, *(theme for theme in shipped if theme.id not in own))
