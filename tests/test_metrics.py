"""Measured figures agree with scikit-learn, whatever the labels and probabilities."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, recall_score

from models.trust.metrics import measure

CLASSES = ("negative", "neutral", "positive", "other")


@st.composite
def judged(draw: st.DrawFn) -> tuple[list[int], NDArray[np.float64]]:
    n = draw(st.integers(1, 60))
    used = draw(st.integers(1, len(CLASSES)))
    labels = draw(st.lists(st.integers(0, used - 1), min_size=n, max_size=n))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return labels, generator.dirichlet(np.ones(len(CLASSES)) * 0.5, n)


@given(judged())
def test_as_scikit_learn_has_it(data: tuple[list[int], NDArray[np.float64]]) -> None:
    labels, probabilities = data
    predicted = probabilities.argmax(1)
    metrics = measure(labels, probabilities, CLASSES)
    assert metrics.n == len(labels)
    assert metrics.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0))
    present = sorted(set(labels))
    expected = recall_score(labels, predicted, labels=present, average=None, zero_division=0)
    assert metrics.recall == pytest.approx({CLASSES[i]: r for i, r in zip(present, expected, strict=True)})
    assert 0 <= metrics.ece <= 1


def test_calibration_error_by_hand() -> None:
    """Four texts at 0.9, three of them right, and two at 0.6, both right: 4/6 * 0.15 + 2/6 * 0.4."""
    sure, unsure = [0.9, 0.1], [0.4, 0.6]
    metrics = measure([0, 0, 0, 1, 1, 1], np.array([sure] * 4 + [unsure] * 2), CLASSES[:2])
    assert metrics.ece == pytest.approx(4 / 6 * 0.15 + 2 / 6 * 0.4)
    assert metrics.accuracy == pytest.approx(5 / 6)


def test_a_perfect_and_certain_model() -> None:
    metrics = measure([0, 1, 2], np.eye(3), CLASSES[:3])
    assert (metrics.accuracy, metrics.macro_f1, metrics.ece) == (1.0, 1.0, 0.0)
    assert json.loads(json.dumps(metrics.as_dict()))["recall"] == {"negative": 1.0, "neutral": 1.0, "positive": 1.0}


@pytest.mark.parametrize(
    ("labels", "shape"), [([], (0, 2)), ([0], (2, 2)), ([0], (1, 3)), ([0, 1], (2,))], ids=["none", "n", "k", "flat"]
)
def test_what_cannot_be_compared_is_refused(labels: list[int], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        measure(labels, np.zeros(shape), CLASSES[:2])
