"""The command line, as people type it: output, exit codes, and words instead of tracebacks."""

from __future__ import annotations

import http.server
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import structlog
from click.testing import CliRunner, Result

from models.score import SENTIMENTS
from monitor.cli import main, squall
from monitor.demo.receivers import Hook, Verification
from monitor.example import example_toml
from monitor.feeds.added import changes_file
from monitor.feeds.lists import default_feeds
from monitor.logs import set_up_logs
from monitor.settings import LogSettings, Settings
from monitor.settings_file import load_settings

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


def test_every_command_has_help() -> None:
    for name in squall.list_commands(None):  # type: ignore[arg-type]  # the list needs no context
        result = asked(name, "--help")
        assert result.exit_code == 0
        assert "Usage: " in result.output
    told = asked("--version").output
    assert re.fullmatch(r"squall \d+\.\d+\.\d+\S*, schema \d+, model fast-[0-9a-f]{10}\n", told), told


@pytest.mark.parametrize("words", [["nonsense"], ["score", "--nonsense"], ["backtest"], ["feeds", "check"]])
def test_a_wrong_command_line_exits_2(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, error = told(capsys, monkeypatch, *words)
    assert code == 2
    assert "Usage: " in error


# Scoring


def test_score_text_lines_as_a_process(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("\n".join(HEADLINES) + "\n")
    done = ran("score", "in.txt", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    rows = pl.read_csv(done.stdout.encode(), infer_schema=False)
    assert rows.columns[:2] == ["text", "sentiment"]
    assert [text or "" for text in rows["text"]] == HEADLINES
    assert rows["sentiment"].to_list()[0] == "negative"
    assert rows["abstention"].to_list()[1] == "empty_text"
    assert len(set(rows["model"])) == 1


def test_score_standard_input_whose_reader_goes_away() -> None:
    """`squall score - | head -1`: nobody is left to be told."""
    many = "\n".join(f"Headline number {number} of a long list" for number in range(2_000)).encode()
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "score", "-", "--quiet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stdin.write(many)
    process.stdin.close()
    assert process.wait(120) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_score_standard_input() -> None:
    result = asked("score", "--quiet", "--format", "jsonl", stdin="\n".join(HEADLINES) + "\n")
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row["text"] for row in rows] == HEADLINES
    assert [row["sentiment"] for row in rows][::2] == SENTIMENT[::2]
    for row in rows:
        assert row["negative"] + row["neutral"] + row["positive"] == pytest.approx(1, abs=2e-4)


OWN = pl.DataFrame({"id": ["b", "a", "d", "c"], "headline": HEADLINES, "note": ["x", None, "y;z", "1"]})


def read(path: Path) -> pl.DataFrame:
    match path.suffix:
        case ".csv":
            return pl.read_csv(path, infer_schema=False)
        case ".jsonl":
            return pl.read_ndjson(path)
        case _:
            return pl.read_parquet(path)


@pytest.mark.parametrize("out", ["out.csv", "out.jsonl", "out.parquet"])
@pytest.mark.parametrize("source", ["in.csv", "in.jsonl", "in.parquet"])
def test_score_files_row_by_row(tmp_path: Path, source: str, out: str) -> None:
    match source:
        case "in.csv":
            OWN.write_csv(source)
        case "in.jsonl":
            OWN.write_ndjson(source)
        case _:
            OWN.write_parquet(source)
    result = asked("score", source, "--out", out, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    rows = read(tmp_path / out)
    assert rows.columns[:4] == [*OWN.columns, "sentiment"]
    assert rows["id"].to_list() == OWN["id"].to_list()
    assert rows["note"].to_list() == OWN["note"].to_list()
    assert [text or "" for text in rows["headline"]] == HEADLINES
    assert rows["sentiment"].to_list()[::2] == SENTIMENT[::2]
    assert rows["abstention"].to_list()[1] == "empty_text"
    assert isinstance(rows["topics"].to_list()[0], str if out.endswith("csv") else list)


def test_score_the_named_column() -> None:
    Path("in.csv").write_text("title,body\nAnnual general meeting,Bank collapses as depositors withdraw billions\n")
    result = asked("score", "in.csv", "--column", "body", "--quiet")
    assert pl.read_csv(result.output.encode())["sentiment"].to_list() == ["negative"]


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("none.txt", None, [], "there is no file none.txt"),
        ("a.csv", "name\nx\n", [], "lacks a column named title or headline or text; it has name"),
        ("a.csv", "title\nx\n", ["--column", "body"], "lacks the column 'body'"),
        ("a.csv", "title,x\na\nb,c,d\n", [], "a.csv cannot be read"),
        ("a.parquet", "no parquet", [], "a.parquet cannot be read"),
        ("a.txt", "x\n", ["--out", "no/such/out.csv"], "there is no folder no/such"),
    ],
)
def test_score_says_what_is_wrong(
    name: str,
    content: str | None,
    options: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if content is not None:
        Path(name).write_text(content)
    code, error = told(capsys, monkeypatch, "score", name, "--quiet", *options)
    assert code == 1
    assert words in error
    assert error.startswith("squall: ")


def test_errors_are_words_in_a_process_too() -> None:
    done = ran("score", "none.csv")
    assert done.returncode == 1
    assert done.stderr == "squall: there is no file none.csv\n"
    assert done.stdout == ""


def test_an_adapter_that_is_not_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.txt").write_text("x\n")
    monkeypatch.setenv("SQUALL_MODEL__ADAPTER", "nowhere")
    code, error = told(capsys, monkeypatch, "score", "a.txt", "--quiet")
    assert code == 1
    assert "there is no adapter in nowhere" in error


# Measuring


def test_evaluate_gives_figures() -> None:
    pl.DataFrame({"text": HEADLINES, "label": SENTIMENT}).write_csv("labels.csv")
    result = json.loads(asked("evaluate", "--data", "labels.csv", "--task", "sentiment", "--json").output)
    assert result["n"] == 4
    assert set(result["recall"]) == set(SENTIMENTS)
    assert 0.75 <= result["accuracy"] <= 1
    assert 0 <= result["macro_f1"] <= 1
    assert result["model"].startswith("fast-")
    words = asked("evaluate", "--data", "labels.csv").output
    assert "4 texts, accuracy" in words
    assert "recall negative" in words


def test_evaluate_topics() -> None:
    Path("topics.csv").write_text("text,label\nECB raises interest rates,Fed | Central Banks\nOil jumps,Energy | Oil\n")
    result = json.loads(asked("evaluate", "--data", "topics.csv", "--task", "topic", "--json").output)
    assert (result["task"], result["n"]) == ("topic", 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\na,bullish\n", "unknown sentiment label 'bullish'; known labels: negative, neutral, positive"),
        ("text,sentiment\na,neutral\n", "lacks the column label; it has text, sentiment"),
        ("text,label\n", "has no rows"),
        (None, "cannot be read"),
    ],
)
def test_evaluate_says_what_is_wrong(
    content: str | None, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        Path("labels.csv").write_text(content)
    code, error = told(capsys, monkeypatch, "evaluate", "--data", "labels.csv", "--json")
    assert code == 1
    assert words in error


# Settings

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


# Feeds

RSS = b"""<rss version="2.0"><channel><title>Wire</title>
<item><title>Bank &amp; trust &lt;b&gt;fails&lt;/b&gt;</title><link>https://a.example/1</link>
<pubDate>Tue, 10 Mar 2026 10:00:00 GMT</pubDate></item>
<item><title>Second</title><link>https://a.example/2</link></item></channel></rss>"""


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


@pytest.fixture
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUALL_POLLING__ALLOW_PRIVATE_ADDRESSES", '["127.0.0.1"]')


def test_feeds_list() -> None:
    listed = json.loads(asked("feeds", "list", "--json").output)
    assert [one["id"] for one in listed] == [feed.id for feed in default_feeds()]
    assert len(asked("feeds", "list").output.splitlines()) == len(listed)


@pytest.mark.usefixtures("loopback_allowed")
def test_feeds_check_a_feed_that_works() -> None:
    with serving(RSS) as url:
        result = asked("feeds", "check", url, "--json")
        words = asked("feeds", "check", url)
    assert result.exit_code == words.exit_code == 0
    found = json.loads(result.output)
    assert found["outcome"] == "new"
    assert found["entries"][0]["published"] == "2026-03-10T10:00:00+00:00"
    assert "2 entries" in words.output
    assert "undated  Second" in words.output


@pytest.mark.usefixtures("loopback_allowed")
def test_feeds_check_a_page_that_is_no_feed() -> None:
    with serving(b"<html><body>Hello</body></html>", kind="text/html") as url:
        result = asked("feeds", "check", url)
    assert result.exit_code == 1
    assert "html_page" in result.stderr


def test_feeds_check_a_private_address() -> None:
    with serving(RSS) as url:
        result = asked("feeds", "check", url)
    assert result.exit_code == 1
    assert "refused_address" in result.stderr
    assert "allow_private_addresses" in result.stderr


def test_feeds_check_no_address(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, error = told(capsys, monkeypatch, "feeds", "check", "ftp://example.com/x")
    assert code == 1
    assert "http" in error


def test_feeds_parse() -> None:
    Path("feed.xml").write_bytes(RSS)
    found = json.loads(asked("feeds", "parse", "feed.xml").output)
    first, second = found["entries"]
    assert first["title"] == "Bank & trust fails"
    assert first["link"] == "https://a.example/1"
    assert (second["published"], second["summary"]) == (None, "")
    assert len({one["id"] for one in found["entries"]}) == 2
    Path("page.html").write_text("<html><body>Hello</body></html>")
    assert json.loads(asked("feeds", "parse", "page.html").output)["problems"]


@pytest.mark.parametrize("words", [["feeds", "parse", "none.xml"], ["feeds", "import-opml", "none.opml"]])
def test_feed_files_that_are_not_there(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, error = told(capsys, monkeypatch, *words)
    assert code == 1
    assert "cannot be read" in error


def test_opml_there_and_back(tmp_path: Path) -> None:
    """What is exported and imported again, as the only feeds, is what was watched before."""
    (tmp_path / "feeds.opml").write_text(asked("feeds", "export-opml").output)
    tables = asked("feeds", "import-opml", "--print", "feeds.opml").output
    settings = load_settings(settings_file(tmp_path, "[watch]\ndefault_feeds = false\n" + tables), {})
    assert sorted(settings.feeds, key=lambda feed: feed.id) == sorted(default_feeds(), key=lambda feed: feed.id)


def test_opml_with_odd_names_becomes_valid_toml(tmp_path: Path) -> None:
    odd = "Quotes &quot;here&quot; \\ and é 市 🚀 ]] # = \x7f"
    Path("odd.opml").write_text(
        f'<opml version="2.0"><body><outline text="{odd}" xmlUrl="https://a.example/f"/></body></opml>'
    )
    tables = asked("feeds", "import-opml", "--print", "odd.opml").output
    (feed,) = load_settings(settings_file(tmp_path, tables), {}).feeds
    assert feed.name.startswith('Quotes "here" \\ and é 市 🚀 ]] # =')


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
    return settings_file(
        folder,
        f'[[channels]]\nname = "desk"\ntype = "webhook"\nurl = "{url}"\nsecret = "file:{folder / "secret"}"\n'
        'allow_private_addresses = ["127.0.0.1"]\n',
    )


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
