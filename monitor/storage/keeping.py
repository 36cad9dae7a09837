"""Writing a batch: the steps of one transaction.

takes  a connection in a transaction, checks, headlines and scores
gives  rows of checks, headlines, scores, sightings and rollups
never  begins or ends the transaction: `Store` does
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import duckdb
import polars as pl

from monitor.feeds.feed import Check
from monitor.news.counting import KNOWN, count
from monitor.news.headlines import Headline
from monitor.news.identity import Revision
from monitor.series import Scored
from monitor.storage.database import lent
from monitor.storage.rows import CHECKS, REVISIONS, arrival_frame, frame_of, framed, headline_of, score_frame


def ids(connection: duckdb.DuckDBPyConnection, statement: str) -> set[int]:
    """The ids that a statement gives back."""
    return set(connection.sql(statement).pl().to_series())


def instant(now: datetime) -> pl.Expr:
    """A column of one instant."""
    return pl.lit(now.astimezone(UTC), dtype=pl.Datetime("us", "UTC"))


def keep_checks(connection: duckdb.DuckDBPyConnection, checks: Sequence[Check], fresh: Mapping[str, int]) -> None:
    """Keep checks; `fresh` says by feed how many headlines were new."""
    rows = {name: [getattr(check, name) for check in checks] for name in CHECKS if name not in {"entries", "fresh"}}
    rows["entries"] = [len(check.entries) for check in checks]
    rows["fresh"] = [fresh[check.feed] for check in checks]
    with lent(connection, checked=framed(rows, CHECKS)):
        connection.execute("INSERT INTO checks BY NAME SELECT * FROM checked")


def keep_names(
    connection: duckdb.DuckDBPyConnection,
    names: Sequence[tuple[int, int]],
    revisions: Sequence[Revision],
    now: datetime,
) -> None:
    """Remember names that headlines go by, and titles that they were given; what is known already is passed over."""
    if names:
        columns = {"name": [name for name, _ in names], "headline": [headline for _, headline in names]}
        told = pl.DataFrame(columns, schema={"name": pl.UInt64, "headline": pl.UInt64})
        with lent(connection, told=told.unique().with_columns(at=instant(now))):
            connection.execute("INSERT INTO names BY NAME SELECT * FROM told ANTI JOIN names USING (name)")
    if revisions:
        with lent(connection, revised=frame_of(revisions, REVISIONS)):
            connection.execute(
                "INSERT INTO revisions BY NAME SELECT * FROM revised ANTI JOIN revisions USING (headline, title)"
            )


def await_scores(connection: duckdb.DuckDBPyConnection, headlines: Collection[int]) -> None:
    """Remember that these headlines have no score yet."""
    if not headlines:
        return
    with lent(connection, waiting=pl.DataFrame({"headline": list(headlines)}, schema={"headline": pl.UInt64})):
        connection.execute("INSERT INTO awaiting BY NAME SELECT * FROM waiting")


def stored(connection: duckdb.DuckDBPyConnection, asked: Collection[int]) -> dict[int, Headline]:
    """The stored headlines among these ids."""
    with lent(connection, asked=pl.DataFrame({"id": list(asked)}, schema={"id": pl.UInt64})):
        rows = connection.sql("SELECT * FROM headlines WHERE id IN (SELECT id FROM asked)").pl()
    return {row["id"]: headline_of(row) for row in rows.iter_rows(named=True)}


def keep_scores(
    connection: duckdb.DuckDBPyConnection,
    headlines: Mapping[int, Headline],
    scores: Mapping[int, Scored],
    now: datetime,
) -> set[int]:
    """Write the scores of these headlines that have none yet, and count them; which they were."""
    if not scores or not headlines:
        return set()
    scored = score_frame([headline for each, headline in headlines.items() if each in scores], scores)
    if scored.is_empty():
        return set()
    with lent(connection, scored=scored):
        kept = ids(
            connection, "INSERT INTO scores BY NAME SELECT * FROM scored ON CONFLICT DO NOTHING RETURNING headline"
        )
        connection.execute("DELETE FROM awaiting WHERE headline IN (SELECT headline FROM scored)")
    keep_counts(connection, arrival_frame([headlines[each] for each in kept], scored), now)
    return kept


def keep_counts(connection: duckdb.DuckDBPyConnection, arrivals: pl.DataFrame, now: datetime) -> None:
    """Fold arrivals (columns of `ARRIVALS`) into sightings and rollups."""
    columns = ", ".join(f'"{name}"' for name in KNOWN)
    with lent(connection, arrivals=arrivals):
        # Constants of this file stand in the statement, no value of a caller.
        known = connection.sql(f"SELECT {columns} FROM sightings SEMI JOIN arrivals USING (series, story)").pl()  # noqa: S608
    counted = count(arrivals, known)
    with lent(
        connection,
        told=counted.known.with_columns(changed_at=instant(now)),
        changes=counted.changes,
        spoke=counted.sources,
        about=counted.affinities,
    ):
        connection.execute("""
            MERGE INTO sightings USING told USING (series, story)
            WHEN MATCHED THEN UPDATE BY NAME
            WHEN NOT MATCHED THEN INSERT BY NAME
        """)
        connection.execute("""
            MERGE INTO rollups USING changes ON rollups.series = changes.series AND rollups.hour = changes.hour
            WHEN MATCHED THEN UPDATE SET
                headlines = rollups.headlines + changes.headlines, stories = rollups.stories + changes.stories,
                negative = rollups.negative + changes.negative, tone = rollups.tone + changes.tone
            WHEN NOT MATCHED THEN INSERT BY NAME
        """)
        connection.execute("""
            MERGE INTO sources USING spoke ON sources.publisher = spoke.publisher AND sources.hour = spoke.hour
            WHEN MATCHED THEN UPDATE SET
                headlines = sources.headlines + spoke.headlines, negative = sources.negative + spoke.negative
            WHEN NOT MATCHED THEN INSERT BY NAME
        """)
        connection.execute("""
            MERGE INTO affinities USING about ON affinities.series = about.series
                AND affinities.publisher = about.publisher AND affinities.day = about.day
            WHEN MATCHED THEN UPDATE SET negative = affinities.negative + about.negative
            WHEN NOT MATCHED THEN INSERT BY NAME
        """)


def forget_sightings(connection: duckdb.DuckDBPyConnection, before: datetime) -> None:
    """Forget stories that changed last before then, save those with a headline that waits for its score.

    When that came, they would be taken for new, and count twice.
    """
    connection.execute(
        "DELETE FROM sightings WHERE changed_at < ? "
        "AND story NOT IN (SELECT story FROM headlines SEMI JOIN awaiting ON awaiting.headline = headlines.id)",
        [before],
    )
