"""Archives in the store: the same as the daemon would have stored, and once, however often it is cut off."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.archives.backfill import Backfilled, By, backfill
from monitor.archives.bearers import told_apart
from monitor.archives.copies import Copies
from monitor.archives.dated import dated, published_of
from monitor.archives.opinions import OPINIONS, opinion_frame, scored_of
from monitor.cli import squall
from monitor.feeds.feed import Entry
from monitor.news.headlines import Headline, headline
from monitor.news.names import named
from monitor.news.outlets import feed_of
from monitor.news.stories import Stories
from monitor.series import Scored
from monitor.settings import Settings
from monitor.storage.rows import score_frame
from monitor.storage.store import Batch, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("backfill_scene.py")))
BEGINS, MATCHER, NOW, content, kept = (SCENE[name] for name in ("BEGINS", "MATCHER", "NOW", "content", "kept"))
news, opinion, same = (SCENE[name] for name in ("news", "opinion", "same"))

# As the daemon


def as_the_daemon(frame: pl.DataFrame, store: Store, now: datetime) -> None:
    """The same rows entry by entry through the daemon's own functions, hour by hour."""
    stories = Stories(MATCHER)
    rows = frame.with_columns(published=published_of(pl.String())).sort("published", maintain_order=True)
    for _, hour in rows.group_by(pl.col("published").dt.truncate("1h"), maintain_order=True):
        made, scores = [], {}
        for row in hour.iter_rows(named=True):
            feed = feed_of(row["outlet"], row["link"])
            entry = Entry(feed.id, feed.publisher, "en", "", row["link"], row["title"], "", row["published"], now)
            one = headline(entry, now, first_fetch=True, companies=MATCHER)
            made.append(one)
            scores[one.id] = scored_of(row)
        stories.forget(made[0].effective - timedelta(hours=48))
        told = stories.assign(made)
        store.append(Batch(headlines=told, scores={one.id: scores[one.id] for one in told}), now)


def test_what_is_taken_in_is_what_the_daemon_would_have_stored(tmp_path: Path) -> None:
    frame = news(400)
    archive = kept(frame, tmp_path / "scored")
    with Store.open(":memory:", NOW) as live, Store.open(tmp_path / "s.duckdb", NOW) as store:
        as_the_daemon(frame, live, NOW)
        found = backfill(archive, store, Settings(), NOW, rows=120)
        assert found == Backfilled(400, 400, {}, 0)
        same(store, live)
        assert store.rollup_faults().is_empty()
        stories = content(store)["headlines"]["story"].n_unique()
        assert 50 < stories < 380


TITLES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["<b>UBS</b> &amp; Shell", "  Boeing  falls ", "A\u200bB", "a" * 600, "5 < 6 & 7", "", "市场恐慌"]
)


LINKS = st.sampled_from(
    [
        *("", "https://www.reuters.com/a/b", "http://Reuters.com:80/a?utm_source=x&id=3#top", "ftp://x.org/a"),
        *("https://[see above", "https://bbc.co.uk", "https://x.example.org/a b", "https://x.org/%C3%BC/ü", "//x.org/"),
    ]
)


@hypothesis_settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(TITLES, LINKS, st.sampled_from(["", "Reuters", "Der Bund"]), st.sampled_from(["", "g-1"])),
        min_size=1,
        max_size=6,
    )
)
def test_rows_at_once_are_rows_one_by_one(rows: list[tuple[str, str, str, str]]) -> None:
    at = [NOW - timedelta(hours=20 * number) for number in range(len(rows))]
    opinions = [opinion(title, number) for number, (title, *_) in enumerate(rows)]
    own = pl.DataFrame(
        {"published": at}
        | {name: [row[place] for row in rows] for place, name in enumerate(("title", "link", "outlet", "guid"))},
        schema_overrides={"published": pl.Datetime("us", "UTC")},
    )
    said = opinion_frame(opinions, [dict.fromkeys((ticker for ticker, _ in one.towards), "it") for one in opinions])
    # As the archive holds them: in single precision.
    scored = [scored_of(row) for row in said.iter_rows(named=True)]
    made = dated(pl.concat([own, said], how="horizontal"), NOW)
    singly: list[tuple[Headline, int, Scored]] = []
    for (title, link, outlet, guid), published, told in sorted(
        zip(rows, at, scored, strict=True), key=lambda one: one[1]
    ):
        feed = feed_of(outlet, link)
        entry = Entry(feed.id, feed.publisher, "en", guid, link, title, "", published, NOW)
        one = headline(entry, NOW, first_fetch=True, companies=MATCHER)
        if one.title:
            one = replace(one, companies=tuple(ticker for ticker, _ in told.towards))
            singly.append((one, named([(entry, one)])[0].exact, told))
    ids = told_apart([(one.id, exact, one.title, bool(one.link)) for one, exact, _ in singly], {})
    expected: dict[int, tuple[Headline, Scored]] = {}
    for id_, (one, _, told) in zip(ids, singly, strict=True):
        expected.setdefault(id_, (replace(one, id=id_, story=id_), told))
    found = {row["id"]: row for row in made.headlines.iter_rows(named=True)}
    assert set(found) == set(expected)
    for id_, (one, _) in expected.items():
        row = found[id_]
        for name in ("title", "link", "feed", "publisher", "effective", "published", "fetched", "story"):
            assert row[name] == getattr(one, name), name
        assert (row["standing"], tuple(row["companies"])) == (one.standing.value, one.companies)
    wanted = score_frame([one for one, _ in expected.values()], {id_: told for id_, (_, told) in expected.items()})
    assert made.scores.sort("headline").equals(wanted.sort("headline"))


