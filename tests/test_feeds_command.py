"""`squall feeds`: what comes of a feed or a file of one is told, and lists go out as OPML and come back the same."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from monitor.feeds.lists import default_feeds
from monitor.settings_file import load_settings

SCENE = runpy.run_path(str(Path(__file__).with_name("cli_scene.py")))
elsewhere, log_as_before = (SCENE[name] for name in ("elsewhere", "log_as_before"))
asked, serving, settings_file, told = (SCENE[name] for name in ("asked", "serving", "settings_file", "told"))

RSS = b"""<rss version="2.0"><channel><title>Wire</title>
<item><title>Bank &amp; trust &lt;b&gt;fails&lt;/b&gt;</title><link>https://a.example/1</link>
<pubDate>Tue, 10 Mar 2026 10:00:00 GMT</pubDate></item>
<item><title>Second</title><link>https://a.example/2</link></item></channel></rss>"""


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
