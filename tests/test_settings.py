"""Settings: one file, checked whole, every finding named with its way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import SettingsUnusable
from monitor.settings import Settings
from monitor.settings_file import find_settings, load_settings


def write(folder: Path, text: str) -> Path:
    path = folder / "squall.toml"
    path.write_text(text)
    return path


def test_defaults_alone_are_usable() -> None:
    settings = load_settings(None, {})
    assert settings == Settings()
    assert settings.rules.minimum_publishers == 2


def test_file_and_environment_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, '[store]\npath = "a.duckdb"\nthreads = 3\n')
    settings = load_settings(path, {"SQUALL_STORE__PATH": "b.duckdb", "SQUALL_RULES__WINDOWS": "[6, 24]"})
    assert settings.store.path == Path("b.duckdb")
    assert settings.store.threads == 3
    assert settings.rules.windows == (6, 24)


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "[rules]\nminimum_negativ = 3\n")
    with pytest.raises(SettingsUnusable, match=r"rules\.minimum_negativ: unknown key; did you mean 'minimum_negative'"):
        load_settings(path, {})


def test_unknown_key_within_a_list_of_tables(tmp_path: Path) -> None:
    path = write(
        tmp_path, '[[feeds]]\nid = "a"\nurl = "https://a.example/"\nname = "A"\npublisher = "a"\nlang = "en"\n'
    )
    with pytest.raises(SettingsUnusable, match="did you mean 'language'"):
        load_settings(path, {})


def test_unknown_key_of_a_channel_names_that_channels_keys(tmp_path: Path) -> None:
    path = write(
        tmp_path, '[[channels]]\ntype = "webhook"\nname = "desk"\nurl = "https://a.example/"\nsecrt = "env:S"\n'
    )
    with pytest.raises(SettingsUnusable, match="did you mean 'secret'"):
        load_settings(path, {})


def test_every_finding_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "[rules]\nbaseline_days = 1\n[daemon]\npoll_seconds = 0\n")
    with pytest.raises(SettingsUnusable) as told:
        load_settings(path, {})
    assert "rules.baseline_days" in str(told.value)
    assert "daemon.poll_seconds" in str(told.value)
    assert "squall.example.toml" in str(told.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"[store\n", "not valid TOML"), (b"\xff\xfe\x00", "cannot be read")],
    ids=["broken TOML", "not text"],
)
def test_unreadable_files(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "squall.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsUnusable, match=words):
        load_settings(path, {})


def test_a_named_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsUnusable, match=r"no settings file .*squall\.example\.toml"):
        load_settings(tmp_path / "none.toml", {})


def test_ids_are_unique(tmp_path: Path) -> None:
    feed = '[[feeds]]\nid = "a"\nurl = "https://a.example/"\nname = "A"\npublisher = "a"\n'
    with pytest.raises(SettingsUnusable, match="feeds: id a is given more than once"):
        load_settings(write(tmp_path, feed + feed), {})


def test_a_secret_in_plain_text_is_refused_and_not_repeated(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[[channels]]\ntype = "webhook"\nname = "desk"\nurl = "https://a.example/"\nsecret = "hunter2hunter2"\n',
    )
    with pytest.raises(SettingsUnusable) as told:
        load_settings(path, {})
    assert "secret" in str(told.value)
    assert "hunter2" not in str(told.value)


def test_where_settings_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config"
    environment = {"XDG_CONFIG_HOME": str(config)}
    assert find_settings(None, environment) is None
    (config / "squall").mkdir(parents=True)
    (config / "squall" / "squall.toml").write_text("")
    assert find_settings(None, environment) == config / "squall" / "squall.toml"
    (tmp_path / "squall.toml").write_text("")
    assert find_settings(None, environment) == Path("squall.toml")
    assert find_settings(Path("x.toml"), environment) == Path("x.toml")


def test_a_folder_that_cannot_be_looked_into_is_named_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is too long stands for a folder without rights: those do not bind root."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsUnusable, match=r"squall\.toml: File name too long; .*--config"):
        find_settings(None, {"XDG_CONFIG_HOME": str(tmp_path / ("x" * 300))})
