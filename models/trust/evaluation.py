"""Measuring a loaded model on labelled headlines.

takes  a scorer, and a file of texts and labels
gives  `Metrics`
never  trains, and never drops a row silently
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.datasets import (
    CLASSES,
    Example,
    Part,
    labelled_companies,
    labelled_csv,
    of_part,
    phrasebank,
    training_sets,
)
from models.data.labels import examples as label_examples
from models.data.labels import labels_of
from models.errors import DataUnusable
from models.scorer import Scorer
from models.trust.metrics import Metrics, measure


def evaluate(scorer: Scorer, data: Path, task: str) -> Metrics:
    """Compare the model with the labels of a file.

    Args:
        data: for `sentiment` and `topic` a CSV with the columns text and label; for `company` JSON lines of
            {"text": ..., "entities": {name: label}}.

    Raises:
        DataUnusable: when the file is something else, a label is unknown, there are no rows, or the model has not
            learned the task.
    """
    if task not in scorer.tasks:
        raise DataUnusable(
            f"the model {scorer.model} has not learned the task {task}, only {', '.join(sorted(scorer.tasks))}; "
            "name another under model.adapter"
        )
    return measured(scorer, labelled_companies(data) if task == "company" else labelled_csv(data, task))


def measured(scorer: Scorer, examples: Sequence[Example]) -> Metrics:
    """Compare the model with examples of one task."""
    chosen = probabilities(scorer, examples)
    return measure([one.label for one in examples], chosen.astype(np.float64), CLASSES[examples[0].task])


def frozen_sets(data: Path | None, labels: Sequence[Path] = ()) -> dict[str, list[Example]]:
    """What models are compared on, by name: rows that no adapter of ours was ever trained on.

    Args:
        data: folder of the public sets: their test parts, and Financial PhraseBank where it lies there.
        labels: files written by `squall label`: their test parts.

    Raises:
        DataUnusable: when a file is not there or cannot be read.
    """
    examples = of_part(training_sets(data), Part.TEST) if data else []
    phrases = data / "sentiment" / "fpb_50Agree.txt" if data else None
    if phrases and phrases.is_file():
        examples += phrasebank(phrases)
    examples += of_part(label_examples(labels_of(labels)), Part.TEST)
    sets: dict[str, list[Example]] = {}
    for one in examples:
        sets.setdefault(one.source, []).append(one)
    return sets


def probabilities(scorer: Scorer, examples: Sequence[Example]) -> NDArray[np.float32]:
    """The model's probabilities for examples of one task: [examples, classes]."""
    task, texts = examples[0].task, [one.text for one in examples]
    if task == "company":
        named = Counter(texts)
        return scorer.company_probabilities(
            texts, [one.company for one in examples], [named[text] == 1 for text in texts]
        )
    sentiment, topic = scorer.probabilities(texts)
    return sentiment if task == "sentiment" else topic
