"""What a person may ask for about the store itself: a backup of it, an examination.

takes  an open store, a JSON body, now
gives  a JSON answer
never  overwrites a file
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from monitor.errors import InputUnusable
from monitor.storage.backup import copy_store
from monitor.storage.database import Database
from monitor.storage.forecast import measure
from monitor.storage.integrity import examine
from monitor.storage.store import Store


def back_up(store: Store, body: Mapping[str, object], now: datetime) -> dict[str, object]:
    """Copy the store into the file `to`, an absolute path; the answer is the manifest of the copy.

    Raises:
        InputUnusable: when the path is not absolute, or there is something already.
        StoreUnavailable: when it cannot be written.
    """
    to = body.get("to")
    if not isinstance(to, str) or not Path(to).is_absolute():
        raise InputUnusable("name the backup by its absolute path")
    return asdict(copy_store(store.database, Path(to), now))


def look_over(store: Store, body: Mapping[str, object], now: datetime) -> dict[str, object]:
    """See `examined`; with `quick` in the body nothing is read but sizes."""
    return examined(store.database, now, quick=body.get("quick") is True)


def examined(database: Database, now: datetime, *, quick: bool) -> dict[str, Any]:
    """How the store grows (`growth`), what is wrong in it (`faults`), and how many `rows` were read.

    Raises:
        StoreDamaged: when a part of it cannot be read.
    """
    growth = asdict(measure(database, now))
    if quick:
        return {"growth": growth, "faults": [], "rows": 0}
    found = examine(database, now)
    rows = sum(table.rows for table in found.tables.values())
    return {"growth": growth, "faults": list(found.faults), "rows": rows}
