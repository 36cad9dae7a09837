"""Labelled headlines for training and measurement.

takes  the files of the public sets (SEntFiN, TFNS, TFNT, Financial PhraseBank), or any CSV of text and label
gives  `Example`s, split by near-duplicate group
never  lets two texts of one group fall into different parts
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.errors import DataUnusable
from models.score import SENTIMENTS, TOPICS
from models.text import readable

CLASSES: dict[str, tuple[str, ...]] = {"sentiment": tuple(SENTIMENTS), "topic": TOPICS, "company": tuple(SENTIMENTS)}
# A text that only a teacher has an opinion of.
UNLABELLED = -1
_WORD = re.compile(r"[$#@]?\w+")


class Part(StrEnum):
    """Which part of the data an example belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Example:
    """One text: `label` is an index into `CLASSES[task]`, or `UNLABELLED`; `company` is whom it is about, if anyone."""

    text: str
    label: int
    task: str
    source: str
    part: Part
    company: str = ""


def part_of(source: str, group: int) -> Part:
    """The part of a near-duplicate group: 80 % train, 10 % validation, 10 % test, by hash and so for ever."""
    digest = hashlib.blake2b(f"{source}:{group}".encode(), digest_size=4).digest()
    bucket = int.from_bytes(digest) % 10
    return Part.TEST if bucket == 0 else Part.VALIDATION if bucket == 1 else Part.TRAIN


def words_of(text: str) -> frozenset[str]:
    """The words of a text, whatever their case and order, without tags such as $AAPL: texts of the same are copies."""
    words = _WORD.findall(text.lower())
    return frozenset(word for word in words if word[0] not in "$#@") or frozenset(words or (text,))


def apart(examples: Sequence[Example]) -> list[Example]:
    """The examples without those validation and test rows of which the training part holds a copy.

    The files' groups leave some: tweets that differ in a link or a tag alone, which the model is not shown.
    """
    trained = {words_of(one.text) for one in examples if one.part is Part.TRAIN}
    return [one for one in examples if one.part is Part.TRAIN or words_of(one.text) not in trained]


def sentfin(path: Path) -> list[Example]:
    """SEntFiN headlines whose named companies all carry one label, with that label."""
    examples = []
    for text, entities, part in _sentfin_rows(path):
        if len(labels := set(entities.values())) == 1:
            examples.append(_example(text, labels.pop(), "sentiment", "sentfin", part, path))
    return examples


def sentfin_companies(path: Path) -> list[Example]:
    """Every company, index or asset that a SEntFiN headline names, with the sentiment towards it."""
    return [
        replace(_example(text, label, "company", "sentfin_companies", part, path), company=readable(name))
        for text, entities, part in _sentfin_rows(path)
        for name, label in entities.items()
    ]


