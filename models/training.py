"""Training the adapter and heads: one page, read from top to bottom.

takes  a `Recipe` and labelled examples, split by near-duplicate group
gives  an adapter folder: LoRA weights, heads, settings, measured metrics and a card
never  sees a test row before the last line, nor a non-commercial set at all
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor, nn
from torch.nn import functional

from models.adapters import CARD, AdapterSettings, save_adapter
from models.averaging import Average
from models.batching import batches
from models.card import card
from models.datasets import CLASSES, Example, Part, of_part
from models.encoder import find_encoder, load_encoder
from models.errors import AdapterMissing
from models.metrics import Metrics, measure
from models.network import TASKS, HeadlineNet, Heads, autocast
from models.recipes import Recipe
from models.scorer import pick_device, pick_precision


def train(recipe: Recipe, examples: list[Example], folder: Path, log: Callable[[str], None]) -> dict[str, Metrics]:
    """Train, keep the epoch with the best validation macro-F1, measure it on the test parts, write `folder`.

    Returns:
        metrics per source on its test part.
    """
    # --- set-up -----------------------------------------------------------------------------------------
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    device = pick_device("auto")
    precision = pick_precision("auto", device)
    examples = [example for example in examples if example.task in recipe.tasks]
    encoder = find_encoder(recipe.encoder)
    base, tokenizer = load_encoder(encoder)
    config = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(recipe.targets), lora_dropout=0.0)
    adapted = get_peft_model(base, config)
    merge_in_weight_space(adapted)
    net = HeadlineNet(adapted, Heads(base.config.hidden_size)).to(device)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    train_part = _encoded(tokenizer, of_part(examples, Part.TRAIN), recipe.longest)
    if recipe.teacher:
        train_part = _taught(recipe, train_part, log)
    validation = _encoded(tokenizer, of_part(examples, Part.VALIDATION), recipe.longest)
    test = _encoded(tokenizer, of_part(examples, Part.TEST), recipe.longest)
    weights = {task: _class_weights(train_part, task, recipe.balance).to(device) for task in TASKS}
    total = recipe.epochs * math.ceil(len(train_part) / recipe.batch_texts)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in adapted.parameters() if p.requires_grad], "lr": recipe.lora_rate},
            {"params": net.heads.parameters(), "lr": recipe.heads_rate},
        ],
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, total, recipe.warmup))
    average = Average(net, recipe.averaging)
    log(f"{len(train_part)} training, {len(validation)} validation, {len(test)} test texts on {device}, {precision}")

    # --- epochs -----------------------------------------------------------------------------------------
    best, best_state, step = -1.0, average.state(), 0
    for epoch in range(recipe.epochs):
        started, seen, losses = time.monotonic(), 0, 0.0
        net.train()
        for rows in _mini_batches(train_part, recipe.batch_texts, recipe.seed + epoch):
            ids, mask = _padded(rows, tokenizer.pad_token_id, device)
            ids = _hidden(ids, mask, tokenizer.mask_token_id, recipe.masking)
            with autocast(device, precision):
                logits = net(ids, mask)
            loss = _loss(logits, rows, weights, recipe, device)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            nn.utils.clip_grad_norm_([p for p in net.parameters() if p.requires_grad], 1.0)
            optimizer.step()
            schedule.step()
            average.update(net)
            step, seen, losses = step + 1, seen + len(rows), losses + float(loss.detach()) * len(rows)
            if step % 100 == 0:
                log(f"step {step}/{total} loss {losses / seen:.4f} {seen / (time.monotonic() - started):.0f} texts/s")
        with average.applied(net):
            measured = _measured(net, validation, tokenizer.pad_token_id, device, precision)
        score = sum(metrics.macro_f1 for metrics in measured.values()) / len(measured)
        log(f"epoch {epoch + 1} validation {score:.4f} " + _line(measured))
        if score > best:
            best, best_state = score, average.state()
            average.load(net, best_state)
            _save(net, adapted, recipe, encoder.sha256, encoder.name, folder, measured, {})
            average.restore(net)

    # --- the frozen test parts, once --------------------------------------------------------------------
    average.load(net, best_state)
    temperatures = {
        task: _temperature(net, validation, task, tokenizer.pad_token_id, device, precision) for task in TASKS
    }
    results = _measured(net, test, tokenizer.pad_token_id, device, precision, temperatures)
    _save(net, adapted, recipe, encoder.sha256, encoder.name, folder, results, temperatures)
    log("test " + _line(results))
    return results


def merge_in_weight_space(adapted: PeftModel) -> None:
    """Let every LoRA layer run one product with W + s·BA instead of three.

    The low-rank update is added to the weight, not to the activations: the same function and gradients, but
    on two CPU cores an epoch takes about a third of the time.
    """
    for layer in adapted.modules():
        if isinstance(layer, LoraLinear):
            layer.forward = _MergedForward(layer)  # type: ignore[method-assign]  # the one place where it is replaced


class _MergedForward:
    def __init__(self, layer: LoraLinear) -> None:
        self.layer = layer

    def __call__(self, x: Tensor) -> Tensor:
        down, up = cast("nn.Linear", self.layer.lora_A["default"]), cast("nn.Linear", self.layer.lora_B["default"])
        base = cast("nn.Linear", self.layer.get_base_layer())
        update = (up.weight @ down.weight) * self.layer.scaling["default"]
        return functional.linear(x, base.weight + update, base.bias)


@dataclass(frozen=True, slots=True)
class _Row:
    ids: tuple[int, ...]
    example: Example
    # The teacher's softened probabilities of negative, neutral, positive; empty without a teacher.
    taught: tuple[float, ...] = ()


def _encoded(tokenizer: Callable[..., dict[str, list[list[int]]]], examples: list[Example], longest: int) -> list[_Row]:
    ids = tokenizer([example.text for example in examples], truncation=True, max_length=longest)["input_ids"]
    return [_Row(tuple(one), example) for one, example in zip(ids, examples, strict=True)]


def _mini_batches(rows: list[_Row], size: int, seed: int) -> Iterator[list[_Row]]:
    """Batches of similar length in random order; both tasks mix freely in one batch."""
    shuffler = random.Random(seed)
    jittered = sorted(rows, key=lambda row: len(row.ids) + shuffler.uniform(-2, 2))
    groups = [jittered[start : start + size] for start in range(0, len(jittered), size)]
    shuffler.shuffle(groups)
    yield from groups


def _padded(rows: list[_Row], padding: int, device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), longest), padding, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        mask[index, : len(row.ids)] = 1
    return ids.to(device), mask.to(device)


def _hidden(ids: Tensor, mask: Tensor, mask_token: int, share: float) -> Tensor:
    """Replace a random share of the words by the mask token; the first and last token frame the text and stay."""
    chosen = (torch.rand(ids.shape, device=ids.device) < share) & mask.bool()
    chosen[:, 0] = False
    chosen[torch.arange(len(ids), device=ids.device), mask.sum(1) - 1] = False
    return ids.masked_fill(chosen, mask_token)


def _taught(recipe: Recipe, rows: list[_Row], log: Callable[[str], None]) -> list[_Row]:
    """Every row with the teacher's opinion of its sentiment, softened: p ** (1 / softness), made to sum to one."""
    from models.scorer import load_scorer

    try:
        teacher = load_scorer(Path(recipe.teacher))
    except AdapterMissing as error:
        raise AdapterMissing(
            f"the recipe's teacher is not in {recipe.teacher}; train it first with `make teacher`, "
            "or leave teacher out of the recipe to train on labels alone"
        ) from error
    log(f"asking the teacher {teacher.model} about {len(rows)} texts")
    sentiment, _ = teacher.probabilities([row.example.text for row in rows])
    soft = sentiment.astype(np.float64) ** (1 / recipe.teacher_softness)
    soft /= soft.sum(1, keepdims=True)
    return [replace(row, taught=tuple(float(p) for p in one)) for row, one in zip(rows, soft, strict=True)]


