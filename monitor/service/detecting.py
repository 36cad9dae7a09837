"""Detection over the store: now, or at an earlier moment.

takes  a way to ask the store, rules, weights, and a moment
gives  `Spike`s; findings that are kept beside the alerts they led to
never  decides: `alerts.detection.windows` and `alerts.detection.spikes` do, on the same frames whenever it is asked
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Protocol

import polars as pl

from alerts.detection.frames import MARKET
from alerts.detection.severity import Gravity, Severity
from alerts.detection.sources import SourceChange, source_changes
from alerts.detection.spikes import Considered, Spike, Verdict, spikes
from alerts.detection.windows import Outlook, Past, outlooks, windows
from alerts.lifecycle import Change, ChangeReason
from alerts.memory import Memory
from alerts.rules import Detector, Rules
from monitor.storage.database import Database
from monitor.storage.detection_queries import DETECTION

_KEPT = frozenset({ChangeReason.OPENED, ChangeReason.FIRED, ChangeReason.ESCALATED})
_FINDING: dict[str, pl.DataType] = {
    "series": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "finding": pl.String(),
}


class Asks(Protocol):
    """Whoever answers the questions of `monitor.storage.detection_queries`."""

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """The answer to one of them."""
        ...


class Direct:
    """Asks the store of this process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """See `Asks`."""
        with self._database.reading() as cursor:
            rows: pl.DataFrame = cursor.sql(DETECTION[name].sql, params=params).pl()
            return rows


class Detecting:
    """Looks for surges in the store of this process, and remembers what it found where an alert changed."""

    def __init__(self, database: Database, memory: Memory, rules: Rules, weights: Mapping[str, float]) -> None:
        self._database = database
        self._asks = Direct(database)
        self._memory = memory
        self._rules = rules
        self._weights = weights

    def spikes(self, now: datetime) -> tuple[Spike, ...]:
        """The most telling window of every series that has something to tell at `now`."""
        rules, watched = self._rules, self._memory.watched()
        history = self._memory.history(now - timedelta(days=rules.baseline_days) - rules.longest_window, now)
        sightings = self._memory.sightings(now - rules.lookback - timedelta(hours=1), now)
        past = _past(self._asks, now, rules, self._weights)
        return _spikes(history, sightings, watched, now, rules, past)

    def source_changes(self, now: datetime) -> tuple[SourceChange, ...]:
        """Publishers whose output changed of late."""
        return source_changes(_sources(self._asks, now, self._rules), now, self._rules.learning_days)

    def story_title(self, story: int) -> str:
        """The title of a story's first headline; empty when it is gone."""
        found = self._asks.query("story_title", story=story)
        return str(found["title"][0]) if len(found) else ""

    def keep(self, changes: Sequence[Change], found: Sequence[Spike]) -> None:
        """Keep the finding behind every alert that opens, fires or becomes graver.

        Written before the change itself: a finding without its alert does no harm, an alert without one cannot be
        explained.

        Raises:
            StoreUnavailable: when it cannot be written.
        """
        series = {change.alert.series for change in changes if change.reason in _KEPT}
        rows = [(spike.series, spike.at, finding_json(spike, self._rules)) for spike in found if spike.series in series]
        if rows:
            with self._database.writing(found=pl.DataFrame(rows, schema=_FINDING, orient="row")) as connection:
                connection.execute(
                    'INSERT INTO findings BY NAME SELECT * FROM found ANTI JOIN findings USING (series, "at")'
                )


def look_back(asks: Asks, at: datetime, rules: Rules, weights: Mapping[str, float]) -> tuple[Spike, ...]:
    """What detection says of a moment, from what had been fetched by then, under today's rules.

    Args:
        asks: a `monitor.storage.reading.Reader`, or `Direct`.
        at: aware UTC.
    """
    history = asks.query("past_counts", since=at - timedelta(days=rules.baseline_days) - rules.longest_window, until=at)
    sightings = asks.query("past_sightings", since=at - rules.lookback - timedelta(hours=1), until=at)
    return _spikes(history, sightings, asks.query("watched"), at, rules, _past(asks, at, rules, weights))


def outlook_back(asks: Asks, series: str, at: datetime, rules: Rules, weights: Mapping[str, float]) -> Outlook:
    """What would have alerted in a watched series at a moment."""
    history = asks.query("past_counts", since=at - timedelta(days=rules.baseline_days) - rules.longest_window, until=at)
    past, watched = _past(asks, at, rules, weights), asks.query("watched")
    return outlooks(only_watched(history, watched), watched, [series], at, rules, past)[0]


def only_watched(rows: pl.DataFrame, watched: pl.DataFrame) -> pl.DataFrame:
    """Rows of watched series and the market: what may not alert has no share of the false alerts either."""
    return rows.filter(pl.col("series").is_in(watched["series"].implode()) | (pl.col("series") == MARKET))


def changes_back(asks: Asks, at: datetime, rules: Rules) -> tuple[SourceChange, ...]:
    """Publishers whose output had changed at a moment."""
    return source_changes(_sources(asks, at, rules), at, rules.learning_days)


def finding_json(spike: Spike, rules: Rules) -> str:
    """A spike and the rules it was judged by, as JSON; stories by id."""
    told = asdict(spike) | {"rules": rules.model_dump(mode="json")}
    if spike.gravity is not None:
        told["gravity"] |= {"score": spike.gravity.score, "words": spike.gravity.words}
    return json.dumps(told, default=str)


def read_finding(finding: str) -> tuple[Spike, Rules]:
    """A kept finding, and the rules it was judged by.

    Raises:
        ValueError: when another version of Squall wrote it in a form that this one does not know.
    """
    told = json.loads(finding)
    try:
        rules = Rules.model_validate(told.pop("rules"))
        weighed = told.pop("gravity")
        considered = tuple(
            Considered(**{**one, "detector": Detector(one["detector"]), "verdict": Verdict(one["verdict"])})
            for one in told.pop("considered")
        )
        since = told.pop("since")
        spike = Spike(
            **{
                **told,
                "at": datetime.fromisoformat(told["at"]),
                "since": datetime.fromisoformat(since) if since else None,
                "stories": tuple(told["stories"]),
                "verdict": Verdict(told["verdict"]),
                "severity": Severity(told["severity"]),
                "detector": Detector(told["detector"]),
                "gravity": Gravity(**{name: weighed[name] for name in ("rarity", "size", "breadth", "weight")})
                if weighed
                else None,
                "considered": considered,
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this finding was written by another version: {error}") from error
    return spike, rules


def _spikes(
    history: pl.DataFrame, sightings: pl.DataFrame, watched: pl.DataFrame, now: datetime, rules: Rules, past: Past
) -> tuple[Spike, ...]:
    known, seen = only_watched(history, watched), only_watched(sightings, watched)
    return spikes(windows(known, seen, watched, now, rules, past), rules)


def _past(asks: Asks, now: datetime, rules: Rules, weights: Mapping[str, float]) -> Past:
    since = now - timedelta(days=rules.baseline_days)
    until = now - timedelta(hours=rules.left_out_hours)
    return Past(_sources(asks, now, rules), asks.query("affinities", since=since, until=until), weights)


def _sources(asks: Asks, now: datetime, rules: Rules) -> pl.DataFrame:
    return asks.query("sources", since=now - timedelta(days=rules.baseline_days) - rules.longest_window, until=now)
