"""What training minimises.

takes  logits of a batch, its rows, and a recipe
gives  one number: labels by (focal) cross-entropy, a teacher's opinion by cross-entropy with its softened probabilities
never  updates a weight
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.data.datasets import UNLABELLED, Example
from models.score import TASKS
from models.training.recipes import Recipe
from models.training.rows import Row


def class_weights(examples: Sequence[Example], task: str, balance: float) -> Tensor:
    """Frequency ** -balance per class, normalised so that a text weighs one on average: float32 [classes]."""
    labels = [one.label for one in examples if one.task == task and one.label != UNLABELLED]
    counts = np.bincount(labels, minlength=TASKS[task])
    weights = np.maximum(counts, 1).astype(np.float64) ** -balance
    return torch.tensor(weights / max((weights * counts).sum(), 1e-12) * max(counts.sum(), 1), dtype=torch.float32)


def objective(
    logits: dict[str, Tensor], rows: Sequence[Row], weights: dict[str, Tensor], recipe: Recipe, device: torch.device
) -> Tensor:
    """Mean per text of the loss against its label, in the head of its task, and against the teacher's opinion."""
    loss = torch.zeros((), device=device)
    for task in logits:
        mine = [i for i, row in enumerate(rows) if row.example.task == task and row.example.label != UNLABELLED]
        taught = [index for index, row in enumerate(rows) if getattr(row.taught, task)]
        if mine:
            labels = torch.tensor([rows[index].example.label for index in mine], device=device)
            # The label alone tells of a text that no teacher was asked about.
            shares = [1 - recipe.teacher_weight if getattr(rows[index].taught, task) else 1.0 for index in mine]
            each = _labelled(logits[task][mine], labels, weights[task], recipe)
            loss = loss + (each * torch.tensor(shares, device=device)).sum()
        if taught:
            soft = torch.tensor([getattr(rows[index].taught, task) for index in taught], device=device)
            cooled = logits[task][taught] / recipe.teacher_softness
            # Squared softness keeps the gradient's size independent of it (Hinton, Vinyals, Dean 2015).
            pull = functional.cross_entropy(cooled, soft, reduction="sum") * recipe.teacher_softness**2
            loss = loss + recipe.teacher_weight * pull
    return loss / len(rows)


def _labelled(logits: Tensor, labels: Tensor, weights: Tensor, recipe: Recipe) -> Tensor:
    """Cross-entropy of each text; with focal > 0 a text counts less the surer its label is (Lin et al. 2017)."""
    each = functional.cross_entropy(logits, labels, weights, label_smoothing=recipe.smoothing, reduction="none")
    if recipe.focal:
        sure = logits.detach().softmax(1).gather(1, labels[:, None]).squeeze(1)
        each = each * (1 - sure) ** recipe.focal
    return each


def softened(probabilities: np.ndarray, softness: float) -> list[tuple[float, ...]]:
    """p ** (1 / softness), made to sum to one, row by row."""
    soft = probabilities.astype(np.float64) ** (1 / softness)
    soft /= soft.sum(1, keepdims=True)
    return [tuple(float(p) for p in one) for one in soft]
