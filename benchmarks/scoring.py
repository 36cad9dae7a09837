"""How fast Squall scores, side by side with what people use today, in one run on real headlines.

    python benchmarks/scoring.py --data ../shared/data [--texts 1500] [--rounds 3] [--device auto] [--clock wall]

The others are `transformers.pipeline("text-classification")` with a network of FinBERT's shape (BERT-base, random
weights: speed does not depend on them) and with Squall's own encoder, one headline at a time and 32 at a time. All
take turns within every round, so what else the machine does hits all alike; the ratios are what to read. Also told:
the share of the machine's measured peak of matrix products, memory, the time to the first score in a fresh process,
and how many labels differ from full precision.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from models.encoder import find_encoder
from models.running.tokens import Query
from models.scorer import Scorer, load_scorer

Run = Callable[[list[str]], object]

_FRESH = """
import resource, sys, time
begun = time.perf_counter()
from models.scorer import load_scorer
scorer = load_scorer(device=sys.argv[1])
scorer.score(["Bank collapses after depositors withdraw billions"])
first = time.perf_counter() - begun
scorer.score(["Bank collapses after depositors withdraw billions"] * 2000)
print(first, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def headlines(data: Path, count: int) -> list[str]:
    """Titles spread evenly over the first quarter of 2023."""
    titles = pl.read_csv(data / "replay" / "finance_2023q1.csv")["title"].drop_nulls().to_list()
    return titles[:: max(1, len(titles) // count)][:count]


def pipeline(network: torch.nn.Module, tokenizer: Any, size: int, device: str) -> Run:
    import transformers

    built = transformers.pipeline("text-classification", model=network, tokenizer=tokenizer, device=device)
    return lambda texts: built(texts, batch_size=size, truncation=True)


def others(device: str) -> dict[str, Run]:
    """The pipelines that Squall is compared with, by name."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig

    folder = find_encoder().folder
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    own = BertConfig.from_pretrained(folder, num_labels=3)
    networks = {
        "BERT-base": AutoModelForSequenceClassification.from_config(BertConfig(num_labels=3)),
        "own encoder": AutoModelForSequenceClassification.from_config(own),
    }
    return {
        f"pipeline, {name}, {size} at a time": pipeline(network.eval(), tokenizer, size, device)
        for name, network in networks.items()
        for size in (1, 32)
    }


def measured(
    ways: dict[str, tuple[Run, list[str]]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median headlines a second of each way; all take turns in every round."""
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for run, texts in ways.values():
        run(texts[:8])
    for _ in range(rounds):
        for name, (run, texts) in ways.items():
            begun = clock()
            run(texts)
            speeds[name].append(len(texts) / (clock() - begun))
    return {name: statistics.median(found) for name, found in speeds.items()}


def peak(device: str, precision: str, clock: Callable[[], float] = time.perf_counter) -> float:
    """Best of eight products of matrices as tall as a large batch, in billions of operations a second."""
    rows, width = (1024, 1536) if device == "cpu" else (16384, 4096)
    if precision == "int8":
        left, right = (torch.randint(-99, 99, shape, dtype=torch.int8) for shape in ((rows, width), (width, width)))
        product = torch._int_mm
    else:
        kind = {"fp32": torch.float32, "fp16": torch.float16}.get(precision, torch.bfloat16)
        left, right = (torch.randn(shape, device=device).to(kind) for shape in ((rows, width), (width, width)))
        product = torch.mm
    best = 0.0
    for _ in range(8):
        begun = clock()
        for _ in range(4):
            made = product(left, right)
        float(made[0, 0])  # waits for the device
        best = max(best, 4 * 2 * rows * width * width / (clock() - begun))
    return best / 1e9


def work(scorer: Scorer, texts: list[str]) -> float:
    """Billions of operations that the linear layers of the encoder need for one headline, padding not counted."""
    config = json.loads((find_encoder(scorer.adapter.settings.encoder).folder / "config.json").read_text())
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    tokens = statistics.mean(len(one) for one in scorer._tokens.ids([Query(text) for text in texts]))
    return tokens * layers * 2 * (4 * width * width + 2 * width * inner) / 1e9


def agreement(scorer: Scorer, texts: list[str]) -> tuple[float, float]:
    """Share of sentiment and of topic labels that are those of torch in full precision."""
    exact = load_scorer(scorer.adapter.folder, device="cpu", runtime="torch", precision="fp32")
    pairs = zip(scorer.probabilities(texts), exact.probabilities(texts), strict=True)
    sentiment, topic = (float((np.argmax(one, 1) == np.argmax(other, 1)).mean()) for one, other in pairs)
    return sentiment, topic


def fresh(device: str) -> tuple[float, float]:
    """Seconds to the first score and megabytes resident, of a process of its own whose graphs are kept already."""
    done = subprocess.run([sys.executable, "-c", _FRESH, device], capture_output=True, text=True, check=True)
    first, memory = done.stdout.split()
    return float(first), float(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu counts this process's own time: for a machine that others use, with OMP_NUM_THREADS=1",
    )
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    clock = time.perf_counter if asked.clock == "wall" else time.process_time
    texts = headlines(asked.data, asked.texts)
    scorer = load_scorer(device=asked.device)
    seconds, memory = fresh(asked.device)
    themed = scorer.embed
    few = texts[:: max(1, len(texts) // 60)]
    ways: dict[str, tuple[Run, list[str]]] = {
        "Squall": (scorer.score, texts),
        "Squall, embeddings for themes": (themed, texts),
        **{name: (run, few if "1 at" in name else texts[:256]) for name, run in others(scorer.device).items()},
    }
    speeds = measured(ways, asked.rounds, clock)
    top, each = peak(scorer.device, scorer.precision, clock), work(scorer, texts)
    same, same_topic = agreement(scorer, texts)
    told = {
        "model": scorer.model,
        "runtime": scorer.runtime,
        "headlines": len(texts),
        "per_second": {name: round(speed, 1) for name, speed in speeds.items()},
        "times_as_fast": {name: round(speeds["Squall"] / speed, 1) for name, speed in speeds.items()},
        "peak_gops": round(top, 1),
        "reached_gops": round(each * speeds["Squall"], 1),
        "share_of_peak": round(each * speeds["Squall"] / top, 3),
        "first_score_seconds": round(seconds, 2),
        "megabytes": round(memory),
        "same_sentiment": round(same, 4),
        "same_topic": round(same_topic, 4),
        "this_process_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if asked.json:
        print(json.dumps(told, indent=2))
        return
    print(f"{scorer.model}, {scorer.runtime}, {len(texts)} real headlines")
    for name, speed in speeds.items():
        print(f"{name:<40}{speed:>9.1f} headlines/s   Squall is {speeds['Squall'] / speed:6.1f} times as fast")
    print(f"{told['share_of_peak']:.0%} of {top:.0f} billion operations a second, the peak of {scorer.precision} here")
    print(f"first score after {seconds:.2f} s in a fresh process, {memory:.0f} MB")
    print(f"labels as in full precision: sentiment {same:.2%}, topic {same_topic:.2%}")


if __name__ == "__main__":
    main()
