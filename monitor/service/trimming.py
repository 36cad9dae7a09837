"""Memory that nobody uses goes back to the system.

takes  a word that now is a good moment
gives  pages to the system that the C library keeps for later
never  touches what is in use; does nothing where the library has no such call
"""

from __future__ import annotations

import ctypes
from functools import cache


def trim() -> bool:
    """Let go of free memory; whether there was any to let go of.

    Small pieces that live long keep whole arenas from shrinking by themselves, so a process that runs for months holds
    the most that it ever needed. glibc's `malloc_trim` frees the pages between them, in milliseconds.
    """
    call = _malloc_trim()
    return call is not None and call(0) == 1


@cache
def _malloc_trim() -> ctypes._NamedFuncPointer | None:
    try:
        call = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        # macOS, musl and Windows have none.
        return None
    call.argtypes, call.restype = [ctypes.c_size_t], ctypes.c_int
    return call
