"""Backup and restore of a large store, timed, and held against the original row by row.

python benchmarks/backup.py --folder FOLDER [--gigabytes 10]

The store is filled by SQL with headlines, scores, counts and alerts of the real schema. Summaries are noise of the
full length that Squall keeps, which hardly compresses: a gigabyte of news has more rows. A store grows over months, so
filling is not part of the measurement. Needs twice the size on the disk.

1. `copy_store` while a writer appends batches: seconds, and how long the slowest batch waited, beside the same without
   a copy; then again with nobody writing
2. `look_into`: reading the copy from end to end; its fingerprints against those of the store
3. `restore` into an empty place: copying, sha256, fingerprints of every table compared, marking
4. rows and fingerprints of the restored store against those of the original
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from monitor.news.headlines import Headline, Standing
from monitor.storage.backup import copy_store, look_into, restore
from monitor.storage.database import Database
from monitor.storage.integrity import tables
from monitor.storage.store import Batch, Store

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROWS = 250_000  # of one filling
# More than a row group of the engine has, so that within one no text comes twice.
NOISES = 130_000
ROW_BYTES = 2_200  # about what a headline costs in this store
FILLING = """
INSERT INTO headlines
    SELECT hash(t.n), 'feed-' || t.n % 200, 'house-' || t.n % 90,
        md5(t.n::VARCHAR) || ' ' || md5((t.n * 3)::VARCHAR),
        text, 'https://news.example/' || t.n, 'en', moment, moment, moment, 'fresh', hash(t.n - t.n % 3),
        ['JPM']
    FROM (SELECT n, $begin::TIMESTAMPTZ + to_seconds(n) AS moment FROM range($first, $last) told(n)) t
    JOIN noise ON noise.n = t.n % $noises;
INSERT INTO scores (headline, effective, model, negative, neutral, positive, sentiment, abstention, topics,
        topic_probabilities, themes, series, towards, towards_negative, towards_positive, series_negative, series_tone)
    SELECT hash(n), $begin::TIMESTAMPTZ + to_seconds(n), 'fast-0000000000', random(), random(), random(),
        'neutral', 'none', ['Macro'], [random()], [], ['market', 'company:JPM', 'topic:Macro'], ['JPM'], [random()],
        [random()], [false, false, false], [0.1, 0.2, 0.1]
    FROM range($first, $last) told(n);
INSERT INTO rollups
    SELECT 'company:' || c, date_trunc('hour', $begin::TIMESTAMPTZ + to_seconds(n)), 3, 2, 1, 0.1
    FROM range($first, $last, 3600) told(n), range(1000) companies(c);
INSERT INTO alerts
    SELECT 'a' || n, 'company:' || n % 1000, 'resolved', 'warning', moment, moment, moment, moment, 3, 5, 0.5, 0.001,
        5, 0.5, 0.001, moment, '[]', NULL
    FROM (SELECT n, $begin::TIMESTAMPTZ + to_seconds(n) AS moment FROM range($first, $last, 20000) told(n));
"""


def noise() -> pl.DataFrame:
    """Texts of 1,980 characters that hardly compress."""
    drawn = np.random.default_rng(7).bytes(1_485 * NOISES)
    told = base64.b64encode(drawn).decode()
    return pl.DataFrame({"n": np.arange(NOISES), "text": [told[1_980 * at : 1_980 * (at + 1)] for at in range(NOISES)]})


def fill(path: Path, size: int) -> int:
    """Fill a store until its file has so many bytes; how many headlines it took."""
    first, texts, rows = 0, noise(), min(ROWS, max(10_000, size // ROW_BYTES))
    with Store.open(path, NOW, memory_limit="2GB") as store:
        while path.stat().st_size < size:
            asked = {"first": first, "last": first + rows, "begin": NOW - timedelta(days=400), "noises": NOISES}
            with store.database.writing(noise=texts) as connection:
                for statement in FILLING.split(";\n"):
                    if statement.strip():
                        connection.execute(statement, {key: asked[key] for key in asked if f"${key}" in statement})
            store.database.checkpoint()
            first += rows
            print(f"{first} headlines, {path.stat().st_size / 2**30:.2f} GiB", file=sys.stderr, flush=True)
    return first


def one(number: int) -> Headline:
    return Headline(
        id=number,
        feed="wire",
        publisher="wire",
        title=f"Written meanwhile {number}",
        summary="",
        link=f"https://news.example/meanwhile/{number}",
        language="en",
        published=NOW,
        fetched=NOW,
        effective=NOW,
        standing=Standing.FRESH,
        companies=(),
        story=number,
    )


def while_writing(store: Store, work: Callable[[], None]) -> list[float]:
    """Do it while another thread stores batches of 50 headlines; seconds that each batch took."""
    over, took = threading.Event(), []

    def write() -> None:
        number = int(time.monotonic() * 1000) * 1000
        while not over.is_set():
            begun = time.monotonic()
            store.append(Batch(headlines=[one(number + each) for each in range(50)]), NOW)
            took.append(time.monotonic() - begun)
            number += 50
            over.wait(0.2)

    writer = threading.Thread(target=write)
    writer.start()
    work()
    over.set()
    writer.join()
    return took


def timed(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return round(time.monotonic() - begun, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--gigabytes", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="squall-backup-", dir=options.folder) as folder:
        told = measured(Path(folder), round(options.gigabytes * 2**30))
    print(json.dumps(told, indent=1))
    sys.exit(0 if told["the same rows"] and told["restored whole"] else 1)


def measured(folder: Path, size: int) -> dict[str, object]:
    path, copy, beside = folder / "squall.duckdb", folder / "backup.duckdb", folder / "beside.duckdb"
    told: dict[str, object] = {"seconds to fill": timed(lambda: fill(path, size)), "bytes": path.stat().st_size}
    with Store.open(path, NOW, memory_limit="2GB") as store:
        alone = while_writing(store, lambda: time.sleep(15))
        busy = while_writing(
            store,
            lambda: told.update(
                {"seconds to copy beside a writer": timed(lambda: copy_store(store.database, beside, NOW))}
            ),
        )
        told["slowest batch, alone"], told["slowest batch, beside a copy"] = round(max(alone), 2), round(max(busy), 2)
        told["headlines written beside the copy"] = 50 * len(busy)
        beside.unlink()
        begun = time.monotonic()
        original = tables(store.database)
        told["seconds to read every value"] = round(time.monotonic() - begun, 1)
        begun = time.monotonic()
        made = copy_store(store.database, copy, NOW)
        told["seconds to copy"] = seconds = round(time.monotonic() - begun, 1)
        told["MiB a second"] = round(made.bytes / 2**20 / seconds)
    begun = time.monotonic()
    manifest = look_into(copy, made)
    told["seconds to look into it"] = round(time.monotonic() - begun, 1)
    told["the same rows"] = manifest.tables == original
    path.unlink()
    told["seconds to restore"] = timed(lambda: restore(copy, path, NOW))
    database = Database(path, read_only=True)
    restored = tables(database)
    database.close()
    # `meta` bears the mark of the restoring.
    told["restored whole"] = all(restored[name] == original[name] for name in original if name != "meta")
    told["rows"] = {name: table.rows for name, table in restored.items() if table.rows}
    return told


if __name__ == "__main__":
    main()
