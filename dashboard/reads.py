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
from typing import Protocol

import polars as pl
from pydantic import ValidationError

from alerts.detection.bands import BAND, band
from alerts.rules import Rules
from dashboard.periods import Choice, Period, between, counted, period, told_time
from monitor.storage.words import wanted

__all__ = ["Choice", "Period", "between", "counted", "period", "told_time"]

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_BASELINE = timedelta(days=28)
_MOST_SERIES = 2000
# A band is learned from a year at most: as long as the choice of one, which begins with a day.
_LONGEST_BASELINE = timedelta(days=367)
# Of a range the last part is asked first; then as much as would hold enough at that pace, and half as much again.
_FIRST_PART, _SPARE, _NEARLY_ALL = 1 / 64, 1.5, 0.8


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


def rules(noted: Mapping[str, str]) -> Rules:
    """The rules that the daemon noted; the default ones when it noted none, or ones that are not understood."""
    try:
        return Rules.model_validate_json(noted["rules"])
    except (KeyError, ValidationError):
        return Rules()


def series(reader: Reader, over: Period) -> pl.DataFrame:
    """Every series with its counts in the period and what was usual before it, most negative stories first."""
    return reader.query(
        "series", since=over.since, until=over.until, baseline=over.since - _BASELINE, limit=_MOST_SERIES
    )


def trend(reader: Reader, name: str, over: Period) -> pl.DataFrame:
    """One series over the period, a row for each step (`Period.steps`) that saw a story."""
    found = reader.query("trend", series=name, step=over.step, zone=over.zone.name, since=over.since, until=over.until)
    if over.step == "hour" or found.is_empty():
        return found
    # The store tells whole days and months, by its own almanac of zones. The first step may be a part of one, and days
    # may begin an hour apart where two almanacs differ, or where a midnight comes twice.
    steps = pl.DataFrame({"step": over.steps[:-1]}, schema={"step": found.schema["at"]})
    placed = found.join_asof(steps, left_on="at", right_on="step", strategy="nearest")
    return placed.with_columns(at="step").drop("step")


def watched(reader: Reader, name: str) -> bool:
    """Whether a series may alert."""
    return not reader.query("watched_since", series=name).is_empty()


def usual(reader: Reader, name: str, over: Period, known: Rules) -> pl.DataFrame:
    """What was usual in each step of the period (`alerts.detection.bands.BAND`); no row while that is not known."""
    begun = reader.query("watched_since", series=name)
    if begun.is_empty() or over.step == "month":
        return pl.DataFrame(schema=BAND)
    since = max(min(over.since, over.until - known.baseline_days * _DAY), over.until - _LONGEST_BASELINE)
    counts = reader.query("hours", series=name, since=since, until=over.until)
    return band(counts, name, begun["since"].item(), [at for at in over.steps if at >= since], known)


@dataclass(frozen=True, slots=True)
class Sift:
    """Which headlines are wanted: words of the title, a tone ('negative', ..., 'unsure'), a publisher; '' is any."""

    text: str = ""
    tone: str = ""
    publisher: str = ""
    negative_only: bool = False


_ANY = Sift()


def headlines(reader: Reader, name: str, over: Period, sift: Sift = _ANY, *, limit: int = 200) -> pl.DataFrame:
    """The latest headlines of a series in the period that pass, newest first; columns of query `latest`.

    A short range is asked first: it is answered fast, and where much is written it holds enough. What it holds tells
    how much of the rest to ask for: all of it only where that is too little as well.
    """
    words = wanted(" ".join([sift.text, *([f"${ticker}"] if (ticker := _ticker(name)) else [])]))
    # What is negative in a company's series is so towards the company.
    towards = bool(ticker) and sift.tone == "negative"
    asked: dict[str, object] = {
        "series": name,
        "negative_only": sift.negative_only or towards,
        "tone": "" if towards else sift.tone,
        "publisher": sift.publisher,
        "limit": limit,
    }
    if sift.text.strip() and not wanted(sift.text).ranges:
        return reader.query("latest", **{**asked, "since": over.since, "until": over.until, "limit": 0})
    query, more = ("latest", {}) if words.empty else ("search", words.params())
    part = _FIRST_PART
    while True:
        since = over.until - (over.until - over.since) * part
        found = reader.query(query, **asked, **more, since=since, until=over.until)
        if found.height >= limit or part == 1:
            return found
        part = _next_part(part, found.height, limit)


