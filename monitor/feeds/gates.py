"""Waiting for one's turn to ask a site.

takes  limits: requests at once, on one site, and the pause between two of them
gives  a `Turn`, which is held while the answer is read
never  lets two requests to one site begin closer together than the pause, whatever feeds they are for
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType

from monitor.feeds.politeness import Spacing, site_of

# Waits until there is room for what an answer may bring.
Room = Callable[[], Awaitable[None]]


class SiteHeld(Exception):
    """The site asked to be left alone while we waited for our turn."""


class Gate:
    """The turns of one poller; belongs to one event loop.

    Args:
        at_once: requests under way at once, over all sites.
        per_site: of these, on one registrable domain.
        spacing_seconds: between the beginnings of two requests to one registrable domain.
    """

    def __init__(self, at_once: int, per_site: int, spacing_seconds: float) -> None:
        self._everywhere = asyncio.Semaphore(at_once)
        self._per_site = per_site
        self._sites: dict[str, asyncio.Semaphore] = {}
        self._interested: Counter[str] = Counter()
        self._spacing = Spacing(spacing_seconds)
        self._held: dict[str, float] = {}

    def hold(self, url: str, seconds: float) -> None:
        """Give nobody a turn at the site of this address for so long."""
        now = asyncio.get_running_loop().time()
        self._held = {site: until for site, until in self._held.items() if until > now}
        self._held[site_of(url)] = now + seconds

    def turn(self, url: str, room: Room | None = None) -> Turn:
        """A turn to ask the site of this address, which is still to be waited for.

        Args:
            room: waited for with a place in hand, so that no more than these come when there is some.
        """
        return Turn(self, site_of(url), room)

    def places(self, site: str) -> tuple[asyncio.Semaphore, asyncio.Semaphore]:
        """The places that a turn takes, one after the other; `forget` when they are given back."""
        self._interested[site] += 1
        # The site first: who waits for a busy site must not hold a place that another site could use.
        return self._sites.setdefault(site, asyncio.Semaphore(self._per_site)), self._everywhere

    def forget(self, site: str) -> None:
        """One less has to do with this site. Redirects may lead anywhere: nobody's site is remembered."""
        self._interested[site] -= 1
        if not self._interested[site]:
            del self._interested[site], self._sites[site]

    def pause(self, site: str) -> float:
        """Seconds until the next request to the site may begin; it is taken from then on."""
        now = asyncio.get_running_loop().time()
        return self._spacing.reserve(site, now) - now

    def demand_free(self, site: str) -> None:
        """Raise `SiteHeld` while the site is held."""
        if self._held.get(site, 0.0) > asyncio.get_running_loop().time():
            raise SiteHeld(site)


class Turn:
    """A turn: waited for when it is entered, or before that with `wait`; given back at its exit.

    Thousands may wait at once, so it is small.
    """

    __slots__ = ("_gate", "_places", "_room", "_site")

    def __init__(self, gate: Gate, site: str, room: Room | None) -> None:
        self._gate, self._site, self._room = gate, site, room
        # Those that are held, and have to be given back.
        self._places: tuple[asyncio.Semaphore, ...] | None = None

    async def wait(self) -> None:
        """Wait until the site may be asked.

        Raises:
            SiteHeld: when the site is held at the end of the wait.
        """
        place, everywhere = self._gate.places(self._site)
        self._places = ()
        try:
            await place.acquire()
            self._places = (place,)
            await everywhere.acquire()
            self._places = (everywhere, place)
            if self._room is not None:
                await self._room()
            if (pause := self._gate.pause(self._site)) > 0:
                await asyncio.sleep(pause)
            self._gate.demand_free(self._site)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Give it back; a second time does nothing."""
        places, self._places = self._places, None
        if places is not None:
            for each in places:
                each.release()
            self._gate.forget(self._site)

    async def __aenter__(self) -> None:
        if self._places is None:
            await self.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.end()
