"""Small files that are written whole or not at all.

takes  a file, and what is to stand in it
gives  the file, with it
never  leaves half of it behind, also where the disk is full or the power fails, nor shows it to more eyes than before
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_NEW = 0o666  # less what the process takes away from every new file
PRIVATE = 0o600


def put_whole(file: Path, text: str, rights: int | None = None) -> None:
    """Put the text in the place of what the file held; lines end as the text says.

    Args:
        rights: of the file; by default those that it has, or what new files get.

    Raises:
        OSError: when it cannot be written; the file is as it was, then.
    """
    if rights is None and file.exists():
        rights = file.stat().st_mode & 0o777
    draft = file.with_name(f".{file.name}.{os.getpid()}.new")
    with suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE if rights is not None else _NEW)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if rights is not None:
                os.fchmod(stream.fileno(), rights)
            stream.write(text.encode("utf-8"))
            stream.flush()
            # Or the name could be on the disk before what stands under it.
            os.fsync(stream.fileno())
        draft.replace(file)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
