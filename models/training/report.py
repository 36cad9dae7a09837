"""What a finished adapter can do, measured through the scorer as its users will meet it.

takes  an adapter folder, its recipe, labelled examples
gives  metrics.json and the card beside the weights
never  chooses anything by what it measures
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.adapters import CARD, METRICS, find_adapter
from models.data.datasets import CLASSES, Example, Part, of_part
from models.scorer import Scorer
from models.training.card import card
from models.training.recipes import Recipe
from models.trust.behaviours import behaviours, bias, noisy, passed, reworded
from models.trust.evaluation import probabilities
from models.trust.metrics import Metrics, measure, reliability

_SLIPS_SEED = 7
# Rows of a set that are read again with changes, at most: enough for a standard error of a point.
_ROBUST_ROWS = 1_000


def report(folder: Path, recipe: Recipe, examples: Sequence[Example], *, encoder: str = "") -> dict[str, Metrics]:
    """Measure the test rows among `examples` and the model's behaviour, and write both down.

    Args:
        folder: of the adapter.
        recipe: that it was made by.
        examples: of any part; test rows are measured, sets that were never trained on among them.
        encoder: where the base encoder lies, if not where the adapter says.

    Returns:
        metrics by source.
    """
    scorer = Scorer(find_adapter(folder, encoder), runtime="torch")
    sets: dict[str, list[Example]] = {}
    for one in of_part(examples, Part.TEST):
        if one.task in scorer.tasks:
            sets.setdefault(one.source, []).append(one)
    results: dict[str, Metrics] = {}
    robust: dict[str, dict[str, float]] = {}
    covered: dict[str, dict[str, float]] = {}
    calibration: dict[str, list[dict[str, float]]] = {}
    for source, rows in sets.items():
        found = probabilities(scorer, rows).astype(np.float64)
        labels = np.array([one.label for one in rows])
        results[source] = measure(labels.tolist(), found, CLASSES[rows[0].task])
        calibration[source] = reliability(labels.tolist(), found)
        if rows[0].task == "sentiment":
            robust[source] = _robustness(scorer, rows, results[source].accuracy)
            sure = found.max(1) >= scorer.adapter.settings.abstain_below
            right = found.argmax(1) == labels
            covered[source] = {
                "covered": float(sure.mean()),
                "accuracy": float(right[sure].mean()) if sure.any() else 0.0,
            }
    metrics: dict[str, Any] = {
        "model": scorer.model,
        "tasks": sorted(scorer.tasks),
        "recipe": asdict(_told(recipe)),
        "texts": dict(sorted(Counter(one.source for one in of_part(examples, Part.TRAIN)).items())),
        "test": {source: one.as_dict() for source, one in results.items()},
        "calibration": calibration,
        "abstention": _rounded(covered),
        "robustness": _rounded(robust),
    }
    if "sentiment" in scorer.tasks:
        metrics |= _trust(scorer)
    (folder / METRICS).write_text(json.dumps(metrics, indent=2, sort_keys=True, default=str) + "\n")
    (folder / CARD).write_text(card(scorer.adapter.settings, metrics))
    return results


def _trust(scorer: Scorer) -> dict[str, Any]:
    rates = passed(scorer, behaviours())
    return {
        "behaviours": {
            category: {
                "tests": one.tests,
                "passed": one.passed,
                "failures": [f"{failure.text} | {failure.other or failure.label}" for failure in one.failures],
            }
            for category, one in rates.items()
        },
        "bias": [asdict(gap) | {"shift": round(gap.shift, 4)} for gap in bias(scorer)],
    }


def _robustness(scorer: Scorer, rows: Sequence[Example], clean: float) -> dict[str, float]:
    """Accuracy on the same rows, clean and changed; of a large set on rows spread over it."""
    if len(rows) > _ROBUST_ROWS:
        rows = rows[:: -(-len(rows) // _ROBUST_ROWS)]
        found = probabilities(scorer, rows)
        clean = float((found.argmax(1) == np.array([one.label for one in rows])).mean())
    texts = [one.text for one in rows]
    changed = {
        "one_slip": noisy(texts, 1, _SLIPS_SEED),
        "three_slips": noisy(texts, 3, _SLIPS_SEED),
        "upper_case": [text.upper() for text in texts],
        "reworded": reworded(texts),
    }
    accuracy = {"clean": clean}
    for name, other in changed.items():
        found = probabilities(scorer, [replace(one, text=text) for one, text in zip(rows, other, strict=True)])
        accuracy[name] = float((found.argmax(1) == np.array([one.label for one in rows])).mean())
    return accuracy


def _told(recipe: Recipe) -> Recipe:
    """Names say which encoder, start and teachers it was; their folders are this machine's affair."""
    return replace(
        recipe,
        encoder=recipe.encoder_id or Path(recipe.encoder).name,
        teachers=tuple(Path(teacher).name for teacher in recipe.teachers),
        teacher_encoder=Path(recipe.teacher_encoder).name,
        start=Path(recipe.start).name,
    )


def _rounded(values: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {name: {key: round(value, 4) for key, value in table.items()} for name, table in values.items()}
