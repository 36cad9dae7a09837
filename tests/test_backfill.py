"""Archives in the store: the same as the daemon would have stored, once, in order, without a word to anyone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from models.score import Abstention, CompanyScore, Score
from monitor.archives.backfill import Backfilled, By, backfill
from monitor.archives.bearers import told_apart
from monitor.archives.copies import Copies
from monitor.archives.dated import dated, instant_of, published_of
from monitor.archives.history import played
from monitor.archives.opinions import OPINIONS, opinion_frame, scored_of
from monitor.archives.slices import Archive
from monitor.cli import squall
from monitor.errors import InputUnusable
from monitor.feeds.feed import Check, Entry, Outcome, unseen
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import Headline, Standing, headline
from monitor.news.intake import intake
from monitor.news.names import named
from monitor.news.outlets import feed_of
from monitor.news.stories import Stories
from monitor.series import Scored
from monitor.service.pipeline import Pipeline
from monitor.settings import Settings
from monitor.storage.rows import score_frame
from monitor.storage.store import Batch, Store
from monitor.watched import watched_series

BEGINS = datetime(2026, 1, 5, tzinfo=UTC)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MATCHER = CompanyMatcher()
SUBJECTS = ("UBS", "JPMorgan", "Boeing", "A small lender", "Shell", "The grocer")
DEEDS = ("plunges on fraud probe", "wins record order", "keeps its outlook", "warns of losses", "names new chief")


def opinion(title: str, number: int) -> Scored:
    """An invented opinion that hangs on the row alone; towards companies it may differ from that of the headline."""
    bad = number % 3 == 0
    figures = (0.7, 0.2, 0.1) if bad else (0.1, 0.6, 0.3)
    towards = tuple(
        (ticker, CompanyScore(ticker, 0.2, 0.5, 0.3) if number % 2 else CompanyScore(ticker, 0.8, 0.1, 0.1))
        for ticker in MATCHER.match(title)
    )
    topics = (("Legal | Regulation", 0.75), ("Macro", 0.5)) if number % 4 else (("Earnings", 0.25),)
    abstention = Abstention.UNSURE if number % 7 == 0 else Abstention.NONE
    score = Score(*figures, topics, "tiny-1", abstention, tuple(one for _, one in towards))
    return Scored(score, ("fraud",) if number % 5 == 0 else (), towards)


def news(rows: int, *, begins: datetime = BEGINS, apart: timedelta = timedelta(minutes=15)) -> pl.DataFrame:
    """Dated headlines, of which many tell the same in other words, a few are copies, and some come out of order."""
    titles = [f"{SUBJECTS[n % 6]} {DEEDS[n // 3 % 5]} in deal {n // 4 % 40}" for n in range(rows)]
    outlets = [("Reuters", "https://www.reuters.com"), ("Herald", "https://herald.example.org")]
    at = [begins + (n - 5 * (n % 11 == 10)) * apart for n in range(rows)]
    own = pl.DataFrame(
        {
            "published": [time.isoformat() for time in at],
            "outlet": [outlets[n % 2][0] for n in range(rows)],
            "title": titles,
            "link": [f"{outlets[n % 2][1]}/story/{n}" for n in range(rows)],
        }
    )
    scored = [opinion(title, number) for number, title in enumerate(titles)]
    named = [dict.fromkeys(MATCHER.match(title), "it") for title in titles]
    return pl.concat([own, opinion_frame(scored, named)], how="horizontal")


def kept(frame: pl.DataFrame, folder: Path, *, files: int = 3) -> Archive:
    """The rows as scored Parquet, dealt to files so that each spans the whole time."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        frame.gather_every(files, number).write_parquet(folder / f"part-{number:06d}.parquet", row_group_size=50)
    return Archive(str(folder))


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


def content(store: Store) -> dict[str, pl.DataFrame]:
    """Everything that a backfill writes and people see, in an order of its own."""
    orders = {
        "headlines": "id",
        "scores": "headline",
        "rollups": "series, hour",
        "sources": "publisher, hour",
        "affinities": "series, publisher, day",
    }
    with store.database.reading() as cursor:
        found = {table: cursor.sql(f"SELECT * FROM {table} ORDER BY {order}").pl() for table, order in orders.items()}  # noqa: S608 - constants
        found["words"] = cursor.sql(
            "SELECT * FROM (FROM words UNION ALL FROM recent_words) ORDER BY word, headline"
        ).pl()
    found["rollups"] = found["rollups"].with_columns(pl.col("tone").round(5))
    return found


def same(one: Store, other: Store) -> None:
    mine, theirs = content(one), content(other)
    for table, frame in mine.items():
        assert frame.equals(theirs[table]), table
        assert frame.height > 0, table


# As the daemon


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


# Beside what came from feeds


