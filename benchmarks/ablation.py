"""What each part of the recipe is worth: one short training for each, all with the same data, steps and seed.

    python benchmarks/ablation.py --data ../shared/data [--teacher runs/accurate --teacher-encoder runs/mpnet]
        [--share 3] [--epochs 2] [--only NAME ...] [--json]

Every variant differs from the first in what its name says. Figures are macro-F1 on the validation parts, and accuracy
and recall of negatives on the judged headlines of the replay (tests/judged), which no variant has labels of. Short runs
on a part of the data rank the parts of a recipe; they do not reach what the shipped adapter reaches.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from judged import CLASS_NAMES, judged

from models.adapters import find_adapter
from models.data.datasets import UNLABELLED, Example, Part, of_part, training_sets
from models.scorer import Scorer
from models.text import readable
from models.training.recipes import Recipe
from models.training.train import train
from models.trust.evaluation import measured
from models.trust.metrics import measure

PLAIN = Recipe(figures=0, renaming=0.0, slips=0.0, masking=0.0, smoothing=0.0, balance=0.0, averaging=0.0)


def variants(recipe: Recipe, teacher: str, encoder: str) -> dict[str, Recipe]:
    """Recipes by name; those with a teacher only where there is one."""
    own = {
        "labels alone": recipe,
        "+ weight averaging": replace(recipe, averaging=0.998),
        "+ hidden words": replace(recipe, masking=0.1),
        "+ label smoothing": replace(recipe, smoothing=0.05),
        "+ class weights": replace(recipe, balance=0.35),
        "+ focal loss": replace(recipe, focal=2.0),
        "+ figures": replace(recipe, figures=1500),
        "+ renaming and slips": replace(recipe, renaming=0.25, slips=0.08),
        "rank 4": replace(recipe, rank=4, alpha=8),
        "DoRA": replace(recipe, method="dora"),
        "AdaLoRA": replace(recipe, method="adalora"),
        "sentiment alone": replace(recipe, tasks=("sentiment",)),
    }
    if not teacher:
        return own
    taught = replace(recipe, teachers=(teacher,), teacher_encoder=encoder)
    return own | {
        "+ teacher": taught,
        "+ teacher, unlabelled": taught,
        "+ teacher, unlabelled, bias": replace(taught, teacher_bias=(2.4, 0.0, 1.4)),
    }


def unlabelled(data: Path, share: int) -> list[Example]:
    """Every `share`-th headline of the replay, without a label."""
    titles = (
        pl.read_csv(data / "replay" / "finance_2023q1.csv", infer_schema=False)["title"].drop_nulls().unique().sort()
    )
    texts = [readable(title) for title in titles.to_list()[::share]]
    return [Example(text, UNLABELLED, "sentiment", "unlabelled", Part.TRAIN) for text in texts if text]


def figures(folder: Path, examples: Sequence[Example], data: Path) -> dict[str, float]:
    """What one variant reached."""
    scorer = Scorer(find_adapter(folder), runtime="torch")
    found: dict[str, float] = {}
    for source in sorted({one.source for one in examples}):
        rows = [one for one in examples if one.source == source]
        if rows[0].task in scorer.tasks:
            found[source] = measured(scorer, rows).macro_f1
    rows = judged(data)
    probabilities, _ = scorer.probabilities(rows.titles)
    verdicts = measure(rows.labels, probabilities.astype(np.float64), CLASS_NAMES)
    return found | {"judged": verdicts.accuracy, "judged_negative": verdicts.recall["negative"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", default="")
    parser.add_argument("--teacher-encoder", default="")
    parser.add_argument("--share", type=int, default=3, help="train on every so-maniest row")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    examples = training_sets(asked.data)
    validation = of_part(examples, Part.VALIDATION)
    rows = of_part(examples, Part.TRAIN)[:: asked.share] + validation
    results: dict[str, dict[str, float]] = {}
    for name, recipe in variants(replace(PLAIN, epochs=asked.epochs), asked.teacher, asked.teacher_encoder).items():
        if asked.only and name not in asked.only:
            continue
        extra = unlabelled(asked.data, asked.share) if "unlabelled" in name else []
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            train(recipe, rows + extra, Path(folder) / "variant", lambda line: None)
            seconds = time.monotonic() - started
            results[name] = figures(Path(folder) / "variant", validation, asked.data) | {"seconds": seconds}
        print(name, {key: round(value, 3) for key, value in results[name].items()}, file=sys.stderr, flush=True)
    if asked.json:
        print(json.dumps(results, indent=2))
        return
    columns = list(dict.fromkeys(key for row in results.values() for key in row))
    print(f"| variant | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for name, row in results.items():
        print(f"| {name} | " + " | ".join(f"{row[key]:.3f}" if key in row else "" for key in columns) + " |")


if __name__ == "__main__":
    main()
