"""The entries in a feed's bytes.

takes  the bytes that a server sent, and what it called them
gives  `Parsed`: entries as published, what kind of document it was, problems in words
never  fetches or opens anything, expands entities, or raises on content
"""

from __future__ import annotations

import calendar
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urljoin

import feedparser

from monitor.feeds import Entry, Feed

MAX_ENTRIES = 500

# As published, but bounded: what cleaning keeps is far shorter, and an entry must fit a row.
_LONGEST_GUID = 2_000
_LONGEST_LINK = 4_000
_LONGEST_TITLE = 10_000
_LONGEST_SUMMARY = 20_000

_HEAD = 4_096
_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_FEED_ROOT = re.compile(rb"<(?:[a-z0-9_.-]{1,20}:)?(?:rss|feed|rdf|channel)[\s>]", re.IGNORECASE)
_OFFERED = re.compile(r"<link\b[^<>]{0,500}application/(?:rss|atom)\+xml[^<>]{0,500}>", re.IGNORECASE)
_HREF = re.compile(r"""href\s*=\s*["']?([^"'\s<>]{1,500})""", re.IGNORECASE)
_PAGE_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,120})", re.IGNORECASE)


class Kind(StrEnum):
    """What a document turned out to be."""

    RSS = "rss"
    ATOM = "atom"
    RDF = "rdf"
    JSON = "json"
    HTML = "html"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was in a feed's bytes: entries in their order, problems for people, the kind of document."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    kind: Kind


def parse(body: bytes, content_type: str, feed: Feed, fetched: datetime, *, max_entries: int = MAX_ENTRIES) -> Parsed:
    """Read RSS, Atom, RDF or JSON Feed; recognise a web page that came in a feed's place.

    Args:
        content_type: header of the answer; "" when there was none. Only its charset is trusted.
        fetched: aware UTC.
        max_entries: of which the first are kept; feeds put the newest first.

    Returns:
        Kind `HTML` or `UNKNOWN` without entries when it is no feed. A broken feed keeps the entries that could
        be read, and says what is wrong in `problems`.
    """
    head = body[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        return Parsed((), ("the body is empty",), Kind.UNKNOWN)
    if head.startswith((b"{", b"[")):
        return _json_feed(body, feed, fetched, max_entries)
    if _HTML.search(head) and not _FEED_ROOT.search(head):
        return Parsed((), (_page_words(body, feed.url),), Kind.HTML)
    return _xml_feed(body, content_type, feed, fetched, max_entries)


def _xml_feed(body: bytes, content_type: str, feed: Feed, fetched: datetime, max_entries: int) -> Parsed:
    try:
        # A stream, never bytes or str: feedparser would try those as file name or address first.
        document = feedparser.parse(
            io.BytesIO(body),
            response_headers={"content-type": content_type} if content_type else {},
            resolve_relative_uris=False,
            sanitize_html=False,
        )
    except Exception as error:  # the edge to a lenient parser that now and then trips over what it meets
        return Parsed((), (f"it cannot be read ({type(error).__name__}: {str(error)[:100]})",), Kind.UNKNOWN)
    version = str(document.get("version") or "")
    kind = _kind(version, body[:_HEAD])
    if kind is Kind.UNKNOWN and not document.entries:
        if _HTML.search(body[:65_536]):
            return Parsed((), (_page_words(body, feed.url),), Kind.HTML)
        return Parsed((), (f"it begins with {_shown(body[:40])}",), Kind.UNKNOWN)
    problems: list[str] = []
    if document.bozo:
        problems.append(f"it is not well-formed ({str(document.get('bozo_exception'))[:200]})")
    items = document.entries
    if len(items) > max_entries:
        problems.append(f"it holds {len(items)} entries; the first {max_entries} are read")
    return Parsed(tuple(_entry(item, feed, fetched) for item in items[:max_entries]), tuple(problems), kind)


def _kind(version: str, head: bytes) -> Kind:
    if version.startswith("atom"):
        return Kind.ATOM
    if version in {"rss10", "rss090"} or b"<rdf:RDF" in head:
        return Kind.RDF
    if version.startswith(("rss", "cdf")) or _FEED_ROOT.search(head):
        return Kind.RSS
    return Kind.UNKNOWN


def _entry(item: Mapping[str, Any], feed: Feed, fetched: datetime) -> Entry:
    link = _text(item.get("link"), _LONGEST_LINK).strip()
    return Entry(
        feed=feed.id,
        publisher=feed.publisher,
        language=feed.language,
        guid=_text(item.get("id"), _LONGEST_GUID).strip(),
        link=_absolute(feed.url, link),
        title=_text(item.get("title"), _LONGEST_TITLE),
        summary=_text(item.get("summary"), _LONGEST_SUMMARY),
        published=_dated(item),
        fetched=fetched,
    )


def _json_feed(body: bytes, feed: Feed, fetched: datetime, max_entries: int) -> Parsed:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        return Parsed((), (f"it looks like JSON and is not ({str(error)[:100]})",), Kind.UNKNOWN)
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list) or "jsonfeed.org" not in str(document.get("version")):
        return Parsed((), ("it is JSON, but no JSON Feed (version and items are missing)",), Kind.UNKNOWN)
    problems: list[str] = []
    if len(items) > max_entries:
        problems.append(f"it holds {len(items)} entries; the first {max_entries} are read")
    proper = [item for item in items[:max_entries] if isinstance(item, dict)]
    if len(proper) < len(items[:max_entries]):
        problems.append("some of its items are no objects")
    return Parsed(tuple(_json_entry(item, feed, fetched) for item in proper), tuple(problems), Kind.JSON)


