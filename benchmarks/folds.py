"""Financial PhraseBank in ten fixed folds: what the `accurate` tier reaches once it may learn from that set as well.

    python benchmarks/folds.py --data ../shared/data --encoder runs/mpnet [--folds 0 1 2] [--epochs 3] [--keep FILE]

takes  the sentences on whose label half of the annotators agree, the shipped `accurate` adapter and its encoder
gives  accuracy and macro-F1 of each fold, and their mean; with --keep each is written as soon as it is known
never  leaves an adapter behind: the set is non-commercial, and nothing that learned from it is shipped

A sentence belongs to the fold that the hash of its text says, so copies of a sentence stay together. Of the nine
other folds a twentieth chooses the epoch, the rest trains. Each fold starts from the shipped adapter, which never saw
the set.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from models.adapters import SHIPPED
from models.data.datasets import Example, Part, phrasebank
from models.training.recipes import Recipe, load_recipe
from models.training.train import train

FOLDS = 10
ROOT = Path(__file__).parents[1]


def _bucket(text: str, purpose: str, buckets: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{purpose}:{text}".encode(), digest_size=4).digest()) % buckets


def parted(rows: list[Example], fold: int) -> list[Example]:
    """The rows with the parts that they have when this fold is the test."""

    def part(text: str) -> Part:
        if _bucket(text, "fold", FOLDS) == fold:
            return Part.TEST
        return Part.VALIDATION if _bucket(text, "choose", 20) == 0 else Part.TRAIN

    return [replace(one, part=part(one.text)) for one in rows]


def recipe(encoder: str, epochs: int) -> Recipe:
    """That of the shipped adapter, in smaller steps and for one task."""
    shipped = load_recipe(ROOT / "benchmarks" / "recipes" / "accurate.toml")
    return replace(
        shipped,
        encoder=encoder,
        start=str(SHIPPED.parent / "accurate"),
        tasks=("sentiment",),
        # Labels alone: the teachers of the shipped adapter know nothing of this set.
        teachers=(),
        reworded=(),
        figures=0,
        announcements=0,
        epochs=epochs,
        batch_texts=32,
        lora_rate=3e-4,
        heads_rate=3e-4,
        averaging=0.99,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", required=True, help="folder or hub id of all-mpnet-base-v2")
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="JSON lines, one for each fold as it ends")
    asked = parser.parse_args()
    rows = phrasebank(asked.data / "sentiment" / "fpb_50Agree.txt")
    found: list[dict[str, float]] = []
    for fold in asked.folds:
        examples, started = parted(rows, fold), time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            results = train(
                recipe(asked.encoder, asked.epochs),
                examples,
                Path(folder) / "fold",
                lambda line: print(line, file=sys.stderr, flush=True),
            )
        (one,) = results.values()
        told = {"fold": fold, "n": one.n, "accuracy": one.accuracy, "macro_f1": one.macro_f1}
        found.append(told | {"seconds": round(time.monotonic() - started)})
        print(json.dumps(found[-1]), flush=True)
        if asked.keep:
            with asked.keep.open("a") as stream:
                stream.write(json.dumps(found[-1]) + "\n")
    for figure in ("accuracy", "macro_f1"):
        print(f"{figure}: mean {statistics.fmean(one[figure] for one in found):.3f} over {len(found)} folds")


if __name__ == "__main__":
    main()
