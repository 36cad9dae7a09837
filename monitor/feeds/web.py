"""One pool of connections to the web, for everything that a poller asks.

takes  addresses, headers, and how long a connection and a silence may take
gives  answers as they arrive: still packed, redirects not followed
never  connects to an address that was not judged, keeps a cookie, or lets a proxy connect in its stead
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager

import aiohttp
from yarl import URL

from monitor.feeds.addresses import CheckedResolver, NoSuchHost
from monitor.feeds.heads import lenient

# Idle connections are kept for a feed's redirect, and for the next feed of the same site.
_KEPT_SECONDS = 30.0
# Authorities are renewed, a company's own above all. Reading them takes a twentieth of a second.
_TRUSTED_SECONDS = 3_600.0
# Longer than any header in good faith; so many bytes are gathered before somebody reads them.
_LONGEST_LINE = 16 * 1024
_AHEAD = 64 * 1024
# What holds nothing else was encoded by whoever wrote it, and is asked for to the letter: some addresses are signed.
_ENCODED = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")


class Web:
    """Asks servers. Belongs to the event loop in which it asked first; `aclose` lets the connections go.

    Args:
        allowed: see `monitor.feeds.addresses.Allowance`.
        user_agent: what servers are told.
        at_once: connections open at once, over all hosts.
        clock: seconds that only grow.
    """

    def __init__(
        self, allowed: Iterable[str], user_agent: str, at_once: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._allowed = tuple(allowed)
        self._user_agent = user_agent
        self._at_once = at_once
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None
        self._read_at = 0.0
        self._clock = clock

    def get(
        self, url: str, headers: Mapping[str, str], connect_seconds: float, read_seconds: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send one GET; the answer is entered when its headers are there.

        Raises, when it is entered or read:
            AddressRefused, NoSuchHost: there is no address to connect to.
            aiohttp.ClientError, ValueError, OSError: whatever else a server, or its address, provokes.
        """
        address = asked_address(url)
        return self._open().get(
            address,
            headers=headers,
            allow_redirects=False,
            ssl=self._trust() if address.scheme == "https" else True,
            timeout=aiohttp.ClientTimeout(connect=connect_seconds, sock_read=read_seconds),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            checked = CheckedResolver(self._allowed, self._at_once)
            self._session = aiohttp.ClientSession(
                connector=lenient(
                    aiohttp.TCPConnector(
                        limit=self._at_once,
                        keepalive_timeout=_KEPT_SECONDS,
                        resolver=checked,
                        # Judged at every connection: what was a public address a minute ago may not be one now.
                        use_dns_cache=False,
                        socket_factory=checked.socket_to,
                    )
                ),
                headers={"User-Agent": self._user_agent},
                # Bodies are unpacked piece by piece, under a cap, by whoever reads them.
                auto_decompress=False,
                # A feed reader has no use for cookies, and a jar that lasts for months only grows.
                cookie_jar=aiohttp.DummyCookieJar(),
                # A proxy from the environment would connect in our stead, past the address checks.
                trust_env=False,
                read_bufsize=_AHEAD,
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
            )
        return self._session

    def _trust(self) -> ssl.SSLContext:
        now = self._clock()
        if self._tls is None or now - self._read_at > _TRUSTED_SECONDS:
            # The same authorities as webhooks trust. Loaded when it is needed: it is megabytes of certificates.
            import httpx2

            try:
                self._tls = httpx2.create_ssl_context()
            except OSError as error:
                # In the middle of a renewal those that were read before go on.
                if self._tls is None:
                    raise OSError(
                        "the authorities that this machine trusts cannot be read: look at SSL_CERT_FILE and "
                        f"SSL_CERT_DIR in the environment ({error})"
                    ) from error
            self._read_at = now
        return self._tls


def asked_address(url: str) -> URL:
    """The address to ask, to the letter where it is one already.

    Raises:
        NoSuchHost: when its host is a number that no address is.
        ValueError: when it is no address at all.
    """
    address = URL(url, encoded=_ENCODED.fullmatch(url) is not None)
    host = address.raw_host or ""
    if host.replace(".", "").isdigit():
        # 2130706433 and 127.1 are addresses to a resolver: they are judged as what they are.
        try:
            plain = socket.inet_ntoa(socket.inet_aton(host))
        except OSError as error:
            raise NoSuchHost(f"{host} is no address") from error
        return address if plain == host else address.with_host(plain)
    return address
