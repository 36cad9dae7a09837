"""How the dashboard is started: the flags of `squall dashboard` and the configuration beside its pages say the same."""

from __future__ import annotations

import runpy
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import dashboard
from monitor.errors import ServiceError
from monitor.service.dashboarding import dashboard_command, demand_port
from monitor.service.ports import refusal, web_address
from monitor.settings import Settings

SCENE = runpy.run_path(str(Path(__file__).with_name("daemon_scene.py")))

BESIDE = Path(dashboard.__file__).parent / ".streamlit" / "config.toml"


def flags() -> dict[str, str]:
    command = dashboard_command(Settings())
    return dict(one[2:].split("=", 1) for one in command if one.startswith("--") and "=" in one)


def configured() -> dict[str, object]:
    told = tomllib.loads(BESIDE.read_text(encoding="utf-8"))
    return {f"{section}.{key}": value for section, keys in told.items() for key, value in keys.items()}


def test_flags_and_configuration_agree() -> None:
    """But for the address, which the settings name."""
    said, beside = flags(), configured()
    both = (said.keys() & beside.keys()) - {"server.address"}
    assert "global.minCachedMessageSize" in both
    for key in both:
        value = beside[key]
        assert said[key] == (
            str(value).lower()
            if isinstance(value, bool)
            else f"{value:g}".replace("+", "")
            if isinstance(value, float)
            else value
        ), key


def test_no_message_of_a_page_is_large_enough_to_be_kept_in_the_browser() -> None:
    """Streamlit compares whole bytes; a message is two gigabytes at most."""
    assert int(float(flags()["global.minCachedMessageSize"])) > 2**31


# Where it listens


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def squall(port: int, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "monitor", *words]
    told = {"SQUALL_DASHBOARD__PORT": str(port), "PATH": ""}
    return subprocess.run(line, env=told, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("command", ["dashboard", "demo"])
def test_a_taken_port_is_told_with_the_way_out_before_anything_begins(command: str, taken: int) -> None:
    done = squall(taken, command)
    assert done.returncode == 1
    for words in (f"127.0.0.1, port {taken}", "another dashboard", "squall dashboard --port", "dashboard.port"):
        assert words in done.stderr
    assert "the dashboard is on" not in done.stderr
    assert "fiction" not in done.stdout
    assert len(done.stderr.splitlines()) == 1


def test_a_daemon_whose_dashboard_cannot_listen_says_so_and_goes_on(tmp_path: Path, taken: int) -> None:
    house = SCENE["House"](tmp_path)
    house.tables["dashboard"] = {"port": taken}
    with house.daemon("-m", "monitor", "--config", str(house.write()), "run", "--dashboard") as daemon:
        told = daemon.line("dashboard_unavailable", 60)
        assert f"port {taken}" in told["reason"]
        assert house.command("status", "--json").returncode == 0


@pytest.mark.parametrize(
    ("host", "words"),
    [("192.0.2.1", "Cannot assign requested address"), ("a..b", "label empty"), ("127.0.0.1", "")],
)
def test_where_nothing_can_listen_is_told_in_words(host: str, words: str) -> None:
    assert words in refusal(host, 0)
    assert bool(words) == bool(refusal(host, 0))
    if words:
        settings = Settings.model_validate({"dashboard": {"host": host}})
        with pytest.raises(ServiceError, match=f"cannot listen on {host}, port 8501 .*dashboard.host"):
            demand_port(settings)


def test_the_address_of_a_browser() -> None:
    assert web_address("127.0.0.1", 8501) == "http://127.0.0.1:8501"
    assert web_address("::1", 8501) == "http://[::1]:8501"
