"""Scored archives whose columns are of whatever kind and name their makers chose."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.archives.backfill import Backfilled, backfill
from monitor.archives.places import Place
from monitor.archives.run import Wanted, score_archive
from monitor.archives.slices import Archive
from monitor.backtesting.backtest import History
from monitor.errors import InputUnusable
from monitor.settings import Settings
from monitor.storage.database import MEMORY
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("archive_scene.py")))
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
AT = [datetime(2026, 1, 5, 10, tzinfo=UTC) + timedelta(hours=hour) for hour in range(3)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made: Settings = SCENE["tiny_settings"](tmp_path_factory.mktemp("model"))
    return made


def scored(settings: Settings, folder: Path, column: str = "") -> Archive:
    out = folder.with_name(f"{folder.name}-scored")
    score_archive(Wanted((str(folder),), str(out), column=column, lean=True), settings, lambda: NOW)
    return Archive(str(out))


def news(folder: Path, name: str, **columns: Any) -> None:
    """Three headlines; columns that are named replace those of this name, or come beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "published": pa.array(AT, pa.timestamp("us", "UTC")),
        "outlet": pa.array(["Wire"] * 3),
        "title": pa.array([f"Oil rises in {name} case {number}" for number in range(3)]),
    }
    pq.write_table(pa.table(told | columns), folder / f"{name}.parquet")


def taken_in(archive: Archive, store: Store) -> pl.DataFrame:
    backfill(archive, store, Settings(), NOW)
    with store.database.reading() as cursor:
        found = cursor.sql("SELECT title, feed, epoch(published)::BIGINT AS at FROM headlines ORDER BY title").pl()
    assert isinstance(found, pl.DataFrame)
    return found


def test_files_whose_columns_are_of_other_kinds_are_one_archive(settings: Settings, tmp_path: Path) -> None:
    folder, words = tmp_path / "news", pa.array([f"Bank {number} falls" for number in range(3)])
    news(folder, "a", outlet=pa.array(["Wire"] * 3).dictionary_encode(), guid=pa.array([1, 2, 3]))
    news(folder, "b", title=words.cast(pa.large_string()), guid=pa.array([UUID(int=255 + n).bytes for n in range(3)]))
    news(folder, "c", title=pa.array([f"Gold {number} falls".encode() for number in range(3)]))
    news(folder, "d", title=words.dictionary_encode(), published=pa.array([at.isoformat() for at in AT]))
    news(folder, "e", published=pa.array(AT, pa.timestamp("s", "America/New_York")), guid=pa.array([None] * 3))
    news(folder, "f", published=pa.array(AT, pa.timestamp("ns", "+05:30")), link=pa.array(["x", "y", "z"]))
    archive = scored(settings, folder)
    with Store.open(MEMORY, NOW) as store:
        found = taken_in(archive, store)
    assert found.height == 18
    assert set(found["feed"]) == {"wire"}
    assert sorted(set(found["at"])) == [int(at.timestamp()) for at in AT]
    assert len(History(Path(archive.folder), settings).entries) == 18


def test_columns_of_lists_and_records_are_refused_before_anything_is_taken_in(
    settings: Settings, tmp_path: Path
) -> None:
    news(tmp_path / "news", "a", link=pa.array([["https://example.com"]] * 3))
    with pytest.raises(InputUnusable, match=r"part-000000.parquet: the column link holds .*list.*, not text"):
        scored(settings, tmp_path / "news")


@pytest.mark.parametrize(("named", "asked"), [("headline", ""), ("text", ""), ("wording", "wording")])
def test_the_headline_of_an_archive_is_what_was_scored(
    settings: Settings, tmp_path: Path, named: str, asked: str
) -> None:
    """Also where another column, which was not scored, is called title."""
    folder = tmp_path / "news"
    folder.mkdir()
    frame = SCENE["headlines"](5)
    expected = sorted(frame["title"])
    frame = frame.rename({"title": named})
    (frame.with_columns(title=pl.lit("a job")) if asked else frame).write_csv(folder / "a.csv")
    archive = scored(settings, folder, asked)
    with Store.open(MEMORY, NOW) as store:
        assert taken_in(archive, store)["title"].to_list() == expected
    assert sorted(entry.title for entry in History(Path(archive.folder), settings).entries) == expected


