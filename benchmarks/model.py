"""How good an adapter is, on every public set, with what each figure rests on.

    python benchmarks/model.py --data ../shared/data [--adapter FOLDER] [--encoder FOLDER] [--json]

The test parts of SEntFiN, TFNS and TFNT are split off by near-duplicate group and were not trained on. Financial
PhraseBank was never trained on at all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from models.adapters import find_adapter
from models.data.datasets import phrasebank
from models.scorer import Scorer
from models.trust.evaluation import frozen_sets, measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument(
        "--encoder", default="", help="where the adapter's base encoder lies, if it cannot be downloaded"
    )
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    scorer = Scorer(find_adapter(asked.adapter, asked.encoder))
    sets = frozen_sets(asked.data)
    for file in sorted((asked.data / "sentiment").glob("fpb_*.txt")):
        sets[file.stem] = phrasebank(file)
    results = {name: measured(scorer, rows) for name, rows in sets.items() if rows[0].task in scorer.tasks}
    if asked.json:
        print(json.dumps({"model": scorer.model, "sets": {n: m.as_dict() for n, m in results.items()}}, indent=2))
        return
    print(f"model {scorer.model}, {scorer.runtime}")
    print(f"{'set':<20}{'n':>6}{'accuracy':>10}{'macro-F1':>10}{'neg. recall':>13}{'ECE':>8}")
    for name, m in results.items():
        negative = f"{m.recall['negative']:.3f}" if "negative" in m.recall else "-"
        print(f"{name:<20}{m.n:>6}{m.accuracy:>10.3f}{m.macro_f1:>10.3f}{negative:>13}{m.ece:>8.3f}")


if __name__ == "__main__":
    main()
