"""An archive beside feeds: what they brought is not taken again, series need not learn, and nobody is told."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path

import polars as pl

from monitor.archives.backfill import backfill
from monitor.archives.dated import dated, published_of
from monitor.feeds.feed import Check, Entry, Outcome, unseen
from monitor.news.headlines import Standing, headline
from monitor.news.intake import intake
from monitor.news.names import named
from monitor.news.outlets import feed_of
from monitor.news.stories import Stories
from monitor.service.pipeline import Pipeline
from monitor.settings import Settings
from monitor.storage.store import Batch, Store
from monitor.watched import watched_series

SCENE = runpy.run_path(str(Path(__file__).with_name("backfill_scene.py")))
BEGINS, MATCHER, NOW, kept, news = (SCENE[name] for name in ("BEGINS", "MATCHER", "NOW", "kept", "news"))
opinion = SCENE["opinion"]


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
