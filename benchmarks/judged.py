"""How the model reads headlines of houses that it never learned from, against one reader's verdicts.

    python benchmarks/judged.py --data ../shared/data [--adapter FOLDER ...] [--encoder FOLDER] [--fit] [--json]

The verdicts (tests/judged/sentiment_replay.csv, with their criterion beside them) name headlines of the replay by hash.
They are a development set: `--fit` finds the bias of classes that fits best, which the recipe of the shipped adapter
adds to its teacher's opinion of unlabelled headlines. What such a bias is worth is measured across two halves.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adapters import find_adapter
from models.data.datasets import CLASSES
from models.scorer import Scorer
from models.training.teaching import shifted
from models.trust.metrics import Metrics, measure

VERDICTS = Path(__file__).parents[1] / "tests" / "judged" / "sentiment_replay.csv"
CLASS_NAMES = CLASSES["sentiment"]
GRID = np.arange(0.0, 3.01, 0.2)


@dataclass(frozen=True, slots=True)
class Judged:
    """Headlines with verdicts, and to which of two halves each belongs, by hash."""

    titles: list[str]
    labels: list[int]
    first_half: NDArray[np.bool_]


def judged(data: Path) -> Judged:
    """The judged headlines, found in the replay by their hash."""
    verdicts = {row["title_sha256"]: row["label"] for row in pl.read_csv(VERDICTS).iter_rows(named=True)}
    titles = (
        pl.read_csv(data / "replay" / "finance_2023q1.csv", infer_schema=False)["title"].drop_nulls().unique().sort()
    )
    found = [(title, hashlib.sha256(title.strip().encode()).hexdigest()) for title in titles]
    found = [(title, digest) for title, digest in found if digest in verdicts]
    return Judged(
        [title for title, _ in found],
        [CLASS_NAMES.index(verdicts[digest]) for _, digest in found],
        np.array([int(digest[0], 16) % 2 == 0 for _, digest in found]),
    )


def best_bias(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float, float]:
    """The bias towards negative and positive that makes the verdicts most likely (least log-loss)."""

    def loss(bias: tuple[float, float]) -> float:
        moved = shifted(probabilities, (bias[0], 0.0, bias[1]))
        return float(-np.log(np.maximum(moved[np.arange(len(labels)), labels], 1e-9)).mean())

    negative, positive = min(itertools.product(GRID.tolist(), GRID.tolist()), key=loss)
    return round(negative, 1), 0.0, round(positive, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--adapter", type=Path, nargs="+", default=[None], help="of several, their mean is measured")
    parser.add_argument(
        "--encoder", default="", help="where the adapter's base encoder lies, if it cannot be downloaded"
    )
    parser.add_argument("--fit", action="store_true", help="find the bias that fits best")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    scorers = [Scorer(find_adapter(folder, asked.encoder)) for folder in asked.adapter]
    rows = judged(asked.data)
    labels = np.array(rows.labels, dtype=np.int64)
    found = np.mean([scorer.probabilities(rows.titles)[0] for scorer in scorers], axis=0)
    results = {"as_it_is": _measured(found, labels)}
    bias = None
    if asked.fit:
        # Each half is measured with the bias that fits the other; what is recommended fits them all.
        moved = found.copy()
        for half in (rows.first_half, ~rows.first_half):
            moved[half] = shifted(found[half], best_bias(found[~half], labels[~half]))
        bias = best_bias(found, labels)
        results["with_bias_of_the_other_half"] = _measured(moved, labels)
    model = ", ".join(scorer.model for scorer in scorers)
    if asked.json:
        told = {name: one.as_dict() for name, one in results.items()}
        print(json.dumps({"model": model, "bias": bias, **told}, indent=2))
        return
    print(f"model {model}" + (f", best bias {bias}" if bias else ""))
    for name, one in results.items():
        recall = ", ".join(f"{label} {value:.2f}" for label, value in one.recall.items())
        print(f"{name:<28} n {one.n:>4}  accuracy {one.accuracy:.3f}  macro-F1 {one.macro_f1:.3f}  recall: {recall}")


def _measured(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Metrics:
    return measure(labels.tolist(), probabilities.astype(np.float64), CLASS_NAMES)


if __name__ == "__main__":
    main()
