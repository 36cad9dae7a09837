"""Whether explanations tell the truth: deletion curves of the three methods against a random order.

    python benchmarks/explanation.py --data ../shared/data [--texts 60] [--figure docs/images/deletion.svg]

The words of real headlines are hidden one after the other, the weightiest first, and the model is asked again each
time. The sooner the probability of the label falls, the better the words were chosen: the area under the curve is
the figure, and a random order is what it must beat.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.explanation.explaining import Explanation, Method, explain
from models.score import SENTIMENTS, Sentiment
from models.scorer import Scorer, load_scorer

# Shares of the words that are hidden, at which curves of headlines of any length meet.
SHARES = np.linspace(0, 1, 11)


def clear(scorer: Scorer, data: Path, count: int) -> list[str]:
    """Headlines of at least six words whose label is negative or positive beyond doubt, in turn."""
    titles = pl.read_csv(data / "replay" / "finance_2023q1.csv")["title"].drop_nulls().unique(maintain_order=True)
    some = [title for title in titles.to_list()[::7] if len(title.split()) >= 6][: count * 20]
    scores = scorer.score(some)
    chosen: dict[Sentiment, list[str]] = {Sentiment.NEGATIVE: [], Sentiment.POSITIVE: []}
    for title, score in zip(some, scores, strict=True):
        if score.sentiment in chosen and score.confidence > 0.8:
            chosen[score.sentiment].append(title)
    return [one for few in chosen.values() for one in few[: count // 2]]


def curve(scorer: Scorer, words: list[str], order: list[int], label: int) -> NDArray[np.float64]:
    """Probability of the label at each of `SHARES`, words hidden in the given order behind the mask token."""
    texts = []
    for hidden in range(len(words) + 1):
        gone = set(order[:hidden])
        texts.append(" ".join("[MASK]" if place in gone else word for place, word in enumerate(words)))
    found = scorer.probabilities(texts)[0][:, label]
    return np.interp(SHARES, np.linspace(0, 1, len(found)), found)


def drawn(curves: dict[str, NDArray[np.float64]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "squall"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    for (name, values), style in zip(curves.items(), ("-", "--", "-.", ":"), strict=True):
        axes.plot(SHARES * 100, values, style, label=name)
    axes.set_xlabel("words hidden, weightiest first, %")
    axes.set_ylabel("mean probability of the label")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=60)
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    scorer, shuffler = load_scorer(device="cpu"), random.Random(8)
    texts = clear(scorer, asked.data, asked.texts)
    found: dict[str, list[NDArray[np.float64]]] = {}
    deltas: dict[str, list[float]] = {}
    for text in texts:
        told: Explanation | None = None
        for method in Method:
            told = explain(scorer, text, method=method)
            order = sorted(range(len(told.words)), key=lambda place: -told.words[place].weight)
            words, label = [one.word for one in told.words], SENTIMENTS.index(told.target)
            found.setdefault(method.value, []).append(curve(scorer, words, order, label))
            deltas.setdefault(method.value, []).append(abs(told.delta))
        order = list(range(len(words)))
        shuffler.shuffle(order)
        found.setdefault("random order", []).append(curve(scorer, words, order, label))
    means = {name: np.mean(curves, axis=0) for name, curves in found.items()}
    print(f"{scorer.model}, {len(texts)} headlines")
    print(
        "| method | area under the deletion curve | half of the words hidden | words miss adding up by, mean | worst |"
    )
    print("|---|---|---|---|---|")
    for name, values in means.items():
        missed = deltas.get(name)
        told_missed = f"{np.mean(missed):.3f} | {np.max(missed):.3f}" if missed else "– | –"
        print(f"| {name} | {np.trapezoid(values, SHARES):.3f} | {values[5]:.3f} | {told_missed} |")
    if asked.figure:
        drawn(means, asked.figure)


if __name__ == "__main__":
    main()
