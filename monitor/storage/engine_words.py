"""Errors of the engine, in words.

takes  an error of DuckDB, and the path of the store
gives  the `StoreError` that names the file and the way out
never  touches the store
"""

from __future__ import annotations

import re

import duckdb

from monitor.errors import StoreDamaged, StoreError, StoreLocked, StoreTooNew, StoreUnavailable

_HOLDER = re.compile(r"\(PID (\d+)\)")
_DAMAGE = ("not a valid duckdb database", "corrupt", "checksum", "could not read enough bytes", "deserializ")
_READ = "cannot checkpoint: there are other"


def is_read(error: duckdb.TransactionException) -> bool:
    """Whether a log was not folded because a reader still sees a row as it was before it was changed."""
    return _READ in str(error).lower()


def as_store_error(error: duckdb.Error, path: str) -> StoreError:
    """What the engine says, as an error of the store."""
    words = str(error).strip().split("\n")[0]
    lowered = words.lower()
    if "could not set lock" in lowered or "conflicting lock" in lowered:
        holder = _HOLDER.search(words)
        who = f"process {holder[1]}" if holder else "another process"
        return StoreLocked(
            f"the store {path} is held by {who}: stop the other squall, or read through its read service"
        )
    if "different configuration" in lowered or "already attached" in lowered:
        return StoreLocked(f"the store {path} is open in this process already, in another way: close it first")
    if "version number" in lowered and "database file" in lowered:
        return StoreTooNew(f"the store {path} was written by a newer DuckDB: upgrade squall ({words})")
    if "read-only mode: database does not exist" in lowered:
        return StoreUnavailable(f"there is no store at {path} yet: start one with `squall run`")
    if any(sign in lowered for sign in _DAMAGE):
        return StoreDamaged(
            f"{path} is no readable store: move the file away (with {path}.wal, if there is one) and let `squall run` "
            f"begin a new one, or restore a backup with `squall restore`, which keeps this file aside ({words})"
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return StoreUnavailable(f"the store {path} needs more memory than it may use: raise the limit ({words})")
    return StoreUnavailable(
        f"the store {path} cannot be used now: check that its folder exists, may be written and has space ({words})"
    )
