"""One conditional GET of an untrusted server, with a cap on everything.

takes  an address, the validators of the last answer, caps, and a turn to wait for before each request
gives  `Fetched`: the body once unpacked, or the outcome and words for why there is none; what the server asks for
never  raises for what a server does, and never reads on past a cap
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urljoin, urlsplit

import aiohttp

from monitor.feeds.addresses import AddressRefused, NoSuchHost
from monitor.feeds.feed import Outcome
from monitor.feeds.gates import SiteHeld
from monitor.feeds.unpacking import BodyBroken, BodyTooLarge, Unpacking
from monitor.feeds.web import Web
from monitor.feeds.wishes import fresh_for, retry_after

_ACCEPT = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
# As it should be; as a proxy on the way altered it (RFC 9110, 15.3.4); what is new since our last check, from a server
# that was not asked for that and sends it all the same (RFC 3229, 10.4.1).
_WITH_ENTRIES = frozenset({200, 203, 226})
# How a feed ends. Some servers leave out the last bytes of what they pack, behind a feed that is whole.
_END = re.compile(rb"(?:</(?:\w{1,40}:)?(?:rss|feed|rdf)\s*>|\})\s*\Z", re.IGNORECASE)
_TAIL = 200
_LONGEST_VALIDATOR = 1_000
_MOST_COOKIES = 8_000


@dataclass(frozen=True, slots=True)
class Caps:
    """What one fetch may cost: seconds to connect, to wait for a piece, and in all; bytes; redirects."""

    connect_seconds: float
    read_seconds: float
    total_seconds: float
    max_bytes: int
    max_redirects: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered.

    Attributes:
        outcome: None when `body` is a full answer; else what went wrong, or `Outcome.UNCHANGED`.
        words: why, for people; "" unless something went wrong.
        url: the address that answered last, after redirects.
        body: unpacked; empty unless `outcome` is None.
        read: unpacked bytes that were read, kept or not.
        retry_after: how long the server asks to be left alone; None when it does not.
        fresh_for: for how long the server says that the answer is good (Cache-Control, Expires); None when it does not.
        moved_to: the address that answered, when every redirect that led there was permanent; None otherwise.
        millis: how long the servers took, without the wait for a turn to ask them.
    """

    outcome: Outcome | None
    words: str
    url: str
    status: int | None = None
    body: bytes = b""
    read: int = 0
    content_type: str = ""
    etag: str | None = None
    last_modified: str | None = None
    retry_after: timedelta | None = None
    fresh_for: timedelta | None = None
    moved_to: str | None = None
    millis: int = 0


# Gives the turn to ask the server of an address; held while the answer is read.
Turn = Callable[[str], AbstractAsyncContextManager[None]]


class _StopError(Exception):
    """The answer is of no further use: carries outcome and words to `fetch`."""

    def __init__(self, outcome: Outcome, words: str, read: int = 0) -> None:
        super().__init__(words)
        self.outcome, self.words, self.read = outcome, words, read


async def fetch(
    web: Web,
    url: str,
    etag: str | None,
    last_modified: str | None,
    caps: Caps,
    now: datetime,
    turn: Turn,
) -> Fetched:
    """GET `url`, conditionally when there are validators, following redirects by hand.

    Args:
        web: judges each address, of each redirect too.
        now: aware UTC; turns a date of the server into a wait, where the server does not say what time it is there.
        turn: waited for before each request, at the address that is asked; the wait is no part of `total_seconds`.

    Raises:
        SiteHeld: when there is no turn for now; nothing was asked that was not answered.
    """
    asked = _Asked(web, caps, now, turn, url)
    try:
        try:
            found = await asked.answer(etag, last_modified)
        except aiohttp.ClientResponseError:
            if not (etag or last_modified):
                raise
            # Some servers say that nothing is new and send something all the same, which nobody can read: in full then.
            found = await asked.answer(None, None)
    except SiteHeld:
        raise
    except _StopError as stop:
        found = Fetched(stop.outcome, stop.words, asked.at, read=stop.read)
    except aiohttp.ServerTimeoutError as error:
        found = Fetched(Outcome.TIMEOUT, _timeout_words(error, caps), asked.at)
    except TimeoutError:
        words = f"it had not answered in full after {caps.total_seconds:g} s"
        found = Fetched(Outcome.TIMEOUT, words, asked.at)
    except Exception as error:  # the edge to foreign code: whatever a server provokes is a value here
        outcome, words = _broken(error)
        found = Fetched(outcome, words, asked.at)
    return replace(found, millis=round(asked.took * 1_000))


