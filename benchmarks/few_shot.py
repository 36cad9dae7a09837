"""Topics and themes from a description and a few examples: k-shot curves of the base encoder, adapter disabled.

    python benchmarks/few_shot.py --data ../shared/data [--json]

Topics: the 20 of TFNT; k examples of each are drawn from its training part, and the test part is classified. `nearest`
takes the topic of the nearest mean of examples; `head` is a logistic regression on the vectors. At k = 0 the topic's
name stands for it.

Themes: headlines of the replay that were judged for a theme (tests/data/theme_judgements.csv, by hash of title), for
themes with 25 or more; those judged to be of another theme stand for what is not of this one, though a few may be of
both. k of each kind are shown, and the others ranked: average precision, and its chance level. `head` is what
`squall themes fit` fits. Every figure is the mean of five draws.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score

from models.data.datasets import Example, Part, of_part, tfnt
from models.encoder import EMBEDDED_SHA256
from models.score import TOPICS
from models.scorer import Scorer, load_scorer
from models.theme_heads import LEAST, fitted
from models.themes import default_themes

SHOTS = (0, 1, 4, 8, 16)
DRAWS = 5
ENOUGH = 25
JUDGEMENTS = Path(__file__).parents[1] / "tests" / "data" / "theme_judgements.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    scorer = load_scorer()
    found = {"topics": topics(scorer, told.data), "themes": themes(scorer, told.data)}
    if told.json:
        print(json.dumps(found, indent=2))
        return
    for name, measure in (("topics", "macro-F1"), ("themes", "average precision")):
        print(f"{name} ({measure})   " + "  ".join(f"k={k}" for k in SHOTS))
        for way, values in found[name].items():
            print(f"  {way:<10}" + "  ".join("  - " if value is None else f"{value:.3f}" for value in values))


def topics(scorer: Scorer, data: Path) -> dict[str, list[float | None]]:
    """Macro-F1 on the test part of TFNT by way and k."""
    examples = tfnt(data / "topic" / "tfnt.csv")
    train, test = of_part(examples, Part.TRAIN), of_part(examples, Part.TEST)
    known, asked = scorer.embed([one.text for one in train]), scorer.embed([one.text for one in test])
    labels, wanted = np.array([one.label for one in train]), np.array([one.label for one in test])
    named = scorer.embed([f"{topic} news" for topic in TOPICS])
    nearest: list[float | None] = [_f1(wanted, (asked @ named.T).argmax(1))]
    head: list[float | None] = [None]
    for k in SHOTS[1:]:
        scores = []
        for draw in range(DRAWS):
            shown = _drawn(train, k, draw)
            means = np.stack([known[shown[labels[shown] == topic]].mean(0) for topic in range(len(TOPICS))])
            means /= np.linalg.norm(means, axis=1, keepdims=True)
            fit = LogisticRegression(C=30, max_iter=500).fit(known[shown], labels[shown])
            scores.append((_f1(wanted, (asked @ means.T).argmax(1)), _f1(wanted, fit.predict(asked))))
        nearest.append(float(np.mean([one for one, _ in scores])))
        head.append(float(np.mean([one for _, one in scores])))
    return {"nearest": nearest, "head": head}


def themes(scorer: Scorer, data: Path) -> dict[str, list[float | None]]:
    """Mean average precision over themes by way and k."""
    described = {theme.id: f"{theme.name}: {theme.description}" for theme in default_themes()}
    by_way: dict[str, list[list[float]]] = {"nearest": [[] for _ in SHOTS], "head": [[] for _ in SHOTS], "chance": [[]]}
    for theme, (texts, labels) in judged(data).items():
        if theme not in described or min(labels.sum(), (~labels).sum()) < ENOUGH:
            continue
        vectors, about = scorer.embed(texts), scorer.embed([described[theme]])
        by_way["chance"][0].append(float(labels.mean()))
        by_way["nearest"][0].append(_ap(labels, (vectors @ about.T)[:, 0]))
        for place, k in enumerate(SHOTS[1:], 1):
            for draw in range(DRAWS):
                chance = np.random.default_rng(draw)
                shown = np.concatenate(
                    [chance.permutation(np.flatnonzero(labels == kind))[:k] for kind in (True, False)]
                )
                rest = np.setdiff1d(np.arange(len(labels)), shown)
                yes, no = vectors[shown[labels[shown]]], vectors[shown[~labels[shown]]]
                ranks = (vectors[rest] @ yes.T).max(1) - (vectors[rest] @ no.T).max(1)
                by_way["nearest"][place].append(_ap(labels[rest], ranks))
                if k >= LEAST:
                    head = fitted(vectors[shown], labels[shown], EMBEDDED_SHA256)
                    by_way["head"][place].append(_ap(labels[rest], head.probabilities(vectors[rest])))
    return {way: [float(np.mean(values)) if values else None for values in columns] for way, columns in by_way.items()}


def judged(data: Path) -> dict[str, tuple[list[str], np.ndarray]]:
    """Titles and verdicts by theme."""
    titles = pl.read_csv(data / "replay" / "finance_2023q1.csv", columns=["title"], infer_schema=False)["title"]
    by_hash = {hashlib.sha256(title.encode()).hexdigest(): title for title in titles if title}
    verdicts: dict[str, dict[str, bool]] = defaultdict(dict)
    with JUDGEMENTS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if title := by_hash.get(row["title_sha256"]):
                verdicts[row["theme"]][title] = row["verdict"] == "yes"
    others = {theme: [title for title, yes in said.items() if yes] for theme, said in verdicts.items()}
    for theme, said in verdicts.items():
        for other, titles in others.items():
            if other != theme:
                said.update({title: False for title in titles if title not in said})
    return {theme: (list(said), np.array(list(said.values()), dtype=np.bool_)) for theme, said in verdicts.items()}


def _drawn(train: list[Example], k: int, draw: int) -> np.ndarray:
    labels = np.array([one.label for one in train])
    chance = np.random.default_rng(draw)
    return np.concatenate([chance.permutation(np.flatnonzero(labels == topic))[:k] for topic in range(len(TOPICS))])


def _f1(wanted: np.ndarray, said: np.ndarray) -> float:
    return float(f1_score(wanted, said, average="macro"))


def _ap(labels: np.ndarray, ranks: np.ndarray) -> float:
    return float(average_precision_score(labels, ranks))


if __name__ == "__main__":
    main()
