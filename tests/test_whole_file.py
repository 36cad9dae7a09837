"""Small files are written whole or not at all: by every writer of settings, lists of feeds, addresses and manifests."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.errors import DataUnusable
from models.theme_heads import ThemeHead, save_head
from models.themes import Theme
from monitor.errors import FeedListUnusable, SettingsUnusable
from monitor.feeds.added import FeedChanges, muting, write_changes
from monitor.theme_file import add_theme
from monitor.whole_file import PRIVATE, put_whole

SHIPPING = Theme(id="shipping", name="Shipping", description="Ships that cannot pass", strong_terms=("canal blocked",))
HEAD = ThemeHead((0.5,), 0.0, 0.5, "sha", 16, 16, 1.0, 1.0)


@contextmanager
def room_for(most: int) -> Iterator[None]:
    """No file can grow beyond so many bytes: the system refuses it as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda file: add_theme(file, SHIPPING), SettingsUnusable),
        (lambda file: write_changes(file, muting(FeedChanges(), "a", muted=True)), FeedListUnusable),
        (lambda file: put_whole(file, "x" * 99, PRIVATE), OSError),
        (lambda file: save_head(HEAD, file), DataUnusable),
    ],
    ids=["settings", "feeds", "private", "head"],
)
def test_where_there_is_no_room_the_file_stays_as_it_was_and_nothing_is_left_beside_it(
    write: Callable[[Path], None], told: type[Exception], tmp_path: Path
) -> None:
    file = tmp_path / "squall.toml"
    file.write_text("# mine\n")
    with pytest.raises(told), room_for(20):
        write(file)
    assert file.read_text() == "# mine\n"
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize(
    "write",
    [lambda file: put_whole(file, "new words"), lambda file: save_head(HEAD, file)],
    ids=["put_whole", "head"],
)
def test_what_stands_in_it_is_on_the_disk_before_its_name_is(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, seen, plain = tmp_path / "squall.toml", [], os.fsync
    file.write_text("old")

    def looked(descriptor: int) -> None:
        plain(descriptor)
        seen.append((os.fstat(descriptor).st_size, file.read_text()))

    monkeypatch.setattr(os, "fsync", looked)
    write(file)
    assert seen == [(file.stat().st_size, "old")]
    assert file.read_text() != "old"


@pytest.mark.parametrize(
    ("before", "asked", "after"), [(0o640, None, 0o640), (0o644, PRIVATE, 0o600), (0, None, 0o644)]
)
def test_a_file_is_seen_by_those_who_saw_it_before(before: int, asked: int | None, after: int, tmp_path: Path) -> None:
    file = tmp_path / "squall.toml"
    if before:
        file.touch()
        file.chmod(before)
    mask = os.umask(0o022)
    try:
        put_whole(file, "new", asked)
    finally:
        os.umask(mask)
    assert file.stat().st_mode & 0o777 == after
