"""To whom a mail goes, and from whom: a name for people, and a mailbox for servers.

takes  one address as the settings write it
gives  `Mailbox`, or in words why it is none
never  takes a part of a name for the mailbox: what comes before "<" is a name, whatever stands in it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.headerregistry import Address
from typing import Self

_SPOT = r"[^\s<>@,;:\"\\()]+@[^\s<>@,;:\"\\()]+"
_ALONE = re.compile(_SPOT)
# No second address in the name: "ann@example.com, Bo <bo@example.com>" are two, and one of them would hear nothing.
_NAMED = re.compile(rf"([^<>@]*)<({_SPOT})>")
# RFC 5321, 4.5.3.1: a path has 256 with its brackets.
_LONGEST, _LONGEST_SPOT = 254, 64
_QUOTED = re.compile(r'"(.*)"')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One recipient or sender.

    Attributes:
        name: for people, in any script; empty when there is none.
        address: "name@example.com", in ASCII, as it is told to the mail server.
    """

    name: str
    address: str

    @classmethod
    def of(cls, text: str) -> Self:
        """The mailbox that `name@example.com`, `Name <name@example.com>` or `"Name" <name@example.com>` means.

        Raises:
            ValueError: when it is none, or one that mail servers would each read in their own way.
        """
        named = _NAMED.fullmatch(text)
        if not text.isprintable() or (named is None and not _ALONE.fullmatch(text)):
            raise ValueError('is no mail address; write "name@example.com" or "Name <name@example.com>"')
        name, address = named.groups() if named is not None else ("", text)
        if not address.isascii():
            # Two readings of such letters are in use, and they lead to different domains: "ß" is one of them.
            raise ValueError('has letters beyond ASCII around the "@"; write the domain in its "xn--" form')
        if len(address) > _LONGEST or len(address.rpartition("@")[0]) > _LONGEST_SPOT:
            raise ValueError(
                f'is longer than mail servers take: {_LONGEST_SPOT} characters before the "@", {_LONGEST} in all'
            )
        return cls(_plain(name), address)

    def __str__(self) -> str:
        """As settings show it: the name in its own letters, in quotes where a reader of headers would need them."""
        return str(self.header)

    @property
    def domain(self) -> str:
        """What stands behind the "@"."""
        return self.address.rpartition("@")[2]

    @property
    def header(self) -> Address:
        """The same for a mail's header, which quotes or encodes the name where it must."""
        spot, _, domain = self.address.rpartition("@")
        return Address(self.name, spot, domain)


def _plain(name: str) -> str:
    """The name without the quotes that a header would want around it."""
    name = " ".join(name.split())
    if quoted := _QUOTED.fullmatch(name):
        name = _ESCAPED.sub(r"\1", quoted[1])
    return name.strip()
