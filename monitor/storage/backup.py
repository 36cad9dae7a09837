"""A second copy of the store, and the way back from it.

takes  a held store, or the file of a backup
gives  a backup: one file that is a store itself, a manifest beside it; a store in the place of a broken or lost one
never  overwrites a file, and never lets a store that was restored tell old news

The file is copied as it stands after a checkpoint while writers go on into the log (`Database.frozen`): that is as
fast as the disk, whatever the store's size, and needs no memory of the engine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from monitor import __version__
from monitor.errors import InputUnusable, StoreDamaged, StoreError, StoreTooNew, StoreUnavailable
from monitor.feeds.added import changes_file
from monitor.storage.database import Database
from monitor.storage.integrity import Table, tables
from monitor.storage.migrating import schema_version
from monitor.storage.replacing import kept_free, log_of, sync, take_place
from monitor.storage.store import Store
from monitor.whole_file import PRIVATE, put_whole

_CHUNK = 4 * 2**20  # bytes read and written at a time


@dataclass(frozen=True, slots=True)
class Manifest:
    """What lies in a backup, as JSON in `<backup>.json`.

    Attributes:
        made_at: when, ISO 8601.
        sha256: of the file, as `sha256sum` prints it.
        tables: rows and fingerprint of every table; empty when nobody has looked into the backup yet.
    """

    made_at: str
    squall: str
    bytes: int
    sha256: str
    tables: dict[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restored:
    """A store that was restored.

    Attributes:
        made_at: when the backup was made; "" when it has no manifest.
        replaced: where the former store lies now; None when there was none.
    """

    made_at: str
    headlines: int
    replaced: Path | None


def manifest_file(backup: Path) -> Path:
    """Where a backup's manifest lies."""
    return Path(f"{backup}.json")


def copy_store(database: Database, to: Path, now: datetime) -> Manifest:
    """Copy a store that may be in use; writers go on meanwhile, and are not in the copy.

    The changes that `squall feeds` made are copied beside it, as they lie beside the store.

    Args:
        to: a file that is not there yet, in a folder that is.

    Raises:
        InputUnusable: when `to` exists, or its folder does not.
        StoreBusy: when somebody reads the store at length.
        StoreUnavailable: when it cannot be written, the disk has too little room, or the store is closed meanwhile;
            nothing is left behind then.
    """
    source = Path(database.path)
    with _told(to):
        _demand_room(source, to)
    # Frozen first: who is refused, because another copy is being made, must not clear that one's draft away.
    with _told(to), database.frozen() as unchanged, _draft(to) as draft:
        size, digest = _copy(database.image(), draft, unchanged)
        if (changes := changes_file(source)).exists():
            shutil.copyfile(changes, changes_file(to))
        manifest = Manifest(now.isoformat(), __version__, size, digest)
        put_whole(manifest_file(to), json.dumps(asdict(manifest), indent=2), PRIVATE)
        draft.replace(to)
    return manifest


def look_into(backup: Path, manifest: Manifest) -> Manifest:
    """Read a backup from end to end, and note in its manifest what lies in it.

    Raises:
        StoreDamaged: when a part of it cannot be read.
    """
    database = Database(backup, read_only=True)
    try:
        seen = Manifest(manifest.made_at, manifest.squall, manifest.bytes, manifest.sha256, tables(database))
    finally:
        database.close()
    with _told(backup):
        put_whole(manifest_file(backup), json.dumps(asdict(seen), indent=2), PRIVATE)
    return seen


def read_manifest(backup: Path) -> Manifest | None:
    """The manifest of a backup; None when it has none.

    Raises:
        StoreDamaged: when it cannot be understood.
    """
    try:
        told = json.loads(manifest_file(backup).read_text(encoding="utf-8"))
        held = {name: Table(int(each["rows"]), str(each["fingerprint"])) for name, each in told.pop("tables").items()}
        return Manifest(**told, tables=held)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreDamaged(
            f"{manifest_file(backup)} is no manifest of a backup: move it away to restore without it ({error})"
        ) from error


def restore(backup: Path, store: Path, now: datetime) -> Restored:
    """Put a backup in the place of the store; the former store is kept beside it.

    The backup is copied, compared with its manifest, brought to the present schema, and marked: what the feeds bring
    first is their backlog, which is counted and does not alert. Only then does it take the store's name.

    Raises:
        InputUnusable: when there is no such backup, or it is the store itself.
        StoreLocked: when a squall holds the store. None can begin on it until the backup has taken its place.
        StoreDamaged: when the backup is damaged, or none of a store; the store is as it was.
        StoreTooNew: when a newer Squall made it; the store is as it was.
        StoreError: when it cannot be written; the store is as it was.
    """
    with _told(backup):
        if not backup.is_file():
            raise InputUnusable(f"there is no backup {backup}: name a file that `squall backup` made")
        if store.exists() and backup.samefile(store):
            raise InputUnusable(f"{backup} is the store itself: name a backup")
    manifest = read_manifest(backup)
    draft = Path(f"{store.resolve()}.restoring")
    with _told(store), kept_free(store) as former:
        _clear(draft)
        _demand_room(backup, draft)
        try:
            headlines = _prepared(backup, draft, manifest, now)
            replaced = take_place(draft, store, backup, now, former=former)
        finally:
            _clear(draft)
    return Restored(manifest.made_at if manifest else "", headlines, replaced)


