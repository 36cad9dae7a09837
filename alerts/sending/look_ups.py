"""Names that the system is asked for, and calls without a limit of their own, on threads that nobody has to wait for.

takes  a host and a port, or any question that may hang as a name server does
gives  the answer as a future, or within so many seconds
never  lets what hangs hold up a channel beyond its limit, another channel, or the end of the process
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

T = TypeVar("T")

# A question outlasts the attempt that gave it up, for a minute or two; a silent name server must not cost a thread for
# each attempt of a day.
_MOST = 8


class Errands:
    """Questions on threads of their own. Belongs to one channel. Safe for many threads.

    Args:
        most: questions that are asked at once.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._places = threading.Semaphore(most)

    def begin(self, question: Callable[[], T]) -> Future[T]:
        """What will come of the question; a TimeoutError at once while too many others have no answer yet."""
        answer: Future[T] = Future()
        if not self._places.acquire(blocking=False):
            answer.set_exception(TimeoutError("earlier questions to the system are still without an answer"))
            return answer
        thread = threading.Thread(target=self._ask, args=(question, answer), name="errand", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # there is no thread to be had now
            self._places.release()
            answer.set_exception(OSError(str(error)))
        return answer

    def _ask(self, question: Callable[[], T], answer: Future[T]) -> None:
        if not answer.set_running_or_notify_cancel():
            self._places.release()
            return
        try:
            found = question()
        except Exception as error:  # carried to whoever waits
            self._places.release()
            answer.set_exception(error)
        else:
            # Before the answer: whoever has it may ask the next at once.
            self._places.release()
            answer.set_result(found)


class LookUps(Errands):
    """Names of hosts, asked for."""

    def addresses(self, host: str, port: int | None) -> Future[list[str]]:
        """The addresses of a host in the system's order, each once; OSError or UnicodeError as by `getaddrinfo`."""
        return self.begin(partial(_addresses, host, port))

    def addresses_within(self, host: str, port: int | None, seconds: float) -> list[str]:
        """The same, waited for.

        Raises:
            TimeoutError: when the system does not answer in time; also what `addresses` tells of.
        """
        return self.addresses(host, port).result(max(0.0, seconds))


def _addresses(host: str, port: int | None) -> list[str]:
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))
