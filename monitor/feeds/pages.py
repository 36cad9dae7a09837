"""Web pages that come where a feed should be.

takes  the bytes of a page, and its address
gives  `Page`: what kind of page it is, its title, and the feeds that it offers
never  fetches, and never reads more than the beginning
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

_READ = 256 * 1024
_MOST_OFFERS = 20
_LONGEST_TITLE = 120
_FEED_TYPES = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml", "text/xml"}
)
# Where pages without a <link> keep their feeds, by the look of an address.
_FEED_LIKE = re.compile(r"(?:^|[/.?=_-])(?:rss|feeds?|atom)(?:[/.?=_-]|\.xml|$)|\.(?:rss|rdf|atom)$", re.IGNORECASE)

# Words of the services that stand before sites, in title or text; taken from the pages that they serve.
_CHALLENGE = re.compile(
    r"just a moment|attention required|checking your browser|verify(?:ing)? (?:that )?you are (?:a )?human"
    r"|are you a robot|unusual traffic|captcha|cf-chl|challenge-platform|_incapsula_|distil_r_|px-captcha|datadome"
    r"|enable javascript and cookies|request unsuccessful|pardon our interruption|access denied|security check",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"\b(?:log ?in|sign ?in|log on|subscribe to (?:read|continue)|register to read)\b", re.IGNORECASE)
_MOVED = re.compile(
    r"(?:has|have|was|been) (?:permanently )?moved|no longer (?:available|exists)|page (?:not|cannot be) found"
    r"|not found|discontinued|\b404\b|feeds? (?:is|are) no longer",
    re.IGNORECASE,
)


class PageKind(StrEnum):
    """What a page that came in a feed's place is."""

    CHALLENGE = "challenge"  # asks whether this is a person
    LOGIN = "login"  # asks who this is
    MOVED = "moved"  # says that what was here is gone, or leads elsewhere
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Offer:
    """A feed that a page offers."""

    url: str
    title: str


@dataclass(frozen=True, slots=True)
class Page:
    """What can be told of a page: its kind, its title, the feeds that it offers in their order, where it leads."""

    kind: PageKind
    title: str
    offers: tuple[Offer, ...]
    leads_to: str = ""

    @property
    def words(self) -> str:
        """What a person should know of it."""
        told = f"titled {self.title!r}" if self.title else "without a title"
        if self.leads_to:
            told += f", which leads to {self.leads_to[:300]}"
        if self.offers:
            told += f", which offers the feed {self.offers[0].url[:300]}"
        return told


def read_page(body: bytes, url: str) -> Page:
    """Look at the beginning of a page.

    Args:
        url: where it came from; relative addresses in it are resolved against it.
    """
    text = body[:_READ].decode("utf-8", "replace")
    seen = _Seen(url)
    try:
        seen.feed(text)
    except (ValueError, AssertionError):  # html.parser gives up on some broken declarations
        seen.broken = True
    title = " ".join(unescape(seen.title).split())[:_LONGEST_TITLE]
    offers = tuple((seen.linked or seen.anchored).values())[:_MOST_OFFERS]
    return Page(_kind(title, text, seen), title, offers, seen.leads_to)


def _kind(title: str, text: str, seen: _Seen) -> PageKind:
    # A page that offers feeds is a publisher's page, whatever words stand on it.
    if _CHALLENGE.search(title) or (not seen.linked and _CHALLENGE.search(text)):
        return PageKind.CHALLENGE
    if _LOGIN.search(title) or seen.asks_password:
        return PageKind.LOGIN
    if seen.leads_to or _MOVED.search(title) or (len(text) < 20_000 and not seen.linked and _MOVED.search(text)):
        return PageKind.MOVED
    return PageKind.OTHER


class _Seen(HTMLParser):
    """Gathers title, offers, password fields and refreshes; keeps nothing else."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._base = url
        self._in_title = False
        self.title = ""
        self.linked: dict[str, Offer] = {}
        self.anchored: dict[str, Offer] = {}
        self.asks_password = False
        self.leads_to = ""
        self.broken = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        found = {name: value or "" for name, value in attrs}
        match tag:
            case "title":
                self._in_title = not self.title
            case "base" if found.get("href"):
                self._base = self._absolute(found["href"]) or self._base
            case "link":
                rel = found.get("rel", "").lower().split()
                if "alternate" in rel and found.get("type", "").lower().split(";")[0].strip() in _FEED_TYPES:
                    self._offer(self.linked, found.get("href", ""), found.get("title", ""))
            case "a" if _FEED_LIKE.search(found.get("href", "")):
                self._offer(self.anchored, found["href"], found.get("title", ""))
            case "input" if found.get("type", "").lower() == "password":
                self.asks_password = True
            case "meta" if found.get("http-equiv", "").lower() == "refresh":
                _, _, target = found.get("content", "").partition("=")
                self.leads_to = self._absolute(target.strip(" '\"")) if target else ""

    def handle_endtag(self, tag: str) -> None:
        """The title ends."""
        if tag == "title":
            self._in_title = False

    def handle_data(self, data: str) -> None:
        """Keep the words of the title."""
        if self._in_title and len(self.title) < _LONGEST_TITLE * 2:
            self.title += data

    def _offer(self, offers: dict[str, Offer], href: str, title: str) -> None:
        url = self._absolute(href)
        if url and len(offers) < _MOST_OFFERS:
            offers.setdefault(url, Offer(url, " ".join(title.split())[:_LONGEST_TITLE]))

    def _absolute(self, href: str) -> str:
        """The web address that a reference means; "" when it means none."""
        try:
            url = urljoin(self._base, href.strip())
            parts = urlsplit(url)
            proper = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()
        except ValueError:
            return ""
        return url[:2_000] if proper and " " not in url else ""