def _next_part(part: float, found: int, limit: int) -> float:
    """How much of a range to ask after `part` of it held `found`: all of it where hardly less would be enough."""
    wanted_part = part * _SPARE * limit / found if found and part == _FIRST_PART else 1.0
    return wanted_part if wanted_part < _NEARLY_ALL else 1.0


def distinct(found: pl.DataFrame) -> pl.DataFrame:
    """Headlines (query `latest`) by story: a row each, that of its most negative headline, with all who carry it.

    Columns: those of the query, `publishers` (first to carry it first), `copies`, `first_at`, `last_at`; newest story
    first.
    """
    if found.is_empty():
        return found.with_columns(
            publishers=pl.lit(None, pl.List(pl.String)),
            copies=pl.lit(None, pl.UInt32),
            first_at=pl.col("effective"),
            last_at=pl.col("effective"),
        )
    about = found.group_by("story").agg(
        publishers=pl.col("publisher").sort_by("effective").unique(maintain_order=True),
        copies=pl.len(),
        first_at=pl.col("effective").min(),
        last_at=pl.col("effective").max(),
    )
    worst = found.sort("negative", "effective", "id", descending=[True, False, False]).unique("story", keep="first")
    return worst.join(about, on="story").sort("last_at", "id", descending=[True, False])


def heat(reader: Reader, kind: str, over: Period, counted: pl.DataFrame, cells: int = 28) -> pl.DataFrame:
    """Every series of a kind in up to `cells` equal stretches of time, against what it had before the period.

    Args:
        counted: `series` of the same period.

    Columns: series, at, stories, negative, tone, usual (negative stories; null without history), surplus: how far
    negative stories are above usual, in standard deviations of a chance that knows no more.
    """
    hours = max(1, -(-int((over.until - over.since) / _HOUR) // cells))
    found = reader.query("heat", kind=kind, hours=hours, since=over.since, until=over.until)
    before = counted.select("series", usual=pl.col("usual_negative") * hours / ((over.until - over.since) / _HOUR))
    surplus = (pl.col("negative") - pl.col("usual")) / (pl.col("usual") + 1).sqrt()
    return found.join(before, on="series", how="left").with_columns(
        surplus=surplus, until=pl.min_horizontal(pl.col("at") + pl.duration(hours=hours), pl.lit(over.until))
    )


def moves(reader: Reader, over: Period, *, least: int = 4, limit: int = 8) -> pl.DataFrame:
    """Companies whose tone changed most against the four weeks before, with at least `least` stories in both."""
    return reader.query(
        "moves", least=least, baseline=over.since - _BASELINE, since=over.since, until=over.until, limit=limit
    )


def alerts(reader: Reader, since: datetime, until: datetime, *, name: str = "", limit: int = 500) -> pl.DataFrame:
    """Alerts that were open at some time in the range, of one series or of all."""
    return reader.query("alerts", series=name, since=since, until=until, limit=limit)


def choices(counted: pl.DataFrame, chosen: str, companies: int = 200) -> list[str]:
    """Series to choose from: the market, topics, themes, sectors, and the companies with the most stories.

    Sorted by kind and name, so that an option keeps its place while counts change.
    """
    kind = pl.col("series").str.split(":").list.first()
    busy = counted.filter(kind == "company").sort("stories", "series", descending=[True, False]).head(companies)
    named = set(counted.filter(~kind.is_in(["company", "market"]))["series"].to_list()) | set(busy["series"].to_list())
    order = {"topic": 0, "theme": 1, "sector": 2, "company": 4}
    rest = sorted((named | {chosen}) - {"market"}, key=lambda one: (order.get(one.partition(":")[0], 3), one.lower()))
    return ["market", *rest]


@dataclass(frozen=True, slots=True)
class Story:
    """One story behind an alert; `negative` is the model's probability, 0 to 1."""

    title: str
    publishers: tuple[str, ...]
    link: str
    at: datetime
    negative: float
    id: int = 0


def stories(evidence: str) -> tuple[Story, ...]:
    """The evidence column of an alert, as the store keeps it (a JSON list); entries that are broken are left out."""
    found = []
    for entry in json.loads(evidence):
        try:
            at = datetime.fromisoformat(entry["at"])
            publishers = tuple(str(one) for one in entry["publishers"])
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            title, link, negative = str(entry["title"]), str(entry["link"]), float(entry["negative"])
            found.append(Story(title, publishers, link, at, negative, int(entry.get("story", 0))))
        except (KeyError, TypeError, ValueError):
            continue
    return tuple(sorted(found, key=lambda story: story.at, reverse=True))


def _ticker(name: str) -> str:
    kind, _, ticker = name.partition(":")
    return ticker if kind == "company" else ""
