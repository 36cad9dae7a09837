"""The headline that an entry carries: clean, dated, with an identity of its own.

takes  an `Entry` as published, and `now`
gives  `Headline`: text without markup, canonical link, identity, standing, companies named
never  fetches, stores or raises on content
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from monitor.feeds.feed import Entry
from monitor.feeds.habits import CLOCK_SLACK, OLDEST

# Wider than any edition's headline; a longer one is a whole article in the wrong element.
LONGEST_TITLE = 500
LONGEST_SUMMARY = 2_000
# Most short posts are shorter; of a longer text the beginning tells what it is about.
LONGEST_POST = 300
LONGEST_LINK = 2_000

ARCHIVE_AFTER = timedelta(hours=48)


class Standing(StrEnum):
    """How a headline's date relates to when it was fetched: only `FRESH` may alert."""

    FRESH = "fresh"
    FIRST_FETCH = "first_fetch"  # from the backlog of a feed that was just added or was away
    ARCHIVE = "archive"  # published more than 48 hours before it was fetched
    UNDATED = "undated"  # no date, or one before 1990: not counted in rollups
    FUTURE = "future"  # dated more than 15 minutes ahead: not counted in rollups


@dataclass(frozen=True, slots=True)
class Headline:
    """One headline as Squall keeps it.

    Attributes:
        id: 64-bit identity: hash of the feed's own guid, else of the canonical link, else of title and day; of guid or
            link and title where several headlines bear it. What is the same headline under another identity, and what
            bears another's guid or link, `monitor.news.identity` tells.
        title: one clean line, never markup, at most `LONGEST_TITLE` characters; of an entry without a title the
            beginning of its text, at most `LONGEST_POST`; may be empty.
        summary: likewise, at most `LONGEST_SUMMARY` characters.
        link: canonical http(s) address without tracking parameters; "" when there is none.
        published: as the feed says, aware UTC; None when it does not.
        effective: the time that it counts at: published, never later than fetched; fetched when undated or future.
        companies: tickers of the companies that the title names.
        story: 64-bit id of the story that it belongs to; its own id until `Stories` assigned one.

    Raises:
        ValueError: on an id outside 64 bits, a time that is not aware UTC, or `effective` later than `fetched`.
    """

    id: int
    feed: str
    publisher: str
    title: str
    summary: str
    link: str
    language: str
    published: datetime | None
    fetched: datetime
    effective: datetime
    standing: Standing
    companies: tuple[str, ...]
    story: int

    def __post_init__(self) -> None:
        if not (0 <= self.id < 2**64 and 0 <= self.story < 2**64):
            raise ValueError(f"ids are 64-bit and not negative: {self.id}, {self.story}")
        for time in (self.published, self.fetched, self.effective):
            if time is not None and time.tzinfo is not UTC and time.utcoffset() != timedelta(0):
                raise ValueError(f"times must be aware UTC, not {time.isoformat()}")
        if self.effective > self.fetched:
            raise ValueError(f"a headline cannot count before it was fetched: {self.effective} > {self.fetched}")


class NamesCompanies(Protocol):
    """What a headline asks of a matcher of companies."""

    def match(self, title: str) -> tuple[str, ...]:
        """Tickers of the companies that the title names."""
        ...


def headline(entry: Entry, now: datetime, *, first_fetch: bool, companies: NamesCompanies) -> Headline:
    """The headline of an entry; its story is its own id until `Stories` assigns one.

    Args:
        now: aware UTC; what is dated past it is judged `Standing.FUTURE`.
        first_fetch: whether the entry came with the backlog of its feed.
    """
    summary = clean(entry.summary, LONGEST_SUMMARY)
    # Short posts have no title: they are one.
    title = clean(entry.title, LONGEST_TITLE) or clean(summary, LONGEST_POST)
    link = canonical_link(entry.link)
    published = entry.published if entry.published is not None and entry.published >= OLDEST else None
    standing = _standing(published, entry.fetched, now, first_fetch=first_fetch)
    dated = published is not None and standing is not Standing.FUTURE
    identity = _identity(entry, link, title, published)
    return Headline(
        id=identity,
        feed=entry.feed,
        publisher=entry.publisher,
        title=title,
        summary=summary,
        link=link,
        language=entry.language,
        published=published,
        fetched=entry.fetched,
        effective=min(published, entry.fetched) if dated and published is not None else entry.fetched,
        standing=standing,
        companies=companies.match(title),
        story=identity,
    )


def _standing(published: datetime | None, fetched: datetime, now: datetime, *, first_fetch: bool) -> Standing:
    # Undated and future come first: they are kept out of the rollups, whatever feed brought them.
    if published is None:
        return Standing.UNDATED
    if published > now + CLOCK_SLACK:
        return Standing.FUTURE
    if fetched - published > ARCHIVE_AFTER:
        return Standing.ARCHIVE
    return Standing.FIRST_FETCH if first_fetch else Standing.FRESH


def _identity(entry: Entry, link: str, title: str, published: datetime | None) -> int:
    """64 bits of the most lasting name that the entry has; names of different kinds cannot collide."""
    parts: tuple[str, ...]
    if entry.guid:
        parts = ("guid", entry.feed, entry.guid)
    elif link:
        # A site that moves from http to https publishes nothing new.
        parts = ("link", link.partition("://")[2])
    else:
        parts = ("title", entry.feed, title, (published or entry.fetched).date().isoformat())
    return name_of(*parts)


