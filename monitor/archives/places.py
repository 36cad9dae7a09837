"""Where archives lie: folders here, or buckets of an object store.

takes  paths as people write them: files, folders, globs, `s3://bucket/...`, any scheme that fsspec knows
gives  `File`s, and bytes read and written whole
never  leaves half a file under its own name: what is there was written to its end
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs as pafs

from monitor.errors import InputUnusable

# What is read from a name's end; anything else is no archive.
KINDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip", ".lz4")
_MAGIC = re.compile(r"[*?]")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
# Stores of Arrow's own whose addresses are a bucket and the name of an object.
_BUCKETS = ("s3://", "gs://", "gcs://")
# An address of this machine's own disks.
_OWN = re.compile(r"file://(?:localhost)?(?=/)", re.IGNORECASE)


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
        path = _plain(path)
        self.prefix = found.group() if (found := _SCHEME.match(path)) else ""
        self._files, self.path = _opened(path, self.prefix)
        # As it was written: the path inside a store need not say on which server that is.
        self._told = self.prefix + path.removeprefix(self.prefix).rstrip("/") if self.prefix else self.path

    def __str__(self) -> str:
        return self._told

    def under(self, name: str) -> Place:
        """A file or folder inside this folder."""
        return Place(self.name_of(name))

    def name_of(self, below: str) -> str:
        """How what lies there below is written; of nothing below, how this place itself is."""
        between = "/" if below and not self._told.endswith("/") else ""
        return f"{self._told}{between}{below}"

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
        if not self.local:
            # A bucket shows an object when it is complete; a folder shows a file from its first byte.
            self._files.create_dir(str(Path(self.path).parent), recursive=True)
            with self._files.open_output_stream(self.path) as stream:
                stream.write(content)
            return
        whole = Path(self.path)
        whole.parent.mkdir(parents=True, exist_ok=True)
        target = whole.with_name(f"{whole.name}.{uuid4().hex}.new")
        try:
            with target.open("wb") as file:
                file.write(content)
                # Or the name could outlive a loss of power, and its content not.
                file.flush()
                os.fsync(file.fileno())
            target.replace(whole)
        except BaseException:
            # On a full disk above all, half a file is in the way.
            with contextlib.suppress(OSError):
                target.unlink()
            raise

    def remove(self) -> None:
        """Take this file away, where there is one.

        Raises:
            OSError: when it is there and stays.
        """
        if self._files.get_file_info(self.path).type is pafs.FileType.File:
            self._files.delete_file(self.path)

    def files(self, deep: int | None = None) -> Iterator[tuple[str, int, int]]:
        """This file, or all files below this folder, in the order of their paths: path, bytes, nanoseconds of change.

        Args:
            deep: look so many folders deep at most, where it is a folder of this machine.

        Raises:
            OSError: when a folder cannot be looked into.
        """
        if self.local:
            here = Path(self.path)
            for path in [here] if here.is_file() else sorted(_walked(here, deep), key=str):
                told = path.stat()
                yield str(path), told.st_size, told.st_mtime_ns
            return
        info = self._files.get_file_info(self.path)
        found = [info] if info.type is pafs.FileType.File else []
        if info.type is pafs.FileType.Directory:
            found = self._files.get_file_info(pafs.FileSelector(self.path, recursive=True))
        for one in sorted(found, key=lambda one: one.path):
            if one.type is pafs.FileType.File:
                yield one.path, one.size or 0, one.mtime_ns or 0


def files_of(paths: Iterable[str], wanted: str = "files, folders or globs of CSV, JSON lines or Parquet") -> list[File]:
    """Every file that these paths name, each once, in the order of the paths and then of their names.

    A folder stands for all files below it whose names end in .csv, .jsonl, .ndjson or .parquet, hidden ones left out.
    In a glob `*` and `?` stand for anything but `/`, and `**` for anything. A file to which links lead is one file.

    Args:
        paths: of files, folders or globs, here or in an object store.
        wanted: what to give instead of a path that names nothing, in words.

    Raises:
        InputUnusable: when a path names no file, or a file of another kind, or one of these that is compressed.
    """
    found: dict[str, File] = {}
    for path in paths:
        try:
            infos = list(_matching(path))
        except (OSError, pa.ArrowException) as error:
            raise InputUnusable(f"{path} cannot be looked at: {error}") from error
        if not infos:
            raise InputUnusable(f"{path} names no file: give {wanted}")
        for file in infos:
            found.setdefault(real(file.path), file)
    return list(found.values())


def unread(path: str, error: Exception) -> InputUnusable:
    """What to say of a file that cannot be read, and what to do where its server hands it out in one piece alone."""
    if "range requests" in str(error):
        return InputUnusable(f"{path} cannot be read in parts: its server answers no range requests; download it first")
    return InputUnusable(f"{path} cannot be read: {error}")


def real(path: str) -> str:
    """A path of this machine without links; any other as it is."""
    return path if _SCHEME.match(path) else os.path.realpath(path)


def here(path: str) -> Path | None:
    """Where a path leads on this machine; None where it leads into a store elsewhere."""
    told = _plain(path)
    return None if _SCHEME.match(told) else Path(told)


def _matching(path: str) -> Iterator[File]:
    path = _plain(path)
    # What is there by this very name is meant.
    magic = None if Path(path).exists() else _MAGIC.search(path)
    at = path.rfind("/", 0, magic.start()) + 1 if magic else len(path)
    place, glob = Place(path[:at] or "."), path[at:]
    for inside, size, changed in place.files(None if "**" in glob or not magic else glob.count("/")):
        below = inside.lstrip("/")[len(place.path.lstrip("/")) :].lstrip("/")
        whole = place.name_of(below) if place.prefix else inside
        kind = KINDS.get(Path(inside).suffix.lower())
        packed = Path(inside).suffix.lower() in _PACKED and Path(inside).with_suffix("").suffix.lower() in KINDS
        if not below and kind is None and not packed:
            raise InputUnusable(f"{path} is none of {', '.join(KINDS)}: name it so, if it is one of them")
        if not (kind or packed) or _hidden(below) or (magic and not _pattern(glob).fullmatch(below)):
            continue
        if (shown := os.fsencode(whole).decode("utf-8", "replace")) != whole:
            raise InputUnusable(f"{shown} has a name that is no UTF-8: rename it")
        if kind is None:
            # Left out in silence, its rows would be missed by nobody.
            raise InputUnusable(f"{whole} is compressed: unpack it, or leave it out by a glob such as *.csv")
        yield File(whole, kind, size, changed)


def _hidden(below: str) -> bool:
    return any(part.startswith((".", "_")) for part in below.split("/"))


def _plain(path: str) -> str:
    """A path of this machine as a path, also where it is written as an address."""
    return unquote(path[found.end() :]) if (found := _OWN.match(path)) else path


def _whole(path: str) -> str:
    """From the root and without `..`, so that a file has one name from wherever it is named."""
    short = os.path.normpath(Path(path).absolute())
    # Behind a link `..` leads elsewhere than it reads.
    return short if real(short) == real(path) else real(path)


def _walked(folder: Path, deep: int | None) -> Iterator[Path]:
    """Files below a folder, hidden folders left out.

    A folder to which links lead in several ways is looked into once: a circle would have no end.
    """
    seen: set[tuple[int, int]] = set()
    for name, folders, files in os.walk(folder, followlinks=True, onerror=_raised):
        at = Path(name)
        told = at.stat()
        known = (told.st_dev, told.st_ino) in seen
        seen.add((told.st_dev, told.st_ino))
        ends = known or (deep is not None and len(at.relative_to(folder).parts) >= deep)
        folders[:] = [] if ends else sorted(one for one in folders if not _hidden(one))
        if not known:
            yield from (path for path in map(at.joinpath, files) if path.is_file())


def _raised(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _pattern(glob: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*|\?)", glob)))


def _opened(path: str, prefix: str) -> tuple[Any, str]:
    if not prefix:
        return pafs.LocalFileSystem(), _whole(path)
    try:
        files, inside = _by_arrow(path, prefix)
    except pa.ArrowException as error:
        # Not one of Arrow's own; whatever fsspec has a package for goes too.
        files, inside = _by_fsspec(path, prefix, error)
    except OSError as error:
        raise InputUnusable(f"{path} cannot be reached: {error}") from error
    # A folder has one name, with a slash behind it or without.
    return files, inside.rstrip("/") or inside


def _by_arrow(path: str, prefix: str) -> tuple[Any, str]:
    if prefix.lower() not in _BUCKETS:
        files, inside = pafs.FileSystem.from_uri(path)
        return files, inside
    # An object may be called anything; read as an address, a blank or `%` in its name would mean something else.
    bucket, _, name = path.removeprefix(prefix).partition("/")
    return _bucket(prefix.lower() + bucket), f"{bucket}/{name}" if name else bucket


@functools.cache
def _bucket(address: str) -> Any:
    """Where a bucket lies is asked over the network: once is enough."""
    return pafs.FileSystem.from_uri(address)[0]


def _by_fsspec(path: str, prefix: str, why: Exception) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        files, inside = url_to_fs(path)
    except (ImportError, ValueError, OSError) as error:
        told = f"{why}; {error}" if prefix.lower() in _BUCKETS else error
        raise InputUnusable(f"{path} cannot be reached: {told}; install the fsspec package of that store") from error
    handler: Any = pafs.FSSpecHandler
    return pafs.PyFileSystem(handler(files)), inside
