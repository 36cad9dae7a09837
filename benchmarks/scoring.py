"""What batching by length is worth: Squall's scorer against the same network fed as they come, side by side.

    python benchmarks/scoring.py --data ../shared/data [--texts 2000]

Three ways in turn, three rounds, medians and ratios: token-budget batches of similar length (the default), batches of
32 in order of arrival, and one text at a time. Absolute speeds depend on the machine and on what else it does; the
ratios are what to read.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from models.scorer import Scorer, load_scorer


def arrival(scorer: Scorer, size: int) -> Callable[[list[str]], None]:
    def run(texts: list[str]) -> None:
        for start in range(0, len(texts), size):
            scorer.probabilities(texts[start : start + size])

    return run


def seconds(run: Callable[[list[str]], object], texts: list[str]) -> float:
    begun = time.perf_counter()
    run(texts)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=2000)
    asked = parser.parse_args()
    texts = pl.read_csv(asked.data / "replay" / "finance_2023q1.csv")["title"].drop_nulls().to_list()[: asked.texts]
    # A budget without bound for the arrival ways: their batches are theirs to choose.
    scorer, plain = load_scorer(), load_scorer(budget=10**9)
    ways: dict[str, tuple[Callable[[list[str]], object], list[str]]] = {
        "token budget": (scorer.score, texts),
        "arrival, 32": (arrival(plain, 32), texts),
        "one by one": (arrival(plain, 1), texts[: len(texts) // 4]),
    }
    scorer.score(texts[:64])
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, (run, given) in ways.items():
            speeds[name].append(len(given) / seconds(run, given))
    best = statistics.median(speeds["token budget"])
    print(f"{scorer.model} on {scorer.device}, {scorer.precision}, {len(texts)} real headlines")
    for name, found in speeds.items():
        middle = statistics.median(found)
        print(f"{name:<14}{middle:>8.0f} headlines/s   token budget is {best / middle:.1f} times as fast")


if __name__ == "__main__":
    main()