def test_what_a_feed_brought_already_is_not_taken_again(tmp_path: Path) -> None:
    """Feeds name a headline by a guid, archives by its link or title: it is the same one, and its story goes on."""
    frame = news(200, begins=NOW - timedelta(hours=60))
    rows = frame.with_columns(published=published_of(pl.String())).tail(60).to_dicts()
    with Store.open(":memory:", NOW) as store:
        checks = []
        for number, row in enumerate(rows[::2]):
            feed = feed_of(row["outlet"], row["link"])
            entry = Entry(
                "own-feed", feed.publisher, "en", f"guid-{number}", row["link"], row["title"], "", row["published"], NOW
            )
            checks.append(
                Check(
                    "own-feed",
                    NOW,
                    Outcome.NEW,
                    "",
                    200,
                    0,
                    0,
                    (entry,),
                    unseen(feed.model_copy(update={"id": "own-feed"}), NOW),
                )
            )
        came = intake(checks, store, MATCHER, NOW)
        scored = {one.id: opinion(one.title, 1) for one in came.headlines}
        told = Stories(MATCHER).assign(came.headlines)
        store.append(Batch(came.checks, told, scored, came.names), NOW)
        store.maintain(NOW + timedelta(days=4))
        assert store.counts().sightings == 0
        found = backfill(kept(frame, tmp_path / "scored"), store, Settings(), NOW, rows=50)
        assert found.kept + found.left_out["known"] == 200
        assert found.left_out["known"] >= 30
        assert store.rollup_faults().is_empty()
        with store.database.reading() as cursor:
            assert cursor.execute("SELECT count(*) FROM headlines WHERE feed = 'own-feed'").fetchone() == (len(told),)


def test_the_address_of_a_page_that_many_bear_makes_nothing_known(tmp_path: Path) -> None:
    """A house whose feed links everything to its front page: archives of it are news, unless they were told already."""
    titles = ["Bank of Elsewhere fails", "Harvest is good", "Mayor resigns over dog", "Bridge opens", "Rain is late"]
    at = [NOW - timedelta(hours=30 - number) for number in range(len(titles))]
    page = "https://www.reuters.com/"
    frame = news(len(titles)).with_columns(
        published=pl.Series([one.isoformat() for one in at]),
        outlet=pl.lit("Reuters"),
        title=pl.Series(titles),
        link=pl.lit(page),
    )
    house = feed_of("Reuters", page)
    feed = house.model_copy(update={"id": "own-feed"})
    # One answer that shows what the page is; one in which a single entry bears it, and nothing says so.
    for brought in (titles[:2], titles[:1]):
        with Store.open(":memory:", NOW) as store:
            entries = tuple(
                Entry("own-feed", feed.publisher, "en", f"g{number}", page, title, "", at[number], NOW)
                for number, title in enumerate(brought)
            )
            check = Check("own-feed", NOW, Outcome.NEW, "", 200, 0, 0, entries, unseen(feed, NOW))
            came = intake([check], store, MATCHER, NOW)
            store.append(Batch(came.checks, came.headlines, {}, came.names), NOW)
            found = backfill(kept(frame, tmp_path / str(len(brought)), files=1), store, Settings(), NOW)
            with store.database.reading() as cursor:
                stored = cursor.execute("SELECT title FROM headlines").fetchall()
            assert sorted(title for (title,) in stored) == sorted(titles)
            assert found.left_out["known"] == len(brought)


def test_titles_under_one_guid_without_a_link_are_kept_as_the_daemon_keeps_them() -> None:
    """Nothing says that they are one headline, edited; the same title is."""
    titles = ["Bank A reports result for the quarter", "Bank B reports result for the quarter"]
    frame = news(3).with_columns(
        outlet=pl.lit("Reuters"), title=pl.Series([*titles, titles[0]]), link=pl.lit(""), guid=pl.lit("g-1")
    )
    made = dated(frame.with_columns(published=published_of(pl.String())), NOW)
    feed = feed_of("Reuters", "")
    entries = [Entry(feed.id, feed.publisher, "en", "g-1", "", title, "", BEGINS, NOW) for title in titles]
    daemon = named([(entry, headline(entry, NOW, first_fetch=True, companies=MATCHER)) for entry in entries])
    assert len({one.id for one in daemon}) == len(titles)
    assert made.headlines["title"].to_list() == titles


# What it is for


