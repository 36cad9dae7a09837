"""What a larger model thinks of the texts that a smaller one learns from.

takes  a recipe that names a teacher, and training examples, labelled or not
gives  the teacher's softened probabilities, one `Taught` per example
never  asks about a validation or test row
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from models.adapters import find_adapter
from models.data.announcements import ANNOUNCED
from models.data.datasets import UNLABELLED, Example
from models.data.rewording import REWORDED
from models.errors import AdapterMissing
from models.score import TASKS
from models.training.objective import softened
from models.training.recipes import Recipe
from models.training.rows import Taught


def opinions(recipe: Recipe, examples: Sequence[Example], kept: Path, log: Callable[[str], None]) -> list[Taught]:
    """As `taught_by`, but asked only once: what is kept in the file is taken, what is not is asked and kept there.

    Args:
        kept: a file that belongs to this recipe and these examples alone.
    """
    if not recipe.teacher:
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
    """The teacher's opinion of every example, in order; empty without a teacher.

    Of a pair it is the sentiment towards the company, of a headline alone sentiment and topic, as far as the teacher
    has learned them. It is not asked about sentences of the grammar of announcements, which say what they were made to.

    Raises:
        AdapterMissing: when the recipe's teacher is not there.
    """
    if not recipe.teacher:
        return []
    from models.scorer import Scorer

    try:
        teacher = Scorer(find_adapter(Path(recipe.teacher), recipe.teacher_encoder), runtime="torch")
    except AdapterMissing as error:
        raise AdapterMissing(
            f"the recipe's teacher is not in {recipe.teacher}; train it first with `make teacher`, "
            "or leave teacher out of the recipe to train on labels alone"
        ) from error
    log(f"asking the teacher {teacher.model} about {sum(one.source != ANNOUNCED for one in examples)} texts")
    taught = [Taught()] * len(examples)
    asked = [(index, one) for index, one in enumerate(examples) if one.source != ANNOUNCED]
    alone = [index for index, one in asked if not one.company]
    paired = [index for index, one in asked if one.company]
    if alone:
        sentiment, topic = teacher.probabilities([examples[index].text for index in alone])
        # Variants of tweets are tweets still: the bias is for news.
        foreign = np.array(
            [examples[index].label == UNLABELLED and examples[index].source != REWORDED for index in alone]
        )
        sentiment[foreign] = shifted(sentiment[foreign], recipe.teacher_bias)
        for index, s, t in zip(
            alone, softened(sentiment, recipe.teacher_softness), softened(topic, recipe.teacher_softness), strict=True
        ):
            taught[index] = Taught(sentiment=s, topic=t if "topic" in teacher.tasks else ())
    if paired and "company" in teacher.tasks:
        towards = teacher.company_probabilities(
            [examples[index].text for index in paired], [examples[index].company for index in paired]
        )
        for index, c in zip(paired, softened(towards, recipe.teacher_softness), strict=True):
            taught[index] = replace(taught[index], company=c)
    return taught


def shifted(probabilities: NDArray[np.float32], bias: Sequence[float]) -> NDArray[np.float32]:
    """Probabilities [texts, classes] with a constant added to each class's logarithm, made to sum to one again."""
    raised = probabilities.astype(np.float64) * np.exp(np.asarray(bias, dtype=np.float64))
    moved: NDArray[np.float32] = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return moved
