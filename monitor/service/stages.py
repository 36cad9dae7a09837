"""How each stage of the daemon is doing, told to the log, the store and `squall status`.

takes  the end of each run of a stage, well or not
gives  `Stage` by name
never  hides a failure: the last reason stays until the stage goes well again
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

PREFIX = "stage:"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: when it last went well, when it last failed, and why; `reason` is empty while all is well."""

    name: str
    ok_at: str = ""
    failed_at: str = ""
    reason: str = ""


class Notebook(Protocol):
    """Where stages are remembered; the store is one."""

    def note(self, key: str, value: str) -> None:
        """Remember a fact by its key."""

    def notes(self) -> Mapping[str, str]:
        """All facts, by key."""


class Stages:
    """All stages of one daemon. Safe for many threads."""

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}
        self._changed: set[str] = set()
        self._names: frozenset[str] = frozenset()
        self._gone: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def went_well(self, name: str, now: datetime) -> bool:
        """Note a run without fault; the first after a failure is logged. Whether it is the first, or after one."""
        with self._lock:
            if name in self._gone:
                return False
            before = self._stages.get(name, Stage(name))
            self._stages[name] = replace(before, ok_at=now.isoformat(), reason="")
            self._changed.add(name)
        if before.reason:
            log.info("stage_recovered", stage=name)
        return bool(before.reason or not before.ok_at)

    def failed(self, name: str, now: datetime, reason: str) -> bool:
        """Note a failed run; a reason is logged when it is new, not at every repeat. Whether it is new."""
        with self._lock:
            if name in self._gone:
                return False
            before = self._stages.get(name, Stage(name))
            self._stages[name] = replace(before, failed_at=now.isoformat(), reason=reason)
            self._changed.add(name)
        if before.reason != reason:
            log.error("stage_failed", stage=name, reason=reason)
        return before.reason != reason

    def all(self) -> dict[str, Stage]:
        """Every stage that has run and is not gone, by name."""
        with self._lock:
            return dict(self._stages)

    def write(self, notebook: Notebook) -> None:
        """Put what changed since the last call into the notebook."""
        with self._lock:
            changed = [self._stages[name] for name in sorted(self._changed)]
        for stage in changed:
            notebook.note(PREFIX + stage.name, json.dumps(asdict(stage)))
            with self._lock:
                if self._stages.get(stage.name) == stage:
                    self._changed.discard(stage.name)

    def forget_others(self, names: Collection[str], notebook: Notebook) -> None:
        """Let go of stages that are no more: those of an earlier daemon, and those that were named here before.

        A run of theirs that is still in hand ends unheard: otherwise it would bring back what nothing ever mends.
        """
        with self._lock:
            self._gone = (self._gone | self._names) - frozenset(names)
            self._names = frozenset(names)
            for name in self._gone & self._stages.keys():
                del self._stages[name]
            self._changed -= self._gone
        for stage in stages_of(notebook.notes()):
            if stage.name not in names:
                notebook.note(PREFIX + stage.name, json.dumps(asdict(Stage(stage.name))))


def stages_of(notes: Mapping[str, str]) -> list[Stage]:
    """The stages among a store's notes that ever ran."""
    noted = [Stage(**json.loads(value)) for key, value in sorted(notes.items()) if key.startswith(PREFIX)]
    return [stage for stage in noted if stage.ok_at or stage.failed_at]
