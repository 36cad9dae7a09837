"""A small head for a risk theme, learned from headlines that a desk has labelled.

takes  unit vectors of labelled headlines, with whether each is of the theme
gives  a `ThemeHead`: a logistic regression with a threshold, kept as JSON
never  learns from fewer than sixteen headlines of either kind: so few say nothing that a threshold would not

The threshold is where predictions for headlines that were left out of the fit (five folds) have the best F0.5: a false
theme alerts somebody at night, a missed one is usually told again by the next headline.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import DataUnusable

LEAST = 16
_FOLDS = 5
_BETA = 0.5
# Weight of the squared norm against the mean loss: vectors are of unit length, so one value suits all themes.
_RIDGE = 0.01


@dataclass(frozen=True, slots=True)
class ThemeHead:
    """A fitted head.

    Attributes:
        weights: one per dimension of the encoder's vectors.
        bias: added to the product.
        threshold: least probability at which a headline is of the theme.
        encoder: sha256 of the encoder's weights; vectors of another mean nothing to it.
        positives, negatives: labelled headlines that it was fitted on.
        precision, recall: at the threshold, of headlines left out of the fit.
    """

    weights: tuple[float, ...]
    bias: float
    threshold: float
    encoder: str
    positives: int
    negatives: int
    precision: float
    recall: float

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """How likely each vector [texts, width] is of the theme: [texts]."""
        product: NDArray[np.float64] = vectors.astype(np.float64) @ np.asarray(self.weights) + self.bias
        return _logistic(product)


def fitted(vectors: NDArray[np.float32], labels: NDArray[np.bool_], encoder: str) -> ThemeHead:
    """Fit a head.

    Args:
        vectors: unit vectors [texts, width].
        labels: whether each text is of the theme, [texts].
        encoder: sha256 of the encoder's weights.

    Raises:
        DataUnusable: with fewer than `LEAST` headlines of either kind.
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if min(positives, negatives) < LEAST:
        raise DataUnusable(
            f"{positives} headlines of the theme and {negatives} others: label at least {LEAST} of each, "
            "or give the theme examples and counter-examples instead (`squall themes add`)"
        )
    # Every fold holds its share of both kinds; the order in the file decides nothing.
    folds = np.empty(len(labels), dtype=np.int64)
    for kind in (True, False):
        rows = np.flatnonzero(labels == kind)
        folds[np.random.default_rng(0).permutation(rows)] = np.arange(len(rows)) % _FOLDS
    out = np.empty(len(labels))
    for fold in range(_FOLDS):
        kept = folds != fold
        weights, bias = _regression(vectors[kept], labels[kept])
        out[~kept] = _logistic(vectors[~kept] @ weights + bias)
    threshold, precision, recall = _best_threshold(out, labels)
    weights, bias = _regression(vectors, labels)
    return ThemeHead(tuple(weights.tolist()), bias, threshold, encoder, positives, negatives, precision, recall)


def save_head(head: ThemeHead, file: Path) -> None:
    """Write all of it, or nothing.

    Raises:
        DataUnusable: when the file cannot be written; one that was there is as it was.
    """
    beside = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as out:
            out.write(json.dumps(asdict(head)) + "\n")
            out.flush()
            # Or the name could be on the disk before what stands under it: a theme without its head stops all scoring.
            os.fsync(out.fileno())
        beside.replace(file)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise DataUnusable(f"the head cannot be written to {file}: {error}") from error


def load_head(file: Path) -> ThemeHead:
    """The head in a file.

    Raises:
        DataUnusable: when it is not there, or is none.
    """
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        head = ThemeHead(**{**told, "weights": tuple(map(float, told["weights"]))})
        if not (0 <= head.threshold <= 1 and np.isfinite([*head.weights, head.bias]).all()):
            raise ValueError("its numbers are out of range")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataUnusable(
            f"{file} holds no head of a theme: {error}; make one with `squall themes fit`, "
            "or take `learned` out of the theme"
        ) from error
    return head


def _regression(vectors: NDArray[np.float32], labels: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Ridge logistic regression, both kinds weighing the same however many there are."""
    # It takes as long to import as all else that knows themes, and only this asks for it.
    from scipy.optimize import minimize

    x, y = vectors.astype(np.float64), labels.astype(np.float64)
    weight = np.where(labels, 0.5 / max(labels.sum(), 1), 0.5 / max((~labels).sum(), 1))

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        product = x @ at[:-1] + at[-1]
        off = weight * (_logistic(product) - y)
        value = weight @ (np.logaddexp(0, product) - y * product) + _RIDGE / 2 * at[:-1] @ at[:-1]
        return float(value), np.append(x.T @ off + _RIDGE * at[:-1], off.sum())

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return found[:-1], float(found[-1])


def _best_threshold(probabilities: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Threshold, precision and recall where F0.5 is best; midway between neighbours, so that rounding moves nothing."""
    order = np.argsort(-probabilities, kind="stable")
    hits = np.cumsum(labels[order])
    taken = np.arange(1, len(labels) + 1)
    precision, recall = hits / taken, hits / labels.sum()
    with np.errstate(invalid="ignore"):
        f = np.nan_to_num((1 + _BETA**2) * precision * recall / (_BETA**2 * precision + recall))
    # No threshold parts headlines of one probability.
    ends = np.append(np.diff(probabilities[order]) != 0, True)
    best = int(np.where(ends, f, -1).argmax())
    following = probabilities[order[best + 1]] if best + 1 < len(order) else 0.0
    threshold = float((probabilities[order[best]] + following) / 2)
    return threshold, float(precision[best]), float(recall[best])


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    raised: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(values, -500, 500)))
    return raised
