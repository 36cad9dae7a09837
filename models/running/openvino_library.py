"""OpenVINO, opened without its telemetry.

takes  nothing
gives  the library where it is installed, and what the CPU computes in hardware
never  lets it report to anyone: importing its tools would otherwise send an event to an analytics service
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from functools import cache
from types import ModuleType
from typing import Any

from models.errors import GraphUnusable


def installed(name: str = "openvino") -> bool:
    """Whether the package is there; answered without importing it."""
    return importlib.util.find_spec(name) is not None


def open_openvino() -> Any:
    """The module `openvino`, its telemetry replaced by the stub that it brings for installations without.

    Raises:
        GraphUnusable: when it is there and cannot be loaded.
    """
    return _opened("openvino")


def open_nncf() -> Any:
    """The module `nncf`, Intel's quantiser of OpenVINO graphs, likewise silent; errors as those of `open_openvino`."""
    nncf = _opened("nncf")
    nncf.set_log_level("ERROR")
    return nncf


@cache
def computes_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware."""
    return "BF16" in open_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def usable_cores() -> int:
    """Cores that this process may use; OMP_NUM_THREADS, which people set to share a machine, is heeded."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(allowed, int(asked))) if asked.isdigit() and int(asked) else allowed


def _opened(name: str) -> Any:
    # An entry of None makes `import openvino_telemetry` fail, as it does where the package is absent.
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # typeshed leaves out this documented use
    modules.setdefault("openvino_telemetry", None)
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise GraphUnusable(
            f"{name} is installed and cannot be loaded: {error}; set model.runtime to 'torch' to do without it"
        ) from error
