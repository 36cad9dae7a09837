"""Where archives lie: folders here, or buckets of an object store.

takes  paths as people write them: files, folders, globs, `s3://bucket/...`, any scheme that fsspec knows
gives  `File`s, and bytes read and written whole
never  leaves half a file under its own name: what is there was written to its end
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs as pafs

from monitor.errors import InputUnusable

# What is read from a name's end; anything else is no archive.
KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_MAGIC = re.compile(r"[*?]")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class File:
    """One file of an archive.

    Attributes:
        path: as `Place.at` takes it.
        kind: csv, jsonl or parquet.
        size: bytes.
        changed: when it was last written, in nanoseconds; 0 where the place does not say.
    """

    path: str
    kind: str
    size: int
    changed: int


class Place:
    """A folder or file somewhere.

    Attributes:
        path: inside the file system.
        prefix: what stands before it in a path as people write it: `s3://`, or nothing.

    Raises:
        InputUnusable: when nothing that is installed reads such a place.
    """

    def __init__(self, path: str) -> None:
        self.prefix = found.group() if (found := _SCHEME.match(path)) else ""
        self._files, self.path = _opened(path, self.prefix)

    def __str__(self) -> str:
        return self.prefix + self.path

    def under(self, name: str) -> Place:
        """A file or folder inside this folder."""
        return Place(f"{self.prefix}{self.path.rstrip('/')}/{name}")

    @property
    def local(self) -> bool:
        """Whether it lies on this machine, or on a disk that it shares."""
        return not self.prefix

    def listed(self) -> list[str]:
        """Names of the files directly in this folder; none where there is no such folder."""
        found = self._files.get_file_info(pafs.FileSelector(self.path, allow_not_found=True))
        return sorted(one.base_name for one in found if one.type is pafs.FileType.File)

    def read(self) -> bytes | None:
        """Everything in this file; None where there is no file.

        Raises:
            OSError: when it is there and cannot be read.
        """
        if self._files.get_file_info(self.path).type is not pafs.FileType.File:
            return None
        with self._files.open_input_stream(self.path) as file:
            return bytes(file.read())

    def opened(self) -> Any:
        """This file (a `pyarrow.NativeFile`), to be read from any place in it.

        Raises:
            OSError: when it cannot be opened.
        """
        return self._files.open_input_file(self.path)

    def write(self, content: bytes | pa.Buffer) -> None:
        """Write this file whole; its folder is made where the place has folders.

        Raises:
            OSError: when it cannot be written.
        """
        self._files.create_dir(str(Path(self.path).parent), recursive=True)
        # A bucket shows an object when it is complete; a folder shows a file from its first byte.
        target = f"{self.path}.{uuid4().hex}.new" if self.local else self.path
        with self._files.open_output_stream(target) as file:
            file.write(content)
        if self.local:
            self._files.move(target, self.path)

    def infos(self) -> Iterator[pafs.FileInfo]:
        """This file, or all files below this folder, in the order of their paths."""
        info = self._files.get_file_info(self.path)
        if info.type is pafs.FileType.File:
            yield info
        elif info.type is pafs.FileType.Directory:
            found = self._files.get_file_info(pafs.FileSelector(self.path, recursive=True))
            yield from sorted((one for one in found if one.type is pafs.FileType.File), key=lambda one: one.path)


def files_of(paths: Iterable[str]) -> list[File]:
    """Every file that these paths name, each once, in the order of the paths and then of their names.

    A folder stands for all files below it whose names end in .csv, .jsonl, .ndjson or .parquet, hidden ones left out.
    In a glob `*` and `?` stand for anything but `/`, and `**` for anything.

    Raises:
        InputUnusable: when a path names no file, or a file of another kind.
    """
    found: dict[str, File] = {}
    for path in paths:
        try:
            infos = list(_matching(path))
        except (OSError, pa.ArrowException) as error:
            raise InputUnusable(f"{path} cannot be looked at: {error}") from error
        if not infos:
            raise InputUnusable(f"{path} names no file: give files, folders or globs of CSV, JSON lines or Parquet")
        for file in infos:
            found.setdefault(file.path, file)
    return list(found.values())


def _matching(path: str) -> Iterator[File]:
    stem = path[: magic.start()].rpartition("/")[0] if (magic := _MAGIC.search(path)) else path
    place = Place(stem or ("/" if path.startswith("/") else "."))
    pattern = _pattern(_normal(path)) if magic else None
    for info in place.infos():
        kind = KINDS.get(Path(info.path).suffix.lower())
        # fsspec's own paths may begin with a slash; those of a local disk must.
        whole = place.prefix + info.path.lstrip("/") if place.prefix else info.path
        if pattern is not None:
            if not pattern.fullmatch(_normal(whole)) or _hidden(info.path, place.path):
                continue
        elif info.path == place.path and kind is None:
            raise InputUnusable(f"{path} is none of {', '.join(KINDS)}: name it so, if it is one of them")
        elif _hidden(info.path, place.path):
            continue
        if kind is not None:
            yield File(whole, kind, info.size or 0, info.mtime_ns or 0)


def _hidden(path: str, root: str) -> bool:
    return any(part.startswith((".", "_")) for part in path[len(root) :].split("/") if part)


def _normal(path: str) -> str:
    return path if _SCHEME.match(path) else str(Path(path).absolute())


def _pattern(glob: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*|\?)", glob)))


def _opened(path: str, prefix: str) -> tuple[Any, str]:
    if not prefix:
        return pafs.LocalFileSystem(), str(Path(path).absolute())
    try:
        return pafs.FileSystem.from_uri(path)
    except (OSError, pa.ArrowException):
        # Not one of Arrow's own; whatever fsspec has a package for goes too.
        return _by_fsspec(path, prefix)


def _by_fsspec(path: str, prefix: str) -> tuple[Any, str]:
    try:
        import fsspec

        files = fsspec.filesystem(prefix.removesuffix("://"))
    except (ImportError, ValueError, OSError) as error:
        raise InputUnusable(f"{path} cannot be reached: {error}; install the fsspec package of that store") from error
    handler: Any = pafs.FSSpecHandler
    return pafs.PyFileSystem(handler(files)), path.removeprefix(prefix)
