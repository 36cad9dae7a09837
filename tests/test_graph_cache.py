"""Prepared graphs on disk: whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from models.running.graph_cache import GraphCache, default_folder


def writing(content: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "graph.bin").write_text(content)
        (folder / "graph.xml").write_text("<net/>")

    return write


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    cache = GraphCache(tmp_path / "graphs")
    assert cache.find("one") is None
    kept = cache.keep("one", writing("weights"))
    assert kept is not None
    assert cache.find("one") == kept
    assert (kept / "graph.bin").read_text() == "weights"
    assert cache.find("two") is None


@pytest.mark.parametrize("part", ["graph.bin", "graph.xml", "manifest.json"])
@pytest.mark.parametrize("content", [None, "", "other"])
def test_what_is_damaged_is_thrown_away(tmp_path: Path, part: str, content: str | None) -> None:
    cache = GraphCache(tmp_path)
    kept = cache.keep("one", writing("weights"))
    assert kept is not None
    (kept / part).unlink()
    if content is not None:
        (kept / part).write_text(content)
    assert cache.find("one") is None
    assert list(tmp_path.iterdir()) == []
    assert cache.keep("one", writing("weights")) == cache.find("one") == kept


def test_of_two_that_write_at_once_one_wins_and_both_have_it(tmp_path: Path) -> None:
    both = Barrier(2)

    def write(folder: Path) -> None:
        both.wait(10)
        writing("weights")(folder)

    with ThreadPoolExecutor(2) as pool:
        kept = list(pool.map(lambda _: GraphCache(tmp_path).keep("one", write), range(2)))
    assert kept == [tmp_path / "one"] * 2
    assert GraphCache(tmp_path).find("one") == tmp_path / "one"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "graph.bin").write_text("half")
        raise OSError("no space left on device")

    assert GraphCache(tmp_path).keep("one", fail) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = GraphCache(tmp_path / "file" / "graphs")
    assert cache.find("one") is None
    assert cache.keep("one", writing("weights")) is None


def test_graphs_of_long_ago_are_removed(tmp_path: Path) -> None:
    cache = GraphCache(tmp_path)
    for number in range(12):
        assert cache.keep(f"graph-{number}", writing("weights")) is not None
    assert len(list(tmp_path.iterdir())) == 8
    assert cache.find("graph-11") is not None


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_stays(tmp_path: Path) -> None:
    for name, hours in ((".new-dead", 3), (".old-dead", 3), (".new-young", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fast.bin").write_bytes(b"x")
        then = time.time() - hours * 3600
        os.utime(tmp_path / name, (then, then))
    GraphCache(tmp_path).keep("one", writing("weights"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".new-young", "one"]


def test_the_default_place_follows_the_users_cache_folder(tmp_path: Path) -> None:
    assert default_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "squall" / "graphs"
    assert default_folder({}).parts[-3:] == (".cache", "squall", "graphs")
