"""How well predictions agree with labels.

takes  label indices and class probabilities
gives  `Metrics`: accuracy, macro-F1, per-class recall, calibration error
never  loads a model or reads a file
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Metrics:
    """Agreement over n texts; recall and f1 by class name, for the classes that occur in the labels."""

    n: int
    accuracy: float
    macro_f1: float
    ece: float
    recall: dict[str, float]
    f1: dict[str, float]

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON, figures rounded to four places."""
        return {
            "n": self.n,
            "accuracy": round(self.accuracy, 4),
            "macro_f1": round(self.macro_f1, 4),
            "ece": round(self.ece, 4),
            "recall": {name: round(value, 4) for name, value in self.recall.items()},
            "f1": {name: round(value, 4) for name, value in self.f1.items()},
        }


def measure(labels: Sequence[int], probabilities: NDArray[np.floating], classes: Sequence[str]) -> Metrics:
    """Compare labels [n] with probabilities [n, classes]; the prediction is the most probable class.

    Macro-F1 is the mean over the classes that occur among labels or predictions, as scikit-learn's f1_score has it.

    Raises:
        ValueError: when there is nothing to compare, or shapes disagree.
    """
    truth = np.asarray(labels, dtype=np.int64)
    if truth.size == 0 or probabilities.shape != (truth.size, len(classes)):
        raise ValueError(f"{truth.size} labels and probabilities of shape {probabilities.shape} cannot be compared")
    predicted = probabilities.argmax(1)
    recall: dict[str, float] = {}
    f1: dict[str, float] = {}
    for index, name in enumerate(classes):
        actual, claimed = truth == index, predicted == index
        hits = float((actual & claimed).sum())
        if actual.any():
            recall[name] = hits / float(actual.sum())
        if actual.any() or claimed.any():
            f1[name] = 2 * hits / float(actual.sum() + claimed.sum())
    accuracy = float((truth == predicted).mean())
    return Metrics(truth.size, accuracy, float(np.mean(list(f1.values()))), _ece(truth, probabilities), recall, f1)


def reliability(labels: Sequence[int], probabilities: NDArray[np.floating], bins: int = 10) -> list[dict[str, float]]:
    """How often the model is right where it is so sure: a row for each bin of confidence that holds any text.

    Args:
        labels: [n]; probabilities: [n, classes].
        bins: of equal width, from 0 to 1.

    Returns:
        rows of `confidence` and `accuracy`, the means within the bin, and `n`; the least sure first.
    """
    truth = np.asarray(labels, dtype=np.int64)
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    bucket = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    rows = []
    for index in range(bins):
        inside = bucket == index
        if inside.any():
            rows.append(
                {
                    "confidence": round(float(confidence[inside].mean()), 4),
                    "accuracy": round(float(right[inside].mean()), 4),
                    "n": float(inside.sum()),
                }
            )
    return rows


def _ece(truth: NDArray[np.int64], probabilities: NDArray[np.floating], bins: int = 15) -> float:
    """Expected calibration error of the most probable class, in equal-width bins (Guo et al. 2017)."""
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == truth
    bucket = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    error = 0.0
    for index in range(bins):
        inside = bucket == index
        if inside.any():
            error += float(inside.mean()) * abs(float(correct[inside].mean()) - float(confidence[inside].mean()))
    return error