class _Asked:
    """One fetch under way: where it has got to, and how long the servers took so far (seconds)."""

    def __init__(self, web: Web, caps: Caps, now: datetime, turn: Turn, url: str) -> None:
        self._web, self._caps, self._now, self._turn = web, caps, now, turn
        self._url = url
        self.at = url
        self.took = 0.0
        # By host, while this fetch lasts: some sites lead in a circle who does not bring back what they hand out.
        self._cookies: dict[str, dict[str, str]] = {}

    async def answer(self, etag: str | None, last_modified: str | None) -> Fetched:
        headers = {"Accept": _ACCEPT, "Accept-Encoding": "gzip, deflate"}
        # Validators belong to the address that gave them; a redirect target is that address's answer.
        headers |= {"If-None-Match": etag} if etag else {}
        headers |= {"If-Modified-Since": last_modified} if last_modified else {}
        permanent, self.at = True, self._url
        for _ in range(self._caps.max_redirects + 1):
            async with self._turn(self.at), self._timed(), self._request(headers) as answer:
                if answer.status not in _REDIRECTS:
                    conditional = bool(etag or last_modified)
                    found = await _read(answer, self.at, self._caps, self._now, conditional=conditional)
                    return replace(found, moved_to=self.at) if permanent and self.at != self._url else found
                permanent = permanent and answer.status in _PERMANENT
                self._keep_cookies(answer)
                self.at = _target(self.at, answer.headers.get("location", ""))
        most = self._caps.max_redirects
        raise _StopError(Outcome.BAD_REDIRECT, f"it redirects more than {most} times, last to {self.at}")

    def _request(self, headers: dict[str, str]) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._cookies and (kept := self._cookies.get(_server(self.at))):
            headers = {**headers, "Cookie": "; ".join(f"{name}={value}" for name, value in kept.items())}
        return self._web.get(self.at, headers, self._caps.connect_seconds, self._caps.read_seconds)

    def _keep_cookies(self, answer: aiohttp.ClientResponse) -> None:
        told = {one.key: one.coded_value for one in answer.cookies.values() if one.coded_value.isprintable()}
        kept = self._cookies.get(_server(self.at), {}) | told
        if kept and sum(map(len, (*kept, *kept.values()))) <= _MOST_COOKIES:
            self._cookies[_server(self.at)] = kept

    @asynccontextmanager
    async def _timed(self) -> AsyncIterator[None]:
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            async with asyncio.timeout(self._caps.total_seconds - self.took):
                yield
        finally:
            self.took += clock() - begun


