"""Probabilities that mean what they say.

takes  logits or probabilities on validation data, and labels
gives  a temperature, a threshold of abstention
never  sees a test row
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

# Three classes: nothing can be less sure than a third. Past this, an abstention would cost more than it saves.
_LEAST, _MOST = 0.34, 0.60


def fitted_temperature(logits: Tensor, labels: Tensor) -> float:
    """The softmax temperature that minimises log-loss (Guo et al. 2017), on a grid of hundredths from 0.3 to 3."""
    grid = [round(0.3 + 0.01 * index, 2) for index in range(271)]
    return min(grid, key=lambda t: float(functional.cross_entropy(logits / t, labels)))


def abstention(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The highest confidence below which predictions are right less than half the time, all taken together.

    Args:
        probabilities: calibrated, [texts, 3].
        labels: indices, [texts].

    Returns:
        A threshold from .34 (never abstain) to .60.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    grid = np.arange(_LEAST, _MOST + 0.001, 0.01)
    doubtful = [t for t in grid if (below := confidence < t).any() and right[below].mean() < 0.5]
    return round(float(doubtful[-1]), 2) if doubtful else _LEAST
