"""Which network addresses a webhook may be sent to.

takes  a host as the settings name it, and the addresses that it resolves to
gives  the reason why it is refused, or nothing when it is not
never  resolves or connects: the caller connects to exactly the addresses that were looked at
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

# Cloud metadata and host services that lie outside the reserved ranges (Azure WireServer) or in ranges that older
# Pythons call global (Oracle Cloud).
_METADATA = frozenset(map(ip_address, ("169.254.169.254", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# All that was ever given out for public use. What ipaddress makes of the rest hangs on the release of Python:
# site-local addresses, translated ones and NAT64 as each network likes it (RFC 8215) were once called global.
_GIVEN_OUT = IPv6Network("2000::/3")
# Within it, and in IPv4, by IANA's registries of special-purpose addresses: for protocols (RFC 6890, RFC 2928), relays
# of 6to4 (RFC 7526), documentation (RFC 3849, RFC 9637). Some single ones are in use, none by a receiver of messages.
_UNUSED = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")))


class Refusal(StrEnum):
    """Why an address is not connected to."""

    LOOPBACK = "loopback"
    METADATA = "cloud metadata"
    LINK_LOCAL = "link-local"
    PRIVATE = "private or reserved"
    MULTICAST = "multicast"


def refusal(host: str, addresses: Sequence[str], allowed: Collection[str]) -> tuple[str, Refusal] | None:
    """The first address of `host` that must not be reached, and why; None when all may be.

    One bad address among good ones refuses the host: a name that resolves to both is an attempt to slip through.

    Args:
        host: name or address as written in the settings.
        addresses: what it resolves to, as numbers.
        allowed: hosts and addresses that the settings name as fine although they are private.
    """
    names = {_plain(name) for name in allowed}
    if _plain(host) in names:
        return None
    for address in addresses:
        why = _why(ip_address(address.partition("%")[0]))
        if why is not None and _plain(address) not in names:
            return address, why
    return None


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _why(address: IPv4Address | IPv6Address) -> Refusal | None:
    if address in _METADATA:
        return Refusal.METADATA
    if address.is_loopback or address.is_unspecified:
        return Refusal.LOOPBACK
    if isinstance(address, IPv6Address):
        inner = _inside(address)
        if inner is not None and (why := _why(inner)) is not None:
            return why
        if address.ipv4_mapped is not None or address in _NAT64:
            return None
    if address.is_link_local:
        return Refusal.LINK_LOCAL
    if address.is_multicast:
        return Refusal.MULTICAST
    if isinstance(address, IPv6Address) and address not in _GIVEN_OUT:
        return Refusal.PRIVATE
    if any(address in network for network in _UNUSED):
        return Refusal.PRIVATE
    return None if address.is_global else Refusal.PRIVATE


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address carries and would be routed to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
