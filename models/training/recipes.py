"""Recipes for training: everything that decides what comes out, and a TOML file that overrides it.

takes  defaults, or a TOML file of the same keys
gives  `Recipe`
never  accepts a key that means nothing, or a value that cannot be trained with
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from models.errors import DataUnusable
from models.score import SENTIMENTS, TASKS

METHODS = ("lora", "dora", "adalora", "full")
_SHARE = (0.0, 1.0)
# The least and the most that a number may be: past some of them training fails, past the rest nobody means it.
_RANGES: dict[str, tuple[float, float]] = {
    "rank": (1, 1024),
    "alpha": (1, 65_536),
    "epochs": (1, 10_000),
    "patience": (0, 10_000),
    "lora_rate": _SHARE,
    "heads_rate": _SHARE,
    "weight_decay": _SHARE,
    # All of a run cannot be warm-up.
    "warmup": (0.0, 0.9),
    "batch_texts": (1, 65_536),
    # Fewer tokens leave no room for a headline beside the company that it is asked about.
    "longest": (16, 8_192),
    "smoothing": _SHARE,
    "balance": _SHARE,
    "focal": (0.0, 10.0),
    "sentiment_share": _SHARE,
    "topic_share": _SHARE,
    "company_share": _SHARE,
    "unlabelled_share": _SHARE,
    "averaging": _SHARE,
    "dropout": (0.0, 0.9),
    "masking": (0.0, 0.9),
    "figures": (0, 10_000_000),
    "announcements": (0, 10_000_000),
    "rivals": (0, 10_000_000),
    "renaming": _SHARE,
    "slips": _SHARE,
    "teacher_weight": _SHARE,
    "teacher_softness": (0.1, 100.0),
    "headline_share": _SHARE,
    "seed": (0, 2**32 - 1),
}
# Of a log-probability: more would make certainties of doubts.
_BIAS = 20.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what comes out of training.

    There is no dropout by default: on a CPU it costs more time than it earns. Hidden words, label smoothing, weight
    averaging and early stopping regularise instead.
    """

    encoder: str = "embedded"
    # Hub id under which that encoder is published: what the adapter names, where `encoder` is a folder of this machine.
    encoder_id: str = ""
    tasks: tuple[str, ...] = ("sentiment", "topic", "company")
    # Adapter folder to go on from, instead of random weights: `squall train --continue` sets it.
    start: str = ""
    # lora, dora, adalora, or full (every weight of the encoder).
    method: str = "lora"
    rank: int = 16
    alpha: int = 32
    targets: tuple[str, ...] = ("query", "key", "value", "dense")
    epochs: int = 5
    # Stop after this many epochs without a better validation macro-F1; 0 runs them all.
    patience: int = 0
    lora_rate: float = 8e-4
    heads_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06
    batch_texts: int = 64
    longest: int = 96
    smoothing: float = 0.05
    # Class weights are frequency ** -balance, normalised to mean one: 0 ignores imbalance, 1 removes it.
    balance: float = 0.35
    # Texts count less the surer their label already is: the exponent of focal loss; 0 is plain cross-entropy.
    focal: float = 0.0
    # Share of the rows of a task that an epoch sees, drawn anew each time.
    sentiment_share: float = 1.0
    topic_share: float = 1.0
    company_share: float = 1.0
    unlabelled_share: float = 1.0
    averaging: float = 0.998
    # Of the encoder's activations, in training: dear on a CPU, cheap on a GPU.
    dropout: float = 0.0
    # Share of words hidden behind [MASK] in training: the cheap stand-in for dropout.
    masking: float = 0.12
    # Sentences of figures that rise, fall or stand (models/data/augmentation.py), made once.
    figures: int = 3000
    # Sentences that companies publish about themselves, and headlines of two companies, each asked about
    # (models/data/announcements.py), made once.
    announcements: int = 0
    rivals: int = 0
    # Variants of training texts with words replaced (models/data/rewording.py), for the teachers alone to judge: how
    # many of each text, by source, such as "tfns:7".
    reworded: tuple[str, ...] = ()
    # Share of the company rows that speak of another company in each epoch; and of all texts with a slip of the
    # keyboard in them.
    renaming: float = 0.25
    slips: float = 0.08
    # "2/5" trains without the labelled texts of the second of five parts, by hash: those that this model may be asked
    # about when it teaches, since it cannot have learned their labels by heart.
    left_out: str = ""
    # Adapter folders of larger models whose mean opinion of the training texts, labelled or not, is learned beside the
    # labels; none trains on labels alone. Only teachers trained on the same permissive data may teach a shipped
    # adapter.
    teachers: tuple[str, ...] = ()
    # Where the teachers' encoder lies, if not where their adapters say.
    teacher_encoder: str = ""
    teacher_weight: float = 0.6
    teacher_softness: float = 2.0
    # Added to the teachers' log-probabilities of negative, neutral and positive on unlabelled headlines, as fitted on
    # judged ones (benchmarks/judged.py): tweets are mostly neutral, and who learned from them takes news for neutral.
    teacher_bias: tuple[float, ...] = (0.0, 0.0, 0.0)
    # What the adapter says of a company that a headline names alone: the share of it that is the headline's own
    # sentiment, which has been taught far more widely than the reading towards companies.
    headline_share: float = 0.5
    seed: int = 20


