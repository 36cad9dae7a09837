"""The dashboard as a process of its own.

takes  settings
gives  a Streamlit process on loopback that reads this store; in words, why it cannot listen
never  imports streamlit: the dashboard is another room
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from monitor.errors import MonitorError, ServiceError
from monitor.service.ports import refusal
from monitor.settings import Settings

# Within the ten seconds that a daemon has to stop.
_PATIENCE_SECONDS = 2
_SLICE_SECONDS = 0.5


def dashboard_command(settings: Settings, as_of: datetime | None = None) -> list[str]:
    """The command line that serves the dashboard; `as_of` is the moment that its pages take for now.

    Raises:
        MonitorError: when the dashboard's package is not installed.
    """
    spec = importlib.util.find_spec("dashboard")
    if spec is None or not spec.submodule_search_locations:
        raise MonitorError("the dashboard is not installed; install squall with its dependencies")
    page = Path(next(iter(spec.submodule_search_locations))) / "app.py"
    options = {
        "server.address": settings.dashboard.host,
        "server.port": str(settings.dashboard.port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        # Why: dashboard/.streamlit/config.toml, which is not read where a folder's own configuration is.
        "global.minCachedMessageSize": "1e12",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
    }
    flags = [f"--{key}={value}" for key, value in options.items()]
    told = ["--store", str(settings.store.path)] + (["--as-of", as_of.isoformat()] if as_of else [])
    return [sys.executable, "-m", "streamlit", "run", str(page), *flags, "--", *told]


def demand_port(settings: Settings) -> None:
    """See that the dashboard can listen.

    Raises:
        ServiceError: when it cannot, with who may hold the port, and how to choose another.
    """
    host, port = settings.dashboard.host, settings.dashboard.port
    if words := refusal(host, port):
        raise ServiceError(
            f"the dashboard cannot listen on {host}, port {port} ({words}): another dashboard may be open there "
            "already, or another program; choose another port with `squall dashboard --port N`, or set dashboard.port "
            "(and dashboard.host, an address of this machine) in the settings"
        )


def wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the process to end; its exit code.

    In slices: a request to stop may reach a thread of a native library, and Python then acts on it only once its main
    thread wakes up.
    """
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_SLICE_SECONDS)


@contextmanager
def dashboard_process(settings: Settings, as_of: datetime | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The running dashboard; ended with the block.

    Raises:
        ServiceError: see `demand_port`.
    """
    demand_port(settings)
    process = subprocess.Popen(dashboard_command(settings, as_of))  # noqa: S603  # our own interpreter and page
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
