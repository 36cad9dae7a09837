"""The entries in a feed's bytes.

takes  the bytes that a server sent, and what it called them
gives  `Parsed`: entries as published, what kind of document it was, problems in words
never  fetches or opens anything, expands entities, or raises on content

Well-formed feeds are read by `monitor.feeds.plain`; feedparser reads the rest, which is slow, and on hostile bytes very
slow: the poller lets it work in a process of its own (`monitor.feeds.lenient`).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urljoin, urlsplit

from monitor.feeds.documents import BOM, charset_of, mended, truthful, with_ampersands, without_entities
from monitor.feeds.feed import Entry, Feed
from monitor.feeds.moments import moment_of, oldest_first
from monitor.feeds.pages import Page, read_page
from monitor.feeds.plain import Raw, RawEntry, read_plain

MAX_ENTRIES = 500

# As published, but bounded: what cleaning keeps is far shorter, and an entry must fit a row.
_LONGEST_GUID = 2_000
_LONGEST_LINK = 4_000
_LONGEST_TITLE = 10_000
_LONGEST_SUMMARY = 20_000

_HEAD = 4_096
_JSON = json.JSONDecoder(strict=False)
_WEB = ("https://", "http://")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
# What an address has, and a name seldom: a path or a query, and no spaces.
_PATH = re.compile(r"^(?=\S+$).*(?:[/?]|\.(?:html?|php|aspx?)$)", re.IGNORECASE)
_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_END = re.compile(rb"</(?:[a-z0-9_.-]{1,20}:)?(?:rss|feed|rdf)\s*>", re.IGNORECASE)
# Remarks of caches and counters may stand behind it.
_TAIL = 64 * 1024
_ENTRY = re.compile(rb"<(?:[a-z0-9_.-]{1,20}:)?(?:item|entry)[\s>]", re.IGNORECASE)
_FEED_ROOT = re.compile(rb"<(?:[a-z0-9_.-]{1,20}:)?(?:rss|feed|rdf|channel)[\s>]", re.IGNORECASE)


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
    """What was in a feed's bytes.

    Attributes:
        entries: in their order.
        problems: in words, for people.
        title: what the feed calls itself; "" when it does not.
        ttl: how long it asks to be left alone; None when it does not.
        page: what was seen of a web page in the feed's place; None unless `kind` is `HTML`.
        whole: whether its end is there; what broke off on its way may lack entries.
    """

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    kind: Kind
    title: str = ""
    ttl: timedelta | None = None
    page: Page | None = None
    whole: bool = True


def parse(body: bytes, content_type: str, feed: Feed, fetched: datetime, *, max_entries: int = MAX_ENTRIES) -> Parsed:
    """Read RSS, Atom, RDF or JSON Feed; recognise a web page that came in a feed's place.

    Args:
        content_type: header of the answer; "" when there was none. Only its charset is trusted.
        fetched: aware UTC.
        max_entries: of which the newest are kept: the first, or the last where a feed puts the oldest first.

    Returns:
        Kind `HTML` or `UNKNOWN` without entries when it is no feed. A broken feed keeps the entries that could
        be read, and says what is wrong in `problems`.
    """
    quick = parse_quickly(body, feed, fetched, max_entries=max_entries, content_type=content_type)
    return quick if quick is not None else parse_leniently(body, content_type, feed, fetched, max_entries=max_entries)


def parse_quickly(
    body: bytes, feed: Feed, fetched: datetime, *, max_entries: int, content_type: str = ""
) -> Parsed | None:
    """As `parse`, in time that grows with the body and no faster; None for what only the lenient parser can read."""
    body = truthful(body)
    head = body[:_HEAD].removeprefix(BOM).lstrip()
    if not head:
        return Parsed((), ("the body is empty",), Kind.UNKNOWN)
    if head.startswith((b"{", b"[")):
        return _json_feed(body, content_type, feed, fetched, max_entries)
    if _HTML.search(head) and not _FEED_ROOT.search(head):
        return _page(body, feed)
    whole = mended(body, charset_of(content_type))
    raw = read_plain(whole, max_entries)
    return None if raw is None else _plain_feed(raw, _broken(body, whole), feed, fetched, max_entries)


def _plain_feed(raw: Raw, broken: list[str], feed: Feed, fetched: datetime, max_entries: int) -> Parsed:
    entries = tuple(_plain_entry(item, feed, fetched) for item in raw.entries)
    problems = (*broken, _too_many(max_entries)) if raw.cut else tuple(broken)
    return Parsed(entries, problems, Kind(raw.form), _title(raw.title), _ttl(raw.ttl))


def _broken(body: bytes, whole: bytes) -> list[str]:
    return [] if whole is body else ["some of its characters are broken UTF-8, and were replaced"]


def _plain_entry(item: RawEntry, feed: Feed, fetched: datetime) -> Entry:
    return Entry(
        feed=feed.id,
        publisher=feed.publisher,
        language=feed.language,
        guid=_text(item.guid, _LONGEST_GUID).strip(),
        link=_link(feed.url, _own_link(feed.url, item.link, item.guid), item.guid),
        title=_text(item.title, _LONGEST_TITLE),
        summary=_text(item.summary, _LONGEST_SUMMARY),
        published=moment_of(item.published) or moment_of(item.updated),
        fetched=fetched,
    )


def parse_leniently(body: bytes, content_type: str, feed: Feed, fetched: datetime, *, max_entries: int) -> Parsed:
    """As `parse`, by feedparser: anything that somebody once called a feed. Hostile megabytes take it minutes."""
    body = truthful(body)
    proper = mended(body, charset_of(content_type))
    try:
        document = _read_leniently(with_ampersands(proper), content_type)
    except Exception as error:  # the edge to a lenient parser that now and then trips over what it meets
        return Parsed((), (f"it cannot be read ({type(error).__name__}: {str(error)[:100]})",), Kind.UNKNOWN)
    version = str(document.get("version") or "")
    kind = _kind(version, body[:_HEAD])
    if kind is Kind.UNKNOWN and not document.entries:
        if _HTML.search(body[:65_536]):
            return _page(body, feed)
        return Parsed((), (f"it begins with {_shown(body[:40])}",), Kind.UNKNOWN)
    problems = _broken(body, proper)
    if document.bozo:
        problems.append(f"it is not well-formed ({str(document.get('bozo_exception'))[:200]})")
    # In UTF-16 there is a nought between two letters.
    if document.bozo and not document.entries and _ENTRY.search(body.replace(b"\0", b"")):
        return Parsed((), (f"none of its entries can be read: {problems[-1]}",), Kind.UNKNOWN)
    whole = _END.search(body[-_TAIL:].replace(b"\0", b"")) is not None
    # The last entry of what broke off may lack its date, or half its title: it comes with the next answer.
    items = document.entries if whole else document.entries[:-1] or document.entries
    if len(items) > max_entries:
        problems.append(_too_many(max_entries))
    entries = tuple(_entry(item, feed, fetched) for item in _newest(items, max_entries, _dated))
    about = document.get("feed") or {}
    title, ttl = _title(about.get("title")), _ttl(about.get("ttl"))
    return Parsed(entries, tuple(problems), kind, title, ttl, whole=whole)


def _read_leniently(body: bytes, content_type: str) -> Any:  # feedparser's own dictionary, which is not typed
    import feedparser
    from feedparser.encodings import convert_to_utf8

    headers = {"content-type": content_type} if content_type else {}
    # Entities can hide in any encoding: they are looked for in the very text that feedparser is about to read.
    text = convert_to_utf8(headers, body, {})
    if b"<!ENTITY" in text:
        body, headers = without_entities(text), {}
    # A stream, never bytes or str: feedparser would try those as file name or address first.
    return feedparser.parse(
        io.BytesIO(body), response_headers=headers, resolve_relative_uris=False, sanitize_html=False
    )


def _page(body: bytes, feed: Feed) -> Parsed:
    page = read_page(body, feed.url)
    return Parsed((), (page.words,), Kind.HTML, page=page)


def _too_many(max_entries: int) -> str:
    return f"it holds more than {max_entries} entries; the newest {max_entries} are read"


def _newest(items: list[Any], most: int, dated: Callable[[Any], datetime | None]) -> list[Any]:
    """The first items; the last where the oldest come first."""
    first = items[:most]
    return items[-most:] if len(items) > most and oldest_first(map(dated, first)) else first


def _title(value: object) -> str:
    return " ".join(_text(value, _LONGEST_TITLE).split())[:200]


def _ttl(value: object) -> timedelta | None:
    # In minutes, by the standard; nobody means more than a year.
    text = value.strip() if isinstance(value, str) else ""
    minutes = int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
    return timedelta(minutes=minutes) if minutes else None


def _kind(version: str, head: bytes) -> Kind:
    if version.startswith("atom"):
        return Kind.ATOM
    if version in {"rss10", "rss090"} or b"<rdf:RDF" in head:
        return Kind.RDF
    if version.startswith(("rss", "cdf")) or _FEED_ROOT.search(head):
        return Kind.RSS
    return Kind.UNKNOWN


def _entry(item: Mapping[str, Any], feed: Feed, fetched: datetime) -> Entry:
    return Entry(
        feed=feed.id,
        publisher=feed.publisher,
        language=feed.language,
        guid=_text(item.get("id"), _LONGEST_GUID).strip(),
        link=_link(feed.url, _own_link(feed.url, item.get("link"), item.get("id")), item.get("id")),
        title=_text(item.get("title"), _LONGEST_TITLE),
        summary=_text(item.get("summary"), _LONGEST_SUMMARY),
        published=_dated(item),
        fetched=fetched,
    )


def _json_feed(body: bytes, content_type: str, feed: Feed, fetched: datetime, max_entries: int) -> Parsed:
    try:
        text, problems = _json_text(body, content_type)
        # Line breaks inside of texts are let pass, and so is what caches and counters write behind the document.
        document, end = _JSON.raw_decode(text := text.lstrip())
        if text[end:].strip():
            problems.append("something stands behind its end")
    except (ValueError, LookupError, RecursionError) as error:
        return Parsed((), (f"it looks like JSON and is not ({str(error)[:100]})",), Kind.UNKNOWN)
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list) or "jsonfeed.org" not in str(document.get("version")):
        return Parsed((), ("it is JSON, but no JSON Feed (version and items are missing)",), Kind.UNKNOWN)
    if len(items) > max_entries:
        problems.append(_too_many(max_entries))
    kept = _newest(items, max_entries, _json_dated)
    proper = [item for item in kept if isinstance(item, dict)]
    if len(proper) < len(kept):
        problems.append("some of its items are no objects")
    entries = tuple(_json_entry(item, feed, fetched) for item in proper)
    return Parsed(entries, tuple(problems), Kind.JSON, _title(document.get("title")))


def _json_text(body: bytes, content_type: str) -> tuple[str, list[str]]:
    """The text of a JSON document, in UTF-8 as it must be or in what it is instead, and what is broken in it.

    Raises:
        LookupError: on an encoding that nobody knows.
        UnicodeDecodeError: when it is not even in the encoding that it says.
    """
    with suppress(UnicodeDecodeError):
        return body.decode(json.detect_encoding(body), "surrogatepass"), []
    told = charset_of(content_type) or "utf-8"
    whole = mended(body, told)
    if whole is not body:
        return whole.decode("utf-8-sig"), _broken(body, whole)
    # As feedparser reads the other forms: by the header, else as what Windows writes.
    return body.decode("windows-1252" if told.startswith("utf") else told), []


def _json_entry(item: Mapping[str, Any], feed: Feed, fetched: datetime) -> Entry:
    identity = item.get("id")
    text = item.get("summary") or item.get("content_text") or item.get("content_html")
    return Entry(
        feed=feed.id,
        publisher=feed.publisher,
        language=feed.language,
        # The standard asks readers to take numbers for ids as well.
        guid=_text(str(identity) if isinstance(identity, int | float) else identity, _LONGEST_GUID).strip(),
        link=_link(feed.url, item.get("url") or item.get("external_url"), identity),
        title=_text(item.get("title"), _LONGEST_TITLE),
        summary=_text(text, _LONGEST_SUMMARY),
        published=_json_dated(item),
        fetched=fetched,
    )


def _text(value: object, longest: int) -> str:
    text = value[:longest] if isinstance(value, str) else ""
    # Lone surrogates (JSON escapes can carry them) cannot be stored or hashed as UTF-8.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _link(base: str, told: object, guid: object) -> str:
    """The link of an entry; where it has none, a guid that is an address leads to it, or to nothing."""
    if link := _text(told, _LONGEST_LINK).strip():
        return _absolute(base, link)
    return name if (name := _text(guid, _LONGEST_LINK).strip()).startswith(_WEB) else ""


def _own_link(base: str, told: object, guid: object) -> object:
    """The link, but where it is a guid that only the default of isPermaLink made one: as far as it leads anywhere."""
    if told != guid or not isinstance(told, str):
        return told
    name = told.strip()
    if name.lower().startswith(_WEB):
        return name
    # Numbers and names of a publisher's own are no addresses, whatever the default says.
    if _SCHEME.match(name) or not _PATH.search(name):
        return ""
    host = name.partition("/")[0].lower()
    without_scheme = host.startswith("www.") or host == (urlsplit(base).hostname or "")
    return f"//{name}" if without_scheme else name


def _absolute(base: str, link: str) -> str:
    if link.startswith(_WEB):
        return link
    try:
        return urljoin(base, link)
    except ValueError:
        return link


def _dated(item: Mapping[str, Any]) -> datetime | None:
    # What feedparser makes of a date is not asked for: it takes what it does not understand for something else. Asked
    # for a date that it does not have, it answers with another one, and warns.
    told = (item[name] for name in ("published", "updated") if name in item)
    return next(filter(None, (moment_of(text) for text in told if isinstance(text, str))), None)


def _json_dated(item: object) -> datetime | None:
    if not isinstance(item, dict):
        return None
    return _json_date(item.get("date_published")) or _json_date(item.get("date_modified"))


def _json_date(value: object) -> datetime | None:
    # The standard wants RFC 3339; numbers are seconds since 1970, or milliseconds.
    return moment_of(str(value) if isinstance(value, int | float | str) else "")


def _shown(data: bytes) -> str:
    return repr(data)[1:]
