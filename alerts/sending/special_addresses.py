"""Which addresses of the internet nobody outside may make us connect to: one table, for feeds and for receivers.

takes  an address
gives  why it is refused, or nothing when it is not
never  resolves or connects, and knows no exceptions: who asks knows what the settings allow
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Cloud platforms answer with credentials on these; all but Azure's lie in ranges that are refused anyway.
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
# Behind a carrier's address translation (RFC 6598) lie routers and other customers.
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
# What ipaddress makes of these hangs on the release of Python. Site-local addresses (RFC 3879), and translation as
# each network likes it (RFC 8215): where in them an IPv4 address stands, only their own network knows.
_LOCAL = tuple(map(ipaddress.IPv6Network, ("fec0::/10", "64:ff9b:1::/48")))
# An IPv4 address stands in the last 32 bits: NAT64 (RFC 6052); translated (RFC 2765) and compatible (RFC 4291), which
# nobody uses any more, but a system might still heed.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_CARRYING = (_NAT64, *map(ipaddress.IPv6Network, ("::ffff:0:0:0/96", "::/96")))
# All that was ever given out to anybody for public use.
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
# Within what was given out, by IANA's registries of special-purpose addresses: for protocols (RFC 6890, RFC 2928),
# relays of 6to4 (RFC 7526), documentation (RFC 3849, RFC 9637). Some single ones are in use, none by a publisher or a
# receiver of messages.
_UNUSED = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20"))
)


class Refusal(StrEnum):
    """Why an address is not connected to."""

    METADATA = "a cloud metadata address"
    LOOPBACK = "a loopback address"
    LINK_LOCAL = "a link-local address"
    PRIVATE = "a private address"
    MULTICAST = "a multicast address"
    SHARED = "a carrier's shared address"
    RESERVED = "a reserved address"


def verdict(address: Address) -> Refusal | None:
    """Why `address` must not be connected to; None when it may.

    IPv6 addresses that carry an IPv4 address (mapped, translated, compatible, 6to4, Teredo, NAT64) are judged by what
    they carry too.
    """
    if address in _METADATA:
        return Refusal.METADATA
    # Nobody's address is connected to as this machine's own.
    if address.is_loopback or address.is_unspecified:
        return Refusal.LOOPBACK
    if isinstance(address, ipaddress.IPv6Address):
        carried = filter(None, map(verdict, _carried(address)))
        if (reason := next(carried, None)) is not None:
            return reason
        if address.ipv4_mapped is not None or address in _NAT64:
            return None
    if address.is_link_local:
        return Refusal.LINK_LOCAL
    if address.is_multicast:
        return Refusal.MULTICAST
    return _withheld(address)


def _withheld(address: Address) -> Refusal | None:
    """Why nobody can have been given this address in public; None when somebody can."""
    if isinstance(address, ipaddress.IPv4Address) and address in _SHARED:
        return Refusal.SHARED
    if any(address in network for network in _LOCAL):
        return Refusal.PRIVATE
    if address.is_private:
        return Refusal.PRIVATE
    if isinstance(address, ipaddress.IPv6Address) and address not in _GIVEN_OUT:
        return Refusal.RESERVED
    if any(address in network for network in _UNUSED):
        return Refusal.RESERVED
    return None if address.is_global else Refusal.RESERVED


def _carried(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _CARRYING):
        carried.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [inner for inner in carried if inner is not None]
