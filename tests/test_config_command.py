"""`squall config`: settings are found, checked and shown without their secrets, and the example is true."""

from __future__ import annotations

import json
import runpy
import tomllib
from pathlib import Path

import pytest

from monitor.example import example_toml
from monitor.feeds.added import changes_file
from monitor.settings import Settings
from monitor.settings_file import load_settings

SCENE = runpy.run_path(str(Path(__file__).with_name("cli_scene.py")))
elsewhere, log_as_before = (SCENE[name] for name in ("elsewhere", "log_as_before"))
ROOT, SECRET, asked, ran = (SCENE[name] for name in ("ROOT", "SECRET", "asked", "ran"))
settings_file, told = (SCENE[name] for name in ("settings_file", "told"))

CHANNELS = """
[[channels]]
name = "desk"
type = "webhook"
url = "https://user:hunter2@hooks.example.com/squall?token=hunter2"
secret = "env:DESK_SECRET"

[[channels]]
name = "chat"
type = "chat"
url = "env:CHAT_URL"
"""


def test_config_check_without_a_file() -> None:
    result = asked("config", "check")
    assert result.exit_code == 0
    assert "usable" in result.output


def test_config_check_names_every_channel_that_cannot_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings_file(tmp_path, CHANNELS)
    code, error = told(capsys, monkeypatch, "--config", path, "config", "check")
    assert code == 2
    assert "channels.desk: " in error
    assert "env:DESK_SECRET is not set" in error
    assert "channels.chat: " in error
    assert "hunter2" not in error
    monkeypatch.setenv("DESK_SECRET", SECRET)
    monkeypatch.setenv("CHAT_URL", "json://localhost/squall")
    result = asked("--config", path, "config", "check")
    assert "2 channels" in result.output


def test_config_check_counts_the_feeds_that_are_watched_and_names_a_list_of_them_that_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "squall.duckdb"
    path = settings_file(tmp_path, f"[store]\npath = '{store}'\n[watch]\ndefault_feeds = false\n")
    assert "(0 feeds watched, 0 channels)" in asked("--config", path, "config", "check").output
    asked("--config", path, "feeds", "add", "https://wire.example/rss", "--unchecked")
    assert "(1 feed watched, 0 channels)" in asked("--config", path, "config", "check").output
    changes_file(store).write_text("[broken")
    code, error = told(capsys, monkeypatch, "--config", path, "config", "check")
    assert code == 2
    assert "  feeds: " in error
    assert f"{changes_file(store)} cannot be read" in error


def test_config_show_keeps_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_SECRET", "hunter2hunter2hunter2")
    monkeypatch.setenv("CHAT_URL", "slack://hunter2/hunter2/hunter2")
    result = asked("--config", settings_file(tmp_path, CHANNELS), "config", "show")
    shown = json.loads(result.output)
    assert "hunter2" not in result.output
    assert shown["channels"][0]["secret"] == "env:DESK_SECRET"
    assert shown["channels"][0]["url"] == "https://hooks.example.com/squall"
    assert shown["channels"][1]["url"] == "env:CHAT_URL"
    assert shown["store"]["path"] == "data/squall.duckdb"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[rules]\nminimum_negativ = 3\n", "did you mean 'minimum_negative'"),
        ("[dashboard]\nport = 0\n", "dashboard.port"),
        ("[broken\n", "not valid TOML"),
        ('[[channels]]\nname = "d"\ntype = "chat"\nurl = "slack://hunter2/x"\n', "env:NAME"),
    ],
)
@pytest.mark.parametrize("words_asked", [["config", "check"], ["config", "show"], ["feeds", "list"], ["once"]])
def test_wrong_settings_exit_2(
    tmp_path: Path,
    text: str,
    words: str,
    words_asked: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, error = told(capsys, monkeypatch, "--config", settings_file(tmp_path, text), *words_asked)
    assert code == 2
    assert words in error
    assert "hunter2" not in error


def test_wrong_settings_exit_2_in_a_process(tmp_path: Path) -> None:
    done = ran("--config", settings_file(tmp_path, "[stor]\npath = 'x'\n"), "config", "check")
    assert done.returncode == 2
    assert "stor: unknown key; did you mean 'store'?" in done.stderr
    assert ran("--config", "none.toml", "config", "check").returncode == 2


def test_the_settings_file_is_found_by_variable(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "[dashboard]\nport = 9999\n").rename(tmp_path / "other.toml")
    done = ran("config", "show", env={"SQUALL_CONFIG": str(path), "SQUALL_DASHBOARD__HOST": "::1"})
    assert json.loads(done.stdout)["dashboard"] == {"host": "::1", "port": 9999, "url": "", "may_act": []}


# The example


def test_the_shipped_example_is_what_the_command_prints() -> None:
    assert asked("config", "example").output == example_toml()
    assert (ROOT / "squall.example.toml").read_text() == example_toml()


def test_the_example_holds_the_defaults() -> None:
    assert load_settings(ROOT / "squall.example.toml", {}) == Settings()


def test_the_example_without_its_comments(tmp_path: Path) -> None:
    lines = [line for line in example_toml().splitlines() if not line.startswith("#")]
    assert load_settings(settings_file(tmp_path, "\n".join(lines)), {}) == Settings()


def test_the_example_with_its_optional_tables_put_to_use(tmp_path: Path) -> None:
    """Every commented key with a value, and every commented table, is taken at its word."""
    lines = []
    for line in example_toml().splitlines():
        bare = line.removeprefix("# ")
        is_setting = line.startswith("# [[") or (line.startswith("# ") and " = " in bare and bare.split(" ")[1] == "=")
        lines.append(bare if is_setting else line)
    text = "\n".join(lines)
    assert len(tomllib.loads(text)["channels"]) == 3
    settings = load_settings(settings_file(tmp_path, text), {})
    assert [feed.id for feed in settings.feeds] == ["my-feed"]
    assert [theme.id for theme in settings.themes] == ["shipping"]
    assert [channel.type for channel in settings.channels] == ["webhook", "mail", "chat"]
