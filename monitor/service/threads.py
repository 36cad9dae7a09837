"""A thread for each stage.

takes  blocking work of a stage
gives  its result to the event loop
never  lets a stage that hangs take the thread of another: a shared pool fills up with what hangs
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """One thread by name, begun when it is first needed. Belongs to one event loop."""

    def __init__(self) -> None:
        self._pools: dict[str, ThreadPoolExecutor] = {}

    async def run(self, name: str, work: Callable[[], T]) -> T:
        """Do it on the thread of this name, after what is in hand there."""
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = ThreadPoolExecutor(1, thread_name_prefix=name)
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def keep(self, names: Collection[str]) -> None:
        """Let all others go, each when it has done what it has in hand."""
        for name in self._pools.keys() - set(names):
            self._pools.pop(name).shutdown(wait=False)

    def close(self) -> None:
        """Let all go."""
        self.keep(())
