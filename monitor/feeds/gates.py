"""Waiting for one's turn to ask a site.

takes  limits: requests at once, on one site, and the pause between two of them
gives  a turn, as a context manager that is held while the answer is read
never  lets two requests to one site begin closer together than the pause, whatever feeds they are for
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

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

    @asynccontextmanager
    async def turn(self, url: str, room: Room | None = None) -> AsyncIterator[None]:
        """Wait until the site of this address may be asked.

        Args:
            room: waited for with a place in hand, so that no more than these come when there is some.

        Raises:
            SiteHeld: when the site is held at the end of the wait.
        """
        site = site_of(url)
        self._interested[site] += 1
        place = self._sites.setdefault(site, asyncio.Semaphore(self._per_site))
        try:
            # The site first: who waits for a busy site must not hold a place that another site could use.
            async with place, self._everywhere:
                if room is not None:
                    await room()
                clock = asyncio.get_running_loop().time
                pause = self._spacing.reserve(site, clock()) - clock()
                if pause > 0:
                    await asyncio.sleep(pause)
                if self._held.get(site, 0.0) > clock():
                    raise SiteHeld(site)
                yield
        finally:
            self._interested[site] -= 1
            if not self._interested[site]:
                # Redirects may lead anywhere: nobody's site is remembered.
                del self._interested[site], self._sites[site]
