"""An archive for tests: invented dated news with invented opinions, kept as scored Parquet, and what comes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from models.score import Abstention, CompanyScore, Score
from monitor.archives.opinions import opinion_frame
from monitor.archives.slices import Archive
from monitor.news.companies import CompanyMatcher
from monitor.series import Scored
from monitor.storage.store import Store

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
