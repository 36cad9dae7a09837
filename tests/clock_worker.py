"""A daemon as `squall run` makes it, whose clock is as far off as a file says: clocks are set, days pass at once.

    python clock_worker.py SETTINGS OFFSET_FILE

The file holds seconds. The machine's own clock is never touched; intervals go by the steady clock, as always.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.logs import set_up_logs
from monitor.service.daemon import Daemon
from monitor.settings_file import load_settings
from monitor.storage.store import Store


async def main(config: Path, offset: Path) -> None:
    settings = load_settings(config, {})
    set_up_logs(settings.log)

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(offset.read_text()))

    with Store.open(settings.store.path, clock()) as store:
        daemon = Daemon(settings, store, clock)
        await daemon.run()
    if daemon.busy:
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
