"""Settings: one file, checked whole, every finding named with its way out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from monitor.errors import SettingsUnusable
from monitor.settings import Settings
from monitor.settings_file import find_settings, load_settings
from monitor.settings_findings import _SHAPES, models_in


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


NONSENSE = ("", "  ", "abc", "\\u0661\\u0662", "x" * 5000, "a\\u0000")
ODD = ("true", "-1", "-0.5", "1e308", "nan", "inf", "-inf", "[]", '[""]', "[1]", "{}", "{ a = 1 }", "2026-01-01")


@pytest.mark.parametrize(
    "section", [name for name, field in Settings.model_fields.items() if models_in(field.annotation)]
)
def test_whatever_stands_in_a_key_is_taken_or_refused_in_words(section: str, tmp_path: Path) -> None:
    """Never with a traceback, and never in the words of the library that checks."""
    (model, *_) = models_in(Settings.model_fields[section].annotation)
    head = f"[[{section}]]" if str(Settings.model_fields[section].annotation).startswith("tuple") else f"[{section}]"
    for key in model.model_fields:
        for value in (*(f'"{text}"' for text in NONSENSE), *ODD):
            try:
                load_settings(write(tmp_path, f"{head}\n{key} = {value}\n"), {})
            except SettingsUnusable as refused:
                words = str(refused)
                assert not re.search("Input should|should have|pydantic|Value error", words), words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[daemon]\npoll_seconds = true\n", "daemon.poll_seconds: must be a number (given: true)"),
        ("[rules]\nwindows = [true, 3]\n", "rules.windows.0: must be a number (given: true)"),
        ('[watch]\nweights = { "market" = true }\n', "watch.weights.market: must be a number"),
        ('[[feeds]]\nid = "a"\nevery_minutes = true\n', "feeds.0.every_minutes: must be a number"),
        ('[[channels]]\ntype = "mail"\nname = "m"\nport = true\n', "channels.0.port: must be a number"),
        ("[daemon]\npoll_seconds = 1.5\n", "daemon.poll_seconds: must be a whole number (given: 1.5)"),
        ("[rules]\nminimum_ratio = inf\n", "rules.minimum_ratio: must be"),
        ("[watch]\ndefault_feeds = 7\n", "watch.default_feeds: must be true or false (given: 7)"),
        ("[metrics]\nport = '" + "x" * 5000 + "'\n", f"must be a whole number (given: '{'x' * 59}…)"),
        ('[log]\nlevel = "INFO"\n', "log.level: must be 'debug', 'info', 'warning' or 'error' (given: 'INFO')"),
        ('[store]\npath = ""\n', "store.path: must be a path; leave the key out for its default"),
        ('[model]\nlibrary = "a\\u0000"\n', "model.library: must be a path"),
        ('[model]\ndevice = "gpu"\n', "model.device: must be auto, cpu, cuda"),
        ('[dashboard]\nhost = " "\n', "dashboard.host: must be the name or address of a host alone"),
        ('[dashboard]\nmay_act = ["ann"]\n', "'ann' is no mail address: write ann@desk.example"),
        ('[[feeds]]\nid = "a"\nurl = "https://a.example/"\nname = " "\npublisher = "a"\n', "feeds.0.name: must not be"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsUnusable) as refused:
        load_settings(write(tmp_path, text), {})
    assert words in str(refused.value)


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


def refused(folder: Path, text: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsUnusable) as told:
        load_settings(write(folder, text), environment or {})
    return str(told.value)


def test_an_open_secret_hides_no_other_finding(tmp_path: Path) -> None:
    channel = '[[channels]]\ntype = "webhook"\nname = "desk"\nurl = "https://a.example/"\nsecret = "hunter2hunter2"\n'
    told = refused(tmp_path, f'{channel}[[routes]]\nname = "r"\nchannels = ["desk"]\n[store]\npth = "x"\n')
    assert "channels.desk: `secret` must say where the secret lies" in told
    assert "store.pth: unknown key; did you mean 'path'?" in told
    assert "routes" not in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("store = 5\n", "store: must be a table of keys and values"),
        ('[feeds]\nid = "a"\n', "feeds: must be tables: write [[feeds]]"),
        ('[watch]\ncompanies = "JPM"\n', "watch.companies: must be a list, such as"),
        ('[[channels]]\nname = "desk"\n', "channels.0: has no type: webhook, mail or chat"),
        ('[[channels]]\nname = "desk"\ntype = "post"\n', "channels.0: type must be one of 'webhook', 'mail', 'chat'"),
        ("[store]\npath = 5\n", "store.path: must be a path, in quotes (given: 5)"),
        ('[store]\nmemory_limit = "lots"\n', "store.memory_limit: must be a size, such as 2GB or 512MiB"),
        ("[store]\nkeep_days = 30\n", "\n  store: keep_days must be 0"),
        ('[watch]\ncompanies = ["JPMX"]\n', "\n  watch.companies: Squall does not know JPMX"),
        ('[[themes]]\nid = "x"\nname = "X"\n', "themes.0.description: is missing"),
        (
            '[dashboard]\nurl = "https://desk.example/\\u202esquall"\n',
            "dashboard.url: holds a space, a quote or a hidden",
        ),
        ('[dashboard]\nurl = "desk.example"\n', "dashboard.url: must begin with http:// or https://"),
    ],
)
def test_findings_are_in_the_words_of_the_file(tmp_path: Path, text: str, words: str) -> None:
    told = refused(tmp_path, text)
    assert words in told
    assert not any(jargon in told for jargon in ("Value error", "tuple", "instance of", "discriminator", "class"))


def test_every_shape_of_a_text_is_told_in_words() -> None:
    schema = json.dumps(Settings.model_json_schema())
    patterns = {json.loads(f'"{one}"') for one in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', schema)}
    assert len(patterns) > 3
    # A secret that is none ends the checking with words of its own.
    assert {one for one in patterns if "env:" not in one} <= set(_SHAPES)


def test_a_variable_that_is_wrong_is_named(tmp_path: Path) -> None:
    told = refused(tmp_path, "[log]\nlevel = 'loud'\n", {"SQUALL_STORE__THREADS": "two"})
    threads, level = (next(line for line in told.splitlines() if key in line) for key in ("threads", "log.level"))
    assert "the variable SQUALL_STORE__THREADS sets it" in threads
    assert "variable" not in level
    assert "the variable SQUALL_STRE__PATH sets it" in refused(tmp_path, "", {"SQUALL_STRE__PATH": "x"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('weights = { "compny:JPM" = 2 }', "did you mean 'company:JPM'?"),
        ('weights = { "theme:bank-stres" = 2 }', "did you mean 'theme:bank-stress'?"),
        ('weights = { "company:*" = 2 }', "'company:*' is no series"),
        ('[[routes]]\nname = "r"\nseries = ["market", "them:*"]', "routes: r: 'them:*' is no series that is watched"),
    ],
)
def test_a_series_that_nobody_watches_is_a_finding(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, f"[watch]\n{text}\n")


def test_series_that_may_be_named(tmp_path: Path) -> None:
    """A company beside those that may alert too: routes outlive a portfolio."""
    text = (
        '[watch]\ncompanies = ["BAC"]\nweights = { "company:JPM" = 2, "theme:own" = 2, "topic:Macro" = 2 }\n'
        '[[themes]]\nid = "own"\nname = "Own"\ndescription = "Own."\nstrong_terms = ["own"]\n'
        '[[routes]]\nname = "r"\nseries = ["market", "company:*", "story:*", "sector:Energ?", "theme:own"]\n'
    )
    assert load_settings(write(tmp_path, text), {}).watch.weights["theme:own"] == 2


def test_a_file_that_begins_with_the_mark_of_its_encoding(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, '\ufeff[store]\npath = "a"\n'), {}).store.path == Path("a")


def test_a_user_without_a_home_has_no_file_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "home", nobody)
    assert find_settings(None, {}) is None
