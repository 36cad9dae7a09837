"""A store with 300 headlines and a backup of it, for tests, and a squall that begins meanwhile."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.storage.backup import copy_store, look_into
from monitor.storage.integrity import tables
from monitor.storage.store import Store

STORE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
NOON, append, headline, scored = (STORE[name] for name in ("NOON", "append", "headline", "scored"))


@pytest.fixture
def backup(tmp_path: Path, path: Path) -> Path:
    """Of a store with 300 headlines."""
    with Store.open(path, NOON) as store:
        append(store, *((headline(number), scored()) for number in range(300)))
        made = tmp_path / "backup.duckdb"
        look_into(made, copy_store(store.database, made, NOON))
    return made


def rows_of(store: Path) -> Any:
    with Store.open(store, NOON, read_only=True) as opened:
        return tables(opened.database)


ROOT = Path(__file__).parents[1]


# Plays a squall that begins at a moment of its own choosing, and ends. Its words: whether it could.
BEGIN = """
import sys
from datetime import UTC, datetime
from monitor.errors import StoreLocked
from monitor.storage.store import Store
try:
    with Store.open(sys.argv[1], datetime.now(UTC)) as store:
        store.note("begun", "meanwhile")
    print("began")
except StoreLocked:
    print("locked")
"""


def run(script: str, *words: object) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
