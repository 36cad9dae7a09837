"""What other programs ask of a running daemon, over HTTP on loopback.

takes  GET and HEAD of /metrics, /healthz, /readyz
gives  numbers for Prometheus; 200, or 503 with a reason a line
never  listens beyond 127.0.0.1, asks the store, or keeps a slow caller for long

Pages of other sites cannot ask through a browser either: a request must name this machine as its host.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from monitor.errors import ServiceError
from monitor.service.metrics import Metrics

_LOOPBACK = "127.0.0.1"
_HOSTS = frozenset({_LOOPBACK, "localhost"})
_TEXT = "text/plain; charset=utf-8"

Ails = Callable[[], Sequence[str]]


class Probes:
    """The running server; a context manager.

    Args:
        port: to listen on; 0 lets the system choose.
        metrics: what /metrics tells.
        sick: why the daemon should be restarted; nothing while it should not.
        unready: why it does not do its work now; nothing while it does.

    Raises:
        ServiceError: when the port cannot be had.
    """

    def __init__(self, port: int, metrics: Metrics, sick: Ails, unready: Ails) -> None:
        try:
            self._server = _Server(port, metrics, {"/healthz": sick, "/readyz": unready})
        except OSError as error:
            raise ServiceError(
                f"metrics.port {port} on {_LOOPBACK} cannot be had ({error.strerror}): choose another, or 0 for none"
            ) from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # What a caller leaves open must not keep the daemon from ending.
    block_on_close = False

    def __init__(self, port: int, metrics: Metrics, ails: dict[str, Ails]) -> None:
        super().__init__((_LOOPBACK, port), _Answers)
        self.metrics = metrics
        self.ails = ails


class _Answers(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5  # seconds that a silent caller is waited for

    def do_GET(self) -> None:
        """Answer one request."""
        if self.headers.get("Host", "").rpartition(":")[0] not in _HOSTS and self.headers.get("Host") not in _HOSTS:
            self._say(HTTPStatus.MISDIRECTED_REQUEST, b"ask for 127.0.0.1 or localhost\n", _TEXT)
            return
        path = self.path.partition("?")[0]
        if path == "/metrics":
            body, kind = self.server.metrics.page(self.headers.get("Accept", ""))
            self._say(HTTPStatus.OK, body, kind)
        elif path in self.server.ails:
            reasons = self.server.ails[path]()
            words = "".join(f"{reason}\n" for reason in reasons) or "ok\n"
            self._say(HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK, words.encode(), _TEXT)
        else:
            self._say(HTTPStatus.NOT_FOUND, b"there are /metrics, /healthz and /readyz\n", _TEXT)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body: load balancers and monitors of uptime ask so."""
        self.do_GET()

    def _say(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        """A scrape every few seconds is no event."""
