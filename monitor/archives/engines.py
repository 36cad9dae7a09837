"""Who scores the parts: this process, or the actors of a Ray cluster.

takes  parts that are not done
gives  `Receipt`s, in whatever order they come
never  gives a receipt before its part is on disk
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Protocol

from monitor.archives.judging import DaemonsJudge
from monitor.archives.parts import Part
from monitor.archives.places import Place
from monitor.archives.scoring import Receipt, score_part
from monitor.settings import Settings


class Engine(StrEnum):
    """Where parts are scored."""

    LOCAL = "local"
    RAY = "ray"


class ScoresParts(Protocol):
    """An engine at work; `Local`, and `monitor.archives.ray_cluster.Cluster`."""

    def run(self, parts: Sequence[Part], progress: Callable[[int], None]) -> Iterator[Receipt]:
        """Score these parts; `progress` is called with the number of rows just done.

        Raises:
            InputUnusable, ModelError, OSError: see `score_part`; what was done until then stays.
        """
        ...


class Local:
    """This process, part after part.

    Args:
        out: folder of the results.
        column: the headline's; else the first of title, headline, text.
    """

    def __init__(self, settings: Settings, out: Place, column: str, *, lean: bool) -> None:
        self._settings, self._out, self._column, self._lean = settings, out, column, lean

    def run(self, parts: Sequence[Part], progress: Callable[[int], None]) -> Iterator[Receipt]:
        """See `ScoresParts`."""
        if not parts:
            return
        judge = DaemonsJudge(self._settings, lean=self._lean)
        for part in parts:
            told = 0

            def heard(rows: int) -> None:
                nonlocal told
                told += rows
                progress(rows)

            receipt = score_part(part, judge, self._out, self._column, heard)
            # Rows that were never scored are done too.
            progress(receipt.rows - told)
            yield receipt
