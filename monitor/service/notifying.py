"""What the service manager is told: ready, reloading, stopping, still getting on.

takes  $NOTIFY_SOCKET, as systemd sets it
gives  datagrams in the words of sd_notify(3)
never  raises or waits: without a service manager nobody is told, and a full socket is no reason to stop

The packages that wrap this one datagram are older than what they would have to say (`Type=notify-reload`).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

# A manager needs no more signs of life than this.
_SPARING_SECONDS = 1.0


class ServiceManager:
    """The service manager that started this process, if one did. Safe for many threads.

    Args:
        address: of its socket; nobody is told when it is empty.
    """

    def __init__(self, address: str = "") -> None:
        # "@" stands for a name in the abstract namespace, which begins with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self._fed_at = float("-inf")
        self._lock = threading.Lock()

    def ready(self, words: str) -> None:
        """The service works, for the first time or after a reload."""
        self._tell("READY=1", f"STATUS={words}")

    def reloading(self) -> None:
        """The settings are read anew; `ready` ends it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000}")

    def stopping(self) -> None:
        """The service ends."""
        self._tell("STOPPING=1", "STATUS=finishing what is in hand")

    def status(self, words: str) -> None:
        """What `systemctl status` shows in one line."""
        self._tell(f"STATUS={words}")

    def getting_on(self) -> None:
        """Work went on: what WatchdogSec= waits for."""
        now = time.monotonic()
        with self._lock:
            if now - self._fed_at < _SPARING_SECONDS:
                return
            self._fed_at = now
        self._tell("WATCHDOG=1")

    def close(self) -> None:
        """Let the socket go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, *lines: str) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), self._address)


def service_manager(environment: Mapping[str, str] | None = None) -> ServiceManager:
    """The manager that $NOTIFY_SOCKET names; one that tells nobody where there is none."""
    address = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
    return ServiceManager(address if address.startswith(("/", "@")) else "")
