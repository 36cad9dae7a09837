"""A store of millions of headlines, made by SQL inside DuckDB: what the dashboard is measured against.

takes  how many headlines over how many days
gives  a store as a daemon would have left it: headlines, scores, index of words, rollups, sources, alerts, deliveries
never  speaks of real news: titles are drawn from the word counts that ship with Squall, by how often words occur
"""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

import monitor.news
from models.score import TOPICS
from monitor.news.companies import gazetteer
from monitor.series import sector_of
from monitor.storage.store import Store

CHUNK = 500_000
_THEMES = ("bank-stress", "default", "fraud", "cyber-attack", "profit-warning", "layoffs", "sanctions", "recall")
_WORDS_A_TITLE = 9
_DRAWS = 1 << 16

# A number of its own goes into each hash: with two arguments the low bits of hash(i, 7) would tell those of hash(i, 9),
# and most themes would have no headline at all.
_HEADLINES = """
    INSERT INTO headlines BY NAME
    SELECT hash(n + 11) AS id, 'feed-' || (hash(n + 1) % 200) AS feed, 'publisher-' || (hash(n + 1) % 60) AS publisher,
        array_to_string([drawn[1 + (hash(n + 100 + k) % {draws})::BIGINT] for k in range({words})], ' ') AS title,
        '' AS summary, 'https://news.example/' || hash(n + 11) AS link, 'en' AS language, "at" AS published,
        "at" + INTERVAL 40 SECOND AS fetched, "at" AS effective, 'fresh' AS standing,
        CASE WHEN hash(n + 2) % 5 = 0 THEN hash(n - 245) ELSE hash(n + 11) END AS story,
        CASE WHEN hash(n + 3) % 4 = 0
            THEN [tickers[1 + (pow((hash(n + 4) % 10000) / 10000.0, 3) * {companies})::BIGINT]] ELSE [] END AS companies
    FROM (SELECT i * 256 AS n, $begin::TIMESTAMPTZ + to_microseconds((i * $gap::DOUBLE)::BIGINT) AS "at"
          FROM range($first::BIGINT, $last::BIGINT) r(i)), drawn_words, drawn_tickers
"""

_SCORES = """
    INSERT INTO scores BY NAME
    SELECT * EXCLUDE (companies), list_transform(series, lambda one: sentiment = 'negative') AS series_negative,
        list_transform(series, lambda one: positive - negative) AS series_tone,
        companies AS towards, list_transform(companies, lambda one: negative) AS towards_negative,
        list_transform(companies, lambda one: positive) AS towards_positive
    FROM (
        SELECT id AS headline, effective, 'model-1' AS model, negative, 1 - negative - positive AS neutral, positive,
            CASE WHEN negative > 0.5 THEN 'negative' WHEN positive > 0.5 THEN 'positive' ELSE 'neutral' END
                AS sentiment,
            CASE WHEN hash(id + 8) % 25 = 0 THEN 'unsure' ELSE 'none' END AS abstention,
            [topic] AS topics, [0.9::FLOAT] AS topic_probabilities, themes, companies,
            list_concat(['market', 'topic:' || topic], list_transform(themes, lambda one: 'theme:' || one),
                list_transform(companies, lambda one: 'sector:' || coalesce(sectors[one], 'Other')),
                list_transform(companies, lambda one: 'company:' || one)) AS series
        FROM (
            SELECT id, effective, companies, sectors,
                (CASE WHEN hash(id + 5) % 8 = 0 THEN 0.9 ELSE 0.1 END)::FLOAT AS negative,
                (CASE WHEN hash(id + 5) % 8 > 5 THEN 0.8 ELSE 0.05 END)::FLOAT AS positive,
                topic_names[1 + (hash(id + 6) % 20)::BIGINT] AS topic,
                CASE WHEN hash(id + 7) % 12 = 0 THEN [theme_names[1 + (hash(id + 9) % 8)::BIGINT]] ELSE [] END AS themes
            FROM headlines, drawn_series WHERE effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ
        )
    )
"""

