"""How the dashboard is started: the flags of `squall dashboard` and the configuration beside its pages say the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

import dashboard
from monitor.service.dashboarding import dashboard_command
from monitor.settings import Settings

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
