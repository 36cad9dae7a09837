"""Is there room on the disk for what would be stored?

takes  the path of a store
gives  nothing when there is
never  writes
"""

from __future__ import annotations

import shutil
from pathlib import Path

from monitor.errors import DiskNearlyFull, StoreUnavailable

_ROOM = 64 * 2**20  # bytes that must be free before anything is fetched; on small disks a fiftieth


def demand_room(path: str) -> None:
    """See that the disk of a store has room.

    Raises:
        DiskNearlyFull: naming the room that is left.
        StoreUnavailable: when the disk does not answer.
    """
    try:
        disk = shutil.disk_usage(Path(path).parent)
    except OSError as error:
        raise StoreUnavailable(f"the disk of the store {path} does not answer: {error}") from error
    if disk.free < min(_ROOM, disk.total // 50):
        raise DiskNearlyFull(
            f"the disk of the store {path} has {disk.free // 2**20} MiB left: nothing is fetched until there "
            "is room; `squall doctor` says how much is needed"
        )
