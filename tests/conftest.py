"""What tests share: where the optional data lies, a fixed now, and an empty store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.storage.store import Store

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data sets beside the checkout; a test that needs them is skipped where they are not, and says so."""
    folder = Path(os.environ.get("SQUALL_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"the public data sets are not in {folder}; set SQUALL_SHARED to the folder that holds data/")
    return folder


@pytest.fixture
def now() -> datetime:
    """A Tuesday noon."""
    return datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store on disk would be."""
    return tmp_path / "squall.duckdb"


@pytest.fixture
def store(now: datetime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store in memory; and the secret that the receivers of desk_scene.py share."""
    monkeypatch.setenv("SQUALL_HOOK", "a secret of sixteen bytes")
    with Store.open(":memory:", now) as opened:
        yield opened
