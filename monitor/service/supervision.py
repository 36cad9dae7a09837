"""Which stage is late.

takes  when each stage began, got on, and ended, in seconds of a monotonic clock
gives  `Late` stages by name, and whether the service as a whole gets on
never  runs, stops or judges the outcome of a stage: one that fails in time is not late
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Lateness(StrEnum):
    """How a stage is late."""

    STUCK = "stuck"  # a run goes on, and nothing comes of it
    MISSED = "missed"  # its turn came, and nobody ran it


@dataclass(frozen=True, slots=True)
class Allowance:
    """How long a stage may take.

    Attributes:
        every: seconds between its turns.
        patience: seconds that a run may go on without getting on; also how late a turn may begin.
        vital: whether the service is of no use while this stage is late.

    Raises:
        ValueError: when one of them is not longer than zero.
    """

    every: float
    patience: float
    vital: bool = False

    def __post_init__(self) -> None:
        if not (self.every > 0 and self.patience > 0):
            raise ValueError(f"an allowance must be longer than zero, not {self.every}, {self.patience}")


@dataclass(frozen=True, slots=True)
class Late:
    """A stage that is late.

    Attributes:
        seconds: since it last got on, or since its turn came.
        allowed: how many it may take.
    """

    stage: str
    lateness: Lateness
    seconds: float
    allowed: float
    vital: bool

    @property
    def words(self) -> str:
        """For people: what is late, by how much, and what to look at."""
        if self.lateness is Lateness.MISSED:
            return f"late: its turn came {self.seconds:.0f} s ago, and it has not begun; the machine may be overloaded"
        return (
            f"late: at work for {self.seconds:.0f} s without getting on, where {self.allowed:.0f} s are allowed; "
            f"look at {_CAUSES.get(self.stage.partition(':')[0], 'the load of the machine and the speed of its disk')}"
        )


_CAUSES = {
    "deliver": "the channel's server; other channels are not held up",
    "score": "the device that runs the model; headlines wait unscored meanwhile",
    "heartbeat": "the heartbeat's server; alerts are not held up",
}


@dataclass(frozen=True, slots=True)
class _Run:
    """What is known of a stage: since when it runs (None between runs), and when it last got on."""

    allowance: Allowance
    began: float | None
    moved: float


class Supervisor:
    """Watches the stages of one daemon. Safe for many threads.

    Args:
        clock: seconds that only grow.
        progress: called, on any thread, whenever a stage got on while no vital stage is late: what a watchdog is fed.
    """

    def __init__(self, clock: Callable[[], float], progress: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._progress = progress
        self._runs: dict[str, _Run] = {}
        self._lock = threading.Lock()

    def expect(self, allowances: Mapping[str, Allowance]) -> None:
        """Watch these stages from now on, and no others; a run that is under way goes on."""
        at = self._clock()
        with self._lock:
            before = self._runs
            self._runs = {
                name: replace(before[name], allowance=allowance) if name in before else _Run(allowance, None, at)
                for name, allowance in allowances.items()
            }

    def began(self, stage: str) -> None:
        """A run of this stage began."""
        self._note(stage, began=True)

    def moved(self, stage: str) -> None:
        """Something came of the run of this stage."""
        self._note(stage, began=None)
        self._feed()

    def ended(self, stage: str) -> None:
        """The run of this stage ended, well or not."""
        self._note(stage, began=False)
        self._feed()

    def late(self) -> tuple[Late, ...]:
        """Every stage that is late now, by name."""
        at = self._clock()
        with self._lock:
            runs = sorted(self._runs.items())
        return tuple(found for name, run in runs if (found := _late(name, run, at)) is not None)

    def _note(self, stage: str, *, began: bool | None) -> None:
        at = self._clock()
        with self._lock:
            if (run := self._runs.get(stage)) is None:
                return
            since = run.began if began is None else (at if began else None)
            self._runs[stage] = replace(run, began=since, moved=at)

    def _feed(self) -> None:
        if not any(one.vital for one in self.late()):
            self._progress()


def _late(name: str, run: _Run, at: float) -> Late | None:
    allowance, still = run.allowance, at - run.moved
    if run.began is not None:
        if still <= allowance.patience:
            return None
        return Late(name, Lateness.STUCK, at - run.moved, allowance.patience, allowance.vital)
    overdue = still - allowance.every
    if overdue <= allowance.patience:
        return None
    return Late(name, Lateness.MISSED, overdue, allowance.patience, allowance.vital)
