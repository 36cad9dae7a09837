"""Measuring a loaded model on labelled headlines.

takes  a scorer and a CSV of text and label
gives  `Metrics`
never  trains, and never drops a row silently
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.datasets import CLASSES, labelled_csv
from models.metrics import Metrics, measure
from models.scorer import Scorer


def evaluate(scorer: Scorer, data: Path, task: str) -> Metrics:
    """Compare the model with the labels of a file.

    Raises:
        DataUnusable: when a column is missing, a label is unknown, or there are no rows.
    """
    examples = labelled_csv(data, task)
    sentiment, topic = scorer.probabilities([example.text for example in examples])
    chosen = sentiment if task == "sentiment" else topic
    return measure([example.label for example in examples], chosen.astype(np.float64), CLASSES[task])