def load_recipe(path: Path | None, base: Recipe | None = None) -> Recipe:
    """A recipe, with the values of a TOML file in their place.

    Args:
        base: what the file's values are laid over; the default recipe when None.

    Raises:
        DataUnusable: when the file cannot be read, or holds a key, a type or a value that the recipe does not know.
    """
    base = base or Recipe()
    if path is None:
        return base
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataUnusable(f"the recipe {path} cannot be read: {error}") from error
    known = [field.name for field in fields(Recipe)]
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise DataUnusable(
                f"the recipe {path} has an unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        try:
            values[key] = _taken(key, value)
        except ValueError as error:
            raise DataUnusable(f"the recipe {path}: {key} must be {error}") from error
    recipe = replace(base, **values)
    if not _shows_something(recipe):
        shares = ", ".join(f"{task}_share" for task in recipe.tasks)
        raise DataUnusable(f"the recipe {path}: of {shares} one must be above 0, or an epoch sees nothing")
    return recipe


def _taken(key: str, value: Any) -> Any:
    """A value of a file, as the recipe holds it.

    Raises:
        ValueError: saying what it must be.
    """
    default = getattr(Recipe(), key)
    if isinstance(default, tuple):
        return _list(key, value)
    kinds = (float, int) if isinstance(default, float) else (type(default),)
    # Not isinstance: true is an int to Python.
    if type(value) not in kinds:
        raise ValueError(f"{type(default).__name__}, not {type(value).__name__}")
    if key == "method" and value not in METHODS:
        raise ValueError(f"one of {', '.join(METHODS)}, not {value!r}")
    if isinstance(default, str):
        return value
    least, most = _RANGES[key]
    if not least <= value <= most:
        raise ValueError(f"{least:,} to {most:,}, not {value}")
    return type(default)(value)


def _list(key: str, value: Any) -> tuple[Any, ...]:
    """As `_taken`, of a key that holds several values."""
    if not isinstance(value, list):
        raise ValueError(f"list, not {type(value).__name__}")
    if key == "teacher_bias":
        if len(value) != len(SENTIMENTS) or not all(type(one) in (float, int) and abs(one) <= _BIAS for one in value):
            raise ValueError(f"{len(SENTIMENTS)} numbers from {-_BIAS:g} to {_BIAS:g}, not {value}")
        return tuple(float(one) for one in value)
    if not all(isinstance(one, str) and one for one in value):
        raise ValueError(f"a list of texts in quotes, not {value}")
    if key == "tasks" and not (value and set(value) <= set(TASKS)):
        raise ValueError(f"some of {', '.join(TASKS)}, not {value}")
    if key == "targets" and not value:
        raise ValueError("the names of one or more layers, not an empty list")
    return tuple(value)


def _shows_something(recipe: Recipe) -> bool:
    """Whether an epoch sees any rows; unlabelled ones are worth something to teachers alone."""
    shares = {"sentiment": recipe.sentiment_share, "topic": recipe.topic_share, "company": recipe.company_share}
    taught = bool(recipe.teachers and recipe.unlabelled_share)
    return taught or any(shares[task] for task in recipe.tasks)
