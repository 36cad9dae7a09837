"""Batches through torch: in order, none lost, whatever is under way when memory runs out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.errors import RuntimeMissing
from models.running.batching import Batch
from models.running.devices import pick_device, pick_precision, surely_cpu
from models.running.runtime import Done, Padded, TooLarge, says_memory
from models.running.torch_runtime import TorchRuntime


class Sums(nn.Module):
    """Sums of the ids of each row; refuses more than `most` rows as a device without memory would."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.most, self.error = most, error

    def forward(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        if len(ids) > self.most:
            raise self.error
        return {"sum": (ids * mask).sum(1, keepdim=True).float()}


def work(*sizes: int) -> list[Padded]:
    found = []
    for number, size in enumerate(sizes):
        ids = np.full((size, 3), number, dtype=np.int64)
        found.append(Padded(Batch(tuple(range(size)), 3), ids, np.ones_like(ids)))
    return found


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_every_batch_has_one_outcome(ahead: int, error: Exception) -> None:
    """`ahead` is how a GPU works: batches are under way while later ones start, or do not fit."""
    runtime = TorchRuntime(Sums(2, error), torch.device("cpu"), "fp32")
    runtime._ahead = ahead
    given = work(1, 2, 5, 2, 7, 1)
    outcomes = list(runtime.run(given))
    assert len(outcomes) == len(given)
    assert [outcome.batch for outcome in outcomes if isinstance(outcome, TooLarge)] == [given[2].batch, given[4].batch]
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    assert [float(outcome.outputs["sum"][0, 0]) for outcome in done] == [0, 3, 9, 15]


def test_any_other_failure_is_raised() -> None:
    runtime = TorchRuntime(Sums(0, RuntimeError("shapes do not match")), torch.device("cpu"), "fp32")
    with pytest.raises(RuntimeError, match="shapes"):
        list(runtime.run(work(1)))


def test_memory_is_told_from_other_errors() -> None:
    assert says_memory(MemoryError())
    assert says_memory(RuntimeError("std::bad_alloc"))
    assert not says_memory(RuntimeError("no such operation"))


def test_what_can_only_be_a_cpu_is_known_without_torch() -> None:
    assert surely_cpu("cpu")
    assert not surely_cpu("cuda:0")
    # Where this torch could use an accelerator, it must not be said that it cannot.
    assert not (surely_cpu("auto") and torch.cuda.is_available())


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "CPU"])
def test_a_device_that_is_not_here_is_named_with_the_way_out(name: str) -> None:
    with pytest.raises(RuntimeMissing, match=f"'{name}' here: .*set model.device to 'auto' or 'cpu'"):
        pick_device(name)
    assert pick_device("cpu") == torch.device("cpu")


def test_a_named_precision_is_kept() -> None:
    assert pick_precision("fp32", torch.device("cpu")) == "fp32"
    assert pick_precision("auto", torch.device("mps")) == "fp32"
