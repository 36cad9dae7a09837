"""Where training stood after an epoch, so that a run that was cut off goes on instead of starting again.

takes  trained weights, their average, the optimizer, and how far it came
gives  one file of safetensors, replaced whole at each epoch
never  pickles
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from models.errors import DataUnusable
from models.training.averaging import Average

_STATE, _FACTS = "state.safetensors", "progress"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far training came: epochs and steps done, the best epoch's validation score, epochs since then."""

    recipe: str
    epochs: int = 0
    steps: int = 0
    best: float = -1.0
    since_best: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What was brought back.

    Attributes:
        best: the averaged weights of the best epoch, by name.
        method: what the recipe's method remembered, by name; see `Adapted.state`.
    """

    progress: Progress
    best: dict[str, Tensor]
    method: dict[str, Tensor]


def keep(
    folder: Path,
    progress: Progress,
    net: nn.Module,
    average: Average,
    best: Mapping[str, Tensor],
    method: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write the state of a run; a kill leaves the state before or after it."""
    tensors = {f"net/{name}": p.detach() for name, p in net.named_parameters() if p.requires_grad}
    tensors |= {f"average/{name}": value for name, value in average.state().items()}
    tensors |= {f"best/{name}": value for name, value in best.items()}
    tensors |= {f"method/{name}": value for name, value in method.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": torch.as_tensor(value) for key, value in state.items()}
    facts = json.dumps(asdict(progress) | {"average_steps": average.steps})
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{_STATE}.new"
    # Facts and tensors are one file: no kill can leave those of two epochs beside each other.
    save_file({name: one.cpu().contiguous().clone() for name, one in tensors.items()}, str(fresh), {_FACTS: facts})
    fresh.replace(folder / _STATE)


def resumed(
    folder: Path, recipe: str, net: nn.Module, average: Average, optimizer: torch.optim.Optimizer
) -> Kept | None:
    """Bring a run back to where it stood; None when nothing was kept.

    Raises:
        DataUnusable: when what was kept belongs to another recipe, or cannot be read.
    """
    if not (folder / _STATE).is_file():
        return None
    facts, parts = _read(folder)
    steps = facts.pop("average_steps")
    progress = Progress(**facts)
    if progress.recipe != recipe:
        raise DataUnusable(
            f"{folder} was kept by a run of another recipe or other data; remove it, or name another --out"
        )
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.requires_grad:
                p.copy_(parts["net"][name])
    average.bring_back(parts["average"], steps)
    state = optimizer.state_dict()
    state["state"] = {}
    for name, tensor in parts["optimizer"].items():
        number, _, key = name.partition("/")
        state["state"].setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict(state)
    return Kept(progress, parts["best"], parts["method"])


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """The facts, and the tensors by part and name."""
    parts: dict[str, dict[str, Tensor]] = {"net": {}, "average": {}, "best": {}, "method": {}, "optimizer": {}}
    try:
        with safe_open(str(folder / _STATE), framework="pt") as file:
            facts = json.loads(file.metadata()[_FACTS])
            for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                part, _, rest = name.partition("/")
                parts[part][rest] = file.get_tensor(name)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataUnusable(f"what was kept in {folder} cannot be read: {error}; remove it to begin anew") from error
    return facts, parts
