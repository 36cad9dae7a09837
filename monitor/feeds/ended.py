"""What has ended and waits to be taken, weighed.

takes  names as they end, each with its weight
gives  them back, first come first, in portions of bounded weight; word of when there is enough, or room
never  looks at what is still under way: two thousand checks cost no more each than two
"""

from __future__ import annotations

import asyncio
from math import inf


class Ended:
    """Names with weights. Belongs to one event loop; one taker, many that wait for room."""

    def __init__(self) -> None:
        self._weights: dict[str, int] = {}
        self._weight = 0
        # What the taker waits for: so much weight, or so many names.
        self._enough: tuple[float, float] = (inf, inf)
        self._came = asyncio.Event()
        self._gone = asyncio.Event()

    def add(self, name: str, weight: int) -> None:
        """Note that this one has ended."""
        self._weights[name] = weight
        self._weight += weight
        if self._is_enough():
            self._came.set()

    def drop(self, name: str) -> None:
        """Forget this one, if it is there: somebody else took it."""
        self._weight -= self._weights.pop(name, 0)
        self._gone.set()

    def take(self, most: int) -> set[str]:
        """The first to end, up to this weight together; at least one, where there is any."""
        names: set[str] = set()
        weight = 0
        for name, more in self._weights.items():
            if names and weight + more > most:
                break
            names.add(name)
            weight += more
        for name in names:
            self.drop(name)
        return names

    async def gather(self, weight: float, until: float, names: float = inf) -> None:
        """Wait until there is so much weight, or so many names, or it is `until` by the loop's clock."""
        self._enough = (weight, names)
        try:
            async with asyncio.timeout_at(until):
                while not self._is_enough():
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return
        finally:
            self._enough = (inf, inf)

    async def room(self, most: int) -> None:
        """Wait until less than this weight waits to be taken."""
        while self._weight >= most:
            self._gone.clear()
            await self._gone.wait()

    def _is_enough(self) -> bool:
        weight, names = self._enough
        return self._weight >= weight or len(self._weights) >= names
