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
