"""What a feed is called when nobody says: its id, its name, and the house behind it.

takes  addresses and titles
gives  slugs, and the publisher's family
never  fetches
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import cache
from urllib.parse import urlsplit

from monitor.feeds.feed import Feed
from monitor.feeds.lists import default_feeds
from monitor.feeds.politeness import site_of

_LONGEST_SLUG = 56


def slug(text: str) -> str:
    """The text in a-z, 0-9 and hyphens; "" when nothing of it is left."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:_LONGEST_SLUG].strip("-")


def unused(wanted: str, taken: Collection[str]) -> str:
    """The slug, with a number at its end where it is taken."""
    number = 2
    free = wanted
    while free in taken:
        free, number = f"{wanted}-{number}", number + 1
    return free


def host_of(url: str) -> str:
    """The host of an address; "" when there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def family_of(url: str) -> str:
    """The house behind an address: the family that the shipped list knows its site by, else the site's own name.

    That of a bare IP address is all of it: machines of one network are not one house.
    """
    site = site_of(url)
    last = site.rpartition(".")[2]
    return _families().get(site) or (site if last.isdecimal() else site.partition(".")[0]) or site


@cache
def _families() -> dict[str, str]:
    return {site_of(feed.url): feed.publisher for feed in default_feeds()}


def described(url: str, title: str, taken: Collection[str], **given: object) -> Feed:
    """A feed at this address, named by its own title where nothing else is `given`.

    Raises:
        pydantic.ValidationError: on an address or a given value that a feed cannot have.
    """
    name = " ".join("".join(c for c in title if c.isprintable()).split())[:200] or host_of(url) or url[:200]
    fields: dict[str, object] = {
        "id": unused(slug(name) or slug(host_of(url)) or "feed", taken),
        "url": url,
        "name": name,
        "publisher": family_of(url) or name[:100],
    }
    return Feed.model_validate(fields | {key: value for key, value in given.items() if value is not None})
