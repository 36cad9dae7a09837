"""What training minimises.

takes  logits of a batch, its rows, and a recipe
gives  one number: labels by (focal) cross-entropy, a teacher's opinion by cross-entropy with its softened probabilities
never  updates a weight
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.data.datasets import UNLABELLED, Example
from models.score import TASKS
from models.training.recipes import Recipe
from models.training.rows import Row

# What torch's cross-entropy passes over.
_NO_LABEL = -100


def class_weights(examples: Sequence[Example], task: str, balance: float) -> Tensor:
    """Frequency ** -balance per class, normalised so that a text weighs one on average: float32 [classes]."""
    labels = [one.label for one in examples if one.task == task and one.label != UNLABELLED]
    counts = np.bincount(labels, minlength=TASKS[task])
    weights = np.maximum(counts, 1).astype(np.float64) ** -balance
    return torch.tensor(weights / max((weights * counts).sum(), 1e-12) * max(counts.sum(), 1), dtype=torch.float32)


def objective(
    logits: dict[str, Tensor], rows: Sequence[Row], weights: dict[str, Tensor], recipe: Recipe, device: torch.device
) -> Tensor:
    """Mean per text of the loss against its label, in the head of its task, and against the teachers' opinion."""
    loss = torch.zeros((), device=device)
    for task in logits:
        wanted = _wanted(task, rows, recipe.teacher_weight)
        if wanted is None:
            continue
        labels, shares, soft = (torch.from_numpy(one).to(device) for one in wanted)
        loss = loss + (_labelled(logits[task], labels, weights[task], recipe) * shares).sum()
        cooled = logits[task] / recipe.teacher_softness
        # Squared softness keeps the gradient's size independent of it (Hinton, Vinyals, Dean 2015).
        pull = functional.cross_entropy(cooled, soft, reduction="sum") * recipe.teacher_softness**2
        loss = loss + recipe.teacher_weight * pull
    return loss / len(rows)


def _wanted(
    task: str, rows: Sequence[Row], teacher_weight: float
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]] | None:
    """Labels [rows], what each label weighs [rows], and the teachers' opinions [rows, classes] of one task.

    A row of another task has the label `_NO_LABEL` and an opinion of zeros, against both of which the loss is nought:
    so whole batches are computed, without picking rows, each pick of which would stop a GPU. None where no row has
    either: the optimizer then leaves the head of the task as it is.
    """
    labels = np.full(len(rows), _NO_LABEL)
    shares = np.ones(len(rows), dtype=np.float32)
    soft = np.zeros((len(rows), TASKS[task]), dtype=np.float32)
    for index, row in enumerate(rows):
        if row.example.task == task and row.example.label != UNLABELLED:
            labels[index] = row.example.label
        if opinion := getattr(row.taught, task):
            soft[index] = opinion
            # The label alone tells of a text that no teacher was asked about.
            shares[index] = 1 - teacher_weight
    return (labels, shares, soft) if (labels != _NO_LABEL).any() or soft.any() else None


def _labelled(logits: Tensor, labels: Tensor, weights: Tensor, recipe: Recipe) -> Tensor:
    """Cross-entropy of each text; with focal > 0 a text counts less the surer its label is (Lin et al. 2017)."""
    each = functional.cross_entropy(
        logits, labels, weights, label_smoothing=recipe.smoothing, reduction="none", ignore_index=_NO_LABEL
    )
    if recipe.focal:
        sure = logits.detach().softmax(1).gather(1, labels.clamp(min=0)[:, None]).squeeze(1)
        each = each * (1 - sure) ** recipe.focal
    return each


def softened(probabilities: np.ndarray, softness: float) -> list[tuple[float, ...]]:
    """p ** (1 / softness), made to sum to one, row by row."""
    soft = probabilities.astype(np.float64) ** (1 / softness)
    soft /= soft.sum(1, keepdims=True)
    return [tuple(float(p) for p in one) for one in soft]
