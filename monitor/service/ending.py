"""Waits that the daemon's end cuts short.

takes  what is waited for, and the end: as an event that is set when it comes, or as the seconds that are left
gives  what came of it, or word that the end came first
never  lets anybody wait past the end
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from monitor.errors import ServiceError
from monitor.service.threads import Threads


async def unless_ended(work: Coroutine[Any, Any, None], end: asyncio.Event) -> None:
    """Wait for the work of a reload, but not past the end: who asked for the reload would wait with it.

    Raises:
        ServiceError: when the end came first; the work is cancelled then. Also what the work itself raises.
    """
    working, ended = asyncio.ensure_future(work), asyncio.ensure_future(end.wait())
    try:
        await asyncio.wait((working, ended), return_when=asyncio.FIRST_COMPLETED)
        if end.is_set():
            raise ServiceError("nothing was changed: squall stops, and reads its settings at the next start")
        await working
    finally:
        working.cancel()
        ended.cancel()


async def all_quiet(threads: Threads, ending: Mapping[str, Callable[[], bool | None]], seconds: float) -> bool:
    """Whether all of these ended in time, each on its thread, and none says that somebody still waits for it."""
    begun = [asyncio.ensure_future(threads.run(name, end)) for name, end in ending.items()]
    done, late = await asyncio.wait(begun, timeout=seconds)
    return not late and all(one.result() is not False for one in done)
