"""How long one look takes: a store of 900 series with 60 days of history, read and judged as the daemon does.

    python benchmarks/looks.py [--series 900] [--days 60] [--looks 10]

Prints the processor time of reading and of judging, and how many series stirred. The store is invented and in memory.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from alerts.detection.sources import AFFINITIES, SOURCES
from alerts.detection.spikes import spikes
from alerts.detection.windows import HISTORY, MARKET, SIGHTINGS, WATCHED, Past, windows
from alerts.rules import Rules
from monitor.service.detecting import Detecting
from monitor.storage.alert_store import AlertStore
from monitor.storage.database import MEMORY
from monitor.storage.store import Store

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
BUCKET = NOW.replace(minute=0)
HOUR = timedelta(hours=1)
FAMILIES = 80


def frames(series: int, days: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, Past]:
    """History, sightings, watched and past: rates fall off as a power law, as those of companies do."""
    random = np.random.default_rng(1)
    names = [MARKET, *(f"topic:{n}" for n in range(20)), *(f"theme:{n}" for n in range(16))]
    names += [f"company:{n}" for n in range(series - len(names))]
    rates = 40 / (np.arange(series) + 1.0) / 24
    rates[0] = 100 / 24
    hours = days * 24
    negative = random.poisson(rates[:, None], (series, hours))
    stories = negative + random.poisson(3 * rates[:, None], (series, hours))
    row, column = np.nonzero(stories)
    stamps = np.array(
        [np.datetime64((BUCKET - (hours - 1 - n) * HOUR).replace(tzinfo=None), "us") for n in range(hours)]
    )

    def at(columns: np.ndarray) -> pl.Series:  # type: ignore[type-arg]  # of any integer kind
        return pl.Series(stamps[columns]).dt.replace_time_zone("UTC")

    labels = np.array(names, dtype=object)
    history = pl.DataFrame(
        {"series": labels[row], "hour": at(column), "stories": stories[row, column], "negative": negative[row, column]}
    ).sort("hour")
    late = negative[:, -10 * 24 :]
    row, column = np.nonzero(late)
    again = np.repeat(np.arange(len(row)), late[row, column])
    carried = [[f"house-{n}" for n in random.choice(FAMILIES, 1 + random.geometric(0.6), replace=False)] for _ in again]
    sightings = pl.DataFrame(
        {
            "series": labels[row[again]],
            "story": np.arange(len(again), dtype=np.uint64),
            "negative_at": at(column[again] + hours - 10 * 24),
            "publishers": carried,
        }
    )
    family, hour = np.nonzero(random.random((FAMILIES, hours)) < 0.5)
    sources = pl.DataFrame(
        {
            "publisher": np.array([f"house-{n}" for n in range(FAMILIES)], dtype=object)[family],
            "hour": at(hour),
            "headlines": np.full(len(hour), 4),
            "negative": np.ones(len(hour), dtype=np.int64),
        }
    ).sort("hour")
    affinities = pl.DataFrame(
        [(name, f"house-{n}", 3) for name in names[:300] for n in range(0, FAMILIES, 9)],
        schema=dict(AFFINITIES),
        orient="row",
    )
    watched = pl.DataFrame([(name, NOW - days * 24 * HOUR) for name in names], schema=dict(WATCHED), orient="row")
    history, sightings = history.cast(dict(HISTORY)), sightings.cast(dict(SIGHTINGS))  # type: ignore[arg-type]  # polars takes either
    return history, sightings, watched, Past(sources.cast(dict(SOURCES)), affinities)  # type: ignore[arg-type]  # likewise


def kept(store: Store, history: pl.DataFrame, sightings: pl.DataFrame, watched: pl.DataFrame, past: Past) -> None:
    """Write the frames into the store's tables."""
    rows = history.with_columns(headlines=pl.col("stories"), tone=pl.lit(0.0))
    seen = sightings.with_columns(
        at=pl.col("negative_at"), headline=pl.col("story"), tone=pl.lit(0.0), fresh=pl.lit(True), changed_at=pl.lit(NOW)
    )
    about = past.affinities.with_columns(day=pl.lit(NOW - 3 * 24 * HOUR).dt.truncate("1d"))
    with store.database.writing(r=rows, s=seen, w=watched, o=past.sources, a=about) as connection:
        for table, name in (
            ("rollups", "r"),
            ("sightings", "s"),
            ("series", "w"),
            ("sources", "o"),
            ("affinities", "a"),
        ):
            connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {name}")  # noqa: S608 - names of this file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=900)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--looks", type=int, default=10)
    asked = parser.parse_args()
    rules = Rules()
    given = frames(asked.series, asked.days)
    judging, whole = [], []
    with Store.open(MEMORY, NOW) as store:
        kept(store, *given)
        detecting = Detecting(store.database, AlertStore(store), rules, {})
        for _ in range(asked.looks):
            begun = time.process_time()
            found = windows(*given[:3], NOW, rules, given[3])
            spikes(found, rules)
            judging.append(time.process_time() - begun)
            begun = time.process_time()
            detecting.spikes(NOW)
            whole.append(time.process_time() - begun)
    stirred = len({window.series for window in found})
    print(f"{len(given[0])} hourly rows, {len(given[1])} sightings, {stirred} series with news, {len(found)} windows")
    print(f"judging {statistics.median(judging) * 1000:.0f} ms, with reading {statistics.median(whole) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