def _loss(
    logits: dict[str, Tensor], rows: list[_Row], weights: dict[str, Tensor], recipe: Recipe, device: torch.device
) -> Tensor:
    """Mean per text of cross-entropy with its label, in the head of its task, and with the teacher's sentiment."""
    loss = torch.zeros((), device=device)
    for task in TASKS:
        mine = [index for index, row in enumerate(rows) if row.example.task == task]
        if mine:
            labels = torch.tensor([rows[index].example.label for index in mine], device=device)
            share = 1 - recipe.teacher_weight if recipe.teacher and task == "sentiment" else 1.0
            loss = loss + share * functional.cross_entropy(
                logits[task][mine], labels, weights[task], label_smoothing=recipe.smoothing, reduction="sum"
            )
    if recipe.teacher:
        soft = torch.tensor([row.taught for row in rows], device=device)
        cooled = logits["sentiment"] / recipe.teacher_softness
        # Squared softness keeps the gradient's size independent of it (Hinton, Vinyals, Dean 2015).
        taught = functional.cross_entropy(cooled, soft, reduction="sum") * recipe.teacher_softness**2
        loss = loss + recipe.teacher_weight * taught
    return loss / len(rows)


def _class_weights(rows: list[_Row], task: str, balance: float) -> Tensor:
    counts = np.bincount([r.example.label for r in rows if r.example.task == task], minlength=TASKS[task])
    weights = np.maximum(counts, 1).astype(np.float64) ** -balance
    return torch.tensor(weights / (weights * counts).sum() * max(counts.sum(), 1), dtype=torch.float32)


