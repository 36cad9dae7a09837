"""Feeds that are added, removed, muted and heard again, while a daemon runs or not."""

from __future__ import annotations

import asyncio
import json
import runpy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli import squall
from monitor.errors import FeedListUnusable, InputUnusable
from monitor.feeds.added import (
    FeedChanges,
    adding,
    applied,
    changes_file,
    muting,
    read_changes,
    removing,
    write_changes,
)
from monitor.feeds.feed import Feed
from monitor.feeds.lists import default_feeds
from monitor.feeds.poll_settings import PollSettings
from monitor.service.pipeline import Pipeline
from monitor.settings import Settings, StoreSettings, WatchSettings
from monitor.storage.store import Store
from monitor.watched import Watchlist, watched_feeds

SERVER = runpy.run_path(str(Path(__file__).with_name("misbehaving_server.py")))
started, port_of = SERVER["started"], SERVER["port_of"]
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def feed(id_: str = "wire", **changes: object) -> Feed:
    plain = {"id": id_, "url": f"https://{id_}.example/rss", "name": id_.title(), "publisher": "house"}
    return Feed.model_validate(plain | changes)


# The file


IDS = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove", "mute", "hear"]), IDS), max_size=12)


@given(STEPS)
def test_changes_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    changes = FeedChanges()
    for step, id_ in steps:
        match step:
            case "add":
                changes = adding(changes, [feed(id_, name='Quote " \\ 市', every_minutes=7)])
                assert any(one.id == id_ and one.enabled for one in applied([], changes))
            case "remove":
                changes = removing(changes, id_)
                assert id_ not in {one.id for one in applied([feed(id_)], changes)}
            case "mute":
                changes = muting(changes, id_, muted=True)
            case _:
                changes = muting(changes, id_, muted=False)
    path = tmp_path_factory.mktemp("changes") / "feeds.toml"
    write_changes(path, changes)
    assert read_changes(path) == changes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("removed = [", "cannot be read"),
        ("removed = 7", "list of feed ids"),
        ("surprise = 1", "unknown key 'surprise'"),
        ("[[feeds]]\nid = 'a'", "table 1"),
        ("[[feeds]]\nid='a'\nurl='https://a.example/'\nname='a'\npublisher='a'\n" * 2, "two feeds"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "feeds.toml"
    path.write_text(text)
    with pytest.raises(FeedListUnusable, match=words):
        read_changes(path)


def settings_for(folder: Path, *feeds: Feed, defaults: bool = False) -> Settings:
    return Settings(
        store=StoreSettings(path=folder / "squall.duckdb"),
        watch=WatchSettings(default_feeds=defaults),
        polling=PollSettings(allow_private_addresses=("127.0.0.1",), host_spacing_seconds=0),
        feeds=feeds,
    )


def test_a_watchlist_follows_the_file_and_survives_a_broken_one(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, feed("a"), feed("b"))
    watchlist = Watchlist(settings)
    assert [one.id for one in watchlist.feeds()] == ["a", "b"]
    file = changes_file(settings.store.path)
    write_changes(file, muting(removing(adding(FeedChanges(), [feed("c")]), "a"), "b", muted=True))
    assert [(one.id, one.enabled) for one in watchlist.feeds()] == [("b", False), ("c", True)]
    file.write_text("removed = [")
    assert [one.id for one in watchlist.feeds()] == ["b", "c"]
    file.unlink()
    assert [one.id for one in watchlist.feeds()] == ["a", "b"]


def test_a_running_pipeline_follows_and_what_was_muted_comes_back_as_backlog(tmp_path: Path) -> None:
    async def go() -> list[list[tuple[str, bool]]]:
        server = await started()
        async with server:
            here = feed("wire", url=f"http://127.0.0.1:{port_of(server)}/good", every_minutes=10)
            settings = settings_for(tmp_path, here)
            file = changes_file(settings.store.path)
            seen = []
            with Store.open(settings.store.path, NOW) as store:
                pipeline = Pipeline(settings, store)

                async def round_at(minutes: int) -> None:
                    now = NOW + timedelta(minutes=minutes)
                    checks = await pipeline.poll(now)
                    store.remember([check.state for check in checks])
                    seen.append([(check.feed, check.first_fetch) for check in checks])

                await round_at(0)
                await round_at(20)
                write_changes(file, muting(FeedChanges(), "wire", muted=True))
                await round_at(40)
                write_changes(file, adding(FeedChanges(), [feed("new", url=here.url)]))
                await round_at(60)
                await round_at(80)
                await pipeline.aclose()
            return seen

    first, second, muted, again, after = asyncio.run(go())
    assert (first, second, muted) == ([("wire", True)], [("wire", False)], [])
    assert sorted(again) == [("new", True), ("wire", True)]
    assert sorted(after) == [("new", False), ("wire", False)]


# The commands


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Runs `squall feeds ...` in an empty folder; AT in a word is the address of a server that runs meanwhile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SQUALL_POLLING__ALLOW_PRIVATE_ADDRESSES", '["127.0.0.1"]')
    monkeypatch.setenv("SQUALL_POLLING__HOST_SPACING_SECONDS", "0")
    monkeypatch.setenv("SQUALL_POLLING__READ_SECONDS", "1")
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(started())
    import threading

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(*words: str) -> Result:
        at = f"http://127.0.0.1:{port_of(server)}"
        return CliRunner().invoke(squall, ["feeds", *(word.replace("AT", at) for word in words)])

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def words_of(result: Result) -> str:
    assert isinstance(result.exception, InputUnusable), result
    return str(result.exception)


def test_a_feed_is_added_by_its_address_or_by_a_page_that_offers_it(site: Callable[..., Result]) -> None:
    added = site("add", "AT/offers", "--publisher", "house", "--every-minutes", "15")
    assert added.exit_code == 0, added.output
    assert "/good" in added.output
    listed = json.loads(site("list", "--json").output)
    mine = next(one for one in listed if one["id"] == "wire")
    assert (mine["name"], mine["publisher"], mine["every_minutes"], mine["state"]) == ("Wire", "house", 15, "new")
    assert "watched already, as wire" in words_of(site("add", "AT/good"))
    assert "login page" in words_of(site("add", "AT/login"))
    assert "challenge page" in words_of(site("add", "AT/challenge"))
    assert "http" in words_of(site("add", "nonsense", "--unchecked"))


def test_a_feed_is_removed_and_muted_and_heard_again(site: Callable[..., Result]) -> None:
    feeds = default_feeds()
    assert site("remove", feeds[0].id).exit_code == 0
    for meant in (feeds[1].id[:-1], feeds[1].url, feeds[1].name.upper()):
        assert f"did you mean {feeds[1].id!r}" in words_of(site("mute", meant))
    assert "`squall feeds list` lists them" in words_of(site("remove", "qqqqq"))
    assert site("mute", feeds[1].id).exit_code == 0
    listed = {one["id"]: one for one in json.loads(site("list", "--json").output)}
    assert feeds[0].id not in listed
    assert (listed[feeds[1].id]["enabled"], listed[feeds[1].id]["state"]) == (False, "muted")
    assert site("mute", feeds[1].id, "--off").exit_code == 0
    listed = {one["id"]: one for one in json.loads(site("list", "--json").output)}
    assert listed[feeds[1].id]["enabled"]
    disabled = next(one.id for one in feeds if not one.enabled)
    assert "set enabled = true" in words_of(site("mute", disabled, "--off"))


def test_opml_is_taken_in_once(site: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "mine.opml").write_text(
        '<opml version="2.0"><body><outline text="A" xmlUrl="https://a.example/f"/>'
        f'<outline text="B" xmlUrl="{default_feeds()[0].url}"/></body></opml>'
    )
    assert site("import-opml", "mine.opml").output.startswith("1 feeds")
    assert site("import-opml", "mine.opml").output.startswith("0 feeds")
    assert "https://a.example/f" in site("export-opml").output


def test_a_file_is_checked_like_an_address(site: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_bytes(SERVER["FEED"])
    good = site("check", "feed.xml")
    assert (good.exit_code, "1 entries" in good.output) == (0, True)
    (tmp_path / "page.html").write_text("<html><title>Sign in</title></html>")
    bad = site("check", "page.html", "--json")
    assert (bad.exit_code, json.loads(bad.output)["outcome"]) == (1, "login_page")


def test_one_feed_is_shown_with_its_history(site: Callable[..., Result], tmp_path: Path) -> None:
    assert site("add", "AT/good", "--id", "wire").exit_code == 0
    settings = Settings(polling=PollSettings(allow_private_addresses=("127.0.0.1",)))
    (tmp_path / "data").mkdir(exist_ok=True)
    with Store.open(settings.store.path, NOW) as store:
        pipeline = Pipeline(settings, store)
        (mine,) = (one for one in watched_feeds(settings) if one.id == "wire")

        async def once() -> None:
            from monitor.feeds.feed import unseen
            from monitor.storage.store import Batch

            checks = await pipeline.poller.poll([(mine, unseen(mine, NOW))], NOW)
            store.append(Batch(checks), NOW)
            await pipeline.aclose()

        asyncio.run(once())
    shown = site("show", "wire")
    assert shown.exit_code == 0, shown.output
    assert "next check" in shown.output
    assert "1 entries" in shown.output
    listed = json.loads(site("show", "wire", "--json").output)
    assert [one["outcome"] for one in listed["checks"]] == ["new"]