def test_archives_with_files_of_one_name_and_size_are_two(settings: Settings, tmp_path: Path) -> None:
    for name, title in (("one", "Oil rises"), ("two", "Oil falls")):
        (tmp_path / name).mkdir()
        pl.DataFrame({"published": [AT[0].isoformat()], "outlet": ["Wire"], "title": [title]}).write_csv(
            tmp_path / name / "a.csv"
        )
    archives = [scored(settings, tmp_path / name) for name in ("one", "two")]
    sizes = {(Path(archive.folder) / "part-000000.parquet").stat().st_size for archive in archives}
    assert len(sizes) == 1, "or nothing is shown here"
    with Store.open(MEMORY, NOW) as store:
        assert [taken_in(archive, store).height for archive in archives] == [1, 2]
        assert Archive(archives[0].folder).name == archives[0].name


def test_an_archive_in_a_store_is_taken_in_and_played(settings: Settings, tmp_path: Path) -> None:
    news(tmp_path / "news", "a")
    there = "memory://desk/scored"
    Place("memory://desk/news/a.parquet").write((tmp_path / "news" / "a.parquet").read_bytes())
    score_archive(Wanted(("memory://desk/news",), there, lean=True), settings, lambda: NOW)
    here = scored(settings, tmp_path / "news")
    with Store.open(MEMORY, NOW) as store, Store.open(MEMORY, NOW) as other:
        assert taken_in(Archive(there), store).equals(taken_in(here, other))
        # Under another name, as the files are called otherwise: each of its headlines is known.
        (Path(here.folder) / "part-000000.parquet").rename(Path(here.folder) / "part-000007.parquet")
        again = backfill(Archive(here.folder), other, Settings(), NOW)
        assert again == Backfilled(3, 0, {"known": 3}, 0)
    for path in (there, here.folder, f"file://{here.folder}"):
        assert len(History(path, settings).entries) == 3


WORDS = (
    "Oil rises|Bank of Spain warns|Ships burn|Rates stay|Gold miners merge|Tin shortage ends|Wheat sold|Union votes no"
)


@pytest.mark.parametrize("columns", [["link"], ["guid", "link"]])
def test_headlines_of_one_page_are_those_that_the_daemon_keeps(
    settings: Settings, tmp_path: Path, columns: list[str]
) -> None:
    """An outlet may put one address on all that it publishes; an edit of a title is no other headline."""
    titles = WORDS.split("|")
    told = [*titles, *titles, "Tea is cheap", "Tea is cheap now"]
    names = ["https://wire.example/"] * (len(told) - 2) + ["https://wire.example/tea"] * 2
    at = [AT[0] + timedelta(minutes=7 * number) for number in range(len(told))]
    at[-1] += timedelta(hours=2)
    (tmp_path / "news").mkdir()
    pl.DataFrame(
        {"published": [one.isoformat() for one in at], "outlet": "Wire", "title": told} | dict.fromkeys(columns, names)
    ).write_csv(tmp_path / "news" / "a.csv")
    archive = scored(settings, tmp_path / "news")
    for rows in (1, 5, 100):
        with Store.open(MEMORY, NOW) as store:
            found = backfill(archive, store, Settings(), NOW, rows=rows)
            with store.database.reading() as cursor:
                kept = [title for (title,) in cursor.execute("SELECT title FROM headlines").fetchall()]
        assert sorted(kept) == sorted([*titles, "Tea is cheap"]), rows
        assert (found.kept, sum(found.left_out.values())) == (9, 9)
    history = History(Path(archive.folder), settings)
    assert history.play(Settings().rules, None).headlines == 9
