"""Which worker of a cluster has which parts in hand.

takes  parts; who is ready, who has done a part, who is lost
gives  the parts that a worker is to have now
never  gives a part into two hands at a time, and never forgets one whose worker is lost
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from monitor.archives.parts import Part

# One that a worker scores, and the next, so that it never waits for whoever hands out.
_MOST = 2
# So many workers more than there are may be lost without a part being done between, before it is given up.
_PATIENCE = 3


class Hands:
    """The parts of a run, on their way through the hands of workers, who bear numbers.

    Args:
        workers: how many there will be at first; there may be more later.
    """

    def __init__(self, parts: Sequence[Part], workers: int) -> None:
        self._waiting = deque(parts)
        self._held: dict[int, list[Part]] = {}
        self._lost, self._most = 0, workers

    @property
    def empty(self) -> bool:
        """Whether every part is done."""
        return not self._waiting and not any(self._held.values())

    @property
    def waiting(self) -> int:
        """How many parts are in nobody's hands."""
        return len(self._waiting)

    @property
    def idle(self) -> list[int]:
        """The workers who had parts in hand and have none now."""
        return [worker for worker, held in self._held.items() if not held]

    def filled(self, worker: int) -> list[Part]:
        """What a worker is to have in hand from now on, beside what it has; it is done in this order."""
        held = self._held.setdefault(worker, [])
        self._most = max(self._most, len(self._held))
        given = [self._waiting.popleft() for _ in range(min(_MOST - len(held), len(self._waiting)))]
        held.extend(given)
        return given

    def done(self, worker: int, part: Part) -> None:
        """A worker has done a part that it had in hand."""
        self._held[worker].remove(part)
        self._lost = 0

    def lost(self, worker: int) -> str:
        """What a worker had in hand is for others, when they have done all else: it may be what ended the worker.

        Returns:
            Why it is of no use to go on, or nothing.
        """
        held = self._held.pop(worker, [])
        self._waiting.extend(held)
        self._lost += 1
        if self._lost < self._most + _PATIENCE or not self.waiting:
            return ""
        part = (held or self._waiting)[0]
        return f"{self._lost} workers died and no part was done between; next was {part.name} of {part.source}"
