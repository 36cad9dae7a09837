"""Whether a port can be listened on.

takes  a host and a port, as the settings name them
gives  why nothing can listen there, in words of the system; the address that people type
never  keeps the port
"""

from __future__ import annotations

import errno
import os
import socket

IN_USE = os.strerror(errno.EADDRINUSE)


def refusal(host: str, port: int) -> str:
    """Why nothing can listen there; empty when it can. A name is tried at each of its addresses."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, *_, address in dict.fromkeys(found):
            with socket.create_server(address[:2], family=family):
                pass
    except OSError as error:
        # Python adds to the system's words where it tried to bind.
        if error.errno is None or isinstance(error, socket.gaierror):
            return error.strerror or str(error)
        return os.strerror(error.errno)
    except UnicodeError as error:
        return str(error)  # a label of the name is empty or too long
    return ""


def web_address(host: str, port: int) -> str:
    """What is typed into a browser."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
