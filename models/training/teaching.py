"""What larger models think of the texts that a smaller one learns from.

takes  a recipe that names teachers, and training examples, labelled or not
gives  their mean probabilities, softened, one `Taught` per example
never  asks about a validation or test row
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from models.adapters import METRICS, Adapter, find_adapter
from models.data.announcements import ANNOUNCED
from models.data.datasets import UNLABELLED, Example
from models.data.rewording import REWORDED
from models.encoder import EMBEDDED
from models.errors import AdapterMissing, DataUnusable
from models.score import TASKS
from models.training.objective import softened
from models.training.recipes import Recipe
from models.training.rows import Taught


def opinions(recipe: Recipe, examples: Sequence[Example], kept: Path, log: Callable[[str], None]) -> list[Taught]:
    """As `taught_by`, but asked only once: what is kept in the file is taken, what is not is asked and kept there.

    Args:
        kept: a file that belongs to this recipe and these examples alone.
    """
    if not recipe.teachers:
        return []
    if kept.is_file():
        found = load_file(str(kept))
        return [
            Taught(**{task: tuple(row.tolist()) for task, row in zip(found, rows, strict=True) if not np.isnan(row[0])})
            for rows in zip(*found.values(), strict=True)
        ]
    taught = taught_by(recipe, examples, log)
    arrays = {
        task: np.array([getattr(one, task) or (np.nan,) * size for one in taught], dtype=np.float64)
        for task, size in TASKS.items()
    }
    kept.parent.mkdir(parents=True, exist_ok=True)
    fresh = kept.with_suffix(".new")
    save_file(arrays, str(fresh))
    fresh.replace(kept)
    return taught


def taught_by(recipe: Recipe, examples: Sequence[Example], log: Callable[[str], None]) -> list[Taught]:
    """The mean opinion of the teachers about every example, in order; empty without a teacher.

    Of a pair it is the sentiment towards the company, of a headline alone sentiment and topic, as far as the teachers
    have learned them. Of a labelled text only those teachers are asked that were trained without it, where there are
    such: what they say is no echo of its label. Nobody is asked about sentences of the grammar of announcements,
    which say what they were made to.

    Raises:
        AdapterMissing: when one of the recipe's teachers is not there.
        DataUnusable: when a teacher does not say which part of the texts it left out.
    """
    if not recipe.teachers:
        return []
    totals = {task: np.zeros((len(examples), size)) for task, size in TASKS.items()}
    heard = {task: np.zeros(len(examples)) for task in TASKS}
    left_out = [_left_out(Path(teacher)) for teacher in recipe.teachers]
    within = [[_within(one, part) for part in left_out] for one in examples]
    unlearned = np.array(within, dtype=bool).reshape(len(examples), len(left_out))
    foreign = np.array([one.label == UNLABELLED or not any(row) for one, row in zip(examples, within, strict=True)])
    announced = np.array([one.source == ANNOUNCED for one in examples])
    for number, name in enumerate(recipe.teachers):
        asked = np.flatnonzero((unlearned[:, number] | foreign) & ~announced).tolist()
        for task, (rows, probabilities) in _said(name, recipe.teacher_encoder, examples, asked, log).items():
            totals[task][rows] += probabilities
            heard[task][rows] += 1
    return _softly(recipe, examples, totals, heard)


def _said(
    name: str, encoder: str, examples: Sequence[Example], asked: Sequence[int], log: Callable[[str], None]
) -> dict[str, tuple[list[int], NDArray[np.float32]]]:
    """By task, about which examples one teacher has something to say, and its probabilities [those, classes]."""
    from models.scorer import Scorer

    try:
        teacher = Scorer(_found(Path(name), encoder), runtime="torch")
    except AdapterMissing as error:
        raise AdapterMissing(
            f"the recipe's teacher is not in {name}; train it first with `make teacher`, "
            "or leave it out of the recipe's teachers to train on labels alone"
        ) from error
    log(f"asking the teacher {teacher.model} about {len(asked)} texts")
    alone = [index for index in asked if not examples[index].company]
    paired = [index for index in asked if examples[index].company]
    said: dict[str, tuple[list[int], NDArray[np.float32]]] = {}
    if alone:
        sentiment, topic = teacher.probabilities([examples[index].text for index in alone])
        said = {"sentiment": (alone, sentiment), "topic": (alone, topic)}
    if paired and "company" in teacher.tasks:
        texts, companies = zip(*((examples[index].text, examples[index].company) for index in paired), strict=True)
        said["company"] = (paired, teacher.company_probabilities(list(texts), list(companies)))
    return {task: found for task, found in said.items() if task in teacher.tasks}


def _found(folder: Path, encoder: str) -> Adapter:
    """A teacher's adapter; one of the encoder that the package carries has no need of another place for it."""
    found = find_adapter(folder)
    return found if found.settings.encoder == EMBEDDED else find_adapter(folder, encoder)


def _softly(
    recipe: Recipe,
    examples: Sequence[Example],
    totals: dict[str, NDArray[np.float64]],
    heard: dict[str, NDArray[np.float64]],
) -> list[Taught]:
    """Sums of probabilities as softened means; of unlabelled news the sentiment is moved by the recipe's bias."""
    taught = [Taught()] * len(examples)
    # Variants of tweets are tweets still: the bias is for news.
    news = np.array([one.label == UNLABELLED and one.source != REWORDED for one in examples])
    for task, total in totals.items():
        rows = np.flatnonzero(heard[task])
        means = (total[rows] / heard[task][rows, None]).astype(np.float32)
        if task == "sentiment":
            means[news[rows]] = shifted(means[news[rows]], recipe.teacher_bias)
        for index, soft in zip(rows.tolist(), softened(means, recipe.teacher_softness), strict=True):
            taught[index] = replace(taught[index], **{task: soft})
    return taught


def without(examples: Sequence[Example], left_out: str) -> list[Example]:
    """The examples but for the part of the labelled ones that a recipe leaves out, such as `2/5`.

    A text is in one part with all its companies, whatever it is labelled with.

    Raises:
        DataUnusable: when that names no part.
    """
    part = _part(left_out)
    return [one for one in examples if not _within(one, part)]


def _left_out(teacher: Path) -> tuple[int, int] | None:
    """Which part of the labelled texts a finished adapter was trained without; None when it left out nothing."""
    try:
        recipe = json.loads((teacher / METRICS).read_text(encoding="utf-8"))["recipe"]
        return _part(recipe.get("left_out", ""))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DataUnusable(
            f"{teacher / METRICS} does not say how the teacher was trained: {error}; restore it or train again"
        ) from error


def _part(left_out: str) -> tuple[int, int] | None:
    if not left_out:
        return None
    number, _, parts = left_out.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise DataUnusable(f"the recipe's left_out {left_out!r} is no part of a whole, such as '2/5'")
    return int(number), int(parts)


def _within(one: Example, part: tuple[int, int] | None) -> bool:
    if part is None or one.label == UNLABELLED:
        return False
    digest = hashlib.blake2b(one.text.encode(), digest_size=4).digest()
    return int.from_bytes(digest) % part[1] == part[0] - 1


def shifted(probabilities: NDArray[np.float32], bias: Sequence[float]) -> NDArray[np.float32]:
    """Probabilities [texts, classes] with a constant added to each class's logarithm, made to sum to one again."""
    raised = probabilities.astype(np.float64) * np.exp(np.asarray(bias, dtype=np.float64))
    moved: NDArray[np.float32] = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return moved