def test_series_are_no_longer_learning_and_nothing_alerts(tmp_path: Path) -> None:
    calm = news(1500, begins=NOW - timedelta(days=49), apart=timedelta(minutes=47))
    rising = news(40, begins=NOW - timedelta(hours=10), apart=timedelta(minutes=10)).with_columns(
        title=pl.col("title") + " again",
        link=pl.col("link") + "-again",
        sentiment=pl.lit("negative"),
        negative=pl.lit(0.9, pl.Float32),
        neutral=pl.lit(0.05, pl.Float32),
        positive=pl.lit(0.05, pl.Float32),
        abstention=pl.lit("none"),
    )
    archive = kept(pl.concat([calm, rising]), tmp_path / "scored")
    settings = Settings()
    with Store.open(tmp_path / "s.duckdb", NOW) as store:
        store.watch(watched_series(settings), NOW - timedelta(days=1))
        backfill(archive, store, settings, NOW)
        pipeline = Pipeline.begin(settings, store, NOW)
        assert pipeline.detect(NOW) == ()
        assert pipeline.spikes(NOW) == ()
        assert store.counts().open_alerts == store.counts().pending_deliveries == 0
        # The same surge out of feeds is judged at once: what is usual is known from the archive.
        store.append(_fresh(40), NOW)
        verdicts = {one.series: one.verdict.value for one in pipeline.spikes(NOW)}
    assert verdicts["market"] != "learning"
    with Store.open(":memory:", NOW) as young:
        young.watch(watched_series(settings), NOW - timedelta(days=1))
        young.append(_fresh(40), NOW)
        assert {one.verdict.value for one in Pipeline.begin(settings, young, NOW).spikes(NOW)} == {"learning"}


def _fresh(rows: int) -> Batch:
    made = []
    for number in range(rows):
        at = NOW - timedelta(minutes=10 * number)
        # The houses of the archive: what others carry would be left out until they have a history.
        outlet, site = (("Reuters", "https://www.reuters.com"), ("Herald", "https://herald.example.org"))[number % 2]
        link = f"{site}/fresh/{number}"
        feed = feed_of(outlet, link)
        title = f"Bank number {number * 37 % 101} fails in city {number}"
        entry = Entry(feed.id, feed.publisher, "en", "", link, title, "", at, NOW)
        made.append(headline(entry, NOW, first_fetch=False, companies=MATCHER))
    assert {one.standing for one in made} == {Standing.FRESH}
    return Batch(headlines=made, scores={one.id: opinion("", 3) for one in made})


# What is left out, and what cannot be used


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


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05 10:00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00.25+02:00", datetime(2026, 1, 5, 8, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-05T10:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        (" 2026-01-05 ", datetime(2026, 1, 5, tzinfo=UTC)),
        ("2026-01-05T10:00+01:00", datetime(2026, 1, 5, 9, tzinfo=UTC)),
        ("2026-01-05T11:00Z", datetime(2026, 1, 5, 11, tzinfo=UTC)),
        ("2026-01-05T13:00:00+0200", datetime(2026, 1, 5, 11, tzinfo=UTC)),
        ("20260105T150000Z", datetime(2026, 1, 5, 15, tzinfo=UTC)),
        ("2026-01-05T16:00:00,5Z", datetime(2026, 1, 5, 16, 0, 0, 500_000, tzinfo=UTC)),
        ("05/01/2026", None),
        ("1767607200", None),
        ("1989-12-31T00:00:00Z", None),
        ("0001-01-01T00:00+05:00", None),
        ("2199-12-31T23:59:59Z", datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2200-01-01", None),
        ("9999-12-31T23:30-05:00", None),
    ],
)
def test_times_as_archives_write_them(told: str, at: datetime | None) -> None:
    """Beside another shape as alone, and as a CSV that is played has them."""
    frame = pl.DataFrame({"published": ["2026-01-05T09:00:00Z", told, None]})
    (_, found, none) = frame.select(published_of(frame.schema["published"])).to_series()
    assert (found, none) == (at, None)
    assert instant_of(told.strip()) == at


@hypothesis_settings(deadline=None)
@given(
    st.datetimes(
        datetime(1985, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        datetime(2205, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        timezones=st.one_of(
            st.none(), st.integers(-14 * 60, 14 * 60).map(lambda some: timezone(timedelta(minutes=some)))
        ),
    ),
    st.sampled_from(["hours", "minutes", "seconds", "milliseconds", "microseconds"]),
    st.sampled_from("T "),
    st.booleans(),
)
def test_many_times_at_once_are_read_as_one_by_one(at: datetime, exact: str, between: str, dense: bool) -> None:
    told = at.isoformat(between, exact)
    told = told.replace(":", "") if dense else told
    frame = pl.DataFrame({"published": [told]})
    assert frame.select(published_of(pl.String())).item() == instant_of(told)


def test_times_that_are_times_already() -> None:
    naive = datetime(2026, 1, 5, 10)  # noqa: DTZ001 - an archive's own column without a zone
    for series in (pl.Series("published", [naive]), pl.Series("published", [naive.replace(tzinfo=UTC)])):
        assert pl.select(pl.lit(series)).select(published_of(series.dtype)).item() == naive.replace(tzinfo=UTC)
    day = pl.Series("published", [naive.date()])
    assert day.to_frame().select(published_of(day.dtype)).item() == datetime(2026, 1, 5, tzinfo=UTC)


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
