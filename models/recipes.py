"""Recipes for training: everything that decides what comes out, and a TOML file that overrides it.

takes  defaults, or a TOML file of the same keys
gives  `Recipe`
never  accepts a key that means nothing
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from models.errors import DataUnusable


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what comes out of training.

    Dropout is absent on purpose: on a CPU it costs more time than it earns. Hidden words, label smoothing, weight
    averaging and early stopping regularise instead.
    """

    encoder: str = "embedded"
    tasks: tuple[str, ...] = ("sentiment", "topic")
    rank: int = 16
    alpha: int = 32
    targets: tuple[str, ...] = ("query", "key", "value", "dense")
    epochs: int = 5
    lora_rate: float = 8e-4
    heads_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06
    batch_texts: int = 32
    longest: int = 96
    smoothing: float = 0.05
    # Class weights are frequency ** -balance, normalised to mean one: 0 ignores imbalance, 1 removes it.
    balance: float = 0.35
    averaging: float = 0.998
    # Share of words hidden behind [MASK] in training: the cheap stand-in for dropout.
    masking: float = 0.12
    # Adapter folder of a larger model whose opinion of the sentiment of every training text, topic texts included,
    # is learned beside the labels; empty trains on labels alone. Only a teacher trained on the same permissive data
    # may teach a shipped adapter.
    teacher: str = ""
    teacher_weight: float = 0.6
    teacher_softness: float = 2.0
    seed: int = 20


def load_recipe(path: Path | None) -> Recipe:
    """The default recipe, with the values of a TOML file in their place.

    Raises:
        DataUnusable: when the file cannot be read, or holds a key or a type that the recipe does not know.
    """
    if path is None:
        return Recipe()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataUnusable(f"the recipe {path} cannot be read: {error}") from error
    known = {field.name: field for field in fields(Recipe)}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise DataUnusable(
                f"the recipe {path} has an unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        default = getattr(Recipe(), key)
        if isinstance(default, tuple) and isinstance(value, list):
            values[key] = tuple(value)
        elif isinstance(default, float) and isinstance(value, int):
            values[key] = float(value)
        elif type(value) is not type(default):
            raise DataUnusable(f"the recipe {path}: {key} must be {type(default).__name__}, not {type(value).__name__}")
    return Recipe(**values)
