"""What tests share: where the optional data lies, and a fixed now."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

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
