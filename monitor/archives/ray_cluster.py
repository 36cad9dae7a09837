"""A Ray cluster that scores parts: one actor a GPU, or one a node.

takes  parts, settings; the cluster that RAY_ADDRESS names, or a small one on this machine
gives  `Receipt`s
never  sends rows through Ray: an actor reads a part where it lies and writes its scores beside the others

This is the only module that knows Ray. A part whose actor or node dies is scored again by another actor; since a part
is written whole and its name follows from its number, that leaves each row once. Ray's usage reports are off.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models.errors import ModelError
from monitor.archives.judging import DaemonsJudge
from monitor.archives.parts import Part
from monitor.archives.places import Place
from monitor.archives.scoring import Receipt, score_part
from monitor.errors import InputUnusable
from monitor.settings import Settings

# Parts in an actor's hands: one that it scores, and the next, so that it never waits for the driver.
_IN_FLIGHT = 2
# A cluster of this machine alone listens nowhere else.
_ALONE: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Shape:
    """The actors of a run.

    Attributes:
        workers: how many at most.
        cpus, gpus: that each of them has.
    """

    workers: int
    cpus: float
    gpus: float


class PartScorer:
    """One actor: a model that is loaded once, and scores part after part.

    Args:
        settings: as JSON; the adapter and encoder that they name must be there on every node.
        model: id that every actor must come to, or scores of two models would lie in one archive.
        out: folder of the results, that every node can reach.
    """

    def __init__(self, settings: str, model: str, out: str, column: str, lean: bool) -> None:
        self._judge = DaemonsJudge(Settings.model_validate_json(settings), lean=lean)
        if self._judge.model != model:
            raise ModelError(f"this node has the model {self._judge.model}, and not {model}: install the same on all")
        self._out, self._column = Place(out), column

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Score the parts of a batch, and give their receipts as columns."""
        receipts = [
            asdict(score_part(Part.of(json.loads(str(part))), self._judge, self._out, self._column))
            for part in batch["part"]
        ]
        return {name: [receipt[name] for receipt in receipts] for name in receipts[0]}


class Cluster:
    """The cluster, as an engine.

    Args:
        model: id of the model, as the settings of this machine choose it.
        workers: actors at most; 0 means one a GPU, or one a node where there is none.
    """

    def __init__(
        self, settings: Settings, out: Place, column: str, model: str, *, lean: bool, workers: int = 0
    ) -> None:
        self._asked = (settings.model_dump_json(), model, str(out), column, lean)
        self._workers = workers

    def run(self, parts: Sequence[Part], progress: Callable[[int], None]) -> Iterator[Receipt]:
        """See `ScoresParts`; progress is told part by part.

        Raises:
            InputUnusable: when Ray is not installed, or no cluster answers.
        """
        if not parts:
            return
        ray = _connected()
        try:
            shape = shape_of(ray.nodes(), self._workers)
            for row in self._receipts(ray, parts, shape):
                receipt = Receipt.of(row)
                progress(receipt.rows)
                yield receipt
        except (ray.exceptions.RayError, RuntimeError) as error:
            raise ModelError(
                f"the cluster could not score everything: {_told(error)}; start it again to go on"
            ) from error
        finally:
            ray.shutdown()

    def _receipts(self, ray: Any, parts: Sequence[Part], shape: Shape) -> Iterator[dict[str, Any]]:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        rows = [{"part": json.dumps(part.plain())} for part in parts]
        scored = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            PartScorer,
            fn_constructor_args=self._asked,
            batch_size=1,
            num_cpus=shape.cpus,
            num_gpus=shape.gpus or None,
            # The pool may shrink to the nodes that are left, and grows again with those that come.
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=shape.workers,
                initial_size=min(shape.workers, len(parts)),
                max_tasks_in_flight_per_actor=_IN_FLIGHT,
            ),
        )
        yield from scored.iter_rows()


def _connected() -> Any:
    # Read when Ray starts: nothing is reported to anyone.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputUnusable(f"--engine ray needs Ray: pip install 'squall[ray]' ({error})") from error
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **({} if os.environ.get("RAY_ADDRESS") else _ALONE))
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise InputUnusable(
            f"no Ray cluster answers: {_told(error)}; every node and this command need the same RAY_ADDRESS, "
            "RAY_AUTH_MODE and token"
        ) from error
    return ray


def shape_of(nodes: Sequence[dict[str, Any]], workers: int) -> Shape:
    """One actor a GPU where there are any; else one a node, with as many cores as the smallest node has.

    Args:
        nodes: as `ray.nodes()` tells of them.
        workers: actors at most; 0 takes as many as fit.

    Raises:
        InputUnusable: when there is nothing to give them.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = int(sum(one.get("GPU", 0) for one in alive))
    cores = [one["CPU"] for one in alive if one.get("CPU", 0) >= 1]
    if gpus:
        return Shape(workers or gpus, 1, 1)
    if not cores:
        raise InputUnusable("the Ray cluster has neither GPUs nor cores to give: start its nodes with some")
    if workers:
        return Shape(workers, max(1, int(sum(cores) // workers)), 0)
    return Shape(len(cores), min(cores), 0)


def _told(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
