"""What a page reads, and for which time.

takes  a `Reader`, which answers the named questions of monitor/storage/queries.py
gives  frames and small values, ready for charts and tables
never  knows SQL, nor whether a daemon or a file answers
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

import polars as pl

from alerts.rules import Rules

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_BASELINE = timedelta(days=28)
_MOST_SERIES = 2000
_LEAST_SURPLUS = 1.0


class Reader(Protocol):
    """Who answers questions about the store."""

    @property
    def live(self) -> bool:
        """Whether the daemon gave the last answer; False when the file was read."""
        ...

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """The answer to one named question; raises `monitor.errors.MonitorError` when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Status:
    """How much there is and how fresh it is; times are aware UTC, None when there was none yet."""

    headlines: int
    scored: int
    first_hour: datetime | None
    last_hour: datetime | None
    watched_since: datetime | None
    series: int
    feeds: int
    feeds_failing: int
    last_check_at: datetime | None
    last_success_at: datetime | None
    last_entry_at: datetime | None
    next_check_at: datetime | None
    model: str | None
    deliveries_pending: int
    deliveries_dead: int

    @property
    def as_of(self) -> datetime | None:
        """The time that the data speak of: the last check that a feed answered, else the last hour with headlines."""
        known = [at for at in (self.last_success_at, self.last_hour) if at is not None]
        return max(known, default=None)

    @property
    def unscored(self) -> int:
        """Headlines that wait for the model."""
        return max(0, self.headlines - self.scored)


def status(reader: Reader) -> Status:
    """What the store holds."""
    row = reader.query("status").row(0, named=True)
    return Status(**{field.name: row[field.name] for field in fields(Status)})


def notes(reader: Reader) -> dict[str, str]:
    """What the daemon noted about itself."""
    return {str(key): str(value) for key, value in reader.query("meta").iter_rows()}


def learning_days(noted: Mapping[str, str]) -> float:
    """Days of history that a series needs before it may alert, as the daemon noted them; else the default."""
    try:
        return float(json.loads(noted["rules"])["learning_days"])
    except (KeyError, TypeError, ValueError):
        return Rules().learning_days


class Choice(StrEnum):
    """The time ranges that a page offers."""

    DAY = "24 hours"
    WEEK = "7 days"
    MONTH = "28 days"
    ALL = "All"


@dataclass(frozen=True, slots=True)
class Period:
    """A range of time, `until` left out, and the step in which it is shown: 'hour', 'day' or 'month'."""

    since: datetime
    until: datetime
    step: str

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None or self.since >= self.until:
            raise ValueError(f"a period needs aware times in order, not {self.since} to {self.until}")


def period(choice: Choice, known: Status, now: datetime, *, live: bool) -> Period:
    """The range that a choice means.

    It ends with the current hour. When nobody writes, it ends with the last hour that holds headlines: yesterday's
    file shows yesterday, not an empty page.
    """
    until = _floor_hour(now) + _HOUR
    if not live and known.last_hour is not None:
        until = min(until, _floor_hour(known.last_hour) + _HOUR)
    if choice is Choice.DAY:
        return Period(until - _DAY, until, "hour")
    if choice is Choice.WEEK:
        return Period(until - 7 * _DAY, until, "hour")
    if choice is Choice.MONTH or known.first_hour is None:
        return Period(_floor_day(until - 28 * _DAY), until, "day")
    since = _floor_day(min(known.first_hour, until - _HOUR))
    return Period(
        since, until, "hour" if until - since <= 8 * _DAY else "day" if until - since <= 800 * _DAY else "month"
    )


def series(reader: Reader, over: Period) -> pl.DataFrame:
    """Every series with its counts in the period and what was usual before it, most negative stories first."""
    return reader.query(
        "series", since=over.since, until=over.until, baseline=over.since - _BASELINE, limit=_MOST_SERIES
    )


def trend(reader: Reader, name: str, over: Period) -> pl.DataFrame:
    """One series over the period, a row for each step that saw a story."""
    return reader.query("trend", series=name, step=over.step, since=over.since, until=over.until)


def headlines(
    reader: Reader, name: str, over: Period, *, text: str, negative_only: bool, limit: int = 200
) -> pl.DataFrame:
    """The latest headlines of a series in the period; those that contain `text` when it is not empty."""
    asked: Mapping[str, object] = {
        "series": name,
        "since": over.since,
        "until": over.until,
        "negative_only": negative_only,
        "limit": limit,
    }
    if wanted := text.strip():
        return reader.query("search", text=wanted, **asked)
    return reader.query("headlines", **asked)


def alerts(reader: Reader, since: datetime, until: datetime, *, name: str = "", limit: int = 500) -> pl.DataFrame:
    """Alerts that were open at some time in the range, of one series or of all."""
    return reader.query("alerts", series=name, since=since, until=until, limit=limit)


def standing_out(counted: pl.DataFrame, most: int) -> pl.DataFrame:
    """Series with more negative stories than usual, those that stand out most first; the market is not among them."""
    surplus = (pl.col("negative") - pl.col("usual_negative")) / (pl.col("usual_negative") + 1).sqrt()
    return (
        counted.filter(pl.col("series") != "market", pl.col("negative") > pl.col("usual_negative").fill_null(0.0))
        .with_columns(surplus=surplus.fill_null(0.0))
        .filter((pl.col("surplus") >= _LEAST_SURPLUS) | pl.col("usual_negative").is_null())
        .sort("surplus", "negative", "series", descending=[True, True, False])
        .head(most)
    )


def choices(counted: pl.DataFrame, chosen: str, companies: int = 60) -> list[str]:
    """Series to choose from: the market, topics, themes, and the companies with the most stories.

    Sorted by kind and name, so that an option keeps its place while counts change.
    """
    kind = pl.col("series").str.split(":").list.first()
    busy = counted.filter(kind == "company").sort("stories", "series", descending=[True, False]).head(companies)
    named = set(counted.filter(~kind.is_in(["company", "market"]))["series"].to_list()) | set(busy["series"].to_list())
    order = {"topic": 0, "theme": 1, "company": 3}
    rest = sorted((named | {chosen}) - {"market"}, key=lambda one: (order.get(one.partition(":")[0], 2), one.lower()))
    return ["market", *rest]


@dataclass(frozen=True, slots=True)
class Story:
    """One story behind an alert; `negative` is the model's probability, 0 to 1."""

    title: str
    publishers: tuple[str, ...]
    link: str
    at: datetime
    negative: float


def stories(evidence: str) -> tuple[Story, ...]:
    """The evidence column of an alert, as the store keeps it (a JSON list); entries that are broken are left out."""
    found = []
    for entry in json.loads(evidence):
        try:
            at = datetime.fromisoformat(entry["at"])
            publishers = tuple(str(one) for one in entry["publishers"])
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            found.append(Story(str(entry["title"]), publishers, str(entry["link"]), at, float(entry["negative"])))
        except (KeyError, TypeError, ValueError):
            continue
    return tuple(sorted(found, key=lambda story: story.at, reverse=True))


def _floor_hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _floor_day(at: datetime) -> datetime:
    return _floor_hour(at).replace(hour=0)