_COUNTS = """
    INSERT INTO rollups
        SELECT series, date_trunc('hour', effective), count(*)::INTEGER, count(*)::INTEGER,
            (count(*) FILTER (negative))::INTEGER, sum(tone)
        FROM (SELECT unnest(series) AS series, effective, unnest(series_negative) AS negative,
                unnest(series_tone)::DOUBLE AS tone FROM scores
              WHERE effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ)
        GROUP BY ALL ORDER BY 2, 1
"""

_SOURCES = """
    INSERT INTO sources
        SELECT publisher, date_trunc('hour', h.effective), count(*)::INTEGER,
            (count(*) FILTER (sentiment = 'negative'))::INTEGER
        FROM headlines h JOIN scores s ON s.headline = h.id AND s.effective = h.effective
        WHERE h.effective >= $since::TIMESTAMPTZ AND h.effective < $until::TIMESTAMPTZ
        GROUP BY ALL ORDER BY 2, 1
"""

_WORDS = """
    INSERT INTO words SELECT unnest(findable(title, companies)) AS word, effective, id FROM headlines
    WHERE effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ ORDER BY word, effective, id
"""

_REST = (
    "INSERT INTO series SELECT DISTINCT series, $begin::TIMESTAMPTZ FROM rollups",
    """
    INSERT INTO feeds (feed, url, name, publisher, added_at, last_check_at, last_success_at, next_check_at, failures,
        outcome, reason)
    SELECT 'feed-' || i, 'https://feeds.example/' || i, 'Feed ' || i, 'publisher-' || (i % 60), $begin::TIMESTAMPTZ,
        $end::TIMESTAMPTZ, $end::TIMESTAMPTZ, $end::TIMESTAMPTZ + INTERVAL 10 MINUTE, 0, 'unchanged', ''
    FROM range(200) r(i)
    """,
    """
    INSERT INTO checks SELECT 'feed-' || (i % 200), $end::TIMESTAMPTZ - to_seconds(i * 9), 'new', '', 200, 20,
        (i % 4)::INTEGER, 20000, 180 FROM range(288000) r(i)
    """,
    """
    INSERT INTO alerts BY NAME
    SELECT 'alert_' || i AS id, 'theme:' || (CASE WHEN i % 2 = 0 THEN 'bank-stress' ELSE 'layoffs' END) AS series,
        CASE WHEN i < 6 THEN 'firing' ELSE 'resolved' END AS state,
        CASE i % 3 WHEN 0 THEN 'critical' WHEN 1 THEN 'warning' ELSE 'info' END AS severity, opened_at,
        opened_at AS fired_at, opened_at AS last_spike_at,
        CASE WHEN i < 6 THEN NULL ELSE opened_at + INTERVAL 9 HOUR END AS resolved_at, 12 AS hours, 14 AS observed,
        3.2 AS expected, 1e-7 AS p_value, 14 AS peak_observed, 3.2 AS peak_expected, 1e-7 AS peak_p_value,
        opened_at AS peak_at, '[]' AS evidence
    FROM (SELECT i, $end::TIMESTAMPTZ - to_hours(i * 6 + 2) AS opened_at FROM range(1000) r(i))
    """,
    """
    INSERT INTO changes SELECT id, opened_at, 'fired', 'pending', 'firing', severity, 14, 3.2, 1e-7, NULL FROM alerts

    """,
    """
    INSERT INTO deliveries BY NAME SELECT 'msg_' || a.id || c.channel AS id, a.id AS alert, 'fired' AS reason,
        c.channel,
        'delivered' AS state, a.opened_at AS created_at, 1 AS attempts, a.opened_at AS finished_at,
        'delivered' AS outcome, '{}' AS payload
    FROM alerts a, (VALUES ('mail'), ('chat'), ('hook')) c(channel)
    """,
    """
    INSERT INTO attempts SELECT id, created_at, 'delivered', '', 120, NULL, NULL FROM deliveries

    """,
)


