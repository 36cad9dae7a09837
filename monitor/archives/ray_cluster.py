"""A Ray cluster that scores parts: one actor a GPU, or one for every few cores.

takes  parts, settings; the cluster that RAY_ADDRESS names, or a small one on this machine
gives  `Receipt`s
never  sends rows through Ray: an actor reads a part where it lies and writes its scores beside the others

This is the only module that knows Ray. A part whose actor or node dies is scored again by another actor; since a part
is written whole and its name follows from its number, that leaves each row once. Ray's usage reports are off.
"""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.library import tier
from monitor.archives.hands import Hands
from monitor.archives.judging import DaemonsJudge
from monitor.archives.parts import Part
from monitor.archives.places import Place
from monitor.archives.scoring import Receipt, score_part
from monitor.errors import InputUnusable
from monitor.settings import Settings

# What Python does for a headline is a tenth of what the model does: past this many cores, one actor's Python is waited
# for. Where nodes cannot be filled with actors of so many cores, fewer cores each; but a fifth may stay idle.
_CORES, _BUSY = 4, 0.8
# Seconds for a connection to the first node.
_PATIENCE = 20
# A cluster of this machine alone: never one that happens to run here.
_ALONE: dict[str, Any] = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
# It listens on loopback alone: Ray takes the address above for the machine's own, and listens on all, unless this
# variable, made for systems where a firewall would ask, says otherwise. And its workers give way to others no more than
# this command does; Ray's own niceness is 15.
_ALONE_READ = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}


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

    def ready(self) -> None:
        """Answers when the model is loaded."""

    def score(self, part: dict[str, Any]) -> dict[str, float]:
        """Score a part, and give its receipt; both plain."""
        return asdict(score_part(Part.of(part), self._judge, self._out, self._column))


class Cluster:
    """The cluster, as an engine.

    Args:
        model: id of the model, as the settings of this machine choose it.
        workers: actors at most; 0 means one a GPU, or one for every four cores where there is none.
    """

    def __init__(
        self, settings: Settings, out: Place, column: str, model: str, *, lean: bool, workers: int = 0
    ) -> None:
        self._asked = (carried(settings), model, str(out), column, lean)
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
            for receipt in _Pool(ray, shape, self._asked, fixed=self._workers > 0).run(parts):
                progress(receipt.rows)
                yield receipt
        except (ray.exceptions.RayError, RuntimeError) as error:
            raise ModelError(
                f"the cluster could not score everything: {_told(error)}; start it again to go on"
            ) from error
        finally:
            ray.shutdown()


class _Pool:
    """Actors, and what they were asked for. A dead one is replaced, wherever a node has room for it, or comes.

    Args:
        fixed: whether there are never more actors than the shape says, however many nodes come.
    """

    def __init__(self, ray: Any, shape: Shape, asked: tuple[Any, ...], *, fixed: bool) -> None:
        self._ray, self._asked, self._shape, self._fixed = ray, asked, shape, fixed
        # An actor that Ray began anew would wait for its own node's return with its parts in hand.
        self._kind = ray.remote(PartScorer).options(
            num_cpus=shape.cpus, num_gpus=shape.gpus or None, max_restarts=0, max_task_retries=0
        )
        self._actors: dict[int, Any] = {}
        # By what will be answered: the actor's number, and the part that it then has done; none when it is ready.
        self._flying: dict[Any, tuple[int, Part | None]] = {}
        self._born = 0

    def run(self, parts: Sequence[Part]) -> Iterator[Receipt]:
        """Receipts, as they come."""
        hands = Hands(parts, self._shape.workers)
        self._grow(hands.waiting, self._shape.workers)
        while not hands.empty:
            (ref,), _ = self._ray.wait(list(self._flying))
            number, done = self._flying.pop(ref)
            try:
                told = self._ray.get(ref)
            except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError) as error:
                if getattr(error, "actor_init_failed", False):
                    raise
                self._bury(number)
                if reason := hands.lost(number):
                    raise RuntimeError(f"{reason}: {_told(error)}") from error
                # Before another actor is begun: those that are idle hold the room that it would wait for.
                for idle in hands.idle:
                    self._hand(hands, idle)
            else:
                if done is not None:
                    hands.done(number, done)
                    yield Receipt.of(told)
                self._hand(hands, number)
            if hands.waiting:
                self._grow(hands.waiting, self._most())

    def _hand(self, hands: Hands, number: int) -> None:
        for part in hands.filled(number):
            self._flying[self._actors[number].score.remote(part.plain())] = (number, part)

    def _most(self) -> int:
        """How many actors there may be, by the nodes that are there now; one waits where there is none."""
        return self._shape.workers if self._fixed else max(1, room(self._ray.nodes(), self._shape))

    def _grow(self, waiting: int, most: int) -> None:
        """Begin as many actors as there may be, and no more than there are parts for those that are not ready yet."""
        unready = sum(part is None for _, part in self._flying.values())
        for _ in range(min(most - len(self._actors), waiting - unready)):
            self._born += 1
            self._actors[self._born] = self._kind.remote(*self._asked)
            self._flying[self._actors[self._born].ready.remote()] = (self._born, None)

    def _bury(self, number: int) -> None:
        """Also where it only could not be reached: what it may still score is written as another writes it."""
        self._ray.kill(self._actors.pop(number))
        self._flying = {ref: (one, part) for ref, (one, part) in self._flying.items() if one != number}


