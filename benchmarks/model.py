"""How good the shipped adapter is, on every public set, with what each figure rests on.

    python benchmarks/model.py --data ../shared/data [--adapter FOLDER] [--json]

The test parts of SEntFiN, TFNS and TFNT are split off by near-duplicate group and were not trained on. Financial
PhraseBank was never trained on at all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from models.datasets import CLASSES, Example, Part, of_part, phrasebank, training_sets
from models.metrics import Metrics, measure
from models.scorer import Scorer, load_scorer


def measured(scorer: Scorer, examples: list[Example]) -> Metrics:
    sentiment, topic = scorer.probabilities([example.text for example in examples])
    task = examples[0].task
    chosen = sentiment if task == "sentiment" else topic
    return measure([example.label for example in examples], chosen.astype(np.float64), CLASSES[task])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    scorer = load_scorer(asked.adapter)
    test = of_part(training_sets(asked.data), Part.TEST)
    sets = {name: [e for e in test if e.source == name] for name in ("sentfin", "tfns", "tfnt")}
    for file in sorted((asked.data / "sentiment").glob("fpb_*.txt")):
        sets[file.stem] = phrasebank(file)
    results = {name: measured(scorer, examples) for name, examples in sets.items()}
    if asked.json:
        print(json.dumps({"model": scorer.model, "sets": {n: m.as_dict() for n, m in results.items()}}, indent=2))
        return
    print(f"model {scorer.model}, {scorer.device}, {scorer.precision}")
    print(f"{'set':<14}{'n':>6}{'accuracy':>10}{'macro-F1':>10}{'neg. recall':>13}{'ECE':>8}")
    for name, m in results.items():
        negative = f"{m.recall['negative']:.3f}" if "negative" in m.recall else "-"
        print(f"{name:<14}{m.n:>6}{m.accuracy:>10.3f}{m.macro_f1:>10.3f}{negative:>13}{m.ece:>8.3f}")


if __name__ == "__main__":
    main()