def _json_entry(item: Mapping[str, Any], feed: Feed, fetched: datetime) -> Entry:
    identity = item.get("id")
    text = item.get("summary") or item.get("content_text") or item.get("content_html")
    return Entry(
        feed=feed.id,
        publisher=feed.publisher,
        language=feed.language,
        # The standard asks readers to take numbers for ids as well.
        guid=_text(str(identity) if isinstance(identity, int | float) else identity, _LONGEST_GUID).strip(),
        link=_absolute(feed.url, _text(item.get("url") or item.get("external_url"), _LONGEST_LINK).strip()),
        title=_text(item.get("title"), _LONGEST_TITLE),
        summary=_text(text, _LONGEST_SUMMARY),
        published=_iso(item.get("date_published")) or _iso(item.get("date_modified")),
        fetched=fetched,
    )


def _text(value: object, longest: int) -> str:
    # Lone surrogates (JSON escapes can carry them) cannot be stored or hashed as UTF-8.
    return value[:longest].encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def _absolute(base: str, link: str) -> str:
    if not link:
        return ""
    try:
        return urljoin(base, link)
    except ValueError:
        return link


def _dated(item: Mapping[str, Any]) -> datetime | None:
    # Asked for a date that it does not have, feedparser answers with another one, and warns.
    for name in ("published_parsed", "updated_parsed"):
        moment = _moment(item[name]) if name in item else None
        if moment is not None:
            return moment
    return None


def _moment(parsed: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), tz=UTC)  # type: ignore[arg-type]  # feedparser's own struct_time, or None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _iso(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type]  # any JSON value; what is no str raises TypeError
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _page_words(body: bytes, url: str) -> str:
    """What a person should know of a web page in a feed's place: its title, and the feed that it offers."""
    text = body[:262_144].decode("utf-8", "replace")
    title = _PAGE_TITLE.search(text)
    words = f"titled {' '.join(title.group(1).split())!r}" if title else "without a title"
    offered = _OFFERED.search(text)
    href = _HREF.search(offered.group()) if offered else None
    return f"{words}, which offers the feed {_absolute(url, href.group(1))}" if href else words


def _shown(data: bytes) -> str:
    return repr(data)[1:]
