"""Training the adapter and heads: one page, read from top to bottom.

takes  a `Recipe` and labelled examples, split by near-duplicate group
gives  an adapter folder: weights, heads, settings, measured metrics and a card
never  sees a test row before the last line, nor a non-commercial set at all
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.adapters import AdapterSettings, find_adapter, put_in_place, save_adapter
from models.data.datasets import CLASSES, UNLABELLED, Example, Part, of_part
from models.encoder import find_encoder, load_encoder
from models.errors import ModelError, TrainingDiverged
from models.running.batching import batches
from models.running.network import HeadlineNet, Heads, autocast
from models.score import TASKS
from models.scorer import pick_device, pick_precision
from models.training.adapting import adapted_encoder, check_length, started_from
from models.training.averaging import Average
from models.training.calibration import abstention, fitted_temperature
from models.training.checkpoints import Progress, keep, resumed
from models.training.objective import class_weights, objective
from models.training.recipes import Recipe
from models.training.report import report
from models.training.rows import Row, encoded, hidden, mini_batches, padded
from models.training.teaching import opinions
from models.training.texts import Epochs, learned_from
from models.trust.metrics import Metrics, measure

# Validation rows that a temperature can be fitted on anew where a fitted one is known already.
_CALIBRATING = 200


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step of a run: for progress bars and charts."""

    number: int
    total: int
    loss: float
    texts_per_second: float


def _unwatched(step: Step) -> None:
    """Without a watcher, steps pass in silence."""


