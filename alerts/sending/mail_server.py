"""Connections to a mail server that end in time.

takes  host, port, and how many seconds there are in all
gives  smtplib's connections, cut when the time is up
never  waits longer: a server that sends a byte a second passes every other time limit, and a name server that is silent
       has none; nor keeps an answer without an end
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
import time
from io import BufferedReader
from typing import Any

from alerts.sending.look_ups import LookUps

# What this machine is called is worth no more of an attempt: a mail server takes an address for it as well.
_SHARE_FOR_OWN_NAME = 0.1
_NAMELESS = "[127.0.0.1]"
# Of one answer. The longest there is, to EHLO, has some thirty.
_MOST_LINES = 500


class Deadline:
    """Cuts the connection that it watches when so many seconds have passed since it was made."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self._begun = time.monotonic()
        self._watched: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._watched is not None:
                self._watched.close()

    def watch(self, connection: socket.socket) -> None:
        """Cut this connection when the time is up, in whatever hands it is by then.

        A second handle on it: smtplib takes the first one away while TLS is agreed on, and shutting down an SSLSocket
        would forget its TLS state under a reading thread.
        """
        with self._lock:
            self._watched = connection.dup()
        if self.over:
            self._cut()

    def check(self) -> None:
        """Raises TimeoutError when the connection was cut, or the socket's own limit struck in the same moment."""
        self.left()

    def left(self) -> float:
        """Seconds that are left; raises TimeoutError when there are none."""
        left = self.seconds - (time.monotonic() - self._begun)
        if self.over or left <= 0:
            raise TimeoutError("the time for this attempt is over")
        return left

    def _cut(self) -> None:
        self.over = True
        with self._lock:
            if self._watched is None:
                return
            try:
                self._watched.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # closed in this very moment: nothing is left to cut


class Names:
    """Names of mail servers, and of this machine, asked for in time. Belongs to one channel."""

    def __init__(self) -> None:
        self._look_ups = LookUps()
        self._own = LookUps(most=1)

    def addresses(self, host: str, port: int, seconds: float) -> list[str]:
        """The addresses of a server.

        Raises:
            OSError: when there is none; TimeoutError when the system does not answer in time.
        """
        try:
            return self._look_ups.addresses_within(host, port, seconds)
        except UnicodeError as error:
            raise socket.gaierror(f"{host} is no name that can be looked up") from error

    def own(self, seconds: float) -> str:
        """What this machine calls itself to servers, as smtplib would; an address where that cannot be said in time."""
        try:
            return self._own.begin(_own_name).result(seconds)
        except (OSError, UnicodeError):
            return _NAMELESS


def _own_name() -> str:
    name = socket.getfqdn()
    return name if "." in name else f"[{socket.gethostbyname(socket.gethostname())}]"


class _Answers:
    """Lines of a mail server; smtplib keeps those of one answer until it ends, and a stranger on the line ends none."""

    def __init__(self, lines: BufferedReader) -> None:
        self._lines = lines
        self.left = _MOST_LINES

    def readline(self, most: int) -> bytes:
        """The next line; nothing, as at the end of a connection, when the answer has too many."""
        self.left -= 1
        return self._lines.readline(most) if self.left >= 0 else b""

    def close(self) -> None:
        """Let the connection go."""
        self._lines.close()


class _Reaching(smtplib.SMTP):
    """Connects in the time that there is: smtplib looks names up without a limit, and has one for each address."""

    _deadline: Deadline
    _names: Names
    # What it said when it took a message: often the name by which its own log knows it.
    taken: tuple[int, bytes] = (250, b"")

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Hand over the message itself."""
        self.taken = super().data(msg)
        return self.taken

    def getreply(self) -> tuple[int, bytes]:
        """One answer, of so many lines at most."""
        if self.file is None and self.sock is not None:
            self.file = _Answers(self.sock.makefile("rb"))
        answers = self.file
        if not isinstance(answers, _Answers):
            return super().getreply()
        answers.left = _MOST_LINES
        try:
            return super().getreply()
        except smtplib.SMTPServerDisconnected:
            if answers.left >= 0:
                raise
            raise smtplib.SMTPResponseException(500, "an answer without an end") from None

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """What smtplib connects by; `SMTP_SSL` puts its encryption around it."""
        addresses = self._names.addresses(host, port, self._deadline.left())
        for number, address in enumerate(addresses, start=1):
            # A share of what is left for each, so that behind a dead IPv6 route the IPv4 address gets its chance.
            share = self._deadline.left() / (len(addresses) - number + 1)
            try:
                connection = socket.create_connection((address, port), share)
            except OSError:
                if number == len(addresses):
                    raise
                continue
            self._deadline.watch(connection)
            connection.settimeout(self._deadline.left())
            return connection
        raise socket.gaierror(f"{host} has no address")


class PlainServer(_Reaching):
    """A connection that is plain to begin with. Raises TimeoutError, or what smtplib does."""

    def __init__(self, deadline: Deadline, host: str, port: int, names: Names) -> None:
        self._deadline, self._names = deadline, names
        try:
            own = names.own(deadline.left() * _SHARE_FOR_OWN_NAME)
            super().__init__(host, port, own, timeout=deadline.left())
        except (smtplib.SMTPException, OSError):
            deadline.check()
            raise


class TlsServer(smtplib.SMTP_SSL, _Reaching):
    """A connection that is encrypted from its first byte. Raises TimeoutError, or what smtplib does."""

    def __init__(self, deadline: Deadline, host: str, port: int, names: Names, tls: ssl.SSLContext) -> None:
        self._deadline, self._names = deadline, names
        try:
            own = names.own(deadline.left() * _SHARE_FOR_OWN_NAME)
            super().__init__(host, port, own, timeout=deadline.left(), context=tls)
        except (smtplib.SMTPException, OSError):
            deadline.check()
            raise
