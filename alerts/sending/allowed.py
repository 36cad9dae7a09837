"""What settings may name as an exception to the refusal of private addresses.

takes  one entry of an `allow_private_addresses`
gives  the entry, or what it must be instead
never  repeats the entry: where a channel is set up it may be a secret in the wrong place
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

# Letters of any language: a name may be written as people write it.
_NAME = re.compile(r"(?=.{1,253}$)(?!-)[\w-]{1,63}(?<!-)(\.(?!-)[\w-]{1,63}(?<!-))*")
_LAST_NUMBER = re.compile(r"(^|\.)[0-9]+$")
_PORT = re.compile(r"^[^:]+:[0-9]+$")


def objection(text: str, *, networks: bool) -> str:
    """Why an entry names nothing that could be allowed; empty when it does.

    Args:
        text: the entry.
        networks: whether a network may be named, and not only a host or an address.
    """
    such_as = "news.intranet.example, 10.20.0.5" + (" or 10.20.0.0/16" if networks else "")
    if "://" in text or _PORT.match(text):
        return f"must be a host alone, without http://, path and port, such as {such_as}"
    if "*" in text:
        wider = " or their network, such as 10.20.0.0/16" if networks else ""
        return f"knows no wildcards: name each host by itself{wider}"
    if "/" in text:
        return _of_network(text) if networks else f"must be one host or address, and no network, such as {such_as}"
    if _is_address(text) or (_NAME.fullmatch(text.removesuffix(".")) and not _LAST_NUMBER.search(text)):
        return ""
    return (
        f"must be the name of a host{', an address or a network' if networks else ' or an address'}, such as {such_as}"
    )


def _of_network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        pass
    else:
        return ""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "is no network: write its first address and the bits that it has in common, such as 10.20.0.0/16"
    return f"is an address within a network: write {network} for all of it, or the address alone"


def _is_address(text: str) -> bool:
    try:
        # Whatever link it is reached by: a scope such as %eth0 is never compared.
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _place(text: str) -> str:
    if words := objection(text, networks=True):
        raise ValueError(words)
    return text


def _host(text: str) -> str:
    if words := objection(text.strip("[]"), networks=False):
        raise ValueError(words)
    return text


PrivatePlace = Annotated[str, AfterValidator(_place)]
PrivateHost = Annotated[str, AfterValidator(_host)]
