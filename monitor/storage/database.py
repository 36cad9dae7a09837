"""One DuckDB file held by one process: a connection, a lock for writing, cursors for reading.

takes  a path, and statements of the other modules of the store
gives  cursors and transactions; engine errors as `StoreError`s that name the file and the way out
never  knows a table, and never leaves a transaction half done

DuckDB lets one process at a time hold a file, even for reading while another writes: hence one daemon, and a read
service for everybody else.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl

from monitor.errors import StoreLocked, StoreUnavailable
from monitor.storage.engine_words import as_store_error, is_read
from monitor.storage.readers import Readers, stops
from monitor.storage.room import demand_room

MEMORY = ":memory:"
# How long the log waits for readers before it is folded; a daemon that stops gives what is in hand seven seconds.
FOLDING = timedelta(seconds=5)

_NEVER = "1024 TiB"  # no log grows so large: the engine then folds none into the file by itself
_LOCK_PAUSE = 0.05  # seconds between two tries for a lock that a short-lived reader may hold


class Database:
    """A held DuckDB file.

    Threads: `reading` may be entered by many threads at once; `writing` lets one in at a time.

    Args:
        path: of the file, or ":memory:".
        read_only: whether to hold it for reading only; the file must exist then.
        memory_limit: most memory that the engine takes for itself, in DuckDB's words ("1GB").
        threads: most threads that the engine uses.
        patience: how long to try for a file that another process holds.

    Raises:
        StoreLocked: another process holds the file.
        StoreDamaged: the file is no DuckDB file, or broken.
        StoreTooNew: a newer DuckDB wrote the file.
        StoreUnavailable: the file cannot be created or opened.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        read_only: bool = False,
        memory_limit: str = "1GB",
        threads: int = 2,
        patience: timedelta = timedelta(0),
    ) -> None:
        self.path = str(path)
        self.read_only = read_only
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "threads": threads,
            # Nothing is read but the store itself and frames that are handed over by name: no variable of the
            # caller, no other file, no extension from the network.
            "python_enable_replacements": False,
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._lock = threading.Lock()
        self._broken = ""
        # Counts openings: who reads the file itself must know when the engine may have written to it.
        self._opened = 1
        self._frozen = False
        self._readers = Readers(self.path)
        self._descriptors: dict[int, int] = {}
        self._connection: duckdb.DuckDBPyConnection | None = self._connect(patience)

    def close(self) -> None:
        """Let the file go; waits for a running transaction, does nothing when it is closed already."""
        with self._lock:
            self._drop()
            while self._descriptors:
                os.close(self._descriptors.popitem()[1])

    def reopen(self, patience: timedelta = timedelta(0)) -> None:
        """Open the file anew after a fatal error of the engine; what was committed is there.

        Raises:
            StoreError: as at the first opening; it may be tried again.
        """
        if self.path == MEMORY:
            raise StoreUnavailable("a store in memory cannot be reopened: its content went with the connection")
        with self._lock:
            self._drop()
            self._connection = self._connect(patience)
            self._opened += 1
            self._frozen = False
            self._broken = ""

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that sees what is committed; it is closed at the end.

        Raises:
            StoreError: when the engine fails; an error in a statement itself comes as `duckdb.Error`.
        """
        with self._translated():
            cursor = self._open().cursor()
            try:
                yield cursor
            finally:
                with suppress(duckdb.Error):
                    cursor.close()
                self._readers.through()

    @contextmanager
    def writing(self, **frames: pl.DataFrame) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction: committed at the end, undone on any error.

        Args:
            frames: tables that statements may read by these names while the transaction lasts.

        Raises:
            StoreError: when the engine fails or the store was opened for reading; nothing is written then.
        """
        if self.read_only:
            raise StoreUnavailable(f"the store {self.path} was opened for reading; nothing can be written")
        with self._lock, self._translated():
            connection = self._open()
            connection.execute("BEGIN TRANSACTION")
            try:
                with lent(connection, **frames):
                    yield connection
                connection.execute("COMMIT")
            except BaseException:
                # The first error is the one to tell; a dead connection or a failed commit has nothing to undo.
                with suppress(duckdb.Error):
                    connection.execute("ROLLBACK")
                raise

    def checkpoint(self, patience: timedelta = FOLDING) -> None:
        """Fold the write-ahead log into the file, unless the file is frozen: the log then waits beside it.

        Args:
            patience: how long to wait for readers; writers go on meanwhile.

        Raises:
            DiskNearlyFull: when there is too little room to begin: a checkpoint that fails half-way ends the engine.
            StoreBusy: when somebody reads for longer; the log stays beside the file, and nothing is lost.
            StoreUnavailable: when that fails; `reopen` then.
        """
        self.demand_room()
        with self._folded(patience):
            pass

    @contextmanager
    def frozen(self, patience: timedelta = FOLDING) -> Iterator[Callable[[], None]]:
        """Hold the file as it is now: what others write meanwhile goes to the log beside it, and nobody waits.

        Gives a function that raises `StoreUnavailable` once the file may have changed all the same, because the store
        was closed or opened anew; what was read of it is worth nothing then. Blocks that no committed table owns are
        written even now: a copy of the file holds them as free space.

        Args:
            patience: how long to wait for readers before the log is folded; writers go on meanwhile.

        Raises:
            StoreBusy: when somebody reads for longer.
            StoreUnavailable: for example when the file is frozen already.
        """
        with self._lock:
            self._demand_thawed()
            self._readers.stopping = False
        with self._folded(patience):
            self._demand_thawed()
            if not self.read_only:
                self._open().execute(f"SET GLOBAL checkpoint_threshold = '{_NEVER}'")
            opened, self._frozen = self._opened, True

        def unchanged() -> None:
            if self._readers.stopping:
                raise StoreUnavailable(stops(self.path))
            if self._opened != opened or self._connection is None:
                raise StoreUnavailable(f"the store {self.path} was closed or opened anew meanwhile: begin again")

        try:
            yield unchanged
        finally:
            with self._lock:
                if self._opened == opened:
                    self._frozen = False
                    with suppress(duckdb.Error):
                        if self._connection is not None and not self.read_only:
                            self._connection.execute("RESET GLOBAL checkpoint_threshold")

    def demand_room(self) -> None:
        """See that there is room: who fetches what cannot be stored troubles servers for nothing.

        Raises:
            DiskNearlyFull: naming the room that is left.
        """
        if self.path != MEMORY:
            demand_room(self.path)

    def thaw(self) -> None:
        """Ask whoever reads the frozen file to give up: this process is about to end."""
        self._readers.stop()

    def image(self) -> int:
        """A descriptor of the file, to read it by while it is `frozen`; it stays open, and is this database's to close.

        The system takes the engine's lock away as soon as this process closes any descriptor of the file, and another
        squall could then begin on it.
        """
        with self._lock:
            self._open()
            # One that was made before the store was opened anew may be of the same file: it is not closed either.
            if self._opened not in self._descriptors:
                self._descriptors[self._opened] = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            return self._descriptors[self._opened]

    @contextmanager
    def _folded(self, patience: timedelta) -> Iterator[None]:
        """Hold off writers, with the log folded unless the file is frozen; between two tries they go on."""
        deadline = time.monotonic() + patience.total_seconds()
        while True:
            with self._lock, self._translated():
                if self._frozen or self.read_only or self._fold():
                    yield
                    return
            self._readers.wait(deadline)

    def _fold(self) -> bool:
        """Fold the log; not while somebody reads who began before a row was last changed."""
        try:
            self._open().execute("CHECKPOINT")
        except duckdb.TransactionException as error:
            if is_read(error):
                return False
            raise
        return True

    def _demand_thawed(self) -> None:
        if self._frozen:
            raise StoreUnavailable(f"the store {self.path} is being copied already: wait until that has ended")

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._broken:
            raise StoreUnavailable(self._broken)
        if self._connection is None:
            raise StoreUnavailable(f"the store {self.path} is closed")
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(duckdb.Error):
                self._connection.close()
        self._connection = None

    def _connect(self, patience: timedelta) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + patience.total_seconds()
        while True:
            connection = None
            try:
                connection = duckdb.connect(self.path, read_only=self.read_only, config=self._config)
                connection.execute("SET GLOBAL TimeZone = 'UTC'")
                return connection
            except duckdb.Error as error:
                # A dead engine lives on, and is what the next call gets, for as long as one connection to it is left:
                # that of a reader who is not through yet, or this one, in the frame that the error keeps.
                if connection is not None:
                    connection.close()
                told = as_store_error(error, self.path)
                if not isinstance(told, StoreLocked) or time.monotonic() >= deadline:
                    raise told from error
                time.sleep(_LOCK_PAUSE)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.ProgrammingError, duckdb.DataError, duckdb.IntegrityError, duckdb.NotSupportedError):
            raise  # a fault in our own statement, not in the world
        except duckdb.Error as error:
            told = as_store_error(error, self.path)
            if isinstance(error, duckdb.FatalException | duckdb.InternalException):
                self._broken = str(told)
            raise told from error


class _Handed:
    """A frame by its C interface alone: the engine then takes it as it is, a fifth faster than by way of pyarrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """As https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html has it."""
        return self._frame.__arrow_c_stream__(requested_schema)


@contextmanager
def lent(connection: duckdb.DuckDBPyConnection, **frames: pl.DataFrame) -> Iterator[None]:
    """Let statements on this connection read the frames by their names, for a while."""
    for name, frame in frames.items():
        connection.register(name, _Handed(frame))
    try:
        yield
    finally:
        for name in frames:
            with suppress(duckdb.Error):
                connection.unregister(name)
