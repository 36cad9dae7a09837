"""Which network addresses may be connected to, checked at the moment of connecting.

takes  host names out of feeds and redirects, and the names that the settings allow
gives  the permitted addresses of a name, and a socket for each address that may be connected to
never  trusts a name: what was checked is the very address that is connected to, so a name that resolves
       differently a second later (DNS rebinding) gains nothing
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from alerts.sending.special_addresses import Address, verdict
from monitor.feeds.look_ups import LookUps

# Look-ups that go on although nobody waits for them any more.
_SPARE_LOOK_UPS = 40


class AddressRefused(Exception):
    """A host leads only to addresses that must not be connected to.

    Not an `OSError`: aiohttp would take it for one of many addresses that do not answer, and try the next.
    """


class NoSuchHost(Exception):
    """DNS knows no address for a host. Not an `OSError`: aiohttp would wrap it into its own."""


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
                # As requests name it: a name with other letters than those of ASCII is asked for in their code.
                self._names.add((URL.build(scheme="http", host=text).raw_host or text).lower().rstrip("."))

    def permitted(self, host: str, addresses: Sequence[Address]) -> list[Address]:
        """Those of the addresses that may be connected to for `host`, in their order.

        Raises:
            AddressRefused: when there is none; the message names host, address and reason.
        """
        if host.lower().rstrip(".") in self._names:
            return list(addresses)
        good = [a for a in addresses if self.public(a)]
        if not good:
            if [host] == [str(one) for one in addresses]:
                raise AddressRefused(f"{host} is {verdict(addresses[0])}")
            reasons = ", ".join(f"{address} ({verdict(address)})" for address in addresses)
            raise AddressRefused(f"{host} leads to {reasons}")
        return good

    def public(self, address: Address) -> bool:
        """Whether the address may be connected to under any name: it is public, or in a network that is allowed."""
        return verdict(address) is None or any(address in network for network in self._networks)


async def resolve(host: str, port: int, look_ups: LookUps) -> list[Address]:
    """The addresses of a host, in the order that the system prefers, each once.

    Raises:
        NoSuchHost: when there is none.
    """
    try:
        answers = await look_ups.ask(host, port)
    except (OSError, UnicodeError) as error:
        raise NoSuchHost(f"the name {host} cannot be resolved: {error}") from error
    # A scope ("fe80::1%eth0") only exists on link-local addresses, and those are judged without it.
    found = [ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers]
    if not found:
        raise NoSuchHost(f"the name {host} has no address")
    return list(dict.fromkeys(found))


class CheckedResolver(AbstractResolver):
    """Resolves names for aiohttp, and makes its sockets: whatever way a connection comes about, it passes here.

    TLS still verifies the certificate against the name.

    Args:
        allowed: see `Allowance`.
        at_once: connections that may come about at once.
    """

    def __init__(self, allowed: Iterable[str], at_once: int = 1) -> None:
        self._allowance = Allowance(allowed)
        self._look_ups = LookUps(at_once + _SPARE_LOOK_UPS)
        # Of hosts that settings allow by name: few, and they change seldom.
        self._by_name: set[Address] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The permitted addresses of a name, in the order that the system prefers.

        Raises:
            NoSuchHost, AddressRefused.
        """
        permitted = self._allowance.permitted(host, await resolve(host, port, self._look_ups))
        self._by_name.update(address for address in permitted if not self._allowance.public(address))
        return [
            ResolveResult(hostname=host, host=str(one), port=port, family=_family(one), proto=0, flags=0)
            for one in permitted
        ]

    def socket_to(self, asked: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """A socket to connect to this address with: the last judgement, and the only one of a literal address.

        Args:
            asked: family, type, protocol, canonical name and address, as `socket.getaddrinfo` gives them.

        Raises:
            AddressRefused: when the address must not be connected to.
        """
        family, kind, protocol, _, at = asked
        text = str(at[0])
        address = ipaddress.ip_address(text.partition("%")[0])
        if address not in self._by_name:
            self._allowance.permitted(text, [address])
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Nothing is held."""


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
