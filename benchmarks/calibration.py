"""How often a model is right where it is so sure: python benchmarks/calibration.py ADAPTER --data ../shared/data.

takes  an adapter folder, and the folder of the public sets
gives  the table for every set that it was not trained on; with --write also as `calibration` in its metrics.json, which
       the dashboard draws (training writes it by itself)
never  changes a weight, nor any other figure of the file
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from models.adapters import METRICS, find_adapter
from models.scorer import Scorer
from models.trust.evaluation import frozen_sets, probabilities
from models.trust.metrics import reliability


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description="Measure how well a model's confidence can be believed.")
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    scorer = Scorer(find_adapter(asked.adapter))
    found = {}
    for name, rows in frozen_sets(asked.data).items():
        if rows[0].task in scorer.tasks:
            told = probabilities(scorer, rows).astype(np.float64)
            found[name] = reliability([one.label for one in rows], told)
            print(
                f"{name}: "
                + "  ".join(f"{r['confidence']:.2f}:{r['accuracy']:.2f} ({r['n']:.0f})" for r in found[name])
            )
    if asked.write:
        file = asked.adapter / METRICS
        metrics = json.loads(file.read_text()) | {"calibration": found}
        file.write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
