"""The store, readable by other processes while this one holds it.

takes  the store's database, named queries, and actions that the daemon offers
gives  an Arrow Flight server on loopback, whose address and token lie beside the store, for its owner's eyes only
never  runs SQL of a caller, never answers without the token, and never writes to the store itself

Query: `do_get` with a ticket of JSON, {"query": name, "params": {...}}. Action: `do_action` with a body of JSON.
Datetimes travel as ISO 8601 with their offset.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa
import structlog
from pyarrow import flight

from monitor.errors import MonitorError, ServiceError
from monitor.storage.database import MEMORY, Database
from monitor.storage.queries import QUERIES, Query
from monitor.storage.store import Store
from monitor.whole_file import PRIVATE, put_whole

Actions = Mapping[str, Callable[[dict[str, object]], object]]

NO_ACTIONS: Actions = {}
MOST_ROWS = 200_000

_LOOPBACK = "127.0.0.1"
# Who asks when the end comes has so long to get the answer.
_LAST_SECONDS = 3.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a read service answers, and the token that it wants.

    Raises:
        ValueError: on a location that is not on loopback: the token would travel a network in the clear.
    """

    location: str
    token: str
    pid: int

    def __post_init__(self) -> None:
        if not self.location.startswith(f"grpc://{_LOOPBACK}:"):
            raise ValueError(f"a read service answers on {_LOOPBACK} only, not on {self.location}")


def address_file(store: Path | str) -> Path:
    """Where the read service of this store leaves its address."""
    return Path(f"{store}.service.json")


