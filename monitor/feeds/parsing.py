"""The entries in a feed's bytes.

takes  the bytes that a server sent, and what it called them
gives  `Parsed`: entries as published, what kind of document it was, problems in words
never  fetches or opens anything, expands entities, or raises on content

Well-formed feeds are read by `monitor.feeds.plain`; feedparser reads the rest, which is slow, and on hostile bytes very
slow: the poller lets it work in a process of its own (`monitor.feeds.lenient`).
"""

from __future__ import annotations

import calendar
import io
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urljoin

from monitor.feeds.feed import Entry, Feed
from monitor.feeds.pages import Page, read_page
from monitor.feeds.plain import Raw, RawEntry, read_plain

MAX_ENTRIES = 500

# As published, but bounded: what cleaning keeps is far shorter, and an entry must fit a row.
_LONGEST_GUID = 2_000
_LONGEST_LINK = 4_000
_LONGEST_TITLE = 10_000
_LONGEST_SUMMARY = 20_000
_LONGEST_DATE = 200

_HEAD = 4_096
_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
# Forms on which Python's parsers and feedparser agree; feedparser reads all others.
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)")
_MONTHS = {
    name: n
    for n, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], start=1
    )
}
_RFC822 = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(\d{1,2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4})"
    r" (\d\d):(\d\d):(\d\d) (?:GMT|UTC|Z|([+-])(\d\d)(\d\d))",
    re.ASCII,
)
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
    """

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    kind: Kind
    title: str = ""
    ttl: timedelta | None = None
    page: Page | None = None


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
    quick = parse_quickly(body, feed, fetched, max_entries=max_entries)
    return quick if quick is not None else parse_leniently(body, content_type, feed, fetched, max_entries=max_entries)


def parse_quickly(body: bytes, feed: Feed, fetched: datetime, *, max_entries: int) -> Parsed | None:
    """As `parse`, in time that grows with the body and no faster; None for what only the lenient parser can read."""
    head = body[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        return Parsed((), ("the body is empty",), Kind.UNKNOWN)
    if head.startswith((b"{", b"[")):
        return _json_feed(body, feed, fetched, max_entries)
    if _HTML.search(head) and not _FEED_ROOT.search(head):
        return _page(body, feed)
    raw = read_plain(body, max_entries)
    return None if raw is None else _plain_feed(raw, feed, fetched, max_entries)


def _plain_feed(raw: Raw, feed: Feed, fetched: datetime, max_entries: int) -> Parsed:
    entries = tuple(_plain_entry(item, feed, fetched) for item in raw.entries)
    problems = (_too_many(max_entries),) if raw.cut else ()
    return Parsed(entries, problems, Kind(raw.form), _title(raw.title), _ttl(raw.ttl))


def _plain_entry(item: RawEntry, feed: Feed, fetched: datetime) -> Entry:
    return Entry(
        feed=feed.id,
        publisher=feed.publisher,
        language=feed.language,
        guid=_text(item.guid, _LONGEST_GUID).strip(),
        link=_absolute(feed.url, _text(item.link, _LONGEST_LINK).strip()),
        title=_text(item.title, _LONGEST_TITLE),
        summary=_text(item.summary, _LONGEST_SUMMARY),
        published=_date(item.published) or _date(item.updated),
        fetched=fetched,
    )


def parse_leniently(body: bytes, content_type: str, feed: Feed, fetched: datetime, *, max_entries: int) -> Parsed:
    """As `parse`, by feedparser: anything that somebody once called a feed. Hostile megabytes take it minutes."""
    import feedparser

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
            return _page(body, feed)
        return Parsed((), (f"it begins with {_shown(body[:40])}",), Kind.UNKNOWN)
    problems: list[str] = []
    if document.bozo:
        problems.append(f"it is not well-formed ({str(document.get('bozo_exception'))[:200]})")
    items = document.entries
    if len(items) > max_entries:
        problems.append(_too_many(max_entries))
    entries = tuple(_entry(item, feed, fetched) for item in items[:max_entries])
    about = document.get("feed") or {}
    return Parsed(entries, tuple(problems), kind, _title(about.get("title")), _ttl(about.get("ttl")))


def _page(body: bytes, feed: Feed) -> Parsed:
    page = read_page(body, feed.url)
    return Parsed((), (page.words,), Kind.HTML, page=page)


def _too_many(max_entries: int) -> str:
    return f"it holds more than {max_entries} entries; the first {max_entries} are read"


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
        problems.append(_too_many(max_entries))
    proper = [item for item in items[:max_entries] if isinstance(item, dict)]
    if len(proper) < len(items[:max_entries]):
        problems.append("some of its items are no objects")
    entries = tuple(_json_entry(item, feed, fetched) for item in proper)
    return Parsed(entries, tuple(problems), Kind.JSON, _title(document.get("title")))


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
    if not link or link.startswith(("https://", "http://")):
        return link
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


def _date(text: str) -> datetime | None:
    """A date as feeds write it: nearly always RFC 822 or ISO 8601, else whatever feedparser understands."""
    if not text or len(text) > _LONGEST_DATE:
        return None
    if _ISO.fullmatch(text):
        return _iso(text)
    if plain := _RFC822.fullmatch(text):
        day, month, year, hour, minute, second, sign, hours, minutes = plain.groups()
        # A day that does not exist is feedparser's to guess at.
        with suppress(ValueError, OverflowError):
            local = datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC)
            offset = timedelta(hours=int(hours), minutes=int(minutes)) if sign else timedelta(0)
            return local + offset if sign == "-" else local - offset
    # feedparser parses dates nowhere in public but within a document.
    from feedparser.datetimes import _parse_date

    return _moment(_parse_date(text))


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


def _shown(data: bytes) -> str:
    return repr(data)[1:]
