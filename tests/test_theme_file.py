"""`squall themes add`: a theme of the user's own lands in the settings file, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from models.themes import Theme
from monitor.cli import squall
from monitor.errors import SettingsUnusable
from monitor.settings_file import load_settings
from monitor.theme_file import add_theme, with_theme

SHIPPING = Theme(
    id="shipping",
    name='Shipping "disruption"',
    description="Canals, straits and ports that close: 運河.",
    examples=("Canal closed after ship runs aground",),
    strong_terms=("canal + block* | clos*",),
)
WORDS = ["themes", "add", "shipping", "--name", "Shipping", "--description", "Ports that close."]


def test_what_was_there_stays_and_the_theme_is_read_back(tmp_path: Path) -> None:
    before = "# mine\n[rules]\nminimum_negative = 5 # few\n"
    after = with_theme(before, SHIPPING)
    assert after.startswith(before)
    path = tmp_path / "squall.toml"
    path.write_text(after, encoding="utf-8")
    settings = load_settings(path, {})
    assert settings.themes == (SHIPPING,)
    assert settings.rules.minimum_negative == 5


@pytest.mark.parametrize("before", ["themes = []\n", "[rules\n"])
def test_settings_that_cannot_take_a_theme_stay_as_they_are(before: str) -> None:
    with pytest.raises(SettingsUnusable, match="cannot be added"):
        with_theme(before, SHIPPING)


def test_the_same_theme_is_not_added_twice() -> None:
    with pytest.raises(SettingsUnusable, match="more than once"):
        with_theme(with_theme("", SHIPPING), SHIPPING)


def test_the_command_makes_the_file_and_refuses_what_cannot_match_or_is_there(tmp_path: Path) -> None:
    path = tmp_path / "squall.toml"
    path.write_text("")
    run = CliRunner(env={"SQUALL_CONFIG": str(path)})
    never = run.invoke(squall, WORDS)
    assert "can never match" in str(never.exception)
    assert path.read_text() == ""
    told = run.invoke(squall, [*WORDS, "--strong-term", "canal + block*"], catch_exceptions=False)
    assert "theme shipping is in" in told.output
    assert [theme.id for theme in load_settings(path, {}).themes] == ["shipping"]
    assert "is watched already" in str(run.invoke(squall, [*WORDS, "--strong-term", "x"]).exception)
    assert [one.name for one in tmp_path.iterdir()] == ["squall.toml"]


def test_settings_that_are_a_link_stay_one_and_their_lines_end_as_they_did(tmp_path: Path) -> None:
    kept, path = tmp_path / "kept" / "squall.toml", tmp_path / "squall.toml"
    kept.parent.mkdir()
    kept.write_bytes(b"# mine\r\n[rules]\r\nminimum_negative = 5\r\n")
    path.symlink_to(kept)
    add_theme(path, SHIPPING)
    assert path.is_symlink()
    assert kept.read_bytes().startswith(b"# mine\r\n[rules]\r\nminimum_negative = 5\n\n[[themes]]\n")
    assert load_settings(path, {}).themes == (SHIPPING,)
