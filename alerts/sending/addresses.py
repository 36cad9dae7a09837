"""Which network addresses messages may be sent to.

takes  a host as the settings name it, and the addresses that it resolves to
gives  the reason why it is refused, or nothing when it is not
never  resolves or connects: the caller connects to exactly the addresses that were looked at
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import ip_address

from alerts.sending.special_addresses import Refusal, verdict


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
        why = verdict(ip_address(address.partition("%")[0]))
        if why is not None and _plain(address) not in names:
            return address, why
    return None


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
