"""What a folder of scored parts says about itself.

takes  what was asked: files, model, options
gives  `Manifest`, kept as manifest.json beside the parts
never  lets parts of two models, or of inputs that changed, lie in one folder
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from monitor.archives.parts import Part
from monitor.archives.places import File, Place
from monitor.errors import InputUnusable

NAME = "manifest.json"
# What a later Squall need not understand otherwise.
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be scored, and how.

    Attributes:
        model: id of the model, the same in every row.
        watched: digest of the themes and companies that were looked for; empty when lean.
        lean: sentiment and topics alone.
        column: the headline's, where it was named.
        part_rows: rows of a part at most.
        files: of the input.
    """

    model: str
    watched: str
    lean: bool
    column: str
    part_rows: int
    files: tuple[File, ...]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]  # a dict stays a dict


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it: `None` in a manifest while it is not finished."""

    rows: int
    failed: int
    engine: str
    finished_at: datetime

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "finished_at": self.finished_at.isoformat(timespec="seconds")}


def begin(out: Place, order: Order, parts: Sequence[Part]) -> set[int]:
    """Make the folder this order's, or find that it is already; which parts are done.

    Raises:
        InputUnusable: when the folder holds another order's parts, or cannot be written.
    """
    try:
        kept = read(out)
        if kept is None and out.listed():
            raise InputUnusable(f"{out} holds other files: name an empty or a new folder with --out")
        if kept is not None and kept["order"] != order.plain():
            told = ", ".join(name for name, value in order.plain().items() if kept["order"].get(name) != value)
            raise InputUnusable(
                f"{out} holds parts that were scored otherwise ({told} changed): name another folder with --out"
            )
        if kept is None:
            write(out, order, len(parts), None)
        present = set(out.listed())
    except OSError as error:
        raise InputUnusable(f"{out} cannot be written: {error}") from error
    return {part.number for part in parts if f"{part.name}.parquet" in present}


def write(out: Place, order: Order, parts: int, done: Done | None) -> None:
    """Keep the manifest.

    Raises:
        OSError: when it cannot be written.
    """
    told = {
        "format": _FORMAT,
        "order": order.plain(),
        "parts": parts,
        "done": done.plain() if done else None,
    }
    out.under(NAME).write((json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())


def read(out: Place) -> Mapping[str, Any] | None:
    """The manifest of a folder; None where there is none.

    Raises:
        InputUnusable: when it cannot be understood.
    """
    place = out.under(NAME)
    body = place.read()
    if body is None:
        return None
    try:
        told = json.loads(body)
        if told["format"] != _FORMAT or not isinstance(told["order"], dict):
            raise ValueError(f"format {told['format']}")
    except (ValueError, KeyError, TypeError) as error:
        raise InputUnusable(f"{place} cannot be understood: {error}; it was written by another Squall") from error
    return told  # type: ignore[no-any-return]  # a dict, as its members showed


def fingerprint(told: object) -> str:
    """A short name of anything that JSON can hold; another one for anything else."""
    return hashlib.blake2b(json.dumps(told, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()
