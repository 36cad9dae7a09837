"""Archives that cannot be used say why; rows that cannot are left out and counted by reason."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from monitor.archives.backfill import Backfilled, backfill
from monitor.archives.history import played
from monitor.archives.opinions import opinion_frame
from monitor.archives.slices import Archive
from monitor.errors import InputUnusable
from monitor.settings import Settings
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("backfill_scene.py")))
NOW, kept, news, opinion = (SCENE[name] for name in ("NOW", "kept", "news", "opinion"))


def test_rows_that_cannot_be_taken_in_are_counted_by_reason(tmp_path: Path) -> None:
    frame = news(40)
    published = frame["published"].to_list()
    published[:4] = ["", "yesterday", "1970-01-01T00:00:00Z", None]
    published[7:10] = ["9999-12-31T23:30:00Z", "0001-01-01T00:00:00", "1767607200"]
    published[4] = (NOW + timedelta(days=3)).isoformat()
    title = ["\u200b" if place == 5 else text for place, text in enumerate(frame["title"])]
    sentiment = [None if place == 6 else text for place, text in enumerate(frame["sentiment"])]
    frame = frame.with_columns(published=pl.Series(published), title=pl.Series(title), sentiment=pl.Series(sentiment))
    frame = pl.concat([frame, frame.tail(1)])
    with Store.open(":memory:", NOW) as store:
        found = backfill(kept(frame, tmp_path / "scored"), store, Settings(), NOW)
    assert found == Backfilled(41, 30, {"failed": 1, "future": 1, "repeated": 1, "undated": 7, "untitled": 1}, 0)


def test_a_part_of_which_no_row_could_be_read_costs_no_other(tmp_path: Path) -> None:
    """It has none of its file's columns; a file that was scored without them is refused all the same."""
    kept(news(40), tmp_path / "scored")
    lost = pl.concat([pl.DataFrame({"text": ["cut o", None]}), opinion_frame([None, None], [{}, {}])], how="horizontal")
    lost.write_parquet(tmp_path / "scored" / "part-000003.parquet")
    with Store.open(":memory:", NOW) as store:
        found = backfill(Archive(str(tmp_path / "scored")), store, Settings(), NOW)
    assert found == Backfilled(42, 40, {"failed": 2}, 0)
    one, _ = played(Archive(str(tmp_path / "scored")))
    assert len(one) == 40
    foreign = pl.concat([pl.DataFrame({"text": ["x"]}), opinion_frame([opinion("x", 1)], [{}])], how="horizontal")
    foreign.write_parquet(tmp_path / "scored" / "part-000004.parquet")
    with pytest.raises(InputUnusable, match=r"part-000004.parquet lacks the column published, outlet:"):
        Archive(str(tmp_path / "scored"))


@pytest.mark.parametrize("published", ["yesterday", "1767607200", 1767607200, 1767607200.5, None])
def test_an_archive_without_any_time_says_so(tmp_path: Path, published: object) -> None:
    frame = news(3).with_columns(published=pl.Series([published] * 3))
    with pytest.raises(InputUnusable, match="none of 3 rows has a time that can be understood: published must be ISO"):
        kept(frame, tmp_path / "scored")


def test_an_archive_of_failures_says_so(tmp_path: Path) -> None:
    opinion_frame([None], [{}]).with_columns(text=pl.lit("cut o")).write_parquet(tmp_path / "part-000000.parquet")
    with pytest.raises(InputUnusable, match="none of 1 rows has a score"):
        Archive(str(tmp_path))


def test_an_archive_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    news(5).drop("outlet", "model").write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputUnusable, match="lacks the column outlet, model"):
        Archive(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputUnusable, match="names no file: give a folder that `squall score PATH --out` filled"):
        Archive(str(tmp_path / "empty"))
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "a.csv").write_text("title\na\n")
    with pytest.raises(InputUnusable, match="holds no Parquet"):
        Archive(str(tmp_path / "csv"))