def _sentfin_rows(path: Path) -> Iterator[tuple[str, dict[str, str], Part]]:
    for number, line in enumerate(_lines(path), 1):
        try:
            row = json.loads(line)
            entities = {str(name): str(label) for name, label in row["entities"].items()}
            yield str(row["text"]), entities, part_of("sentfin", row["group"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataUnusable(f"{path}, line {number}: no row of SEntFiN (text, entities, group): {error}") from error


def tfns(path: Path) -> list[Example]:
    """Twitter Financial News Sentiment."""
    return _grouped(path, "sentiment", "tfns")


def tfnt(path: Path) -> list[Example]:
    """Twitter Financial News Topic."""
    return _grouped(path, "topic", "tfnt")


def phrasebank(path: Path) -> list[Example]:
    """Financial PhraseBank (`sentence@label`, latin-1): non-commercial, so every row is a test row."""
    rows = (line.rpartition("@") for line in _lines(path, "latin-1"))
    return [_example(text, label.strip(), "sentiment", path.stem, Part.TEST, path) for text, _, label in rows]


def labelled_companies(path: Path) -> list[Example]:
    """JSON lines of {"text": ..., "entities": {name: label}}: a test row per company named.

    Raises:
        DataUnusable: when a line is something else, a label is unknown, or there are no rows.
    """
    examples = []
    for number, line in enumerate(_lines(path), 1):
        try:
            row = json.loads(line)
            text, entities = str(row["text"]), dict(row["entities"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataUnusable(f"{path}, line {number}: expected text and entities (name: label): {error}") from error
        for name, label in entities.items():
            one = _example(text, str(label), "company", path.stem, Part.TEST, path)
            examples.append(replace(one, company=readable(str(name))))
    if not examples:
        raise DataUnusable(f"{path} has no rows")
    return examples


def labelled_csv(path: Path, task: str) -> list[Example]:
    """Any CSV with the columns text and label; every row is a test row.

    Raises:
        DataUnusable: when a column is missing, a label is unknown, or there are no rows.
    """
    frame = _csv(path, ("text", "label"))
    if frame.is_empty():
        raise DataUnusable(f"{path} has no rows")
    return [
        _example(row["text"], row["label"], task, path.stem, Part.TEST, path) for row in frame.iter_rows(named=True)
    ]


def of_theme(path: Path) -> tuple[list[str], NDArray[np.bool_]]:
    """Texts of a CSV with the columns text and label, and whether each is of the theme (yes or no).

    Raises:
        DataUnusable: when a column is missing, or a label is neither.
    """
    frame = _csv(path, ("text", "label"))
    labels = [str(label).strip().lower() for label in frame["label"]]
    if unknown := sorted(set(labels) - {"yes", "no"}):
        raise DataUnusable(f"{path}: a label of a theme is yes or no, not {unknown[0]!r}")
    return [readable(str(text)) for text in frame["text"]], np.array(
        [label == "yes" for label in labels], dtype=np.bool_
    )


def training_sets(folder: Path) -> list[Example]:
    """The permissively licensed sets that a shipped adapter may be trained on, nothing measured that is trained on.

    Args:
        folder: holds sentiment/sentfin.jsonl, sentiment/tfns.csv and topic/tfnt.csv.
    """
    return apart(
        [
            *sentfin(folder / "sentiment" / "sentfin.jsonl"),
            *sentfin_companies(folder / "sentiment" / "sentfin.jsonl"),
            *tfns(folder / "sentiment" / "tfns.csv"),
            *tfnt(folder / "topic" / "tfnt.csv"),
        ]
    )


def of_part(examples: Iterable[Example], part: Part) -> list[Example]:
    """The examples of one part, in order."""
    return [example for example in examples if example.part is part]


def _grouped(path: Path, task: str, source: str) -> list[Example]:
    frame = _csv(path, ("text", "label", "group"))
    return [
        _example(row["text"], row["label"], task, source, part_of(source, _group(row["group"], path)), path)
        for row in frame.iter_rows(named=True)
    ]


def _group(value: str, path: Path) -> int:
    try:
        return int(value)
    except ValueError:
        raise DataUnusable(f"{path}: the group {value!r} is no whole number") from None


def _example(text: str, label: str, task: str, source: str, part: Part, path: Path) -> Example:
    try:
        index = CLASSES[task].index(label)
    except ValueError:
        known = ", ".join(CLASSES[task])
        raise DataUnusable(f"{path}: unknown {task} label {label!r}; known labels: {known}") from None
    return Example(readable(text), index, task, source, part)


def _csv(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    try:
        # Nothing is inferred: "100" is as good a headline as any.
        frame = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataUnusable(f"{path} cannot be read as CSV: {error}") from error
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataUnusable(f"{path} lacks the column {', '.join(missing)}; it has {', '.join(frame.columns)}")
    # A row without a text is a text without words; one without a label is refused where labels are looked up.
    return frame.filter(~pl.all_horizontal(pl.all().is_null())).with_columns(pl.col(*columns).fill_null(""))


def _lines(path: Path, encoding: str = "utf-8") -> list[str]:
    try:
        text = path.read_text(encoding=encoding)
    except (OSError, UnicodeDecodeError) as error:
        raise DataUnusable(f"{path} cannot be read: {error}") from error
    # Only line breaks part rows: str.splitlines would also part them at U+0085 or U+2028 within a sentence.
    return [line for line in text.split("\n") if line.strip()]