def train(
    recipe: Recipe,
    examples: Sequence[Example],
    folder: Path,
    log: Callable[[str], None],
    watch: Callable[[Step], None] = _unwatched,
    *,
    resume: bool = False,
) -> dict[str, Metrics]:
    """Train, keep the epoch with the best validation macro-F1, measure it on the test parts, write `folder`.

    Args:
        recipe: everything that decides what comes out.
        examples: all parts; rows labelled `UNLABELLED` learn from the teacher alone.
        folder: where the adapter goes once it is measured; until then the state of the run is kept beside it, in
            `<folder>.run`, and what its teacher said in `<folder>.*.safetensors`.
        log: called with a line at each epoch.
        watch: called at every step.
        resume: go on from the kept state of a run of the same recipe and data.

    Returns:
        metrics per source on its test part.

    Raises:
        AdapterMissing: when the recipe names a teacher or a start that is not there.
        DataUnusable: when a kept state belongs to another recipe, the recipe rewords texts without a teacher, names
            layers that the encoder lacks or texts longer than it reads, or there is nothing to train on.
        TrainingDiverged: at the step whose loss or gradient is no number; the last whole epoch stays kept.
    """
    # --- set-up -----------------------------------------------------------------------------------------
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    device = pick_device("auto")
    precision = pick_precision("auto", device)
    examples = [one for one in examples if one.task in recipe.tasks]
    encoder = find_encoder(recipe.encoder)
    base, tokenizer = load_encoder(encoder)
    check_length(base, recipe)
    labelled = learned_from(recipe, examples, base, tokenizer)
    held_out = of_part(examples, Part.VALIDATION)
    run, fingerprint = folder.with_name(folder.name + ".run"), _fingerprint(recipe, [*labelled, *held_out])
    asked = folder.with_name(f"{folder.name}.{fingerprint[:16]}.safetensors")
    rows_of = Epochs(tokenizer, labelled, opinions(recipe, labelled, asked, log), recipe)
    total = recipe.epochs * math.ceil(rows_of.rows_per_epoch / recipe.batch_texts)
    # Drawn from here on alike, whether teachers were asked before or their answers were kept.
    torch.manual_seed(recipe.seed)
    adapted = adapted_encoder(base, recipe, total)
    net = HeadlineNet(adapted.encoder, Heads(base.config.hidden_size, recipe.tasks)).to(device)
    if recipe.start:
        started_from(Path(recipe.start), net)
    validation = encoded(tokenizer, held_out, recipe.longest)
    weights = {task: class_weights(labelled, task, recipe.balance).to(device) for task in TASKS}
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in net.encoder.parameters() if p.requires_grad], "lr": recipe.lora_rate},
            {"params": net.heads.parameters(), "lr": recipe.heads_rate},
        ],
        weight_decay=recipe.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )
    average = Average(net, recipe.averaging)
    progress, best_state = Progress(fingerprint), average.state()
    if resume and (kept := resumed(run, fingerprint, net, average, optimizer)):
        progress, best_state = kept.progress, kept.best
        adapted.bring_back(kept.method)
        log(f"going on after epoch {progress.epochs}")
    done = progress.steps
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step + done, total, recipe.warmup))
    log(f"{len(labelled)} training, {len(validation)} validation texts on {device}, {precision}")

    # --- epochs -----------------------------------------------------------------------------------------
    for epoch in range(progress.epochs, recipe.epochs):
        if recipe.patience and progress.since_best >= recipe.patience:
            log(f"no better for {progress.since_best} epochs: enough")
            break
        # What is hidden in an epoch hangs on its number, as what it sees does: a run that goes on draws the same.
        torch.manual_seed(recipe.seed * 1009 + epoch)
        started, seen, losses, step = time.monotonic(), 0, 0.0, progress.steps
        net.train()
        for rows in mini_batches(rows_of.epoch(epoch), recipe.batch_texts, recipe.seed + epoch):
            ids, mask = padded(rows, tokenizer.pad_token_id, device)
            ids = hidden(rows, ids, tokenizer.mask_token_id, recipe.masking)
            with autocast(device, precision):
                logits = net(ids, mask)
            loss = objective(logits, rows, weights, recipe, device) + adapted.regularisation()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            norm = nn.utils.clip_grad_norm_(trained, 1.0)
            if not math.isfinite(float(loss.detach()) + float(norm)):
                raise _diverged(recipe, run, progress, epoch + 1, step + 1)
            optimizer.step()
            adapted.after_step(step)
            schedule.step()
            average.update()
            step, seen, losses = step + 1, seen + len(rows), losses + float(loss.detach()) * len(rows)
            watch(Step(step, total, losses / seen, seen / (time.monotonic() - started)))
        with average.applied():
            measured = _measured(net, validation, tokenizer.pad_token_id, device, precision)
        # A few labels may leave no row to validate with: then the last epoch is the one to keep.
        score = np.mean([one.macro_f1 for one in measured.values()]).item() if measured else progress.best + 1
        # Of a few rows, a small share may be none.
        log(f"epoch {epoch + 1} loss {losses / max(seen, 1):.4f} validation {score:.4f} " + _line(measured))
        better = score > progress.best
        if better:
            best_state = average.state()
        progress = replace(
            progress,
            epochs=epoch + 1,
            steps=step,
            best=max(score, progress.best),
            since_best=0 if better else progress.since_best + 1,
        )
        keep(run, progress, net, average, best_state, adapted.state(), optimizer)

    # --- calibrate on validation, write, measure the frozen test parts once -----------------------------
    average.load(best_state)
    calibration = _calibrated(net, validation, tokenizer.pad_token_id, device, precision, _before(recipe))
    settings = AdapterSettings(
        encoder=recipe.encoder_id or recipe.encoder,
        encoder_name=recipe.encoder_id or encoder.name,
        encoder_sha256=encoder.sha256,
        longest=recipe.longest,
        headline_share=recipe.headline_share if {"sentiment", "company"} <= set(recipe.tasks) else 0.0,
        **calibration,
    )
    adapted.end()
    # Measured elsewhere: a run that is cut off now leaves no new weights beside the card of those before.
    made = run / folder.name
    save_adapter(made, adapted.encoder, net.heads, settings)
    results = report(made, recipe, examples, encoder=recipe.encoder)
    put_in_place(made, folder)
    shutil.rmtree(run, ignore_errors=True)
    asked.unlink(missing_ok=True)
    log("test " + _line(results))
    return results