def test_opinions_survive_the_archive() -> None:
    scored = [opinion("UBS sinks as Boeing gains", 3), opinion("nothing", 8)]
    frame = opinion_frame([*scored, None], [{"UBS": "UBS", "BA": "Boeing"}, {"JPM": "never asked"}, {}])
    back = [scored_of(row) for row in frame.head(2).iter_rows(named=True)]
    assert [one.score.topics[0][0] for one in back] == [one.score.topics[0][0] for one in scored]
    assert [[ticker for ticker, _ in one.towards] for one in back] == [["UBS", "BA"], []]
    assert back[0].counts_as_negative_in("company:UBS") == scored[0].counts_as_negative_in("company:UBS")
    assert frame.row(2) == (None,) * len(OPINIONS)


def test_stories_by_copies_alone(tmp_path: Path) -> None:
    """One story begins with its first copy and ends 48 hours later, also where the archive is cut in between."""
    at = [BEGINS + timedelta(hours=hours) for hours in (0, 1, 40, 49, 50, 60)]
    titles = ["Shell wins!", "shell  WINS", "Shell wins", "Shell wins", "!?", "Shell; wins"]
    frame = pl.DataFrame({"id": range(10, 16), "title": titles, "effective": at}, schema_overrides={"id": pl.UInt64})
    assert Copies().assign(frame)["story"].to_list() == [10, 10, 10, 13, 14, 13]
    for cut in range(1, 6):
        copies = Copies()
        first = copies.assign(frame.head(cut))
        again = Copies()
        again.restore((story, title, time) for _, title, time, story in first.iter_rows())
        assert again.assign(frame.tail(-cut))["story"].to_list() == [10, 10, 10, 13, 14, 13][cut:], cut
    found = news(300)
    with Store.open(":memory:", NOW) as store:
        assert backfill(kept(found, tmp_path / "a"), store, Settings(), NOW, By.COPIES, rows=80).kept == 300
        assert store.rollup_faults().is_empty()


# Once


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    archive = kept(news(300), tmp_path / "scored")
    with Store.open(":memory:", NOW) as store:
        assert backfill(archive, store, Settings(), NOW, rows=90).kept == 300
        before = content(store)
        later = NOW + timedelta(days=1)
        assert backfill(archive, store, Settings(), later, rows=90) == Backfilled(300, 300, {}, 300)
        # The same rows in other files: another archive, nothing new in it.
        assert backfill(kept(news(300), tmp_path / "again", files=2), store, Settings(), later, rows=70).kept == 0
        assert all(frame.equals(before[table]) for table, frame in content(store).items())


_CUT_OFF = """
import os, signal, sys
from datetime import datetime
from monitor.archives import backfill as module
from monitor.archives.slices import Archive
from monitor.settings import Settings
from monitor.storage.store import Store

folder, path, now, stretches = sys.argv[1:]
now, left = datetime.fromisoformat(now), int(stretches)

def progress(rows):
    global left
    left -= rows > 0
    if left == 0:
        print("killed", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

with Store.open(path, now) as store:
    module.backfill(Archive(folder), store, Settings(), now, progress=progress, rows=50)
"""


@pytest.mark.parametrize("stretches", [1, 4])
def test_killed_between_stretches_it_goes_on_without_loss_or_double(tmp_path: Path, stretches: int) -> None:
    frame = news(350)
    archive = kept(frame, tmp_path / "scored")
    path = tmp_path / "s.duckdb"
    done = subprocess.run(
        [sys.executable, "-c", _CUT_OFF, archive.folder, path, NOW.isoformat(), str(stretches)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Store.open(path, NOW) as store, Store.open(":memory:", NOW) as whole:
        assert 0 < store.counts().headlines < 350
        found = backfill(archive, store, Settings(), NOW, rows=50)
        assert found.kept == 350
        assert 0 < found.resumed < 350
        backfill(archive, whole, Settings(), NOW, rows=50)
        same(store, whole)


# The command


@pytest.fixture
def mask() -> Iterator[None]:
    """The command keeps what it writes private, which is for its own process only."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.mark.usefixtures("mask")
def test_the_command(tmp_path: Path) -> None:
    kept(news(60), tmp_path / "scored")
    config = tmp_path / "squall.toml"
    config.write_text(f'[store]\npath = "{tmp_path / "s.duckdb"}"\n')
    words = ["--config", str(config), "backfill", str(tmp_path / "scored"), "--quiet"]
    first = CliRunner().invoke(squall, words, catch_exceptions=False)
    assert first.stdout == "60 rows read: 60 headlines kept\n"
    again = CliRunner().invoke(squall, [*words, "--stories", "copies"], catch_exceptions=False)
    assert again.stdout == "60 rows read, 60 of them before: 60 headlines kept\n"
    with Store.open(tmp_path / "s.duckdb", NOW) as store:
        assert store.counts().headlines == 60
