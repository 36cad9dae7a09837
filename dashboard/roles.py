"""Who looks at a page, and whether they may act: a login where there is one, else whoever sits at this machine.

takes  what Streamlit knows of the visitor (`st.user`), and the address that the server listens on
gives  `Visitor`: a role with its reason
never  decides alone: the daemon checks every request again, by its own settings (`monitor.desk.permission`)
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import streamlit as st

_LOOPBACK = ("", "127.0.0.1", "localhost", "::1")


class Role(StrEnum):
    """What a visitor may do."""

    OUTSIDE = "outside"  # must sign in first
    LOOKS = "looks"
    ACTS = "acts"  # unless the daemon objects


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks.

    Attributes:
        address: the mail address that the login vouches for; "" without a login.
        reason: why they may only look; "" when they may act.

    Raises:
        ValueError: on somebody who may only look and is not told why.
    """

    role: Role
    address: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.role is Role.LOOKS and not self.reason:
            raise ValueError("who may only look should know why")

    @property
    def name(self) -> str:
        """What stands beside their words: the address, else the name of the machine's user."""
        return self.address or _login_name()


AT_THIS_MACHINE = Visitor(Role.ACTS)


def visitor(user: Mapping[str, object], host: str) -> Visitor:
    """The visitor that `user` describes.

    Args:
        user: claims of the login, `is_logged_in` among them wherever a login is set up; empty without one.
        host: address that the server listens on; "" is every one, but only when it was left out altogether.
    """
    if "is_logged_in" not in user:
        if host in _LOOPBACK:
            return AT_THIS_MACHINE
        return Visitor(Role.LOOKS, reason="This page can be reached from other machines, and nobody has to sign in.")
    if user["is_logged_in"] is not True:
        return Visitor(Role.OUTSIDE)
    address = user.get("email")
    if not isinstance(address, str) or "@" not in address or user.get("email_verified") is False:
        return Visitor(Role.LOOKS, reason="Your login vouches for no mail address, so nobody knows who you are.")
    return Visitor(Role.ACTS, address.strip().lower())


def here() -> Visitor:
    """The visitor of this page."""
    return visitor(st.user.to_dict(), str(st.get_option("server.address") or ""))


def sign_in() -> None:
    """The page for somebody who has not signed in."""
    st.title("Squall", anchor=False)
    st.markdown("This monitor is for people who sign in.")
    st.button("Sign in", icon=":material/login:", type="primary", on_click=st.login)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"  # a container may run without a name for its user
