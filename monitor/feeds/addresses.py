"""Which network addresses may be connected to, checked at the moment of connecting.

takes  host names out of feeds and redirects, and the names that the settings allow
gives  a transport for httpx2 that connects only to permitted addresses
never  trusts a name: what was checked is the very address that is connected to, so a name that resolves
       differently a second later (DNS rebinding) gains nothing
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import httpcore2
import httpx2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Cloud platforms answer with credentials on these; all but Azure's lie in ranges that are refused anyway.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
# Behind a carrier's address translation (RFC 6598) lie routers and other customers, never a publisher.
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Refusal(StrEnum):
    """Why an address is not connected to."""

    METADATA = "a cloud metadata address"
    LOOPBACK = "a loopback address"
    LINK_LOCAL = "a link-local address"
    PRIVATE = "a private address"
    MULTICAST = "a multicast address"
    SHARED = "a carrier's shared address"
    RESERVED = "a reserved address"


class AddressRefused(httpcore2.ConnectError):
    """A host leads only to addresses that must not be connected to. Travels through httpcore2 as its own kind."""


class NoSuchHost(httpcore2.ConnectError):
    """DNS knows no address for a host. Travels through httpcore2 as its own kind."""


def refusal(address: Address) -> Refusal | None:
    """Why `address` must not be connected to; None when it may.

    IPv6 addresses that carry an IPv4 address (mapped, 6to4, Teredo, NAT64) are judged by what they carry too.
    """
    if address in _METADATA:
        return Refusal.METADATA
    if isinstance(address, ipaddress.IPv6Address):
        for carried in _carried(address):
            reason = refusal(carried)
            if reason is not None:
                return reason
        if address.ipv4_mapped is not None:
            return None
    if address.is_loopback:
        return Refusal.LOOPBACK
    if address.is_link_local:
        return Refusal.LINK_LOCAL
    if address.is_multicast:
        return Refusal.MULTICAST
    if isinstance(address, ipaddress.IPv4Address) and address in _SHARED:
        return Refusal.SHARED
    if address.is_private and not address.is_unspecified:
        return Refusal.PRIVATE
    return None if address.is_global else Refusal.RESERVED


def _carried(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        carried.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [inner for inner in carried if inner is not None]


class Allowance:
    """The host names, addresses and networks that settings allow although they are private.

    Args:
        allowed: such as `["intranet.example", "127.0.0.1", "10.1.0.0/16"]`.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for text in allowed:
            try:
                self._networks.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                self._names.add(text.lower().rstrip("."))

    def permitted(self, host: str, addresses: Sequence[Address]) -> list[Address]:
        """Those of the addresses that may be connected to for `host`, in their order.

        Raises:
            AddressRefused: when there is none; the message names host, address and reason.
        """
        if host.lower().rstrip(".") in self._names:
            return list(addresses)
        good = [a for a in addresses if refusal(a) is None or any(a in network for network in self._networks)]
        if not good:
            reasons = ", ".join(f"{address} ({refusal(address)})" for address in addresses)
            raise AddressRefused(f"{host} leads to {reasons}")
        return good


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of a host, in the order that the system prefers, each once.

    Raises:
        NoSuchHost: when there is none.
    """
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoSuchHost(f"the name {host} cannot be resolved: {error}") from error
    # A scope ("fe80::1%eth0") only exists on link-local addresses, and those are judged without it.
    found = [ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers]
    if not found:
        raise NoSuchHost(f"the name {host} has no address")
    return list(dict.fromkeys(found))


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves a name once, judges every address, and connects to a permitted one of these very addresses.

    TLS still verifies the certificate against the name: httpcore2 passes it on its own.
    """

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect, sharing what is left of `timeout` (seconds) evenly among the addresses still to try.

        Raises:
            NoSuchHost, AddressRefused, httpcore2.ConnectError, httpcore2.ConnectTimeout.
        """
        clock = asyncio.get_running_loop().time
        deadline = None if timeout is None else clock() + timeout
        try:
            async with asyncio.timeout(timeout):
                addresses = self._allowance.permitted(host, await resolve(host, port))
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"the name {host} was not resolved in {timeout} s") from error
        failure: Exception = httpcore2.ConnectError(f"no address of {host} answers")
        for tried, address in enumerate(addresses):
            share = None if deadline is None else max(0.0, deadline - clock()) / (len(addresses) - tried)
            try:
                return await self._inner.connect_tcp(str(address), port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: no feed lives in a local socket.

        Raises:
            AddressRefused: always.
        """
        raise AddressRefused(f"{path} is a local socket")

    async def sleep(self, seconds: float) -> None:
        """Wait between httpcore2's own retries."""
        await asyncio.sleep(seconds)


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> None: ...


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        if isinstance(self._stream, _Closable):
            await self._stream.aclose()


class CheckedTransport(httpx2.AsyncBaseTransport):
    """A transport for `httpx2.AsyncClient` whose every connection passes `CheckedBackend`.

    Errors are those of httpcore2, not of httpx2: they keep `AddressRefused` and `NoSuchHost` apart from others.

    Args:
        allowed: see `Allowance`.
        max_connections: open at once, over all hosts.
    """

    def __init__(self, allowed: Iterable[str], max_connections: int) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(),
            max_connections=max_connections,
            keepalive_expiry=30.0,
            network_backend=CheckedBackend(Allowance(allowed)),
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._pool.__aexit__(exc_type, exc_value, traceback)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; no redirects, no retries.

        Raises:
            httpcore2 exceptions, `AddressRefused` and `NoSuchHost` among them.
        """
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
            )
        )
        assert isinstance(answer.stream, AsyncIterable)  # noqa: S101  # narrows the pool's sync-or-async type
        return httpx2.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
