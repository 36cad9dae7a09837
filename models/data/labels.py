"""Labels that a desk gives to its own headlines.

takes  verdicts of people, one at a time
gives  JSON lines that are only ever appended, and `Example`s to train and measure on
never  changes a verdict that was given: the latest one on a text and task counts
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
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
    line = json.dumps(asdict(label) | {"at": now.isoformat()}, ensure_ascii=False).encode() + b"\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer a line is one write, between which nobody else's falls.
        with file.open("a+b", buffering=0) as out:
            if (end := out.seek(0, os.SEEK_END)) and os.pread(out.fileno(), 1, end - 1) != b"\n":
                # The last line of another program, or one that a full disk cut off: ours begins a new one.
                line = b"\n" + line
            written = out.write(line)
            if written < len(line):
                # What is left of it would be no label to whoever reads the file; unless somebody wrote after us.
                if os.fstat(out.fileno()).st_size == end + written:
                    out.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(out.fileno())
    except OSError as error:
        raise DataUnusable(f"the label cannot be written to {file}: {error}") from error


def labels_of(files: Sequence[Path]) -> list[Label]:
    """The verdicts of several files that count: of two on the same the one that was given later.

    Raises:
        DataUnusable: see `read_labels`.
    """
    latest: dict[tuple[str, str, str], Label] = {}
    for one in (one for file in files for one in read_labels(file)):
        key = _key(one)
        if key not in latest or one.at >= latest[key].at:
            latest[key] = one
    return list(latest.values())


def read_labels(file: Path, *, begins: bool = False) -> list[Label]:
    """The verdicts that count, on texts as the model reads them, in the order in which these first came.

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
            # Two ways to write one headline are one headline, in one part, with one verdict.
            one = replace(one, text=readable(one.text), company=readable(one.company))
        except UnicodeDecodeError as error:
            raise DataUnusable(f"{file}, line {number}: {error}; save the file as UTF-8") from error
        except (ValueError, TypeError) as error:
            raise DataUnusable(f"{file}, line {number}: {error}") from error
        latest[_key(one)] = one
    return list(latest.values())


def examples(labels: list[Label]) -> list[Example]:
    """The verdicts as examples: by hash of the text four fifths train, the rest is kept to measure."""
    return [
        Example(
            one.text, CLASSES[one.task].index(one.label), one.task, f"labels_{one.task}", _part(one.text), one.company
        )
        for one in labels
    ]


def _key(label: Label) -> tuple[str, str, str]:
    return label.text, label.task, label.company


def _part(text: str) -> Part:
    bucket = int.from_bytes(hashlib.blake2b(" ".join(text.lower().split()).encode(), digest_size=4).digest()) % 10
    return Part.TEST if bucket == 0 else Part.VALIDATION if bucket == 1 else Part.TRAIN
