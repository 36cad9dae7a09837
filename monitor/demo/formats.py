"""An invented publisher's items in the format that it serves: RSS 2.0, Atom 1.0 or JSON Feed 1.1.

takes  a `Publisher`, its items, and the address of its feed
gives  `Document`: bytes, content type and validators
never  leaves out that it is fiction
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from monitor.demo.storyline import FICTION, Format, Item, Publisher

_ATOM = "http://www.w3.org/2005/Atom"
register_namespace("", _ATOM)


@dataclass(frozen=True, slots=True)
class Document:
    """A feed as it goes over the wire, with the validators of a conditional GET."""

    body: bytes
    content_type: str
    etag: str
    last_modified: str  # HTTP date


def document(publisher: Publisher, items: Sequence[Item], url: str, opened: datetime) -> Document:
    """The feed of `publisher` with `items`, newest first.

    Args:
        publisher: whose feed it is.
        items: what it carries at the moment; may be empty.
        url: the address of the feed itself.
        opened: aware UTC; when the publisher began, the date of an empty feed.
    """
    newest = max((item.at for item in items), default=opened)
    body = _WRITERS[publisher.format](publisher, items, url, newest)
    etag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'
    return Document(body, _CONTENT_TYPES[publisher.format], etag, format_datetime(newest, usegmt=True))


def _title(publisher: Publisher) -> str:
    return f"{publisher.name} (fiction)"


def _home(publisher: Publisher) -> str:
    return f"https://www.{publisher.id}.example/"


def _summary(item: Item) -> str:
    return f"<p>A story of the {item.topic} desk. {html.escape(FICTION)}</p>"


def _rss(publisher: Publisher, items: Sequence[Item], url: str, newest: datetime) -> bytes:
    root = Element("rss", version="2.0")
    channel = SubElement(root, "channel")
    _texts(channel, title=_title(publisher), link=_home(publisher), description=FICTION, language="en")
    _texts(channel, lastBuildDate=format_datetime(newest, usegmt=True))
    for item in items:
        entry = SubElement(channel, "item")
        _texts(entry, title=item.title, link=item.link, description=_summary(item))
        _texts(entry, pubDate=format_datetime(item.at, usegmt=True))
        SubElement(entry, "guid", isPermaLink="false").text = item.guid
    return _xml(root)


def _atom(publisher: Publisher, items: Sequence[Item], url: str, newest: datetime) -> bytes:
    root = Element(f"{{{_ATOM}}}feed")
    _atom_texts(root, id=f"urn:squall-demo:{publisher.id}", title=_title(publisher), subtitle=FICTION)
    _atom_texts(root, updated=newest.isoformat())
    SubElement(root, f"{{{_ATOM}}}link", rel="self", href=url)
    SubElement(SubElement(root, f"{{{_ATOM}}}author"), f"{{{_ATOM}}}name").text = publisher.name
    for item in items:
        entry = SubElement(root, f"{{{_ATOM}}}entry")
        _atom_texts(entry, id=item.guid, title=item.title, updated=item.at.isoformat(), published=item.at.isoformat())
        SubElement(entry, f"{{{_ATOM}}}link", rel="alternate", href=item.link)
        SubElement(entry, f"{{{_ATOM}}}summary", type="html").text = _summary(item)
    return _xml(root)


def _json(publisher: Publisher, items: Sequence[Item], url: str, newest: datetime) -> bytes:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _title(publisher),
        "description": FICTION,
        "home_page_url": _home(publisher),
        "feed_url": url,
        "language": "en",
        "items": [
            {
                "id": item.guid,
                "url": item.link,
                "title": item.title,
                "content_html": _summary(item),
                "date_published": item.at.isoformat(),
            }
            for item in items
        ],
    }
    return json.dumps(feed, ensure_ascii=False, indent=1).encode()


def _texts(parent: Element, **children: str) -> None:
    for tag, text in children.items():
        SubElement(parent, tag).text = text


def _atom_texts(parent: Element, **children: str) -> None:
    _texts(parent, **{f"{{{_ATOM}}}{tag}": text for tag, text in children.items()})


def _xml(root: Element) -> bytes:
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


_WRITERS: dict[Format, Callable[[Publisher, Sequence[Item], str, datetime], bytes]] = {
    Format.RSS: _rss,
    Format.ATOM: _atom,
    Format.JSON: _json,
}
_CONTENT_TYPES = {
    Format.RSS: "application/rss+xml; charset=utf-8",
    Format.ATOM: "application/atom+xml; charset=utf-8",
    Format.JSON: "application/feed+json; charset=utf-8",
}
