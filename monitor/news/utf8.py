"""Text that is not UTF-8, said so that a person can mend it.

takes  bytes of a file, or a file and the error of a library that could not read it
gives  the byte and the way out, in words; how a file is compressed
never  guesses what else they are: a wrong guess is a wrong name in a headline
"""

from __future__ import annotations

from pathlib import Path

# What such files begin with.
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def packed(begins: bytes) -> str:
    """How a file that begins so is compressed, in words; empty where it is not."""
    how = next((name for mark, name in _PACKED.items() if begins.startswith(mark)), "")
    return f"it is compressed with {how}: unpack it" if how else ""


def not_utf8(body: bytes) -> str:
    """What is wrong with the first byte that is no UTF-8; empty where all is."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        likely = "UTF-16" if body.startswith(_UTF16) else "WINDOWS-1252"
        return f"byte 0x{body[error.start]:02X} is no UTF-8: convert it with iconv -f {likely} -t UTF-8"
    return ""


def unread(path: Path, error: Exception) -> str:
    """Why a file could not be read: its bytes where they are no UTF-8, else the library's own words."""
    if isinstance(error, OSError) or path.suffix.lower() == ".parquet" or not path.is_file():
        return str(error)
    return not_utf8(path.read_bytes()) or str(error)
