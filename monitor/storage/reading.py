"""Asking the store from another process.

takes  the path of a store, and the name of a query with its parameters
gives  polars frames: from the daemon's read service when one answers, else from the file itself
never  writes, and never keeps the file open: a daemon that starts must find it free

After a restart of the daemon the next query finds the new one by itself. An action is asked for a second time only
when the first one cannot have reached a daemon. A daemon that takes a question and gives no answer is waited for once;
from then on it is asked shortly whether it hears again, before anything else is asked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import polars as pl
import pyarrow as pa
from pyarrow import flight

from monitor.errors import ServiceError, ServiceSilent, StoreLocked
from monitor.storage.database import Database
from monitor.storage.migrating import known_migrations, migrate
from monitor.storage.queries import QUERIES
from monitor.storage.readservice import Address, answer, read_address

T = TypeVar("T")

_TIMEOUT_SECONDS = 30.0
# For the smallest of questions.
_KNOCK_SECONDS = 5.0
_KNOCK = flight.Ticket(json.dumps({"query": "meta", "params": {}}).encode())
# A daemon that just starts or stops holds the file before or after its service answers.
_PATIENCE = timedelta(seconds=2)
_GONE = (flight.FlightUnavailableError, flight.FlightUnauthenticatedError, flight.FlightTimedOutError)


class Reader:
    """A way to the store's content that survives restarts of the daemon. Safe for many threads.

    Args:
        patience_seconds: how long a query may take.

    Attributes:
        live: whether the last answer came from a running daemon.
    """

    def __init__(self, store: Path | str, patience_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._store = str(store)
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._silent_since: datetime | None = None
        self._address: Address | None = None
        self._client: flight.FlightClient | None = None
        self._refusal = ""
        self.live = False

    @classmethod
    def open(cls, store: Path | str) -> Self:
        """A reader of this store, once one query was answered.

        Raises:
            StoreUnavailable: there is no store yet.
            StoreError: the store cannot be read.
            ServiceError: the daemon holds the store, but does not answer.
        """
        reader = cls(store)
        try:
            reader.query("meta")
        except BaseException:
            reader.close()
            raise
        return reader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the connection go; a later query makes a new one."""
        with self._lock:
            self._drop()

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """The answer to one of `monitor.storage.queries.QUERIES`; instants are `Datetime("us", "UTC")`.

        Raises:
            ServiceSilent: a daemon holds the store and does not answer.
            ServiceError: unknown query, wrong parameters, or too many rows.
            StoreError: when the file cannot be read.
        """
        if name not in QUERIES:
            raise ServiceError(f"there is no query {name!r}; there are: {', '.join(sorted(QUERIES))}")
        if objection := QUERIES[name].objection(params):
            raise ServiceError(objection)
        ticket = flight.Ticket(json.dumps({"query": name, "params": params}, default=_as_text).encode())

        def ask() -> pa.Table | None:
            return self._ask(lambda client, options: client.do_get(ticket, options).read_all(), self._patience_seconds)

        try:
            table = ask()
        except ServiceSilent as silent:
            # Who took the connection need not be the daemon that left its address: the file is free then.
            try:
                table = self._from_file(name, params, timedelta(0))
            except StoreLocked:
                raise silent from None
        if table is None:
            try:
                table = self._from_file(name, params, _PATIENCE)
            except StoreLocked as error:
                table = ask()  # a daemon that was starting may answer by now
                if table is None:
                    raise ServiceError(
                        f"the store {self._store} is held by a squall whose read service does not answer: look at its "
                        f"log, or stop it ({self._refusal or error})"
                    ) from error
        return _frame(table)

    def act(self, name: str, **body: object) -> object:
        """Ask the daemon to do something.

        Raises:
            ServiceError: no daemon runs, there is no such action, it was refused, or no answer came.
        """
        answered = self.act_if_live(name, _TIMEOUT_SECONDS, **body)
        if answered is None:
            raise ServiceError("no daemon is running, so nothing can be done: start one with `squall run`")
        return answered

    def act_if_live(self, name: str, patience_seconds: float, **body: object) -> Any:
        """Ask the daemon to do something that may take so long; None when none runs.

        Raises:
            ServiceSilent: a daemon runs and does not answer; nothing was asked of it.
            ServiceError: there is no such action, it was refused, or no answer came: it may have been done then.
        """
        action = flight.Action(name, json.dumps(body, default=_as_text).encode())
        results = self._ask(
            lambda client, options: list(client.do_action(action, options)), patience_seconds, acts=True
        )
        return None if results is None else json.loads(results[0].body.to_pybytes())

    def _ask(
        self,
        call: Callable[[flight.FlightClient, flight.FlightCallOptions], T],
        patience_seconds: float,
        *,
        acts: bool = False,
    ) -> T | None:
        """What the daemon answers; None when none runs. A daemon that was restarted is found at the second try.

        Who `acts` is heard once at most, and told when it may have happened without an answer.

        Raises:
            ServiceSilent: it was reached, and did not answer in time.
        """
        self._refusal = ""
        for _ in range(2):
            with self._lock:
                reached = self._connected()
            if reached is None:
                break
            client, address = reached
            asked_at = datetime.now(UTC)
            try:
                if self._silent_since is not None:
                    client.do_get(_KNOCK, _options(address.token, _KNOCK_SECONDS)).read_all()
                    self._silent_since = None
                answered = call(client, _options(address.token, patience_seconds))
            except _GONE as error:
                self._refusal = _words(error)
                with self._lock:
                    self._drop()
                knocked = self._silent_since is not None
                if acts and not knocked and (doubt := _doubt(error, patience_seconds)):
                    raise ServiceError(f"{doubt}: look before you ask again ({self._refusal})") from error
                if _unanswered(error):
                    raise self._silence(asked_at) from error
            except (flight.FlightError, pa.ArrowException) as error:
                raise ServiceError(_words(error)) from error
            else:
                self.live = True
                return answered
        self.live = False
        self._silent_since = None
        return None

    def _silence(self, asked_at: datetime) -> ServiceSilent:
        """What is raised when a question, asked then, had no answer."""
        self.live = False
        since = self._silent_since = self._silent_since or asked_at
        return ServiceSilent(
            f"the squall that holds the store {self._store} has not answered since {since:%d %b %Y, %H:%M} UTC: look "
            f"at its log, or stop it and start it again ({self._refusal})",
            since,
        )

    def _connected(self) -> tuple[flight.FlightClient, Address] | None:
        address = read_address(self._store)
        if address != self._address:
            self._drop()
        if address is None:
            return None
        if self._client is None:
            self._client = flight.FlightClient(address.location)
            self._address = address
        return self._client, address

    def _drop(self) -> None:
        # Another thread may still be waiting on the old client: it is left to the garbage collector.
        self._client = None
        self._address = None

    def _from_file(self, name: str, params: Mapping[str, object], patience: timedelta) -> pa.Table:
        database = Database(self._store, read_only=True, patience=patience)
        try:
            with database.reading() as cursor:
                migrate(cursor, self._store, datetime.now(UTC), known_migrations(), read_only=True)
            return answer(database, QUERIES[name], params)
        finally:
            database.close()


def _options(token: str, patience_seconds: float) -> flight.FlightCallOptions:
    headers = [(b"authorization", f"Bearer {token}".encode())]
    # The stubs say text; the client takes bytes only.
    return flight.FlightCallOptions(timeout=patience_seconds, headers=headers)  # type: ignore[arg-type]  # see above


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise ServiceError("the answer is no table")
    return frame


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _doubt(error: Exception, patience_seconds: float) -> str:
    """Why it is not known whether what was asked is done; empty when it cannot have been heard, or was turned away."""
    if isinstance(error, flight.FlightTimedOutError):
        return f"the daemon did not answer within {patience_seconds:g} s; it may still do it"
    unreached = any(sign in str(error).lower() for sign in ("failed to connect", "connection refused"))
    if unreached or isinstance(error, flight.FlightUnauthenticatedError):
        return ""
    return "the daemon ended before it answered; it may have done it"


def _unanswered(error: Exception) -> bool:
    """Whether somebody took the connection and said nothing, or nothing more."""
    return isinstance(error, flight.FlightTimedOutError) or "timed out" in str(error).lower()


def _words(error: Exception) -> str:
    """The server's words, without what gRPC puts around them."""
    return str(error).split(". Detail:")[0].split(". gRPC client debug context:")[0]
