"""A store for tests: invented headlines with opinions, how they are appended, and what is counted of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from models.score import Abstention, Score
from monitor.news.headlines import Headline, Standing
from monitor.storage.store import Batch, Scored, Store

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def headline(id_: int, at: datetime = NOON, **changes: Any) -> Headline:
    plain = Headline(
        id=id_,
        feed="wire",
        publisher="wire",
        title=f"Bank {id_} in trouble",
        summary="",
        link=f"https://news.example/{id_}",
        language="en",
        published=at,
        fetched=at,
        effective=at,
        standing=Standing.FRESH,
        companies=(),
        story=id_,
    )
    return replace(plain, **changes)


def scored(negative: float = 0.75, *themes: str, abstention: Abstention = Abstention.NONE) -> Scored:
    rest = (1 - negative) / 4
    return Scored(Score(negative, rest, 3 * rest, (("Macro", 0.5),), "model-1", abstention), themes)


def append(store: Store, *pairs: tuple[Headline, Scored | None], now: datetime = NOON) -> tuple[int, ...]:
    told = {each.id: opinion for each, opinion in pairs if opinion is not None}
    return store.append(Batch(headlines=[each for each, _ in pairs], scores=told), now)


def rollup(store: Store, series: str = "market") -> list[tuple[int, int, int, int]]:
    """(hour of the day, headlines, stories, negative) of a series."""
    query = """SELECT hour(hour), headlines, stories, negative FROM rollups WHERE series = $series ORDER BY hour"""
    with store.database.reading() as cursor:
        return cursor.sql(query, params={"series": series}).fetchall()


def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    with store.database.reading() as cursor:
        frame: pl.DataFrame = cursor.sql(query).pl()
    return frame.rows()


@pytest.fixture(scope="module")
def shared_store() -> Any:
    """One store for the many examples of a law, each of which begins with `emptied`."""
    with Store.open(":memory:", NOON) as opened:
        yield opened


@contextmanager
def emptied(store: Store) -> Iterator[Store]:
    with store.database.writing() as connection:
        for table in ("headlines", "scores", "awaiting", "sightings", "rollups", "feeds", "checks"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a name from the line above
    yield store