def name_of(*parts: str) -> int:
    """64 bits of a name; names of different kinds or in different places cannot collide."""
    # NUL separates: it cannot be told from a part's own text otherwise ("a"+"bc" and "ab"+"c").
    text = "\0".join(parts)
    if text.count("\0") >= len(parts):
        text = "\0".join(part.replace("\0", "") for part in parts)
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


# Enough for text that was escaped twice on its way; a title that needs more is an attempt to get markup through.
_ROUNDS = 4
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_HIDDEN_TEXT = re.compile(r"<(script|style|iframe|noscript|template)\b.*?(</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_BREAK = re.compile(r"</?(?:p|br|div|li|ul|ol|h[1-6]|tr|td|table|blockquote)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*>")
_OPENER = re.compile(r"<+(?=[a-zA-Z/!?])")


def clean(text: str, longest: int) -> str:
    """One line of plain text: tags stripped, entities decoded, invisible characters dropped, length capped.

    The result never holds anything that a browser would take for a tag, however often it was escaped; "a < b"
    and "<3" stay. It is still text, to be escaped where it is shown.
    """
    # What is cut here can only be markup or excess: nothing else makes a headline ten times too long.
    text = text[: longest * 10]
    for _ in range(_ROUNDS):
        if "<" not in text and "&" not in text:
            break  # plain text, as most titles are from the beginning
        before = text
        text = _without_tags(html.unescape(text))
        if text == before:
            break
    if not text.isprintable():
        text = "".join(_visible(c) for c in text)
    # After invisible characters went: "<\u200bscript" must not become a tag by being cleaned.
    if "<" in text:
        text = _OPENER.sub("", _TAG.sub("", text))
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    if "<!" in text:
        text = _COMMENT.sub("", _CDATA.sub(r"\1", text))
    text = _HIDDEN_TEXT.sub("", text)
    return _TAG.sub("", _BREAK.sub(" ", text))


def _visible(character: str) -> str:
    if character.isascii() and character >= " " and character != "\x7f":
        return character
    if character in "\t\n\r\v\f\x85\u2028\u2029\xa0":
        return " "
    return "" if unicodedata.category(character) in _INVISIBLE else character


# Only names that are known to track: to drop one that tells articles apart would lose headlines.
_TRACKING = re.compile(
    r"utm_\w*|fbclid|gclid|gclsrc|dclid|msclkid|yclid|twclid|igshid|mc_[ce]id|_hs\w+|cmpid|cmp|mod|siteid|ns_\w+"
    r"|at_(?:medium|campaign|custom\d|link\w*|format|ptr_name|bbc_team)|smid|smtyp|ref|ref_src|ftag|taid|wt_\w+|xtor"
    r"|sref|srnd|leadsource|guccounter|guce_\w+|soc_src|soc_trk|__source|__twitter_impression|tblci|traffic_source"
    r"|ocid|icid|ncid|spm",
    re.IGNORECASE,
)
# An address that is canonical but for what tracks in it: most are. Fields are as many as the parser would take apart.
_CANONICAL = re.compile(
    r"(https?://[a-z0-9.-]+)(/[A-Za-z0-9/%:@!$&()*+,;=~._-]*)?"
    r"(?:\?([\w.~-]+=[\w.~+-]*(?:&[\w.~-]+=[\w.~+-]*){0,99})?)?(?:#.*)?",
    re.ASCII | re.DOTALL,
)
_HOST = re.compile(r"[\w.:%-]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical_link(link: str) -> str:
    """The address without what only tracks readers; "" for anything but http and https.

    Host in lower case, default port and fragment dropped, tracking parameters removed, the other parameters in
    their order, unsafe characters encoded.
    """
    link = link.strip()[:LONGEST_LINK]
    if found := _CANONICAL.fullmatch(link):
        place, path, query = found.groups()
        kept = [one for one in query.split("&") if not _tracks(one.partition("=")[0])] if query else []
        return f"{place}{path or '/'}" + (f"?{'&'.join(kept)}" if kept else "")
    return _taken_apart(link)


def _taken_apart(link: str) -> str:
    try:
        parts = urlsplit(link)
        host, port, scheme = parts.hostname, parts.port, parts.scheme.lower()
    except ValueError:
        return ""
    if scheme not in _DEFAULT_PORTS or not host or not _is_host(host):
        return ""
    host = f"[{host}]" if ":" in host else host
    place = host if port is None or port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"
    # "surrogatepass" would build bytes that no store takes: a lone surrogate becomes "?".
    path = quote(parts.path or "/", safe="/%:@!$&()*+,;=~-._", errors="replace")
    # max_num_fields is the parser's own guard against a query made of separators.
    try:
        fields = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=100, errors="replace")
    except ValueError:
        fields = []
    kept = [(name, value) for name, value in fields if not _tracks(name)]
    query = urlencode(kept, errors="replace")
    return f"{scheme}://{place}{path}" + (f"?{query}" if query else "")


@lru_cache(maxsize=1_000)
def _tracks(name: str) -> bool:
    return _TRACKING.fullmatch(name) is not None


def _is_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None