def _rate(step: int, total: int, warmup: float) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    progress = step / max(total, 1)
    if progress < warmup:
        return progress / warmup
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _logits(
    net: HeadlineNet, rows: list[_Row], task: str, padding: int, device: torch.device, precision: str
) -> Tensor:
    net.eval()
    out = torch.empty((len(rows), TASKS[task]))
    with torch.inference_mode():
        for batch in batches([len(row.ids) for row in rows], 4096):
            ids, mask = _padded([rows[p] for p in batch.positions], padding, device)
            with autocast(device, precision):
                logits = net(ids, mask)[task]
            out[list(batch.positions)] = logits.cpu()
    return out


def _measured(
    net: HeadlineNet,
    rows: list[_Row],
    padding: int,
    device: torch.device,
    precision: str,
    temperatures: dict[str, float] | None = None,
) -> dict[str, Metrics]:
    results: dict[str, Metrics] = {}
    for source in sorted({row.example.source for row in rows}):
        mine = [row for row in rows if row.example.source == source]
        task = mine[0].example.task
        logits = _logits(net, mine, task, padding, device, precision) / (temperatures or {}).get(task, 1.0)
        probabilities = logits.softmax(1).numpy().astype(np.float64)
        results[source] = measure([row.example.label for row in mine], probabilities, CLASSES[task])
    return results


def _temperature(
    net: HeadlineNet, rows: list[_Row], task: str, padding: int, device: torch.device, precision: str
) -> float:
    """The softmax temperature that minimises validation log-loss (Guo et al. 2017), by a fine grid; 1 without rows."""
    mine = [row for row in rows if row.example.task == task]
    if not mine:
        return 1.0
    logits = _logits(net, mine, task, padding, device, precision)
    labels = torch.tensor([row.example.label for row in mine])
    grid = [round(0.3 + 0.01 * index, 2) for index in range(270)]
    return min(grid, key=lambda t: float(functional.cross_entropy(logits / t, labels)))


def _save(
    net: HeadlineNet,
    adapted: PeftModel,
    recipe: Recipe,
    encoder_sha256: str,
    encoder_name: str,
    folder: Path,
    results: dict[str, Metrics],
    temperatures: dict[str, float],
) -> None:
    settings = AdapterSettings(
        encoder=recipe.encoder,
        encoder_name=encoder_name,
        encoder_sha256=encoder_sha256,
        longest=recipe.longest,
        sentiment_temperature=temperatures.get("sentiment", 1.0),
        topic_temperature=temperatures.get("topic", 1.0),
    )
    # Names say which encoder and teacher it was; their folders are this machine's affair.
    told = replace(recipe, teacher=Path(recipe.teacher).name, encoder=Path(recipe.encoder).name)
    metrics = save_adapter(folder, adapted, net.heads, settings, told, results)
    (folder / CARD).write_text(card(settings, metrics))


def _line(measured: dict[str, Metrics]) -> str:
    return " | ".join(
        f"{source} f1 {m.macro_f1:.4f} acc {m.accuracy:.4f} ece {m.ece:.3f}" for source, m in measured.items()
    )
