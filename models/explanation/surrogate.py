"""The linear stand-in that LIME and Kernel SHAP fit, by least squares in torch.

takes  headlines with words hidden at random, what the model made of each, and how much each counts
gives  a coefficient per word
never  needs scikit-learn, which captum's own linear models do
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from captum._utils.models.model import Model
from captum.attr import KernelShap, Lime
from torch import Tensor

# Keeps words that always fall together from growing without bound against each other.
_RIDGE = 1e-4
# Width of LIME's kernel over the cosine distance between the headline and one with words hidden: its authors' own.
_WIDTH = 0.25

Forward = Callable[[Tensor], Tensor]


class Linear(Model):  # type: ignore[misc]  # captum carries no types
    """A weighted ridge regression with an intercept, as captum asks for one."""

    def __init__(self) -> None:
        self._coefficients = torch.zeros(0)

    def fit(self, train_data: Iterable[tuple[Tensor, Tensor, Tensor]], **_: object) -> None:
        """Solve for the coefficients; batches of features [samples, words], outputs and weights [samples]."""
        features, outputs, weights = (torch.cat(parts).double() for parts in zip(*train_data, strict=True))
        features = torch.cat([features, torch.ones(len(features), 1, dtype=torch.double)], dim=1)
        weighted = features * weights.reshape(-1, 1)
        ridge = _RIDGE * torch.eye(features.shape[1], dtype=torch.double)
        ridge[-1, -1] = 0.0
        solved = torch.linalg.solve(features.T @ weighted + ridge, weighted.T @ outputs.reshape(-1, 1))
        self._coefficients = solved[:-1, 0].float()

    def representation(self) -> Tensor:
        """Coefficients [words]."""
        return self._coefficients

    def __call__(self, x: Tensor) -> Tensor:
        """What the features predict, less the intercept."""
        return x @ self._coefficients


def kernel_shap(forward: Forward) -> KernelShap:
    """Kernel SHAP of a function that gives one number per row of token ids."""
    method = KernelShap(forward)
    method.interpretable_model = Linear()
    return method


def lime(forward: Forward) -> Lime:
    """LIME of a function that gives one number per row of token ids."""
    return Lime(forward, interpretable_model=Linear(), similarity_func=_nearness)


def _nearness(_original: Tensor, _perturbed: Tensor, kept: Tensor, **_: Any) -> float:
    distance = 1 - math.sqrt(float(kept.float().mean()))
    return math.exp(-(distance**2) / _WIDTH**2)
