"""Free memory goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own, whose memory nobody else moves: pieces that are freed between pieces that stay.
_SCATTERED = """
from pathlib import Path
from monitor.service.trimming import trim

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

pieces = [bytearray(4_000) for _ in range(50_000)]
stays = pieces[::100]
del pieces
before = resident()
trim()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has malloc_trim, and only Linux /proc")
def test_freed_memory_goes_back() -> None:
    told = subprocess.run([sys.executable, "-c", _SCATTERED], capture_output=True, text=True, check=True)
    assert int(told.stdout) > 50_000_000, told.stdout
