"""What carries out forward passes: torch on any device, OpenVINO on a CPU.

takes  padded batches of token ids
gives  `Done` with the outputs of each batch, or `TooLarge` where it did not fit in memory
never  tokenises, cleans, or knows what the outputs mean
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.running.batching import Batch

Outputs = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Padded:
    """One batch ready to run: token ids and attention mask, int64 [texts, tokens]."""

    batch: Batch
    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Done:
    """Outputs by name, float32 [texts, size], rows in the order of the batch's positions."""

    batch: Batch
    outputs: Outputs


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A batch that did not fit in memory; nothing of it was computed."""

    batch: Batch
    error: Exception


class Runtime(Protocol):
    """A network that is loaded and ready to run.

    Attributes:
        name: for people: `openvino int8 on cpu`.
        budget: most padded tokens in one batch that pay on this device.
    """

    name: str
    budget: int

    def run(self, work: Iterable[Padded]) -> Iterator[Done | TooLarge]:
        """Outcomes of all batches, each exactly once; `work` is drawn from while earlier batches still run."""
        ...


def says_memory(error: Exception) -> bool:
    """Whether an exception of a foreign library means that memory did not suffice: they have no type in common."""
    if isinstance(error, MemoryError):
        return True
    said = str(error).lower()
    return any(words in said for words in ("out of memory", "can't allocate memory", "cannot allocate", "bad_alloc"))
