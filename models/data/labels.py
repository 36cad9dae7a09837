"""Labels that a desk gives to its own headlines.

takes  verdicts of people, one at a time
gives  JSON lines that are only ever appended, and `Example`s to train and measure on
never  changes a verdict that was given: the latest one on a text and task counts
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

from models.data.datasets import CLASSES, Example, Part
from models.errors import DataUnusable
from models.text import readable


@dataclass(frozen=True, slots=True)
class Label:
    """One verdict: what a person says of a headline, or of a company in it.

    Raises:
        ValueError: on what is no text, an unknown task or label, an empty text, or a company label that names none.
    """

    text: str
    task: str
    label: str
    company: str = ""
    at: str = ""

    def __post_init__(self) -> None:
        if wrong := [field.name for field in fields(self) if not isinstance(getattr(self, field.name), str)]:
            raise ValueError(f"{', '.join(wrong)} must be text in quotes")
        if self.task not in CLASSES:
            raise ValueError(f"unknown task {self.task!r}; known: {', '.join(CLASSES)}")
        if self.label not in CLASSES[self.task]:
            raise ValueError(f"unknown {self.task} label {self.label!r}; known: {', '.join(CLASSES[self.task])}")
        if not self.text.strip():
            raise ValueError("a label needs a text")
        if bool(self.company) != (self.task == "company"):
            raise ValueError("a company label names the company that it is about, and only a company label does")


def add_label(file: Path, label: Label, now: datetime) -> None:
    """Append one verdict, on the disk before this returns.

    Raises:
        DataUnusable: when the file cannot be written.
    """
    line = json.dumps(asdict(label) | {"at": now.isoformat()}, ensure_ascii=False)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise DataUnusable(f"the label cannot be written to {file}: {error}") from error


def read_labels(file: Path, *, begins: bool = False) -> list[Label]:
    """The verdicts that count, in the order in which their texts first came.

    Args:
        begins: whether the file may yet have to be made, and then holds none.

    Raises:
        DataUnusable: when there is no such file, or naming the line that is no label.
    """
    if not file.exists():
        if begins:
            return []
        raise DataUnusable(f"there is no file {file}; `squall label --out {file}` makes one")
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise DataUnusable(f"{file} cannot be read: {error}") from error
    latest: dict[tuple[str, str, str], Label] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = Label(**json.loads(line.decode("utf-8")))
        except UnicodeDecodeError as error:
            raise DataUnusable(f"{file}, line {number}: {error}; save the file as UTF-8") from error
        except (ValueError, TypeError) as error:
            raise DataUnusable(f"{file}, line {number}: {error}") from error
        latest[(one.text, one.task, one.company)] = one
    return list(latest.values())


def examples(labels: list[Label]) -> list[Example]:
    """The verdicts as examples: by hash of the text four fifths train, the rest is kept to measure."""
    return [
        Example(
            readable(one.text),
            CLASSES[one.task].index(one.label),
            one.task,
            f"labels_{one.task}",
            _part(one.text),
            readable(one.company),
        )
        for one in labels
    ]


def _part(text: str) -> Part:
    bucket = int.from_bytes(hashlib.blake2b(" ".join(text.lower().split()).encode(), digest_size=4).digest()) % 10
    return Part.TEST if bucket == 0 else Part.VALIDATION if bucket == 1 else Part.TRAIN
