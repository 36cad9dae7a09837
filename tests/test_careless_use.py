"""What a careless user types: said in words with the way out and an exit code, and nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from monitor.cli import squall
from monitor.commands.opening import in_json
from monitor.storage.store import Store

ROOT = Path(__file__).parents[1]
NEWS = "published,outlet,title\n2026-11-20T10:00:00,Wire,Bank collapses\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings file of the developer is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith("SQUALL_")]:
        monkeypatch.delenv(name)


def asked(*words: str) -> Result:
    return CliRunner().invoke(squall, list(words))


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `squall` is the command."""
    return subprocess.run(
        ["bash", "-c", f"squall() {{ '{sys.executable}' -m monitor \"$@\"; }}; {line}"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


# Stores that are not there


@pytest.mark.parametrize("words", [["compact"], ["rescore"], ["backup"]])
def test_what_needs_a_store_makes_none(words: list[str]) -> None:
    Path("data").mkdir()
    result = asked(*words)
    assert result.exit_code == 1
    assert str(result.exception) == "there is no store at data/squall.duckdb yet: start one with `squall run`"
    assert list(Path("data").iterdir()) == []


def test_an_archive_that_is_none_leaves_no_store_behind() -> None:
    result = asked("backfill", "nowhere", "--quiet")
    assert "nowhere names no file" in str(result.exception)
    assert not Path("data").exists()


# Command lines


def test_silences_of_nothing_are_refused() -> None:
    Path("data").mkdir()
    Store.open(Path("data/squall.duckdb"), datetime.now(UTC)).close()
    for pattern, hint in (("theme:bank-stres", "did you mean 'theme:bank-stress'?"), ("them:*", "series are market")):
        result = asked("alerts", "silence", pattern, "--for", "8h")
        assert result.exit_code == 1
        assert hint in str(result.exception)
    for pattern in ("theme:bank-stress", "company:*", "story:*"):
        assert asked("alerts", "silence", pattern, "--for", "8h").exit_code == 0


def test_a_series_of_a_fresh_store_is_watched_from_the_first_run_on() -> None:
    Path("data").mkdir()
    Store.open(Path("data/squall.duckdb"), datetime.now(UTC)).close()
    assert "settings say what is, from the next `squall run` on" in str(asked("alerts", "why", "market").exception)


@pytest.mark.parametrize(
    "words",
    [
        ["alerts", "silence", "market"],
        ["alerts", "silence", "market", "--for", "soon"],
        ["alerts", "silence", "market", "--until", "noon"],
        ["alerts", "redeliver"],
        ["alerts", "note", "alert_1"],
        ["score", "news.csv", "--engine", "local"],
        ["score", "news.csv", "--engine", "local", "--out", "x", "--companies"],
    ],
)
def test_a_wrong_command_line_exits_2(words: list[str]) -> None:
    result = asked(*words)
    assert result.exit_code == 2
    assert "Usage: " in result.output


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("rules = 5\n", "has no [rules] table"),
        ("[rule]\n", "has no [rules] table"),
        ("[rules]\nminimum_negativ = 3\n", "minimum_negativ: unknown key; did you mean 'minimum_negative'?"),
        ('[rules]\nminimum_negative = "x"\n', "minimum_negative: must be a whole number"),
    ],
)
def test_rules_that_cannot_be_compared(rules: str, words: str) -> None:
    Path("news.csv").write_text(NEWS)
    Path("other.toml").write_text(rules)
    result = asked("backtest", "news.csv", "--compare", "other.toml")
    assert words in str(result.exception)
    assert "pydantic" not in str(result.exception)


def test_a_page_that_cannot_be_written_is_told_before_the_playing() -> None:
    result = asked("backtest", "none.csv", "--html", "nowhere/report.html")
    assert str(result.exception) == "nowhere/report.html cannot be written: there is no folder nowhere"


def test_a_value_is_refused_by_its_name() -> None:
    result = asked("themes", "add", "Bad", "--name", "x", "--description", "y", "--strong-term", "z")
    assert "id: must be lower case letters and digits" in str(result.exception)
    assert str(asked("feeds", "check", "ftp://x").exception).startswith("url: 'ftp://x' is no web address")


# Settings and versions


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[model]\nadapter = "fasst"\n', "model: there is no adapter in fasst"),
        (
            '[[themes]]\nid = "fire"\nname = "Fire"\ndescription = "It burns."\nlearned = "fire.json"\n',
            "themes.fire: fire.json holds no head of a theme",
        ),
    ],
    ids=["the model", "what a theme learned"],
)
def test_config_check_looks_for_what_scoring_needs(table: str, said: str) -> None:
    Path("squall.toml").write_text(table)
    result = asked("config", "check")
    assert said in str(result.exception)


@pytest.mark.parametrize("words", [["--version", "-c", "mine.toml"], ["-c", "mine.toml", "--version"]])
def test_the_version_is_that_of_the_named_settings(words: list[str]) -> None:
    assert "model none (the settings cannot be used" in asked(*words).output
    Path("mine.toml").write_text('[model]\nadapter = "fasst"\n')
    assert "model none (there is no adapter in fasst" in asked(*words).output


# Output


@pytest.mark.parametrize("words", ["--help", "--version", "config example"])
def test_a_reader_that_leaves_is_no_failure(words: str) -> None:
    done = shell(f"squall {words} | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_finds_no_room_is_told_in_a_line() -> None:
    done = shell("squall config example > /dev/full")
    assert done.returncode == 1
    assert (
        done.stderr == "squall: not everything could be written: No space left on device; make room, and begin anew\n"
    )


def test_instants_are_iso_8601_in_every_json() -> None:
    assert json.loads(in_json({"at": datetime(2026, 11, 23, 8, tzinfo=UTC)})) == {"at": "2026-11-23T08:00:00+00:00"}
    Path("data").mkdir()
    Store.open(Path("data/squall.duckdb"), datetime.now(UTC)).close()
    assert asked("alerts", "silence", "market", "--for", "8h").exit_code == 0
    (silence,) = json.loads(asked("alerts", "silences", "--json").output)
    assert "T" in silence["until"]


# The doctor


def test_the_doctor_looks_at_channels_where_there_is_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("squall.toml").write_text(
        '[[channels]]\nname = "desk"\ntype = "webhook"\nurl = "https://a.example/"\nsecret = "env:SQUALL_NONE"\n'
    )
    found = {one["subject"]: one for one in json.loads(asked("doctor", "--quick", "--json").output)}
    assert found["store"]["verdict"] == "bad"
    assert "SQUALL_NONE is not set" in found["channel:desk"]["words"]


def test_the_doctor_tells_of_files_that_it_may_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is too long stands for a folder without rights: those do not bind root."""
    monkeypatch.setenv("SQUALL_STORE__PATH", f"{'x' * 300}/squall.duckdb")
    found = {one["subject"]: one for one in json.loads(asked("doctor", "--quick", "--json").output)}
    assert "cannot be looked at: File name too long" in found["files"]["words"]
    assert found["files"]["verdict"] == "look"
