"""Feed lists of other readers: OPML in and out.

takes  OPML text, or feeds
gives  `Feed`s with ids made of their names, or OPML that every reader takes and that loses nothing on the way back
never  fetches, or reads a document type or entity: a file with either is refused before it can unfold
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # builds and writes; what it reads went through _no_doctype first
from collections.abc import Sequence
from typing import NoReturn
from xml.parsers import expat

from pydantic import ValidationError

from monitor.errors import FeedListUnusable
from monitor.feeds.feed import Feed
from monitor.feeds.naming import family_of, host_of, slug, unused

LONGEST = 5 * 2**20

# Ours, beside the attributes that the standard knows; other readers ignore them.
_NAMESPACE = "https://squall.invalid/opml"
_OURS = ("id", "publisher", "every_minutes", "enabled")


def read_opml(text: str) -> tuple[Feed, ...]:
    """The feeds of an OPML file, in its order; a feed that stands in it twice is taken once.

    An outline's folder becomes the category. Where the file says nothing of the publisher, it is the house that the
    feed's registered domain belongs to, so two feeds of one site are one voice.

    Raises:
        FeedListUnusable: on text that is no OPML, holds a document type, is larger than `LONGEST` characters, or
            names no feed or a wrong one; the message says which.
    """
    if len(text) > LONGEST:
        raise FeedListUnusable(f"the OPML file holds more than {LONGEST // 2**20} million characters")
    root = _tree(text)
    if root.tag != "opml" or (body := root.find("body")) is None:
        raise FeedListUnusable(f"the file is no OPML: it begins with <{root.tag[:40]}> and must hold <opml><body>")
    feeds: dict[str, Feed] = {}
    taken: set[str] = set()
    # A stack of our own: a file nested a million deep must not exhaust Python's.
    stack = [(outline, "news") for outline in reversed(body.findall("outline"))]
    while stack:
        outline, category = stack.pop()
        url = (outline.get("xmlUrl") or outline.get("xmlurl") or "").strip()
        name = _name(outline) or url
        if url and url not in feeds:
            feeds[url] = _feed(outline, url, name, category, taken)
            taken.add(feeds[url].id)
        inner = category if url else (name[:100] or category)
        stack += [(child, inner) for child in reversed(outline.findall("outline"))]
    if not feeds:
        raise FeedListUnusable("the OPML file names no feed: no <outline> in it has an xmlUrl")
    return tuple(feeds.values())


def write_opml(feeds: Sequence[Feed]) -> str:
    """OPML 2.0 with one folder per category; `read_opml` gives the same feeds back, grouped by category."""
    ET.register_namespace("squall", _NAMESPACE)
    root = ET.Element("opml", version="2.0")
    ET.SubElement(ET.SubElement(root, "head"), "title").text = "Squall feeds"
    body = ET.SubElement(root, "body")
    folders: dict[str, ET.Element] = {}
    for feed in feeds:
        if feed.category not in folders:
            folders[feed.category] = ET.SubElement(body, "outline", text=feed.category)
        outline = ET.SubElement(
            folders[feed.category], "outline", type="rss", text=feed.name, xmlUrl=feed.url, language=feed.language
        )
        ours = (feed.id, feed.publisher, str(feed.every_minutes), "true" if feed.enabled else "false")
        for key, value in zip(_OURS, ours, strict=True):
            outline.set(f"{{{_NAMESPACE}}}{key}", value)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _tree(text: str) -> ET.Element:
    # The text is decoded already: a declared encoding can only contradict it.
    data = re.sub(r"\A\ufeff?\s*<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL).strip()
    try:
        octets = data.encode("utf-8")
        _no_doctype(octets)
        return ET.fromstring(octets)  # noqa: S314  # _no_doctype refused everything that could unfold
    except (ET.ParseError, expat.ExpatError, UnicodeEncodeError) as error:
        raise FeedListUnusable(f"the file is no OPML: {error}") from error


def _no_doctype(octets: bytes) -> None:
    """Read the file once with a parser that stops at a document type: the only place where entities can come from."""
    parser = expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise FeedListUnusable("the OPML file declares a document type; remove the <!DOCTYPE ...> from it")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.Parse(octets, True)  # expat takes no keywords


def _name(outline: ET.Element) -> str:
    words = " ".join((outline.get("title") or outline.get("text") or "").split())
    return "".join(c for c in words if c.isprintable())[:200]


def _feed(outline: ET.Element, url: str, name: str, category: str, taken: set[str]) -> Feed:
    host = host_of(url)
    identity = unused(slug(name) or slug(host) or "feed", taken)
    fields: dict[str, str] = {
        "id": identity,
        "url": url,
        "name": name[:200],
        "publisher": family_of(url) or host or name,
        "category": category,
    }
    if language := outline.get("language"):
        fields["language"] = language
    fields |= {key: value for key in _OURS if (value := outline.get(f"{{{_NAMESPACE}}}{key}")) is not None}
    fields["id"] = unused(fields["id"], taken)
    try:
        return Feed.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise FeedListUnusable(
            f"the feed {name[:100]!r} of the OPML file: {first['loc'][0]}: {first['msg']}"
        ) from error