def read_address(store: Path | str) -> Address | None:
    """The address that a service of this store left; None when there is none, or it cannot be understood."""
    try:
        told = json.loads(address_file(store).read_text(encoding="utf-8"))
        return Address(str(told["location"]), str(told["token"]), int(told["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def answer(database: Database, query: Query, params: Mapping[str, object], most_rows: int = MOST_ROWS) -> pa.Table:
    """Run one named query on a cursor of its own.

    Raises:
        ServiceError: when the parameters do not fit, or there are more rows than `most_rows`.
        StoreError: when the store cannot be read.
    """
    if objection := query.objection(params):
        raise ServiceError(objection)
    batches: list[pa.RecordBatch] = []
    rows = 0
    try:
        with database.reading() as cursor:
            reader: pa.RecordBatchReader = cursor.sql(query.sql, params=dict(params)).to_arrow_reader()
            for batch in reader:
                rows += batch.num_rows
                if rows > most_rows:
                    raise ServiceError(
                        f"the answer has more than {most_rows} rows: ask for a shorter time or a smaller limit"
                    )
                batches.append(batch)
            return pa.Table.from_batches(batches, reader.schema)
    except (duckdb.Error, pa.ArrowException) as error:
        # A value that the engine cannot take, such as an unknown step of time.
        raise ServiceError(f"the query cannot be answered: {str(error).splitlines()[0]}") from error


class ReadService:
    """A running read service; a context manager, stopped at its end.

    Args:
        store: held by this process in a file; the address goes into a file beside it.
        actions: what a client may ask of the daemon, by name: each takes the JSON body and returns something that
            JSON can say. An action refuses by raising `MonitorError` or `ValueError` with words for the client.
        queries: what may be asked.
        most_rows: most rows in one answer.

    Raises:
        ServiceError: when the port or the address file cannot be had, or the store is in memory.
    """

    def __init__(
        self,
        store: Store,
        actions: Actions = NO_ACTIONS,
        *,
        queries: Mapping[str, Query] = QUERIES,
        most_rows: int = MOST_ROWS,
    ) -> None:
        if store.database.path == MEMORY:
            raise ServiceError("a store in memory has no file, so nobody could find its read service")
        self._store = store.database.path
        self._database = store.database
        file = address_file(self._store)
        token = secrets.token_urlsafe(32)
        try:
            self._server = _Server(store.database, token, actions, queries, most_rows)
        except (pa.ArrowException, OSError) as error:
            raise ServiceError(f"the read service cannot listen on {_LOOPBACK}: {error}") from error
        self.address = Address(f"grpc://{_LOOPBACK}:{self._server.port}", token, os.getpid())
        self._ending: threading.Thread | None = None
        # It answers since it was made. `serve` would take the signals of the process over, and keep SIGTERM from the
        # daemon until the last request has ended.
        self._thread = threading.Thread(target=self._server.wait, name="read-service", daemon=True)
        self._thread.start()
        try:
            put_whole(file, json.dumps(asdict(self.address)), PRIVATE)
        except OSError as error:
            self._server.shutdown()
            raise ServiceError(f"the read service cannot leave its address in {file}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, patience_seconds: float = _LAST_SECONDS) -> bool:
        """Take the address away and stop answering; a second time does nothing.

        Requests in hand get so many seconds. Whether all of them have ended; the others go on in their threads.
        """
        if self._ending is not None:
            return not self._ending.is_alive()
        # A file that another service has put there since is not ours to remove.
        if read_address(self._store) == self.address:
            with suppress(OSError):
                address_file(self._store).unlink()
        # A copy of a large store would hold up the end for minutes.
        self._database.thaw()
        self._ending = threading.Thread(target=self._end, name="read-service-end", daemon=True)
        self._ending.start()
        self._ending.join(patience_seconds)
        return not self._ending.is_alive()

    def _end(self) -> None:
        """Take no more requests, and wait for those in hand; the server itself has no limit for that."""
        self._server.shutdown()
        self._thread.join()


class _Server(flight.FlightServerBase):
    def __init__(
        self,
        database: Database,
        token: str,
        actions: Actions,
        queries: Mapping[str, Query],
        most_rows: int,
    ) -> None:
        self._database = database
        self._actions = actions
        self._queries = queries
        self._most_rows = most_rows
        super().__init__(f"grpc://{_LOOPBACK}:0", middleware={"token": _TokenGate(token)})

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> flight.FlightDataStream:
        """Answer one named query."""
        asked = _json_object(ticket.ticket)
        name = asked.get("query")
        query = self._queries.get(name) if isinstance(name, str) else None
        if query is None:
            raise _refusal(f"there is no query {name!r}; there are: {', '.join(sorted(self._queries))}")
        params = asked.get("params", {})
        if not isinstance(params, dict):
            raise _refusal("params must be an object of names and values")
        try:
            table = answer(self._database, query, _typed(params, query), self._most_rows)
        except ServiceError as error:
            raise _refusal(str(error)) from error
        except MonitorError as error:
            raise flight.FlightUnavailableError(str(error)) from error
        return flight.RecordBatchStream(table)

    # The stubs say Action; the server wants pairs of a name and a description.
    def list_actions(self, context: flight.ServerCallContext) -> list[tuple[str, str]]:  # type: ignore[override]  # see above
        """Names of the actions."""
        return [(name, "") for name in sorted(self._actions)]

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> Iterator[bytes]:
        """Do one action of the daemon."""
        act = self._actions.get(action.type)
        if act is None:
            raise _refusal(f"there is no action {action.type!r}; there are: {', '.join(sorted(self._actions))}")
        body = _json_object(action.body.to_pybytes())
        try:
            result = act(body)
        except (MonitorError, ValueError) as error:
            # Also a store that cannot be written now: whoever takes the daemon for gone would ask a second time.
            raise _refusal(str(error)) from error
        except Exception as error:
            # What went wrong inside the daemon is for its log, not for a client.
            _log.exception("action_failed", action=action.type)
            raise flight.FlightServerError(f"the action {action.type} failed: see the daemon's log") from error
        return iter([json.dumps(result).encode()])


class _TokenGate(flight.ServerMiddlewareFactory):
    """Lets calls with the token pass."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    def start_call(self, info: flight.CallInfo, headers: Mapping[str, Sequence[str | bytes]]) -> None:
        """Refuse a call without the token."""
        given = next((values[0] for name, values in headers.items() if name.lower() == "authorization" and values), "")
        told = given.encode("utf-8", "replace") if isinstance(given, str) else given
        if not hmac.compare_digest(told, self._expected):
            raise flight.FlightUnauthenticatedError("the token is wrong: read it anew from the service's file")


def _typed(params: dict[str, Any], query: Query) -> dict[str, object]:
    """Values of JSON as the query wants them: instants out of their text."""
    typed: dict[str, object] = dict(params)
    for name, kind in query.params.items():
        if kind is datetime and isinstance(params.get(name), str):
            try:
                typed[name] = datetime.fromisoformat(params[name])
            except ValueError as error:
                raise _refusal(f"parameter {name} must be a date and time in ISO 8601, not {params[name]!r}") from error
    return typed


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body or b"{}")
    except ValueError as error:
        raise _refusal("the request is no JSON") from error
    if not isinstance(told, dict):
        raise _refusal("the request must be a JSON object")
    return told


def _refusal(words: str) -> flight.FlightServerError:
    return flight.FlightServerError(words)
