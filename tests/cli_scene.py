"""The command line for tests: asked in this process or in one of its own, away from the developer's settings."""

from __future__ import annotations

import http.server
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from monitor.cli import main, squall

ROOT = Path(__file__).parents[1]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HEADLINES = [
    "Bank collapses after depositors withdraw billions",
    "",
    "Company reports record profit and raises its dividend",
    "Annual general meeting to be held on 12 May",
]


SENTIMENT = ["negative", "neutral", "positive", "neutral"]


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Commands send the log of this process to the standard error of the moment, which ends with the test."""
    root = logging.getLogger()
    handlers, level, terminated = root.handlers[:], root.level, signal.getsignal(signal.SIGTERM)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    signal.signal(signal.SIGTERM, terminated)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings file of the developer is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith("SQUALL_")]:
        monkeypatch.delenv(name)


def asked(*words: str | Path, stdin: str | None = None) -> Result:
    """The command in this process, without the outermost error handling."""
    return CliRunner().invoke(squall, [str(word) for word in words], input=stdin, catch_exceptions=False)


def ran(
    *words: str | Path, stdin: str | bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", *(str(word) for word in words)],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | (env or {}),
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode()
    )


def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> tuple[int, str]:
    """Exit code and standard error of the whole command, in this process: the model is loaded once per test run."""
    monkeypatch.setattr(sys, "argv", ["squall", *(str(word) for word in words)])
    with pytest.raises(SystemExit) as left:
        main()
    code = left.value.code
    assert isinstance(code, int)
    return code, capsys.readouterr().err


def settings_file(folder: Path, text: str) -> Path:
    path = folder / "squall.toml"
    path.write_text(text)
    return path


@contextmanager
def serving(body: bytes, status: int = 200, kind: str = "application/rss+xml") -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
            """Keep the test's output to itself."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/rss"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
