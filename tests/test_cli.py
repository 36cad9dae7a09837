"""The command line, as people type it: output, exit codes, and words instead of tracebacks."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
import structlog

from monitor.cli import squall
from monitor.demo.receivers import Hook, Verification
from monitor.logs import set_up_logs
from monitor.settings import LogSettings

SCENE = runpy.run_path(str(Path(__file__).with_name("cli_scene.py")))
elsewhere, log_as_before = (SCENE[name] for name in ("elsewhere", "log_as_before"))
ROOT, SECRET, asked, ran, serving = (SCENE[name] for name in ("ROOT", "SECRET", "asked", "ran", "serving"))
settings_file, told = (SCENE[name] for name in ("settings_file", "told"))

# Starting


def test_help_loads_nothing_heavy_and_is_quick() -> None:
    told_modules = (
        "import sys; sys.argv = ['squall', '--help']\n"
        "from monitor.cli import main\n"
        "try: main()\n"
        "except SystemExit as left: assert left.code == 0, left.code\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", told_modules], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "monitor" in loaded
    assert not loaded & {"torch", "transformers", "streamlit", "duckdb", "polars", "numpy", "pydantic"}
    assert "Watch financial news" in done.stdout
    took = []
    for _ in range(5):
        started = time.perf_counter()
        assert ran("--help").returncode == 0
        took.append(time.perf_counter() - started)
    assert min(took) < 0.5


def commands(group: click.Group, *words: str) -> Iterator[tuple[str, ...]]:
    """Every command by its words, those of groups too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        yield (*words, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *words, name)


def test_every_command_says_what_it_does() -> None:
    every = list(commands(squall))
    assert {("run",), ("alerts", "list"), ("feeds", "add")} <= set(every)
    for words in every:
        result = asked(*words, "--help")
        assert result.exit_code == 0
        assert re.search(rf"^Usage: squall {' '.join(words)} .*\n\n  \w", result.output), words


def test_the_version_names_the_schema_and_the_model() -> None:
    told = asked("--version").output
    assert re.fullmatch(r"squall \d+\.\d+\.\d+\S*, schema \d+, model fast-[0-9a-f]{10}\n", told), told


@pytest.mark.parametrize("words", [["nonsense"], ["score", "--nonsense"], ["backtest"], ["feeds", "check"]])
def test_a_wrong_command_line_exits_2(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, error = told(capsys, monkeypatch, *words)
    assert code == 2
    assert "Usage: " in error


def test_errors_are_words_in_a_process_too() -> None:
    done = ran("score", "none.csv")
    assert done.returncode == 1
    assert done.stderr == "squall: there is no file none.csv\n"
    assert done.stdout == ""


def test_commands_that_need_a_store_say_how_to_get_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (["status"], ["alerts", "list"], ["alerts", "deliveries"], ["alerts", "redeliver", "msg_1"]):
        code, error = told(capsys, monkeypatch, *words)
        assert code == 1
        assert "squall run" in error
        assert not Path("data").exists()


@pytest.mark.parametrize("words", [["restore", "backup.duckdb"], ["backup"], ["run"], ["once"]])
def test_a_folder_that_cannot_be_made_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    for name in ("place", "store/backups"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("a file in the way")
    Path("store/squall.duckdb").touch()
    monkeypatch.setenv("SQUALL_STORE__PATH", "store/squall.duckdb" if words == ["backup"] else "place/squall.duckdb")
    code, error = told(capsys, monkeypatch, *words)
    assert code == 1
    assert re.search(r"the folder .*(place|backups) cannot be made: File exists .*name another place", error)


def test_a_backup_to_where_nobody_can_look_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is too long stands for a folder without rights: those do not bind root."""
    Path("data").mkdir()
    Path("data/squall.duckdb").touch()
    code, error = told(capsys, monkeypatch, "backup", "x" * 300)
    assert code == 1
    assert "cannot be looked at: File name too long; check the rights of its folder, or name another" in error


def test_a_span_of_days_beyond_the_calendar_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, error = told(capsys, monkeypatch, "models", "drift", "--days", "100000000")
    assert code == 2
    assert "1<=x<=3650" in error


# The log


def test_a_log_that_nobody_reads_any_more_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    kept = os.fdopen(writing, "w")
    monkeypatch.setattr("sys.stderr", kept)
    set_up_logs(LogSettings())
    structlog.get_logger().error("stage_failed", stage="poll")
    with pytest.raises(BrokenPipeError):
        kept.close()


# Themes


def test_themes_list() -> None:
    listed = json.loads(asked("themes", "list", "--json").output)
    assert "bank-stress" in {theme["id"] for theme in listed}
    assert "bank-stress" in asked("themes", "list").output


def test_themes_test_says_why() -> None:
    findings = json.loads(asked("themes", "test", "Depositors flee as bank run spreads", "--json").output)
    (bank,) = [one for one in findings if one["theme"] == "bank-stress"]
    assert bank["reason"] in {"strong_term", "term_and_meaning"}
    lines = asked("themes", "test", "Depositors flee as bank run spreads").output.splitlines()
    assert lines[0].startswith("yes")
    assert "bank-stress" in lines[0]
    assert lines[-1].startswith("no ")


# Channels


def webhook(folder: Path, url: str) -> Path:
    (folder / "secret").write_text(SECRET)
    path: Path = settings_file(
        folder,
        f'[[channels]]\nname = "desk"\ntype = "webhook"\nurl = "{url}"\nsecret = "file:{folder / "secret"}"\n'
        'allow_private_addresses = ["127.0.0.1"]\n',
    )
    return path


def test_alerts_test_reaches_a_webhook(tmp_path: Path) -> None:
    with Hook(SECRET, datetime.now(UTC)) as hook:
        result = asked("--config", webhook(tmp_path, hook.url), "alerts", "test", "desk")
        (post,) = hook.posts
    assert result.exit_code == 0
    assert "desk: delivered in" in result.output
    assert post.verification is Verification.VERIFIED
    assert post.payload["type"] == "squall.test"


def test_alerts_test_says_why_nothing_arrived(tmp_path: Path) -> None:
    with serving(b"", 500) as url:
        result = asked("--config", webhook(tmp_path, url), "alerts", "test", "desk")
    assert result.exit_code == 1
    assert "desk: refused: " in result.stderr


def test_alerts_test_an_unknown_channel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = webhook(tmp_path, "http://127.0.0.1:9/")
    code, error = told(capsys, monkeypatch, "--config", path, "alerts", "test", "dsk")
    assert code == 1
    assert "there is no channel 'dsk'; channels: desk" in error
    path.unlink()
    code, error = told(capsys, monkeypatch, "alerts", "test", "desk")
    assert code == 1
    assert "add a [[channels]] table" in error
