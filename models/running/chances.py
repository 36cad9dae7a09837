"""Logits in, probabilities out.

takes  logits of a task, its temperature
gives  calibrated probabilities, one row a text
never  makes an opinion up where the adapter has no head for it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.score import TASKS

Probabilities = NDArray[np.float32]


def softmax(logits: NDArray[np.float32], temperature: float) -> Probabilities:
    """Probabilities [texts, labels] of logits divided by a temperature."""
    scaled = logits.astype(np.float64) / temperature
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: Probabilities = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def learned(logits: Mapping[str, NDArray[np.float32]], task: str, temperature: float) -> Probabilities:
    """Probabilities of a task; NaN where the adapter has no head for it, which no reader can mistake for an opinion."""
    if task in logits:
        return softmax(logits[task], temperature)
    texts = len(next(iter(logits.values())))
    return np.full((texts, TASKS[task]), np.nan, dtype=np.float32)


def stacked(parts: Sequence[Probabilities], width: int) -> Probabilities:
    """Parts one after the other: [texts, width], also where there is none."""
    return np.concatenate(parts) if parts else np.empty((0, width), dtype=np.float32)


def of_one_alone(towards: Probabilities, own: Probabilities, share: float) -> Probabilities:
    """What is said of companies that nobody is named beside, from both readings of their headlines.

    Args:
        towards: readings towards the companies, [companies, 3].
        own: sentiment of the headlines that name them, [companies, 3].
        share: of `own` in the answer, 0 to 1.
    """
    return np.asarray((1 - share) * towards + share * own, dtype=np.float32)