def build(path: Path, headlines: int, days: int, end: datetime) -> None:
    """Write a store that ends at `end` (aware UTC); one that was cut off is gone on with."""
    with Store.open(path, end - timedelta(days=days), memory_limit="4GB") as store:
        noted = store.notes()
        if "built" in noted:
            return
        end = datetime.fromisoformat(noted.get("end", end.isoformat()))
        begin = end - timedelta(days=days)
        gap = timedelta(days=days) / headlines / timedelta(microseconds=1)
        store.note("end", end.isoformat())
        store.note("rules", '{"learning_days": 7}')
        with store.database.reading() as connection:
            _draw(connection)
            (done,) = connection.execute("SELECT count(*) FROM headlines").fetchone() or (0,)
            for first in range(done, headlines, CHUNK):
                last = min(first + CHUNK, headlines)
                since, until = (begin + timedelta(microseconds=at * gap) for at in (first, last))
                connection.execute("BEGIN")
                _fill(connection, first, last, begin, gap)
                for statement in (_SCORES, _WORDS, _SOURCES):
                    connection.execute(statement, {"since": since, "until": until})
                connection.execute("COMMIT")
                connection.execute("CHECKPOINT")
                print(f"{last:,} headlines", flush=True)
            _finish(connection, begin, end, days)
        store.note("built", end.isoformat())


def _finish(connection: duckdb.DuckDBPyConnection, begin: datetime, end: datetime, days: int) -> None:
    connection.execute("BEGIN")
    # Not chunk by chunk: an hour that two chunks share is to be counted once.
    for year in range(0, days, 365):
        since = (begin + timedelta(days=year)).replace(minute=0, second=0)
        until = min(end + timedelta(hours=1), (begin + timedelta(days=year + 365)).replace(minute=0, second=0))
        connection.execute(_COUNTS, {"since": since, "until": until})
    for statement in _REST:
        values = {"begin": begin, "end": end}
        connection.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement})
    connection.execute("COMMIT")
    connection.execute("CHECKPOINT")


def _fill(connection: duckdb.DuckDBPyConnection, first: int, last: int, begin: datetime, gap: float) -> None:
    statement = _HEADLINES.format(draws=_DRAWS, words=_WORDS_A_TITLE, companies=len(gazetteer()) - 1)
    connection.execute(statement, {"first": first, "last": last, "begin": begin, "gap": gap})


def _draw(connection: duckdb.DuckDBPyConnection) -> None:
    """Temporary tables of one row: words as often as they occur, tickers, and names of series."""
    counts = Path(monitor.news.__file__).with_name("word_counts.csv")
    with counts.open(encoding="utf-8") as lines:
        rows = [row for row in csv.reader(lines) if row and not row[0].startswith("#")][1:]
    total = sum(int(row[1]) for row in rows)
    drawn = [row[0] for row in rows for _ in range(max(1, round(int(row[1]) / total * _DRAWS)))]
    drawn = (drawn * 2)[:_DRAWS]
    tickers = [company.ticker for company in gazetteer()]
    connection.execute("CREATE TEMP TABLE drawn_words AS SELECT ?::VARCHAR[] AS drawn", [drawn])
    connection.execute("CREATE TEMP TABLE drawn_tickers AS SELECT ?::VARCHAR[] AS tickers", [tickers])
    known = sector_of()
    connection.execute(
        "CREATE TEMP TABLE drawn_series AS SELECT ?::VARCHAR[] AS topic_names, ?::VARCHAR[] AS theme_names, "
        "map(?::VARCHAR[], ?::VARCHAR[]) AS sectors",
        [list(TOPICS), list(_THEMES), list(known), list(known.values())],
    )
