"""Old headlines leave for the archive by month, and nothing is lost, doubled or counted differently by it."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.backtesting.backtest import read_history
from monitor.errors import StoreUnavailable
from monitor.service.pipeline import Pipeline
from monitor.settings import ModelSettings, Settings, StoreSettings, WatchSettings
from monitor.storage.compacting import compact
from monitor.storage.forecast import Growth, days_until, keep_size, measure, size_after
from monitor.storage.integrity import examine, tables
from monitor.storage.retention import archive_folder, care, read_archive, retire
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("store_scene.py")))
append, headline, rows, scored = (SCENE[name] for name in ("append", "headline", "rows", "scored"))
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
KEEP = timedelta(days=30)  # so all before February leaves
DECEMBER, JANUARY = datetime(2025, 12, 5, 9, tzinfo=UTC), datetime(2026, 1, 20, 9, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """Ten headlines in December, ten in January, ten in March; one story of January goes on in February."""
    with Store.open(tmp_path / "squall.duckdb", NOW) as opened:
        for first, at in ((0, DECEMBER), (100, JANUARY), (200, NOW - timedelta(hours=3))):
            append(
                opened,
                *(
                    (headline(first + n, at + n * timedelta(minutes=9), companies=("JPM",)), scored())
                    for n in range(10)
                ),
                now=at + timedelta(hours=2),
            )
        late = datetime(2026, 1, 31, 23, tzinfo=UTC)
        for number, at in ((300, late), (301, late + timedelta(hours=3))):
            append(opened, (headline(number, at, story=300, publisher=f"p{number}"), scored()), now=at)
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return archive_folder(tmp_path / "squall.duckdb", None)


def lasting(store: Store) -> list[Any]:
    return [rows(store, f"SELECT * FROM {table} ORDER BY ALL") for table in ("rollups", "sources", "affinities")]  # noqa: S608 - names from this line


def test_months_that_are_old_leave_whole_and_counts_stay(store: Store, folder: Path) -> None:
    before = lasting(store)
    moved = retire(store.database, folder, NOW, KEEP)
    assert moved.headlines == {datetime(2025, 12, 1, tzinfo=UTC): 10, datetime(2026, 1, 1, tzinfo=UTC): 10}
    assert sorted(file.name for file in folder.iterdir()) == ["headlines-2025-12.parquet", "headlines-2026-01.parquet"]
    kept = {number for (number,) in rows(store, "SELECT id FROM headlines")}
    # The story of 31 January has a headline in February: it stays whole until February goes.
    assert kept == {*range(200, 210), 300, 301}
    assert {number for (number,) in rows(store, "SELECT headline FROM scores")} == kept
    assert lasting(store) == before
    assert store.rollup_faults().is_empty()
    assert examine(store.database, NOW).faults == ()
    store.rebuild_rollups()
    assert [len(each) for each in lasting(store)] == [len(each) for each in before]
    assert store.rollup_faults().is_empty()


def test_what_left_is_read_again_with_its_scores(store: Store, folder: Path) -> None:
    wanted = rows(
        store,
        "SELECT h.*, s.* EXCLUDE (headline, effective) FROM headlines h JOIN scores s ON s.headline = h.id "
        "WHERE h.id < 200 ORDER BY h.effective, h.id",
    )
    retire(store.database, folder, NOW, KEEP)
    assert read_archive(folder).collect().rows() == wanted
    assert read_archive(folder, since=JANUARY).select("id").collect()["id"].to_list() == list(range(100, 110))
    assert read_archive(folder, until=JANUARY).select(pl.len()).collect().item() == 10
    with pytest.raises(FileNotFoundError, match="holds no headlines"):
        read_archive(folder.parent)
    entries = read_history(folder)
    assert len(entries) == 20
    assert entries[0].published == DECEMBER
    assert read_history(folder / "headlines-2026-01.parquet")[0].title == "Bank 100 in trouble"


def test_a_feed_that_still_carries_what_left_brings_nothing_new(store: Store, folder: Path) -> None:
    retire(store.database, folder, NOW, KEEP)
    before = lasting(store)
    assert store.known([0, 100, 200, 999]) == {0, 100, 200}
    assert append(store, (headline(0, DECEMBER), scored()), (headline(100, NOW), scored()), now=NOW) == ()
    assert lasting(store) == before


def test_a_killed_move_goes_on_and_writes_nothing_twice(store: Store, folder: Path) -> None:
    """As after a kill between the file and the deletion: the file is there, the rows are too."""
    with Store.open(":memory:", NOW) as other:
        append(other, *((headline(n, DECEMBER + n * timedelta(minutes=9)), scored()) for n in range(4)))
        retire(other.database, folder, NOW, KEEP)
    (folder / "headlines-2026-01.parquet.part").write_bytes(b"half of a file")
    retire(store.database, folder, NOW, KEEP)
    ids = read_archive(folder).collect()["id"].to_list()
    assert sorted(ids) == [*range(10), *range(100, 110)]
    assert sorted(file.name for file in folder.glob("headlines-2025-12*")) == [
        "headlines-2025-12.2.parquet",
        "headlines-2025-12.parquet",
    ]
    assert not list(folder.glob("*.part"))
    assert retire(store.database, folder, NOW, KEEP).headlines == {}


def test_a_part_never_takes_the_place_of_another_one(store: Store, folder: Path, tmp_path: Path) -> None:
    """Also where the first file of the month was moved away, as the message on an unreadable one says."""
    retire(store.database, folder, NOW, KEEP)
    for number in (500, 501):
        append(store, (headline(number, DECEMBER), scored()), now=NOW)
        retire(store.database, folder, NOW, KEEP)
        (folder / "headlines-2025-12.parquet").replace(tmp_path / f"moved-{number}")
    assert sorted(read_archive(folder, until=JANUARY).collect()["id"]) == [500]
    assert pl.read_parquet(tmp_path / "moved-501")["id"].to_list() == [501]


def test_what_waits_for_a_score_stays(store: Store, folder: Path) -> None:
    append(store, (headline(400, DECEMBER), None))
    retire(store.database, folder, NOW, KEEP)
    assert [each.id for each in store.unscored(9)] == [400]


def test_an_archive_that_cannot_be_written_costs_nothing(store: Store, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    with pytest.raises(StoreUnavailable, match="headlines stay in the store"):
        retire(store.database, blocked / "archive", NOW, KEEP)
    assert store.counts().headlines == 32


@pytest.mark.parametrize("later", [timedelta(days=400), timedelta(days=60)])
def test_who_keeps_more_than_before_loses_no_count_at_a_recount(store: Store, folder: Path, later: timedelta) -> None:
    """What has left is not in the store again: a headline of long ago that leaves meanwhile does not alter that."""
    retire(store.database, folder, NOW, KEEP)
    append(store, (headline(500, datetime(2024, 6, 1, 9, tzinfo=UTC)), scored()), now=NOW)
    before = lasting(store)
    moved = retire(store.database, folder, NOW, later)
    assert moved.headlines == {datetime(2024, 6, 1, tzinfo=UTC): 1}
    assert moved.raw_since == datetime(2026, 2, 1, tzinfo=UTC)
    assert store.rollup_faults().is_empty()
    store.rebuild_rollups()
    assert lasting(store) == before


def test_a_note_that_an_older_release_set_back_is_set_right_by_upkeep(store: Store, folder: Path) -> None:
    """What left is in no store: a recount from that note on would count nothing where something was."""
    retire(store.database, folder, NOW, KEEP)
    before = lasting(store)
    (folder / "headlines-of-2027-01.parquet").write_bytes(b"none of these")
    with store.database.writing() as connection:
        connection.execute("UPDATE meta SET value = '2024-07-01T00:00:00+00:00' WHERE key = 'raw_since'")
    assert not store.rollup_faults().is_empty()
    moved = retire(store.database, folder, NOW, timedelta(days=400))
    assert (moved.headlines, moved.raw_since) == ({}, datetime(2026, 2, 1, tzinfo=UTC))
    assert store.rollup_faults().is_empty()
    store.rebuild_rollups()
    assert lasting(store) == before


def test_an_archive_file_that_is_cut_is_named_and_nothing_leaves(store: Store, folder: Path) -> None:
    folder.mkdir()
    cut = folder / "headlines-2025-12.parquet"
    cut.write_bytes(b"")
    with pytest.raises(
        StoreUnavailable, match=r"headlines-2025-12\.parquet of the archive cannot be read.*move it away"
    ):
        retire(store.database, folder, NOW, KEEP)
    assert store.counts().headlines == 32
    cut.unlink()
    assert len(retire(store.database, folder, NOW, KEEP).headlines) == 2


def test_an_archive_that_cannot_be_used_holds_up_no_other_upkeep(store: Store, tmp_path: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "headlines-2025-12.parquet").write_bytes(b"cut short")
    settings = Settings(
        store=StoreSettings(path=tmp_path / "squall.duckdb", keep_days=90),
        watch=WatchSettings(default_feeds=False),
        model=ModelSettings(adapter=tmp_path / "none"),
    )
    assert store.counts().sightings
    with pytest.raises(StoreUnavailable, match="of the archive cannot be read"):
        Pipeline(settings, store).maintain(NOW + timedelta(days=60))
    assert not store.counts().sightings
    log = Path(f"{store.database.path}.wal")
    assert not log.exists() or log.stat().st_size == 0, "the log was folded"


def test_upkeep_moves_and_zero_keeps_all(store: Store, folder: Path) -> None:
    care(store.database, None, NOW, timedelta(0))
    assert not folder.exists()
    care(store.database, None, NOW, KEEP)
    care(store.database, None, NOW + timedelta(hours=1), KEEP)
    assert store.counts().headlines == 12
    assert len(rows(store, "SELECT * FROM sizes")) == 1
    keep_size(store.database, NOW + timedelta(days=1))
    assert [kept for (kept,) in rows(store, "SELECT headlines FROM sizes ORDER BY day")] == [32, 12]


# Size


GROWTHS = st.builds(
    Growth,
    bytes=st.integers(2**20, 2**40),
    passing=st.integers(0, 2**39),
    lasting=st.integers(0, 2**38),
    days=st.floats(1, 4000),
    headlines=st.integers(0, 10**8),
    a_day=st.floats(0, 10**6),
    a_headline=st.sampled_from([0.0, 300.0, 2_000.0]),
)


@given(GROWTHS, st.integers(0, 3000), st.integers(0, 3000), st.sampled_from([0, 90, 400]))
def test_a_forecast_never_shrinks_and_keeping_less_never_costs_more(
    growth: Growth, days: int, more: int, keep: int
) -> None:
    near, far = size_after(growth, days, keep), size_after(growth, days + more, keep)
    assert growth.bytes <= near <= far <= size_after(growth, days + more, 0)


@given(GROWTHS, st.integers(0, 2**40), st.sampled_from([0, 90, 400]))
def test_the_day_on_which_a_disk_is_full_is_the_first_that_needs_more(growth: Growth, room: int, keep: int) -> None:
    day = days_until(growth, room, keep)
    if day is None:
        assert size_after(growth, 3650, keep) <= growth.bytes + room
    else:
        assert size_after(growth, day, keep) > growth.bytes + room
        assert day == 0 or size_after(growth, day - 1, keep) <= growth.bytes + room


def test_a_store_grows_until_the_first_month_that_it_keeps_no_longer_leaves() -> None:
    """Months leave whole: up to 31 days more than are kept are there."""
    growth = Growth(bytes=1, passing=2**30, lasting=0, days=50, headlines=10**6, a_day=20_000)
    before, after, full, *later = (size_after(growth, days, 90) for days in (40, 60, 71, 72, 400))
    assert before < after < full
    assert later == [full, full]


def test_growth_is_measured(store: Store) -> None:
    store.maintain(NOW)
    growth = measure(store.database, NOW)
    assert (growth.headlines, round(growth.days)) == (32, 95)
    assert growth.a_day == pytest.approx(10 / 28), "ten came in the last four weeks"
    assert 0 < growth.lasting <= growth.bytes
    assert growth.passing_a_day + growth.lasting_a_day > 0


def test_what_a_headline_takes_is_told_by_the_notes_of_the_last_weeks(store: Store) -> None:
    """Not by an average from the beginning, which counts what an empty store takes."""
    ago, late = timedelta(days=20), timedelta(days=2)
    size = measure(store.database, NOW)
    used = size.passing + size.lasting
    with store.database.writing() as connection:
        for day, weight in ((NOW - ago, 100), (NOW - late, 5_000)):
            connection.execute("INSERT INTO sizes VALUES (?, ?, ?, 22)", [day, used, used - 10 * weight])
    growth = measure(store.database, NOW)
    assert growth.a_headline == pytest.approx(100)
    many = replace(growth, headlines=10_000_000, lasting=0)
    assert many.passing_a_day == pytest.approx(100 * growth.a_day, rel=0.05)


def test_a_store_of_few_headlines_is_expected_to_grow_as_others_did() -> None:
    """Its own blocks are mostly empty: what they hold says nothing of what a headline takes."""
    few = Growth(bytes=20 * 2**20, passing=15 * 2**20, lasting=0, days=10, headlines=14_400, a_day=1_440)
    assert 330 < few.passing_a_day / few.a_day < 450
    late = size_after(few, 20, 0)
    assert late == pytest.approx(1.5 * (few.passing + 20 * few.passing_a_day))
    large = replace(few, bytes=4 * 2**30, passing=4 * 2**30, headlines=13_000_000, a_day=20_000)
    assert size_after(large, 0, 0) == pytest.approx(4 * 2**30, rel=0.01)


def test_a_store_without_headlines_can_be_measured(tmp_path: Path) -> None:
    with Store.open(tmp_path / "empty.duckdb", NOW) as empty:
        growth = measure(empty.database, NOW)
    assert (growth.headlines, growth.a_day, growth.passing_a_day) == (0, 0, 0)


def test_a_fresh_file_has_the_same_rows_and_is_smaller(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    with Store.open(path, NOW) as store:
        append(store, *((headline(n, title=f"{n:0400d}"), scored()) for n in range(20_000)))
        store.maintain(NOW)
        with store.database.writing() as connection:
            connection.execute("DELETE FROM scores WHERE headline % 10 <> 0")
            connection.execute("DELETE FROM headlines WHERE id % 10 <> 0")
        store.maintain(NOW)
        held = tables(store.database)
    done = compact(path, "500MB", 1)
    assert done.after < done.before
    with Store.open(path, NOW) as store:
        assert tables(store.database) == held
        assert append(store, (headline(10), scored()), (headline(11), scored())) == (11,), "keys hold"
    assert [file.name for file in tmp_path.iterdir()] == ["squall.duckdb"]
