"""Which publisher family an outlet of an archive belongs to.

takes  an outlet's name and a link, as archives of headlines carry them
gives  a `Feed` whose publisher is the family: two outlets of one house are one voice
never  fetches the link
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import blake2b
from urllib.parse import urlsplit

from monitor.feeds.feed import Feed
from monitor.feeds.lists import default_feeds
from monitor.feeds.sites import registrable


@cache
def feed_of(outlet: str, link: str) -> Feed:
    """The outlet as a feed; its family follows from the link's site, else from the outlet's name."""
    site = _site(link)
    name = outlet.strip() or site or "unknown"
    publisher = _families().get(site) or site or _slug(name)
    return Feed(id=_slug(name), url=f"https://{site or 'unknown.invalid'}/", name=name[:200], publisher=publisher)


@cache
def _families() -> dict[str, str]:
    """Publisher family by site, from the shipped feed list."""
    return {_site(feed.url): feed.publisher for feed in default_feeds()}


def _site(link: str) -> str:
    """The registrable domain of a link, empty without one."""
    try:
        host = urlsplit(link).hostname or ""
    except ValueError:
        # Archives hold broken links, such as `http://[see above`.
        return ""
    return registrable(host)


def _slug(name: str) -> str:
    """The name in a-z, 0-9 and hyphens; one in another script gets a number of its own, lest two outlets become one."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].strip("-")
    return slug or f"outlet-{blake2b(name.encode(), digest_size=4).hexdigest()}"
