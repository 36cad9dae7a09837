"""The adapters that are at hand, and which of them is the champion.

takes  a folder of adapters (each made by `squall train`)
gives  what lies there, the champion, and the champions before it
never  deletes an adapter: a rollback only names another one
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from models.adapters import SHIPPED, Adapter, find_adapter
from models.errors import AdapterDamaged, AdapterMissing, ModelError

_RECORD = "champion.json"


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
        own = sorted(path for path in self.folder.glob("*/*") if path.is_dir()) if self.folder.is_dir() else []
        return [_shelved(path) for path in (*shipped, *own)]

    def champion_folder(self) -> Path:
        """Where the champion lies: the adapter promoted last, or the shipped one.

        Raises:
            AdapterDamaged: when the record cannot be understood.
        """
        record = self._record()
        return self.folder / record[-1] if record else SHIPPED

    def champion(self) -> Adapter:
        """The adapter that scores.

        Raises:
            AdapterMissing, AdapterDamaged: see `find_adapter`.
        """
        return find_adapter(self.champion_folder())

    def promote(self, adapter: Adapter) -> Adapter:
        """Copy an adapter into the library, so that its model id stays, and make it the champion; the copy is returned.

        Raises:
            AdapterDamaged: when it cannot be copied.
        """
        # The id is the folder's name and a hash: the hash parts adapters of one name.
        home = self.folder / adapter.model.rpartition("-")[2] / adapter.folder.name
        try:
            if not home.is_dir():
                fresh = self.folder / f".{home.parent.name}.new"
                shutil.rmtree(fresh, ignore_errors=True)
                shutil.copytree(adapter.folder, fresh)
                home.parent.mkdir(parents=True, exist_ok=True)
                fresh.rename(home)
            self._write([*self._record(), str(home.relative_to(self.folder))])
        except OSError as error:
            raise AdapterDamaged(f"the adapter cannot be copied to {home}: {error}") from error
        return find_adapter(home)

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
        fresh.replace(self.folder / _RECORD)


def _shelved(folder: Path) -> Shelved:
    try:
        return Shelved(folder, find_adapter(folder).model)
    except ModelError as error:
        return Shelved(folder, "", str(error))
