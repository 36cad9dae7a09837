"""Trying other rules on the last weeks, beside the page: in a thread that can be stopped.

takes  a reader, rules to compare, a moment
gives  `Trial`: how far it is, and what came of it
never  runs two at a time in one server: the next waits; and never outlasts its deadline
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alerts.rules import Rules
from dashboard import reads
from dashboard.beside import Beside
from monitor.backtesting.tuning import Tried, Weeks, tried
from monitor.errors import MonitorError

# Of the thread that a comparison runs in.
THREAD = "rule-trial"
_LOG = logging.getLogger(__name__)
_SECONDS_A_RUN = 20.0
# Detection takes a core: one visitor's trial at a time.
_FREE = threading.Semaphore(1)
# How long the next one waits: two sets of rules and reading. What is waited for often leaves little to be done.
_PATIENCE = 60.0
_GLANCE = 0.1


@dataclass(slots=True)
class Trial(Beside):
    """One comparison, under way or over.

    Attributes:
        done: the share that is done, 0 to 1.
        found: what each set of rules would have given, by name; filled while it runs, the last set first.
        fault: why it ended without an answer; "" while all is well.
    """

    rules: Mapping[str, Rules]
    done: float = 0.0
    found: dict[str, Tried] = field(default_factory=dict)
    fault: str = ""

    def run(self, reader: reads.Reader, weights: Mapping[str, float], until: datetime, days: int) -> None:
        """Do it; whatever goes wrong stands in `fault`."""
        try:
            if not self._turn():
                return
            try:
                self._compare(reader, weights, until, days)
            finally:
                _FREE.release()
        except MonitorError as error:
            self.fault = str(error)
        except Exception as error:
            _LOG.exception("a trial of rules failed")
            self.fault = f"the trial failed ({type(error).__name__}); the terminal of `squall dashboard` shows more"
        finally:
            self.end()

    def _turn(self) -> bool:
        """Wait until no other trial runs; whether this one may."""
        waited = time.monotonic() + _PATIENCE
        while not _FREE.acquire(timeout=_GLANCE):
            if self.stopped:
                return False
            if time.monotonic() > waited:
                self.fault = "other trials have kept this server busy for a minute: try again a little later"
                return False
        return True

    def _compare(self, reader: reads.Reader, weights: Mapping[str, float], until: datetime, days: int) -> None:
        widest = max(self.rules.values(), key=lambda one: (one.baseline_days, one.lookback))
        kept = _read(reader, weights, until, days, widest)
        # The last first: what today's rules give was mostly found by an earlier trial, or can wait.
        for place, (name, rules) in enumerate(reversed([*self.rules.items()])):
            if self.stopped:
                return

            def go_on(share: float, place: int = place) -> bool:
                self.done = (place + share) / len(self.rules)
                return not self.stopped

            told = rules.model_dump_json()
            if told not in kept.found:
                found = tried(kept.weeks, rules, weights, seconds=_SECONDS_A_RUN, go_on=go_on)
                if not found.whole or found.step_hours > 1:
                    self.found[name] = found
                    continue
                kept.found[told] = found
            self.found[name] = kept.found[told]


@dataclass(slots=True)
class _Kept:
    """The weeks of the last trial, and what rules gave on them: who turns one value after another waits for one run."""

    key: tuple[object, ...]
    weeks: Weeks
    found: dict[str, Tried] = field(default_factory=dict)


_LAST: list[_Kept] = []


def _read(reader: reads.Reader, weights: Mapping[str, float], until: datetime, days: int, widest: Rules) -> _Kept:
    """The weeks, read anew where the last trial's are others; only whoever holds `_FREE` may ask."""
    hour = until.replace(minute=0, second=0, microsecond=0)
    key = (reader, hour, days, widest.baseline_days, widest.lookback, widest.windows, tuple(sorted(weights.items())))
    if not _LAST or _LAST[0].key != key:
        _LAST[:] = [_Kept(key, Weeks(reader, until, days, widest))]
    return _LAST[0]


def begin(
    reader: reads.Reader, weights: Mapping[str, float], rules: Mapping[str, Rules], until: datetime, days: int
) -> Trial:
    """Begin a comparison in a thread of its own.

    Args:
        weights: of series, from the settings.
        rules: by the name that people see.
        until, days: the range, see `monitor.backtesting.tuning.Weeks`.
    """
    trial = Trial(rules)
    threading.Thread(target=trial.run, args=(reader, weights, until, days), name=THREAD, daemon=True).start()
    return trial