def _prepared(backup: Path, draft: Path, manifest: Manifest | None, now: datetime) -> int:
    """Make the draft of a store from a backup; how many headlines it holds."""
    _, digest = _copy(backup, draft, lambda: None)
    if manifest is not None and digest != manifest.sha256:
        raise StoreDamaged(f"the backup {backup} is not as it was made (its sha256 is another): take an older one")
    if (log := log_of(backup)).exists():
        _copy(log, log_of(draft), lambda: None)
    with _blamed_on(backup, draft):
        held = _held(draft)
    noted = manifest.tables if manifest is not None else {}
    if wrong := sorted(name for name, table in noted.items() if held.get(name) != table):
        raise StoreDamaged(f"the backup {backup} lacks rows of {', '.join(wrong)}: take an older one")
    with _blamed_on(backup, draft), Store.open(draft, now) as opened:
        _mark(opened, now, manifest.made_at if manifest else "")
        headlines = opened.counts().headlines
        opened.database.checkpoint()
    return headlines


def _held(draft: Path) -> dict[str, Table]:
    database = Database(draft)
    try:
        with database.reading() as cursor:
            # An empty file would become a store that holds nothing, in the place of the one that is there.
            if schema_version(cursor, database.path) == 0:
                raise StoreDamaged("it holds no table")
        return tables(database)
    finally:
        database.close()


@contextmanager
def _blamed_on(backup: Path, draft: Path) -> Iterator[None]:
    """What is wrong with the draft is wrong with the backup: the draft is gone when somebody reads of it."""

    def told(error: StoreError) -> str:
        words = str(error.__cause__ or error).strip().split("\n")[0]
        return words.partition(": name another")[0].replace(str(draft), str(backup))

    try:
        yield
    except StoreDamaged as error:
        raise StoreDamaged(
            f"{backup} is no backup of a store, or a damaged one: take an older one that `squall backup` made; the "
            f"store stays as it is ({told(error)})"
        ) from error
    except StoreTooNew as error:
        raise StoreTooNew(str(error).replace(str(draft), str(backup))) from error


def _mark(store: Store, now: datetime, made_at: str) -> None:
    """As if no feed had been watched since the backup: what they bring first is backlog, and does not alert."""
    with store.database.writing() as connection:
        connection.execute("UPDATE feeds SET paused_at = ? WHERE paused_at IS NULL", [now])
    store.note("restored_at", now.isoformat())
    store.note("restored_from", made_at)


def _demand_room(source: Path, to: Path) -> None:
    if to.exists():
        raise InputUnusable(f"{to} exists already: name a file that is not there yet")
    if not to.parent.is_dir():
        raise InputUnusable(f"there is no folder {to.parent}: make it first")
    needed, free = source.stat().st_size, shutil.disk_usage(to.parent).free
    if free < needed:
        raise StoreUnavailable(
            f"{to.parent} has {free // 2**20} MiB free, a copy of {source} needs {needed // 2**20} MiB: "
            "make room, or name another disk"
        )


def _copy(source: Path | int, to: Path, unchanged: Callable[[], None]) -> tuple[int, str]:
    """Copy a file for its owner's eyes only, down to the disk; its size in bytes, and sha256.

    Args:
        source: the file, or a descriptor of it, which stays open.
    """
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target, open(source, "rb", closefd=isinstance(source, Path)) as origin:
        origin.seek(0)
        while chunk := origin.read(_CHUNK):
            unchanged()
            digest.update(chunk)
            target.write(chunk)
            size += len(chunk)
        target.flush()
        os.fsync(target.fileno())
        unchanged()
    return size, digest.hexdigest()


@contextmanager
def _draft(to: Path) -> Iterator[Path]:
    """A name to write under until all is there; whatever is left of it at the end goes."""
    draft = Path(f"{to}.part")
    with suppress(FileNotFoundError):
        draft.unlink()
    try:
        yield draft
        sync(to.parent)
    finally:
        with suppress(OSError):
            draft.unlink()


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """Errors of the operating system, in words."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"{error.filename or place} cannot be read or written: {error.strerror or error}; check rights and space"
        ) from error


def _clear(draft: Path) -> None:
    for file in (draft, log_of(draft)):
        with suppress(FileNotFoundError):
            file.unlink()
