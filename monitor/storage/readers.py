"""Waiting until readers of the store are through.

takes  each end of a read, and the request to stop
gives  a wait that ends with either
never  knows who reads, or what

The engine folds no log while somebody reads who began before a row was last changed: he still sees the row as it was.
"""

from __future__ import annotations

import threading
import time

from monitor.errors import StoreBusy

_LOOK = 1.0  # seconds after which it is tried again, should no reader have said that it is through


class Readers:
    """Where whoever folds the log waits for those who read.

    Attributes:
        stopping: whether nobody should wait any more, because the process is about to end.
    """

    def __init__(self, path: str) -> None:
        self.stopping = False
        self._path = path
        self._change = threading.Condition()

    def through(self) -> None:
        """Say that a reader is through."""
        with self._change:
            self._change.notify_all()

    def stop(self) -> None:
        """Let nobody wait any more."""
        with self._change:
            self.stopping = True
            self._change.notify_all()

    def wait(self, deadline: float) -> None:
        """Wait until a reader is through, or for a moment, whichever comes first.

        Args:
            deadline: of `time.monotonic`.

        Raises:
            StoreBusy: when it is past, or the process is about to end.
        """
        left = deadline - time.monotonic()
        with self._change:
            if self.stopping:
                raise StoreBusy(stops(self._path))
            if left > 0:
                self._change.wait(min(left, _LOOK))
                return
        raise StoreBusy(
            f"somebody reads the store {self._path} at length, so its log cannot be folded into the file now: try "
            "again when they are through"
        )


def stops(path: str) -> str:
    """Why a store is not copied when squall is asked to end."""
    return f"squall stops, so the store {path} is not copied: try again when it runs"
