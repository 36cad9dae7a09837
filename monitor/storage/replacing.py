"""One file in the place of the store's, and no squall in between.

takes  the file that is to be the store, the store that is, or is not, there
gives  the store's name to the file, and a name of its own to the former store
never  lets a squall begin on a store that is about to be replaced, and never leaves no store where there was one
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from monitor.errors import StoreError, StoreLocked
from monitor.feeds.added import changes_file
from monitor.storage.database import Database


@contextmanager
def kept_free(store: Path) -> Iterator[bool]:
    """Let no squall begin on the store; gives whether there is one. On what cannot be opened none could begin.

    Raises:
        StoreLocked: when a process holds it.
    """
    if not store.exists():
        yield False
        return
    with ExitStack() as held:
        try:
            # Otherwise configured than any other of this process, so that a store that is open here is not shared.
            Database(store, threads=1).close()
            # For reading only: who holds a log that is not its own any more must not fold it at the end.
            held.callback(Database(store, read_only=True, threads=1).close)
        except StoreLocked:
            raise
        except StoreError:
            pass
        yield True


def take_place(draft: Path, store: Path, backup: Path, now: datetime, *, former: bool) -> Path | None:
    """Give the draft the store's name, in `kept_free`; where the former store lies now, if there was one.

    Raises:
        StoreLocked: when there was none, and a squall began one meanwhile.
    """
    # A link, such as to a larger disk, stays one.
    place = store.resolve()
    aside = Path(f"{place}.replaced-{now:%Y%m%dT%H%M%SZ}")
    if former:
        _put_aside(place, aside)
        draft.replace(place)
    else:
        _take_free_name(draft, place)
    if changes_file(store).exists():
        shutil.move(changes_file(store), changes_file(aside))
    if changes_file(backup).exists():
        shutil.copyfile(changes_file(backup), changes_file(store))
    for folder in {place.parent, store.parent}:
        sync(folder)
    return aside if former else None


def _put_aside(store: Path, aside: Path) -> None:
    """Give the store a second name: at no moment is there none by its first."""
    # Only a store that could not be opened has a log still; beside the new file it would be taken for its log.
    if log_of(store).exists():
        log_of(store).rename(log_of(aside))
    os.link(store, aside)


def _take_free_name(draft: Path, store: Path) -> None:
    try:
        os.link(draft, store)
    except FileExistsError as error:
        raise StoreLocked(
            f"a squall began the store {store} meanwhile, and it stays: stop that squall, and restore again"
        ) from error


def log_of(store: Path) -> Path:
    """Where the log of a store lies."""
    return Path(f"{store}.wal")


def sync(folder: Path) -> None:
    """Bring the names in a folder down to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
