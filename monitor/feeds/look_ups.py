"""Names that the system is asked for, each on a thread that nobody waits for.

takes  a host and a port
gives  what the system says of them
never  lets a name server that is silent hold up another name, or the end of the process

The event loop's own threads are six on a machine of two cores: so many silent name servers would keep all other feeds
from being asked, and the loop waits for each of its threads before it ends.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

# As `socket.getaddrinfo` gives them: the last part of each is the address, with the host first.
Answers = Sequence[tuple[object, object, object, object, tuple[object, ...]]]


class LookUps:
    """Belongs to one event loop.

    Args:
        most: names asked for at once. A look-up may outlast the check that gave it up, so it is more than checks.
    """

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)

    async def ask(self, host: str, port: int) -> Answers:
        """What the system says of a host.

        Raises:
            OSError, UnicodeError: as `socket.getaddrinfo` does.
        """
        await self._places.acquire()
        loop, found = asyncio.get_running_loop(), Future[Answers]()

        def ended(_: object) -> None:
            with suppress(RuntimeError):  # the loop ended before the name server answered
                loop.call_soon_threadsafe(self._places.release)

        found.add_done_callback(ended)
        thread = threading.Thread(target=_look_up, args=(host, port, found), name="look-up", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # there is no thread to be had now
            found.set_exception(OSError(str(error)))
        return await asyncio.wrap_future(found)


def _look_up(host: str, port: int, found: Future[Answers]) -> None:
    if not found.set_running_or_notify_cancel():
        return
    try:
        found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except Exception as error:  # carried to whoever waits
        found.set_exception(error)
