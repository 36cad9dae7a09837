"""What Squall remembers of feeds, headlines and scores.

takes  a `Batch`: checks of feeds, headlines, and what the models say about them
gives  rows and hourly counts, in one transaction, and what the poller, the scorer and the stories ask back
never  counts a story twice in a series, and never loses what it has acknowledged, whenever the process dies

Frames are handed to DuckDB whole and written by set-based SQL; row by row is a hundred times slower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from monitor.errors import StoreBusy, StoreUnavailable
from monitor.feeds.feed import FeedState
from monitor.news.headlines import Headline
from monitor.news.identity import Known
from monitor.series import Scored
from monitor.storage.batch import Batch, Counts
from monitor.storage.database import FOLDING, MEMORY, Database, lent
from monitor.storage.keeping import (
    await_scores,
    forget_sightings,
    ids,
    keep_checks,
    keep_names,
    keep_scores,
    stored,
)
from monitor.storage.migrating import Migration, known_migrations, migrate
from monitor.storage.recounting import rebuild, rollup_faults
from monitor.storage.rows import FEEDS, HEADLINES, frame_of, headline_of, score_frame
from monitor.storage.watching import watch, watch_only
from monitor.storage.words import fold_words, keep_words

__all__ = ["Batch", "Counts", "Scored", "Store"]

PATIENCE = timedelta(seconds=3)
KEEP_SIGHTINGS = timedelta(hours=72)
KEEP_CHECKS = timedelta(days=30)
# What a feed still carries after this long is an archive by its date, whatever name it goes by then.
KEEP_NAMES = timedelta(days=45)
KEEP_ATTEMPTS = timedelta(days=90)


class Store:
    """The store, held by this process until it is closed. Safe for many threads.

    `Store.open` makes one; alerts and their deliveries are reached through `monitor.storage.alert_store.AlertStore`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(
        cls,
        path: Path | str,
        now: datetime,
        *,
        read_only: bool = False,
        memory_limit: str = "1GB",
        threads: int = 2,
        patience: timedelta = PATIENCE,
        migrations: tuple[Migration, ...] | None = None,
    ) -> Self:
        """Open the file, create it where there is none, and bring its tables up to date.

        Args:
            path: of the file, in a folder that exists, or ":memory:".
            read_only: hold it for reading only; nothing is created or brought up to date then.
            memory_limit, threads: most that the engine may use.
            patience: how long to try while another process holds the file; a reader holds it for a moment when no
                daemon runs.
            migrations: the steps of the schema; those that ship with this Squall when None.

        Raises:
            StoreLocked: another process holds the file.
            StoreTooNew: a newer Squall wrote it.
            StoreDamaged: the file is no Squall store, or broken.
            StoreUnavailable: it cannot be created, read or written.
        """
        if str(path) != MEMORY and not Path(path).parent.is_dir():
            raise StoreUnavailable(f"the store {path} cannot be created: make the folder {Path(path).parent} first")
        database = Database(path, read_only=read_only, memory_limit=memory_limit, threads=threads, patience=patience)
        steps = known_migrations() if migrations is None else migrations
        try:
            with database.reading() as cursor:
                migrate(cursor, database.path, now, steps, read_only=read_only)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go; a second time does nothing."""
        self.database.close()

    def reopen(self, patience: timedelta = timedelta(0)) -> None:
        """Open the file anew after `StoreUnavailable`; everything that was acknowledged is there.

        Raises:
            StoreError: when it still cannot be used; try again later.
        """
        self.database.reopen(patience)

    # What comes in

    def append(self, batch: Batch, now: datetime) -> tuple[int, ...]:
        """Remember a batch in one transaction: all of it or, on an error, nothing.

        A headline that is stored already is passed over, however often it comes; a score that it was still waiting
        for is taken.

        Returns:
            Ids of the headlines that are new, in the order of the batch.

        Raises:
            StoreUnavailable: when it cannot be written; after a fatal error `reopen` first.
        """
        by_id: dict[int, Headline] = {}
        for headline in batch.headlines:
            by_id.setdefault(headline.id, headline)
        arrived = frame_of(list(by_id.values()), HEADLINES)
        states = frame_of(list({check.feed: check.state for check in batch.checks}.values()), FEEDS)
        with self.database.writing(arrived=arrived, states=states) as connection:
            new = ids(
                connection,
                "INSERT INTO headlines BY NAME SELECT * FROM arrived ANTI JOIN archived ON archived.headline = id "
                "ON CONFLICT DO NOTHING RETURNING id",
            )
            keep_words(connection, new)
            keep_checks(connection, batch.checks, Counter(by_id[each].feed for each in new))
            keep_names(connection, batch.names, batch.revisions, now)
            connection.execute("INSERT OR REPLACE INTO feeds BY NAME SELECT * FROM states")
            await_scores(connection, new - batch.scores.keys())
            keep_scores(connection, {each: by_id[each] for each in new}, batch.scores, now)
            if late := batch.scores.keys() - new:
                keep_scores(connection, stored(connection, late), batch.scores, now)
        return tuple(each for each in by_id if each in new)

    def add_scores(self, scores: Mapping[int, Scored], now: datetime) -> tuple[int, ...]:
        """Remember scores of headlines that were stored without, and count them now; in one transaction.

        Returns:
            Ids of the headlines that were scored by this call; a headline that has a score keeps it.

        Raises:
            ValueError: on the id of a headline that is not stored; nothing is written then.
        """
        with self.database.writing() as connection:
            headlines = stored(connection, scores.keys())
            if strangers := scores.keys() - headlines.keys():
                raise ValueError(f"scores of headlines that are not stored: {sorted(strangers)[:3]}")
            kept = keep_scores(connection, headlines, scores, now)
        return tuple(each for each in scores if each in kept)

    def replace_scores(self, scores: Mapping[int, Scored]) -> None:
        """Put a new model's opinion in the place of an old one; `rebuild_rollups` afterwards, the counts are stale.

        Raises:
            ValueError: on the id of a headline that is not stored; nothing is written then.
        """
        with self.database.writing() as connection:
            headlines = stored(connection, scores.keys())
            if strangers := scores.keys() - headlines.keys():
                raise ValueError(f"scores of headlines that are not stored: {sorted(strangers)[:3]}")
            with lent(connection, replaced=score_frame(headlines.values(), scores)):
                connection.execute("DELETE FROM scores WHERE headline IN (SELECT headline FROM replaced)")
                connection.execute("INSERT INTO scores BY NAME SELECT * FROM replaced")
                connection.execute("DELETE FROM awaiting WHERE headline IN (SELECT headline FROM replaced)")

    def watch(self, series: Sequence[str], now: datetime) -> None:
        """Register series as watched since now; one that is watched already keeps its beginning."""
        watch(self.database, series, now)

    def watch_only(self, series: Sequence[str], silent: Sequence[str], now: datetime) -> None:
        """Watch these series and no others from now on; `silent` are counted, and may not alert."""
        watch_only(self.database, series, silent, now)

    def note(self, key: str, value: str) -> None:
        """Remember a fact about the daemon itself, shown to people as key and value; replaces the former one.

        Raises:
            ValueError: on a key that the store itself owns.
        """
        if key in {"schema_version", "written_by", "created_at"}:
            raise ValueError(f"{key} belongs to the store: choose another key")
        with self.database.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])

    # What is asked back

    def feed_states(self) -> dict[str, FeedState]:
        """What is remembered of every feed, by its id."""
        rows = self._read("SELECT * FROM feeds ORDER BY feed").to_dicts()
        return {row["feed"]: FeedState(**row) for row in rows}

    def known(self, ids: Collection[int]) -> set[int]:
        """Which of these headlines are stored, or were moved to the archive."""
        query = (
            "SELECT id FROM asked SEMI JOIN headlines USING (id) "
            "UNION SELECT id FROM asked SEMI JOIN archived ON archived.headline = id"
        )
        return set(self._asked(query, ids)["id"])

    def named(self, names: Collection[int]) -> dict[int, Known]:
        """Whom these names belong to: by name, for those that are stored."""
        rows = self._asked(
            "SELECT n.name, h.id, h.title, h.link FROM names n JOIN headlines h ON h.id = n.headline "
            "WHERE n.name IN (SELECT id FROM asked)",
            names,
        )
        return {name: Known(headline, title, link) for name, headline, title, link in rows.rows()}

    def remember(self, states: Sequence[FeedState]) -> None:
        """Remember states of feeds that were not checked."""
        with self.database.writing(states=frame_of(states, FEEDS)) as connection:
            connection.execute("INSERT OR REPLACE INTO feeds BY NAME SELECT * FROM states")

    def unscored(self, limit: int) -> list[Headline]:
        """Headlines that wait for a score, the latest first: they are what may alert."""
        rows = self._read(
            "SELECT * FROM headlines WHERE id IN (SELECT headline FROM awaiting) "
            "ORDER BY effective DESC, id LIMIT $limit",
            {"limit": limit},
        )
        return [headline_of(row) for row in rows.iter_rows(named=True)]

    def outdated(self, model: str, limit: int) -> list[Headline]:
        """Headlines whose score is another model's than this one, the latest first."""
        rows = self._read(
            "SELECT h.* FROM headlines h JOIN scores s ON s.headline = h.id "
            "WHERE s.model <> $model ORDER BY h.effective DESC, h.id LIMIT $limit",
            {"model": model, "limit": limit},
        )
        return [headline_of(row) for row in rows.iter_rows(named=True)]

    def recent_titles(self, since: datetime) -> list[tuple[int, str, str, datetime, str]]:
        """(story, title, summary, effective, publisher) of every headline from then on: for `Stories.restore`."""
        query = "SELECT story, title, summary, effective, publisher FROM headlines WHERE effective >= $since"
        return self._read(query, {"since": since}).rows()

    def notes(self) -> dict[str, str]:
        """Facts about the store and the daemon, by key."""
        return dict(self._read("SELECT key, value FROM meta ORDER BY key").iter_rows())

    def counts(self) -> Counts:
        """How much the store holds."""
        rows = self._read("""
            SELECT (SELECT count(*) FROM headlines) AS headlines, (SELECT count(*) FROM awaiting) AS awaiting_score,
                (SELECT count(*) FROM sightings) AS sightings, (SELECT count(*) FROM rollups) AS rollups,
                (SELECT count(*) FROM feeds) AS feeds,
                (SELECT count(*) FROM alerts WHERE state <> 'resolved') AS open_alerts,
                (SELECT count(*) FROM deliveries WHERE state = 'pending') AS pending_deliveries,
                (SELECT count(*) FROM deliveries WHERE state = 'dead') AS dead_deliveries
        """)
        return Counts(**rows.row(0, named=True))

    # Upkeep

    def maintain(
        self,
        now: datetime,
        *,
        keep_sightings: timedelta = KEEP_SIGHTINGS,
        keep_checks: timedelta = KEEP_CHECKS,
        keep_attempts: timedelta = KEEP_ATTEMPTS,
        keep_names: timedelta = KEEP_NAMES,
        patience: timedelta = FOLDING,
    ) -> None:
        """Forget what is no longer asked for, and fold the log into the file.

        Args:
            keep_sightings: how long after its last change a story is remembered in a series; not less than the
                longest window of detection, nor than the time within which headlines join a story.
            keep_checks: how long checks of feeds are kept.
            keep_attempts: how long attempts of messages that arrived are kept; those of the others stay.
            keep_names: how long a headline is recognised under another guid.
            patience: how long to wait for readers before the log is folded; if they go on, the next upkeep folds it.

        Raises:
            DiskNearlyFull: when there is too little room to fold the log into the file; what is due is forgotten.
            StoreUnavailable: when it cannot be written; `reopen` then.
        """
        with self.database.writing() as connection:
            forget_sightings(connection, now - keep_sightings)
            connection.execute('DELETE FROM checks WHERE "at" < ?', [now - keep_checks])
            connection.execute('DELETE FROM names WHERE "at" < ?', [now - keep_names])
            connection.execute(
                'DELETE FROM attempts WHERE "at" < ? '
                "AND delivery IN (SELECT id FROM deliveries WHERE state = 'delivered')",
                [now - keep_attempts],
            )
            fold_words(connection)
        with suppress(StoreBusy):
            self.database.checkpoint(patience)

    def rebuild_rollups(self, since: datetime | None = None) -> None:
        """Count anew, from headlines and scores, every hour from `since` on (or all), and the kept sightings."""
        with self.database.writing() as connection:
            rebuild(connection, since)

    def rollup_faults(self, since: datetime | None = None) -> pl.DataFrame:
        """Hours whose counts differ from a recount of headlines and scores; empty when all is well.

        Returns:
            series, hour, then headlines, stories, negative and tone as stored, and each as counted (`counted_*`);
            null where one side has no row.
        """
        with self.database.reading() as cursor:
            return rollup_faults(cursor, since)

    def _read(self, query: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        with self.database.reading() as cursor:
            rows: pl.DataFrame = cursor.sql(query, params=dict(params or {})).pl()
            return rows

    def _asked(self, query: str, ids: Collection[int]) -> pl.DataFrame:
        """What a query finds of these ids, which it reads as table `asked`: thousands, as a parameter, cost ten times
        as much."""
        frame = pl.DataFrame({"id": list(ids)}, schema={"id": pl.UInt64})
        with self.database.reading() as cursor, lent(cursor, asked=frame):
            rows: pl.DataFrame = cursor.sql(query).pl()
            return rows
