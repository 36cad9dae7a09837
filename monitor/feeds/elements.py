"""What the elements of feeds are called, and which of them carry what an entry is made of.

takes  names as expat gives them, with the address of their namespace
gives  names as feedparser's handlers bear them, and the sets that the plain reader goes by
never  guesses: what it does not know, it leaves to feedparser
"""

from __future__ import annotations

import re


class NotPlain(Exception):  # a turn in the road, not an error: feedparser goes on
    """The document is not for this reader."""


# Namespaces that feedparser treats as having none; see its namespaces/_base.py.
_BASE = frozenset(
    {
        "",
        "http://backend.userland.com/rss",
        "http://blogs.law.harvard.edu/tech/rss",
        "http://purl.org/rss/1.0/",
        "http://my.netscape.com/rdf/simple/0.9/",
        "http://purl.org/atom/ns#",
        "http://www.w3.org/2005/atom",
    }
)
_PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/rss/1.0/modules/content/": "content",
    "http://search.yahoo.com/mrss/": "media",
    "http://search.yahoo.com/mrss": "media",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
}
_KNOWN_ELSEWHERE = re.compile(r"purl\.org/(?:dc/terms|echo|pie)|xhtml|example\.com", re.IGNORECASE)

TITLES = frozenset({"title", "media:title"})
SUMMARIES = frozenset({"description", "summary", "media:description", "itunes:summary"})
CONTENTS = frozenset({"content:encoded", "content"})
PUBLISHED = frozenset({"pubdate", "published", "issued"})
UPDATED = frozenset({"updated", "modified", "dc:date", "lastbuilddate"})
GUIDS = frozenset({"guid", "id"})
TEXTS = TITLES | SUMMARIES | CONTENTS | PUBLISHED | UPDATED | GUIDS | {"link", "source"}
# Their meaning hangs on more than their place; feedparser knows it.
INTRICATE = frozenset(
    {"dc:title", "dc:description", "dc:source", "body", "fullitem", "abstract", "image", "textinput", "newlocation"}
    | {"created", "itunes:title", "tagline", "media:group"}
)
XHTML = frozenset({"xhtml", "application/xhtml+xml"})
HTML = XHTML | {"", "html", "text/html"}
MARKED_UP = frozenset({"html", "text/html", "xhtml", "application/xhtml+xml", "text", "text/plain", "plain", ""})

_tags: dict[str, str] = {}


def tag_of(name: str) -> str:
    """The element's name as feedparser's handlers bear it: `pubdate`, `content:encoded`; "?" for a foreign one.

    Raises:
        NotPlain: when it is of a vocabulary that feedparser reads and we do not.
    """
    found = _tags.get(name)
    if found is None:
        uri, _, local = name.rpartition(" ")
        uri = uri.lower()
        if "backend.userland.com/rss" in uri:
            uri = ""
        if uri in _BASE:
            found = local.lower()
        elif uri in _PREFIXES:
            found = f"{_PREFIXES[uri]}:{local.lower()}"
        elif _KNOWN_ELSEWHERE.search(uri):
            raise NotPlain
        else:
            found = "?"
        if len(_tags) < 1_000 and len(name) < 200:  # hostile names must not pile up
            _tags[name] = found
    return found
