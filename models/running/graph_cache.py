"""Prepared graphs on disk, so that a model is exported and quantised once and not at every start.

takes  a key, and something that writes files into a folder
gives  the folder of the key, whole and as it was written, or None
never  trusts what it finds: sizes and hashes are checked, and what is damaged is thrown away and made anew

Two processes may prepare the same graph at once: each writes into a folder of its own, and the first to rename it
wins. A cache that cannot be written costs time, and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_MANIFEST = "manifest.json"
# A graph takes 20 to 50 MB; those of adapters and versions long gone need not pile up.
_MOST = 8
_FORGOTTEN = 3600.0  # seconds


def default_folder(environment: Mapping[str, str] | None = None) -> Path:
    """squall/graphs in the user's cache folder; a place where nothing can be written for a user without a home."""
    given = (os.environ if environment is None else environment).get("XDG_CACHE_HOME")
    try:
        folder = Path(given) if given else Path.home() / ".cache"
    except RuntimeError:
        folder = Path(os.devnull)
    return folder / "squall" / "graphs"


class GraphCache:
    """Folders of files by key, under one folder that need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Path | None:
        """The folder of `key` if it is there and undamaged; a damaged one is removed."""
        place = self._folder / key
        if not place.is_dir():
            return None
        if not _whole(place):
            self._discard(place)
            return None
        # A read-only cache works as well; it only cannot tell what was used last.
        with contextlib.suppress(OSError):
            os.utime(place)
        return place

    def keep(self, key: str, write: Callable[[Path], None]) -> Path | None:
        """Let `write` fill a folder and keep it under `key`; None when it cannot be written here."""
        place = self._folder / key
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            own = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
        except OSError:
            return None
        try:
            write(own)
            (own / _MANIFEST).write_text(json.dumps(_hashes(own), sort_keys=True))
            own.rename(place)
        except (OSError, RuntimeError):
            # Another process was first, or the disk is full.
            shutil.rmtree(own, ignore_errors=True)
            return place if place.is_dir() and _whole(place) else None
        self._prune()
        return place

    def _discard(self, place: Path) -> None:
        """Out of the way in one step, so that nobody sees half of it."""
        try:
            aside = Path(tempfile.mkdtemp(prefix=".old-", dir=self._folder))
            place.rename(aside / place.name)
        except OSError:
            return
        shutil.rmtree(aside, ignore_errors=True)

    def _prune(self) -> None:
        found = [one for one in self._folder.iterdir() if one.is_dir()]
        kept = [one for one in found if not one.name.startswith(".")]
        for place in sorted(kept, key=_used, reverse=True)[_MOST:]:
            self._discard(place)
        # What a process that was killed had begun to write; nobody writes for an hour.
        for place in found:
            if place.name.startswith(".") and _used(place) < time.time() - _FORGOTTEN:
                shutil.rmtree(place, ignore_errors=True)


def _used(place: Path) -> float:
    """When it was used last, in seconds since 1970; 0 when another process has just removed it."""
    try:
        return place.stat().st_mtime
    except OSError:
        return 0.0


def _whole(place: Path) -> bool:
    try:
        return bool(json.loads((place / _MANIFEST).read_text()) == _hashes(place))
    except (OSError, ValueError):
        return False


def _hashes(place: Path) -> dict[str, str]:
    found = {}
    for path in sorted(place.iterdir()):
        if path.name != _MANIFEST:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
