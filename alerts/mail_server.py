"""Connections to a mail server that end in time.

takes  host, port, and how many seconds there are in all
gives  smtplib's connections, cut when the time is up
never  waits longer: a server that sends a byte a second passes every other time limit
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
import time


class Deadline:
    """Cuts the connection of `server` when so many seconds have passed since it was made."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self.server: smtplib.SMTP | None = None
        self._begun = time.monotonic()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def check(self) -> None:
        """Raises TimeoutError when the connection was cut, or the socket's own limit struck in the same moment."""
        if self.over or time.monotonic() - self._begun >= self.seconds:
            raise TimeoutError("the time for this attempt is over")

    def _cut(self) -> None:
        self.over = True
        connection = getattr(self.server, "sock", None)
        if connection is not None:
            try:
                # On the plain socket below: SSLSocket.shutdown would forget its TLS state under a reading thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                return  # closed in this very moment: nothing is left to cut


class PlainServer(smtplib.SMTP):
    """A connection that is plain to begin with. Raises TimeoutError, or what smtplib does."""

    def __init__(self, deadline: Deadline, host: str, port: int) -> None:
        deadline.server = self  # before connecting: the greeting may hang as well
        try:
            super().__init__(host, port, timeout=deadline.seconds)
        except (smtplib.SMTPException, OSError):
            deadline.check()
            raise


class TlsServer(smtplib.SMTP_SSL):
    """A connection that is encrypted from its first byte. Raises TimeoutError, or what smtplib does."""

    def __init__(self, deadline: Deadline, host: str, port: int, tls: ssl.SSLContext) -> None:
        deadline.server = self
        try:
            super().__init__(host, port, timeout=deadline.seconds, context=tls)
        except (smtplib.SMTPException, OSError):
            deadline.check()
            raise
