"""Text that is not UTF-8, said so that a person can mend it.

takes  bytes of a file, or a file and the error of a library that could not read it
gives  the byte and the way out, in words
never  guesses what else they are: a wrong guess is a wrong name in a headline
"""

from __future__ import annotations

from pathlib import Path


def not_utf8(body: bytes) -> str:
    """What is wrong with the first byte that is no UTF-8; empty where all is."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte 0x{body[error.start]:02X} is no UTF-8: convert it with iconv -f WINDOWS-1252 -t UTF-8"
    return ""


def unread(path: Path, error: Exception) -> str:
    """Why a file could not be read: its bytes where they are no UTF-8, else the library's own words."""
    if isinstance(error, OSError) or path.suffix.lower() == ".parquet" or not path.is_file():
        return str(error)
    return not_utf8(path.read_bytes()) or str(error)
