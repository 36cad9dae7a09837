"""Whether anything can be reached at all, or our own way to the world is broken.

takes  which sites answered, and which could not be reached, one after the other
gives  whether it is our own network, or its name server, that fails
never  asks anybody in order to find out
"""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.feeds.feed import Outcome

# What a dead server looks like from here, and what every server looks like without a network.
UNREACHED = frozenset({Outcome.NO_SUCH_HOST, Outcome.UNREACHABLE, Outcome.TIMEOUT})
# So many sites do not die one after the other, without any other that answers between them or shortly before.
_SITES = 3
_SHORTLY = timedelta(minutes=10)


class Reach:
    """What was reached last. A feed that is left alone for hours, because our own network was away, is not heard when
    the network is back: so its failures do not count then."""

    def __init__(self) -> None:
        self._missed: set[str] = set()
        self._answered: datetime | None = None

    def answered(self, now: datetime) -> None:
        """Some site answered, well or not."""
        self._missed.clear()
        self._answered = now

    def missed(self, site: str) -> None:
        """This site could not be reached."""
        if len(self._missed) < _SITES:
            self._missed.add(site)

    def lost(self, now: datetime) -> bool:
        """Whether nothing can be reached."""
        long_ago = self._answered is None or now - self._answered >= _SHORTLY
        return long_ago and len(self._missed) >= _SITES
