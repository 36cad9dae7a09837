"""Which texts deserve a second look in more bits.

takes  logits by task, from a runtime that rounds to int8
gives  the rows whose label could tip over on that rounding
never  runs a network

Int8 changes the label of about one headline in a hundred, always one between two labels. Looking again at the few
whose two most probable labels are close keeps int8's speed and leaves next to no changes: docs/scoring.md has both.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# Least difference between the two most probable labels that is taken on trust.
MARGIN = 0.1


def doubtful(logits: Mapping[str, NDArray[np.float32]], texts: int, margin: float = MARGIN) -> NDArray[np.bool_]:
    """For each row whether, in a task that it was run for, the two most probable labels are nearer than `margin`.

    Args:
        logits: by task, [rows, labels].
        texts: so many rows at the beginning are texts, and the rest pairs of a text and a company.
    """
    found = np.zeros(len(next(iter(logits.values()))), dtype=np.bool_)
    for task, values in logits.items():
        asked = slice(texts, None) if task == "company" else slice(0, texts)
        found[asked] |= _gap(values[asked]) < margin
    return found


def _gap(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Difference between the two largest probabilities of each row."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    ordered: NDArray[np.float32] = np.sort(raised / raised.sum(axis=1, keepdims=True), axis=1)
    return ordered[:, -1] - ordered[:, -2]
