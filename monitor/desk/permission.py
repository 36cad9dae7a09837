"""Who may act through a page: decided by whoever holds the store, not by the page that asks.

takes  a request's body, the addresses that may act, and whether the dashboard is reachable from elsewhere
gives  why the request is refused, in words; actions that refuse by themselves
never  trusts that a page hid its buttons

A page names its visitor under `visitor` in every request: the signed-in mail address, or "" where no login is set up.
A command of the store's owner names nobody: it holds the token, and the file beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase

from monitor.errors import InputUnusable

VISITOR = "visitor"
LOOKING = frozenset({"access", "settings", "watched", "model", "odd_words", "explain", "pulse"})

Act = Callable[[dict[str, object]], object]


def objection(visitor: str, may_act: Collection[str], *, exposed: bool) -> str:
    """Why this visitor of the dashboard may only look; "" when they may act.

    Args:
        visitor: the address that a login vouches for; "" when there is no login.
        may_act: addresses, in which `*` stands for any part.
        exposed: whether the dashboard listens beyond loopback.
    """
    if not visitor:
        if may_act:
            return "only people named under dashboard.may_act may act, and nobody is signed in"
        if exposed:
            return "the dashboard listens beyond this machine without a login, so it may only look"
        return ""
    told = visitor.strip().lower()
    if any(fnmatchcase(told, pattern.strip().lower()) for pattern in may_act):
        return ""
    return f"the login {visitor} may only look: dashboard.may_act in the settings names who may act"


def guarded(actions: Mapping[str, Act], may_act: Collection[str], *, exposed: bool) -> dict[str, Act]:
    """The same actions, each refusing visitors who may only look; what only looks is open to all.

    Raises, when called:
        InputUnusable: with the objection.
    """

    def behind(name: str, act: Act) -> Act:
        def asked(body: dict[str, object]) -> object:
            rest = {key: value for key, value in body.items() if key != VISITOR}
            if (
                VISITOR in body
                and name not in LOOKING
                and (words := objection(str(body[VISITOR]), may_act, exposed=exposed))
            ):
                raise InputUnusable(words)
            return act(body if name == "access" else rest)

        return asked

    return {name: behind(name, act) for name, act in actions.items()}


def access(body: Mapping[str, object], may_act: Collection[str], *, exposed: bool) -> dict[str, object]:
    """What the `visitor` of a body may do: {"acts": bool, "reason": str}."""
    words = objection(str(body.get(VISITOR, "")), may_act, exposed=exposed)
    return {"acts": not words, "reason": words}