def _fingerprint(recipe: Recipe, examples: Sequence[Example]) -> str:
    """Of everything that a kept state depends on."""
    digest = hashlib.sha256(repr(astuple(recipe)).encode())
    for folder in filter(None, (recipe.start, *recipe.teachers)):
        # Another adapter may have been trained into the same folder meanwhile; that none is there is told later.
        with contextlib.suppress(ModelError):
            digest.update(find_adapter(Path(folder)).model.encode())
    for one in examples:
        digest.update(f"{one.task}\t{one.label}\t{one.text}\t{one.company}\n".encode())
    return digest.hexdigest()


def _diverged(recipe: Recipe, run: Path, progress: Progress, epoch: int, step: int) -> TrainingDiverged:
    kept = f"epoch {progress.epochs} stays kept in {run}" if progress.epochs else "no epoch was done"
    return TrainingDiverged(
        f"training diverged in epoch {epoch}, at step {step}: the loss or its gradient is no finite number. No adapter "
        f"was written, and {kept}. Train with smaller steps: a recipe with lower lora_rate (now {recipe.lora_rate:g}) "
        f"and heads_rate (now {recipe.heads_rate:g}), a longer warmup, or a lower alpha beside rank"
    )


def _rate(step: int, total: int, warmup: float) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    progress = min(1.0, step / max(total, 1))
    if progress < warmup:
        return progress / warmup
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _logits(
    net: HeadlineNet, rows: Sequence[Row], task: str, padding: int, device: torch.device, precision: str
) -> torch.Tensor:
    net.eval()
    out = torch.empty((len(rows), TASKS[task]))
    with torch.inference_mode():
        for batch in batches([len(row.ids) for row in rows], 4096):
            ids, mask = padded([rows[p] for p in batch.positions], padding, device)
            with autocast(device, precision):
                logits = net(ids, mask)[task]
            out[list(batch.positions)] = logits.cpu()
    return out


def _measured(
    net: HeadlineNet, rows: Sequence[Row], padding: int, device: torch.device, precision: str
) -> dict[str, Metrics]:
    results: dict[str, Metrics] = {}
    for source in sorted({row.example.source for row in rows}):
        mine = [row for row in rows if row.example.source == source]
        task = mine[0].example.task
        probabilities = _logits(net, mine, task, padding, device, precision).softmax(1).numpy().astype(np.float64)
        results[source] = measure([row.example.label for row in mine], probabilities, CLASSES[task])
    return results


def _before(recipe: Recipe) -> dict[str, float]:
    """What the adapter that the run started from is calibrated to; nothing for a run from nothing."""
    if not recipe.start:
        return {}
    known = asdict(find_adapter(Path(recipe.start)).settings)
    return {name: known[name] for name in ("abstain_below", *(f"{task}_temperature" for task in TASKS))}


def _calibrated(
    net: HeadlineNet,
    rows: Sequence[Row],
    padding: int,
    device: torch.device,
    precision: str,
    before: dict[str, float],
) -> dict[str, float]:
    """Temperatures per task, and below which confidence a sentiment is more often wrong than right.

    A run that goes on from an adapter with too few validation rows of a task keeps what that one was calibrated to.
    """
    values = {f"{task}_temperature": 1.0 for task in TASKS} | before
    for task in TASKS:
        mine = [row for row in rows if row.example.task == task and row.example.label != UNLABELLED]
        if task not in net.heads.tasks or len(mine) < (_CALIBRATING if before else 1):
            continue
        logits = _logits(net, mine, task, padding, device, precision)
        labels = torch.tensor([row.example.label for row in mine])
        temperature = fitted_temperature(logits, labels)
        values[f"{task}_temperature"] = temperature
        if task == "sentiment":
            values["abstain_below"] = abstention((logits / temperature).softmax(1).numpy(), labels.numpy())
    return values


def _line(measured: dict[str, Metrics]) -> str:
    return " | ".join(
        f"{source} f1 {m.macro_f1:.4f} acc {m.accuracy:.4f} ece {m.ece:.3f}" for source, m in measured.items()
    )
