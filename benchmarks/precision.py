"""Which runtime and precision to score with: speed of each, and what it changes, on the validation parts.

    python benchmarks/precision.py --data ../shared/data [--texts 2000] [--rounds 2] [--device auto]

A lower precision may be the default only if it changes the sentiment of fewer than one headline in a hundred, and
macro-F1 by less than .003. All ways take turns within every round; the ratios are what to read.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.adapters import find_adapter
from models.data.datasets import CLASSES, Example, Part, of_part, training_sets
from models.encoder import find_encoder
from models.running.openvino_library import installed
from models.running.runtime import Runtime
from models.running.torch_runtime import TorchRuntime, load_network, scoring_runtime
from models.scorer import Scorer, load_scorer
from models.trust.metrics import measure

Figures = dict[str, NDArray[np.float32]]
Way = Callable[[], Figures]


def through(scorer: Scorer, runtime: Runtime, texts: list[str]) -> Way:
    """Logits of a runtime with the scorer's own batching."""

    def run() -> Figures:
        ids = [one for portion in scorer._read(texts, None) for one in portion.ids]
        return scorer._forward(runtime, ids)

    return run


def torch_ways(plain: Scorer, texts: list[str]) -> Iterator[tuple[str, Way]]:
    adapter, encoder, device = plain.adapter, find_encoder(plain.adapter.settings.encoder), torch.device(plain.device)
    for precision in ("fp32", "bf16"):
        for attention in ("sdpa", "eager"):
            net = load_network(adapter, encoder)
            net.encoder.set_attn_implementation(attention)  # type: ignore[operator]  # every model of transformers has it
            yield f"torch {precision}, {attention}", through(plain, scoring_runtime(net, device, precision), texts)
    compiled = scoring_runtime(load_network(adapter, encoder), device, "bf16")
    compiled._module = torch.compile(compiled._module, dynamic=True)  # type: ignore[assignment]  # it stays callable
    yield "torch bf16, compiled", through(plain, compiled, texts)
    if device.type == "cpu":
        net = torch.ao.quantization.quantize_dynamic(load_network(adapter, encoder), {torch.nn.Linear})
        yield "torch dynamic int8", through(plain, TorchRuntime(net, device, "int8"), texts)


def openvino_ways(texts: list[str]) -> Iterator[tuple[str, Way]]:
    for precision in ("fp32", "bf16", "int8"):
        scorer = load_scorer(device="cpu", runtime="openvino", precision=precision)
        yield f"openvino {precision}", through(scorer, scorer._net, texts)
        if precision == "int8":
            yield "openvino int8, second look", second_look(scorer, texts)


def second_look(scorer: Scorer, texts: list[str]) -> Way:
    ids = [one for portion in scorer._read(texts, None) for one in portion.ids]
    return lambda: scorer._logits(ids, counted=len(ids))


def differences(found: Figures, exact: Figures, examples: list[Example]) -> tuple[float, float, float, float]:
    """Shares of changed sentiments and topics on all texts, and the largest change of macro-F1 on any set, by task."""
    changed = [float((found[task].argmax(1) != exact[task].argmax(1)).mean()) for task in ("sentiment", "topic")]
    shifts = {"sentiment": 0.0, "topic": 0.0}
    for source in sorted({one.source for one in examples}):
        rows = [index for index, one in enumerate(examples) if one.source == source]
        task, labels = examples[rows[0]].task, [examples[row].label for row in rows]
        one, other = (
            measure(labels, torch.softmax(torch.from_numpy(figures[task][rows]), 1).double().numpy(), CLASSES[task])
            for figures in (found, exact)
        )
        shifts[task] = max(shifts[task], abs(one.macro_f1 - other.macro_f1))
    return changed[0], changed[1], shifts["sentiment"], shifts["topic"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    examples = [
        one for one in of_part(training_sets(asked.data), Part.VALIDATION) if one.task in {"sentiment", "topic"}
    ]
    examples = examples[:: max(1, len(examples) // asked.texts)]
    texts = [one.text for one in examples]
    plain = load_scorer(device=asked.device, runtime="torch", precision="fp32")
    ways = dict(torch_ways(plain, texts))
    if installed("openvino") and plain.device == "cpu":
        ways |= dict(openvino_ways(texts))
    figures = {name: run() for name, run in ways.items()}
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(asked.rounds):
        for name, run in ways.items():
            begun = time.perf_counter()
            run()
            speeds[name].append(len(texts) / (time.perf_counter() - begun))
    first = next(iter(ways))
    base = statistics.median(speeds[first])
    print(f"{find_adapter().model} on {plain.device}, {len(texts)} texts of the validation parts")
    print("| way | headlines/s | times | sentiment changed | topic changed | macro-F1, sentiment | macro-F1, topic |")
    print("|---|---|---|---|---|---|---|")
    for name in ways:
        speed = statistics.median(speeds[name])
        sentiment, topic, shift, topic_shift = differences(figures[name], figures[first], examples)
        cells = [name, f"{speed:.0f}", f"{speed / base:.2f}", f"{sentiment:.2%}", f"{topic:.2%}"]
        print(f"| {' | '.join([*cells, f'{shift:.4f}', f'{topic_shift:.4f}'])} |")


if __name__ == "__main__":
    main()
