"""Work beside the page, in a thread of its own.

takes  nothing
gives  `Beside`: whether it runs, waiting for it, asking it to end
never  interrupts: what runs looks now and then whether it was stopped
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Beside:
    """Work that is under way or over. Whoever does it looks at `stopped`, and calls `end` whatever came of it."""

    _stopped: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return not self._over.is_set()

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ask it to end: nobody waits for what comes of it. It does with its next look."""
        self._stopped.set()

    def stopped_within(self, seconds: float) -> bool:
        """Rest so long; whether somebody stopped it by then."""
        return self._stopped.wait(seconds)

    def end(self) -> None:
        """It is over."""
        self._over.set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is over; whether it is."""
        return self._over.wait(seconds)