def _server(url: str) -> str:
    """Scheme, host and port: what one of them hands out is nobody else's."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _target(at: str, location: str) -> str:
    if not location.strip():
        raise _StopError(Outcome.BAD_REDIRECT, "it redirects, and does not say where to")
    try:
        target = urljoin(at, location.strip())
        parts = urlsplit(target)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, target, parts = None, location, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise _StopError(Outcome.BAD_REDIRECT, f"it redirects to {location[:200]!r}, which is no web address")
    if urlsplit(at).scheme == "https" and parts.scheme == "http":
        raise _StopError(
            Outcome.BAD_REDIRECT, f"it redirects from https down to {target[:200]}, which anyone may alter"
        )
    return target


async def _read(answer: aiohttp.ClientResponse, url: str, caps: Caps, now: datetime, *, conditional: bool) -> Fetched:
    """The outcome of a final answer; the body is read only where it may be a feed."""
    status, headers = answer.status, answer.headers
    if status == 304 and conditional:
        return Fetched(Outcome.UNCHANGED, "", url, status, fresh_for=_fresh_for(answer, now))
    if status not in _WITH_ENTRIES:
        outcome, words = _refused(status)
        if headers.get("cf-mitigated", "").lower() == "challenge":
            outcome, words = Outcome.CHALLENGE_PAGE, f"it asks whether this is a person ({status}, a challenge page)"
        asked = retry_after(headers.get("retry-after"), now, headers.get("date"))
        return Fetched(outcome, words, url, status, retry_after=asked)
    try:
        body = await _body(answer, caps.max_bytes)
    except _StopError as stop:
        return Fetched(stop.outcome, stop.words, url, status, read=stop.read)
    return Fetched(
        None,
        "",
        url,
        status,
        body,
        len(body),
        headers.get("content-type", ""),
        _validator(headers.get("etag")),
        _validator(headers.get("last-modified")),
        fresh_for=_fresh_for(answer, now),
    )


def _fresh_for(answer: aiohttp.ClientResponse, now: datetime) -> timedelta | None:
    headers = answer.headers
    if "cache-control" not in headers and "expires" not in headers:
        return None
    # A header that comes twice is a list of both (RFC 9110, 5.3).
    told = {name: ", ".join(headers.getall(name, ())) for name in ("cache-control", "age", "expires", "date")}
    return fresh_for(told, now)


async def _body(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The body, unpacked; stops at the first byte over `max_bytes`, on the wire or unpacked."""
    limit = f"{max_bytes / 2**20:g} MiB"
    declared = answer.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared[:18]) > max_bytes:
        raise _StopError(Outcome.TOO_LARGE, f"it announces {int(declared[:18]):,} bytes, over the limit of {limit}")
    parts: list[bytes] = []
    wire = unpacked = 0
    try:
        unpack = Unpacking(", ".join(answer.headers.getall("content-encoding", ())), max_bytes)
        async for piece in answer.content.iter_any():
            wire += len(piece)
            for part in unpack(piece):
                unpacked += len(part)
                parts.append(part)
            if wire > max_bytes:
                raise _StopError(Outcome.TOO_LARGE, f"its body is larger than the limit of {limit}", unpacked)
    except BodyTooLarge as error:
        words = f"its body unpacks to more than the limit of {limit}"
        raise _StopError(Outcome.TOO_LARGE, words, error.unpacked) from error
    except BodyBroken as error:
        raise _StopError(Outcome.BAD_ANSWER, str(error)) from error
    body = b"".join(parts)
    # Half a feed taken for a whole one would be believed unchanged from then on, and the rest of it never seen.
    if unpack.cut and not _END.search(body[-_TAIL:]):
        raise _StopError(Outcome.BAD_ANSWER, "its compressed body breaks off", unpacked)
    return body


def _validator(header: str | None) -> str | None:
    # Sent back verbatim at every check, so it must fit a header and a row.
    return (
        header if header and len(header) <= _LONGEST_VALIDATOR and header.isascii() and header.isprintable() else None
    )


def _refused(status: int) -> tuple[Outcome, str]:
    match status:
        case 404:
            return Outcome.NOT_FOUND, "there is nothing at its address (404)"
        case 410:
            return Outcome.GONE, "it was taken down for good (410)"
        case 429:
            return Outcome.THROTTLED, "the server finds the checks too frequent (429)"
        case 401 | 403 | 451:
            return Outcome.FORBIDDEN, f"the server does not let this program in ({status})"
        case _ if status >= 500:
            return Outcome.SERVER_ERROR, f"the server has trouble of its own ({status})"
        case _:
            return Outcome.HTTP_ERROR, f"the server answered with status {status}"


def _timeout_words(error: aiohttp.ServerTimeoutError, caps: Caps) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection came about in {caps.connect_seconds:g} s"
    return f"the server fell silent for {caps.read_seconds:g} s"


def _broken(error: Exception) -> tuple[Outcome, str]:
    words = str(error)[:300] or type(error).__name__
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__
    if isinstance(error, AddressRefused):
        return Outcome.REFUSED_ADDRESS, words
    if isinstance(error, NoSuchHost):
        return Outcome.NO_SUCH_HOST, words
    if cause is not None or isinstance(error, aiohttp.ClientSSLError):
        return Outcome.UNREACHABLE, f"no secure connection: {words}"
    if isinstance(error, OSError):
        return Outcome.UNREACHABLE, f"the connection failed: {words}"
    return Outcome.BAD_ANSWER, f"the answer is no proper HTTP: {words}"