def _connected() -> Any:
    alone = not os.environ.get("RAY_ADDRESS")
    _demand_listener(os.environ.get("RAY_ADDRESS", ""))
    # Read when Ray is imported, and by what it starts. Nothing is reported to anyone.
    for name, value in ({"RAY_USAGE_STATS_ENABLED": "0"} | (_ALONE_READ if alone else {})).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise InputUnusable(f"--engine ray needs Ray: pip install 'squall[ray]' ({error})") from error
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **(_ALONE if alone else {}))
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise InputUnusable(
            f"no Ray cluster answers: {_told(error)}; every node and this command need the same RAY_ADDRESS, "
            "RAY_AUTH_MODE and token"
        ) from error
    return ray


def _demand_listener(address: str) -> None:
    """Ray itself would ask for a quarter of an hour where nobody listens.

    Raises:
        InputUnusable: when nobody listens at an address of the shape host:port.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise InputUnusable(f"no Ray cluster answers at {address}, where RAY_ADDRESS points: {error}") from error


def carried(settings: Settings) -> str:
    """What an actor must know of the settings, as JSON.

    Paths are from the root, since an actor works in a folder of its own. A channel's address may be a secret: it stays.
    """
    model = settings.model
    paths: dict[str, Any] = {"library": model.library.absolute(), "cache": model.cache and model.cache.absolute()}
    # A shipped adapter is called by its name, and an encoder may be: they lie elsewhere on each node.
    if model.adapter is not None and tier(model.adapter) == model.adapter:
        paths["adapter"] = model.adapter.absolute()
    if model.encoder and Path(model.encoder).is_dir():
        paths["encoder"] = str(Path(model.encoder).absolute())
    told = settings.model_copy(update={"model": model.model_copy(update=paths)})
    return told.model_dump_json(include={"model", "watch", "companies", "themes"})


def shape_of(nodes: Sequence[dict[str, Any]], workers: int) -> Shape:
    """One actor a GPU where there are any; else one for every four cores, or fewer where that would leave cores idle.

    Args:
        nodes: as `ray.nodes()` tells of them.
        workers: actors at most; 0 takes as many as fit.

    Raises:
        InputUnusable: when there is nothing to give them.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    cores = [int(one["CPU"]) for one in alive if one.get("CPU", 0) >= 1]
    if any(one.get("GPU", 0) >= 1 for one in alive):
        shape = Shape(workers or room(nodes, Shape(0, 1, 1)), 1, 1)
        if not room(nodes, shape):
            raise InputUnusable("the nodes with GPUs have no core to give: start them with some")
        return shape
    if not cores:
        raise InputUnusable("the Ray cluster has neither GPUs nor cores to give: start its nodes with some")
    if workers:
        # An actor lies on one node: however few there are, none may ask for more cores than a node has.
        shapes = (Shape(workers, each, 0) for each in range(sum(cores) // workers, 1, -1))
        return next((shape for shape in shapes if room(nodes, shape) >= workers), Shape(workers, 1, 0))
    actors = {each: room(nodes, Shape(0, each, 0)) for each in range(_CORES, 0, -1)}
    each = next(each for each, count in actors.items() if each * count >= _BUSY * sum(cores))
    return Shape(actors[each], each, 0)


def room(nodes: Sequence[dict[str, Any]], shape: Shape) -> int:
    """How many actors of this shape the nodes have room for, when nobody else asks for it."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = [one.get("GPU", 0) // shape.gpus if shape.gpus else math.inf for one in alive]
    return sum(int(min(one.get("CPU", 0) // shape.cpus, each)) for one, each in zip(alive, gpus, strict=True))


def _told(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
