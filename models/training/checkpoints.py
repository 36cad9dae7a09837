"""Where training stood after an epoch, so that a run that was cut off goes on instead of starting again.

takes  trained weights, their average, the optimizer, and how far it came
gives  a folder of safetensors and JSON, replaced whole at each epoch
never  pickles
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.errors import DataUnusable
from models.training.averaging import Average

_TENSORS, _FACTS = "state.safetensors", "state.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far training came: epochs and steps done, the best epoch's validation score, epochs since then."""

    recipe: str
    epochs: int = 0
    steps: int = 0
    best: float = -1.0
    since_best: int = 0


def keep(
    folder: Path,
    progress: Progress,
    net: nn.Module,
    average: Average,
    best: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write the state of a run; a kill leaves the state before or after it."""
    tensors = {f"net/{name}": p.detach() for name, p in net.named_parameters() if p.requires_grad}
    tensors |= {f"average/{name}": value for name, value in average.state().items()}
    tensors |= {f"best/{name}": value for name, value in best.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": torch.as_tensor(value) for key, value in state.items()}
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file({name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}, str(fresh / _TENSORS))
    (fresh / _FACTS).write_text(json.dumps(asdict(progress) | {"average_steps": average.steps}))
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def resumed(
    folder: Path, recipe: str, net: nn.Module, average: Average, optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Tensor]] | None:
    """Bring a run back to where it stood: its progress and its best weights; None when nothing was kept.

    Raises:
        DataUnusable: when what was kept belongs to another recipe.
    """
    if not (folder / _FACTS).is_file():
        return None
    facts = json.loads((folder / _FACTS).read_text())
    steps = facts.pop("average_steps")
    progress = Progress(**facts)
    if progress.recipe != recipe:
        raise DataUnusable(
            f"{folder} was kept by a run of another recipe or other data; remove it, or name another --out"
        )
    tensors = load_file(str(folder / _TENSORS))
    parts: dict[str, dict[str, Tensor]] = {"net": {}, "average": {}, "best": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = tensor
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
    return progress, parts["best"]
