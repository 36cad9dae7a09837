"""The adapters that are at hand, and which of them is the champion.

takes  a folder of adapters (each made by `squall train`)
gives  what lies there, the champion, and the champions before it
never  deletes an adapter: a rollback only names another one, and a whole copy takes the place of a damaged one alone
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from models.adapters import CONFIG, SHIPPED, Adapter, find_adapter
from models.errors import AdapterDamaged, AdapterMissing, ModelError

_RECORD = "champion.json"
_WAY_BACK = "`squall models rollback` goes back to the champion before it"


def tier(name: Path) -> Path:
    """The folder of a shipped adapter that is called by its name alone (`accurate`); any other folder as it is."""
    shipped = SHIPPED.parent / name
    return shipped if len(name.parts) == 1 and not name.exists() and shipped.is_dir() else name


@dataclass(frozen=True, slots=True)
class Shelved:
    """One adapter at hand; `fault` says why it cannot be used, and is empty when it can."""

    folder: Path
    model: str
    fault: str = ""


class Library:
    """Adapters in one folder, and a record of champions, newest last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def adapters(self) -> list[Shelved]:
        """The shipped adapters, then those in the folder by name."""
        shipped = sorted(path for path in SHIPPED.parent.iterdir() if path.is_dir())
        # What begins with a dot is a copy that was cut off.
        own = sorted(path for path in self.folder.glob("[!.]*/*") if path.is_dir()) if self.folder.is_dir() else []
        return [_shelved(path) for path in (*shipped, *own)]

    def champion_folder(self) -> Path:
        """Where the champion lies: the adapter promoted last, or the shipped one.

        Raises:
            AdapterDamaged: when the record cannot be understood.
        """
        record = self._record()
        return self.folder / record[-1] if record else SHIPPED

    def champion(self, encoder: str = "") -> Adapter:
        """The adapter that scores.

        Args:
            encoder: see `find_adapter`.

        Raises:
            AdapterMissing, AdapterDamaged: see `find_adapter`; also when it is no longer what was promoted.
        """
        record = self._record()
        if not record:
            return find_adapter(SHIPPED, encoder)
        folder = self.folder / record[-1]
        try:
            found = find_adapter(folder, encoder)
        except AdapterMissing as error:
            raise AdapterMissing(f"the champion is no longer in {folder}; {_WAY_BACK}") from error
        except ModelError as error:
            raise type(error)(f"the champion cannot be used: {error}; {_WAY_BACK}") from error
        # The record begins with the hash of what was promoted.
        if _hash(found) != Path(record[-1]).parts[0]:
            raise AdapterDamaged(
                f"the champion in {folder} is not what was promoted: its files have changed since; {_WAY_BACK}"
            )
        return found

    def promote(self, adapter: Adapter) -> Adapter:
        """Copy an adapter into the library, so that its model id stays, and make it the champion; the copy is returned.

        Raises:
            AdapterDamaged: when it cannot be copied, or changes meanwhile; the champion is then who it was.
        """
        # The id is the folder's name and a hash: the hash parts adapters of one name.
        home = self.folder / _hash(adapter) / adapter.folder.name
        try:
            record = self._record()
            if not _same(home, adapter):
                self._copy(adapter, home)
            copy = find_adapter(home)
            self._write([*record, home.relative_to(self.folder).as_posix()])
        except OSError as error:
            raise AdapterDamaged(f"the adapter cannot be copied to {home}: {error}") from error
        return copy

    def _copy(self, adapter: Adapter, home: Path) -> None:
        """Under another name until it is whole, in the place of what lies there."""
        fresh = self.folder / f".{home.parent.name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        # An adapter is files: the library itself may lie in a folder beside them.
        shutil.copytree(adapter.folder, fresh / home.name, ignore=_folders)
        if not _same(fresh / home.name, adapter):
            shutil.rmtree(fresh, ignore_errors=True)
            raise AdapterDamaged(f"the adapter in {adapter.folder} changed while it was copied; promote it again")
        # The record must not be on the disk before what it names is.
        for file in (*(fresh / home.name).iterdir(), fresh / home.name):
            _sync(file)
        home.parent.mkdir(parents=True, exist_ok=True)
        if home.exists():
            shutil.rmtree(home)
        (fresh / home.name).rename(home)
        _sync(home.parent)
        fresh.rmdir()

    def roll_back(self) -> Adapter:
        """Make the champion before this one the champion again.

        Raises:
            AdapterMissing: when nothing was ever promoted.
        """
        record = self._record()
        if not record:
            raise AdapterMissing(f"nothing was promoted in {self.folder}: the shipped adapter is the champion already")
        self._write(record[:-1])
        return self.champion()

    def _record(self) -> list[str]:
        file = self.folder / _RECORD
        try:
            names = json.loads(file.read_text(encoding="utf-8"))["champions"] if file.is_file() else []
            return [str(name) for name in names]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AdapterDamaged(
                f"{file} cannot be understood: {error}; remove it to go back to the shipped one"
            ) from error

    def _write(self, names: list[str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f".{_RECORD}.new"
        fresh.write_text(json.dumps({"champions": names}, indent=2) + "\n", encoding="utf-8")
        # Or the name could outlive a loss of power, and what is in it not.
        _sync(fresh)
        fresh.replace(self.folder / _RECORD)
        _sync(self.folder)


def _sync(place: Path) -> None:
    """Bring a file's content, or a folder's names, down to the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hash(adapter: Adapter) -> str:
    return adapter.model.rpartition("-")[2]


def _same(folder: Path, adapter: Adapter) -> bool:
    """Whether the folder holds that adapter whole; the model id says nothing of how its weights are put in."""
    try:
        whole = find_adapter(folder).model == adapter.model
        return whole and (folder / CONFIG).read_bytes() == (adapter.folder / CONFIG).read_bytes()
    except (ModelError, OSError):
        return False


def _folders(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_dir()]


def _shelved(folder: Path) -> Shelved:
    try:
        return Shelved(folder, find_adapter(folder).model)
    except ModelError as error:
        return Shelved(folder, "", str(error))
