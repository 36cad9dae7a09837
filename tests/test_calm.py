"""The short way over past weeks: to the last digit what full looks give, whatever was tried on them before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from alerts.detection.frames import HISTORY, MARKET, WATCHED
from alerts.detection.grid import Grid
from alerts.detection.sources import SOURCES
from alerts.detection.spikes import Spike, Verdict
from alerts.detection.usual import Usual
from alerts.rules import Detector, Rules
from monitor.backtesting import calm
from monitor.backtesting.tuning import Tried, Weeks, tried

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS, HOURS = 2, 24 * 27
BEGUN = NOW - HOURS * HOUR
# Nobody watches the last: its stories step up with the others' for all that.
COMPANIES = [f"company:{name}" for name in "ABCDEFGHIJKLMNOP"]
NAMES = [MARKET, "topic:Macro", *COMPANIES]
HOUSES = ("globe", "herald", "post", "times", "wire")
RULES = Rules(
    windows=(1, 6, 24), baseline_days=14, learning_days=3, slow_days=4, false_alerts_per_week=1.0, recovering_minutes=60
)
# Each of these turns something that windows or verdicts rest on, and none of them what the one before it did.
TURNED: tuple[dict[str, object], ...] = (
    {},
    {"minimum_ratio": 1.2},
    {"false_alerts_per_week": 30.0},
    {"minimum_negative": 2, "false_alerts_per_week": 10.0},
    {"minimum_publishers": 1, "breaking_publishers": 2, "breaking_hours": 12},
    {"false_discovery_rate": 0.5, "false_alerts_per_week": 50.0, "minimum_ratio": 1.0},
    {"windows": (2, 12), "false_alerts_per_week": 30.0},
    {"detectors": ("volume", "slow"), "false_alerts_per_week": 30.0},
    {"learning_days": 9.5, "false_alerts_per_week": 30.0},
    {"leave_out_hours": 60, "false_alerts_per_week": 30.0},
    {"baseline_days": 10, "false_alerts_per_week": 30.0},
    {"slow_days": 3, "false_alerts_per_week": 30.0},
)


class World:
    """Four weeks of invented headlines, as the named queries tell of them."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        rate = np.concatenate([[0.9], 0.06 * random.gamma(1.0, 1.0, len(COMPANIES))])
        days = random.gamma(4.0, 0.25, (len(rate), HOURS // 24 + 1)).repeat(24, axis=1)[:, :HOURS]
        usual = rate[:, None] * days
        for row in random.choice(len(rate), 9):
            begin = int(random.integers(HOURS - 24 * DAYS - 12, HOURS - 4))
            usual[row, begin : begin + int(random.integers(2, 30))] += random.choice([0.3, 1.0, 3.0])
        self._stories = self._told(random, random.poisson(usual))
        hours = self._stories.with_columns(hour=pl.col("negative_at").dt.truncate("1h"))
        negative = hours.group_by("series", "hour").agg(negative=pl.col("story").n_unique().cast(pl.Int64))
        more = random.poisson(3 * rate.sum() * (1 + np.sin(np.arange(HOURS) / 24 * 2 * np.pi) / 2))
        calm_hours = pl.DataFrame({"series": MARKET, "hour": [BEGUN + n * HOUR for n in range(HOURS)], "more": more})
        self._history = (
            negative.join(calm_hours, on=["series", "hour"], how="full", coalesce=True)
            .fill_null(0)
            .select("series", "hour", stories=pl.col("negative") * 2 + pl.col("more"), negative="negative")
            .cast({"hour": pl.Datetime("us", "UTC")})
            .sort("hour", "series")
        )
        by_house = hours.filter(series=MARKET).group_by("publisher", "hour").agg(negative=pl.len().cast(pl.Int64))
        self._sources = by_house.with_columns(headlines=pl.col("negative") * 3 + 2).select(*SOURCES)
        day = hours.with_columns(day=pl.col("negative_at").dt.truncate("1d"))
        self._affinities = day.group_by("series", "publisher", "day").agg(negative=pl.len().cast(pl.Int64))
        since = [BEGUN - DAY] * (len(NAMES) - 2) + [NOW - 5 * DAY]
        self._watched = pl.DataFrame({"series": NAMES[:-1], "since": since}, WATCHED)

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """The answer to one of the named queries."""
        if name == "watched":
            return self._watched
        frame, when = {
            "past_counts": (self._history.select(*HISTORY), "hour"),
            "sources": (self._sources, "hour"),
            "daily_affinities": (self._affinities, "day"),
            "past_negatives": (self._stories, "negative_at"),
        }[name]
        since, until = params["since"], params["until"]
        assert isinstance(since, datetime)
        assert isinstance(until, datetime)
        return frame.filter(pl.col(when).is_between(since, until))

    def _told(self, random: np.random.Generator, counts: NDArray[np.int64]) -> pl.DataFrame:
        """One row a series, story and publisher; some copies come late, and a house is new of late."""
        rows = []
        story = 0
        for row, hour in zip(*np.nonzero(counts), strict=True):
            for _ in range(counts[row, hour]):
                story += 1
                at = BEGUN + int(hour) * HOUR + int(random.integers(0, 3600)) * timedelta(seconds=1)
                houses = HOUSES if at > NOW - 4 * DAY else HOUSES[:-1]
                some = random.choice(houses, min(1 + int(random.poisson(0.7)), len(houses)), replace=False)
                late = [minutes * timedelta(minutes=1) for minutes in random.exponential(40, len(some)).tolist()]
                series = [NAMES[row + 1]] if row else []
                fresh = bool(random.random() < 0.97)
                for one in [MARKET, *series]:
                    for house, minutes in zip(some.tolist(), late, strict=True):
                        seen = at + minutes if house != some[0] else at + timedelta(minutes=3)
                        rows.append((one, story, house, seen, at + minutes / 2, seen, fresh))
        columns = ("series", "story", "publisher", "fetched", "negative_at", "negative_fetched", "fresh")
        return pl.DataFrame(rows, list(columns), orient="row").cast({"story": pl.UInt64})


class Thorough(Weeks):
    """Looks in full, always."""

    def telling(
        self, now: datetime, rules: Rules, weights: Mapping[str, float], opened: Collection[str]
    ) -> tuple[Spike, ...]:
        """All that detection says."""
        return self.spikes(now, rules, weights)


def turned(by: Mapping[str, object]) -> Rules:
    return Rules.model_validate({**RULES.model_dump(), **by})


@pytest.fixture(scope="module")
def world() -> World:
    return World(7)


@pytest.fixture(scope="module")
def warm(world: World) -> Weeks:
    """Weeks on which one set of rules after the other is tried."""
    return Weeks(world, NOW, DAYS, turned({"slow_days": 4}))


@pytest.fixture(scope="module")
def thorough(world: World) -> Thorough:
    return Thorough(world, NOW, DAYS, RULES)


@pytest.fixture(scope="module")
def today(thorough: Thorough) -> Tried:
    """What the rules of today give, looked at in full."""
    return tried(thorough, RULES, {}, seconds=3000)


@pytest.mark.parametrize("by", TURNED, ids=lambda by: ",".join(by) or "none")
def test_what_was_tried_before_changes_no_alert(
    world: World, warm: Weeks, thorough: Thorough, today: Tried, by: Mapping[str, object]
) -> None:
    """Against weeks that nothing was tried on, and against full looks: the same to the last digit, twice."""
    rules = turned(by)
    expected = tried(thorough, rules, {}, seconds=3000)
    assert expected.whole
    assert tried(warm, rules, {}, seconds=3000) == expected
    assert tried(Weeks(world, NOW, DAYS, RULES), rules, {}, seconds=3000) == expected
    assert tried(warm, RULES, {}, seconds=3000) == today
    assert tried(warm, rules, {}, seconds=3000) == expected


def test_the_world_is_one_in_which_rules_matter(warm: Weeks) -> None:
    found = [tried(warm, turned(by), {}, seconds=3000).alerts for by in TURNED]
    assert found[0]
    assert len(set(found)) > len(TURNED) / 2


@pytest.mark.parametrize("by", TURNED[:6], ids=lambda by: ",".join(by) or "none")
def test_a_surge_is_told_as_a_full_look_tells_it(warm: Weeks, thorough: Thorough, by: Mapping[str, object]) -> None:
    """All of it, down to each window that was considered; but nobody asks what would have been noticed."""
    rules = turned(by)
    surges = 0
    for hours in range(1, 24 * DAYS, 3):
        at = warm.since + hours * HOUR
        full = thorough.spikes(at, rules, {})
        surging = tuple(replace(one, smallest_detectable=0) for one in full if one.verdict is Verdict.SURGE)
        assert warm.telling(at, rules, {}, ()) == surging
        surges += len(surging)
    assert surges


def test_a_series_with_an_open_alert_is_told_of_though_it_does_not_surge(warm: Weeks, thorough: Thorough) -> None:
    told = 0
    for hours in range(2, 24 * DAYS, 7):
        at = warm.since + hours * HOUR
        full = {one.series: one for one in thorough.spikes(at, RULES, {})}
        mine = {one.series: one for one in warm.telling(at, RULES, {}, NAMES)}
        assert set(mine) == set(full) & {*NAMES, *(name for name, one in full.items() if one.verdict is Verdict.SURGE)}
        for name, one in mine.items():
            other = full[name]
            assert (one.p_value, one.observed, one.expected) == (other.p_value, other.observed, other.expected)
            assert (one.verdict is Verdict.SURGE) == (other.verdict is Verdict.SURGE)
            assert (one.verdict is Verdict.LEARNING) == (other.verdict is Verdict.LEARNING)
            told += one.verdict is not Verdict.SURGE
    assert told


def test_weights_are_part_of_what_is_kept(warm: Weeks, thorough: Thorough) -> None:
    heavy = {COMPANIES[0]: 8.0, COMPANIES[3]: 0.2}
    for weights in ({}, heavy):
        assert tried(warm, turned(TURNED[2]), weights, seconds=3000) == tried(
            thorough, turned(TURNED[2]), weights, seconds=3000
        )


def test_what_was_found_is_judged_anew_and_not_found_anew(warm: Weeks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other limits need no further window, and another ratio nothing that was not learned."""
    others: tuple[dict[str, object], ...] = (
        {},
        {"false_alerts_per_week": 0.9, "warning_score": 1.0},
        {"minimum_publishers": 3},
    )
    stricter: dict[str, object] = {"minimum_ratio": 4.0}
    for by in (*others, stricter):
        tried(warm, turned(by), {}, seconds=3000)
    expected = [tried(warm, turned(by), {}, seconds=3000) for by in (*others, stricter)]

    def anew(*_: object, **__: object) -> None:
        raise AssertionError("found anew")

    monkeypatch.setattr(Grid, "usual", anew)
    assert tried(warm, turned({"minimum_ratio": 3.9}), {}, seconds=3000).whole
    monkeypatch.setattr(Usual, "windows", anew)
    monkeypatch.setattr(Usual, "rarest", anew)
    assert [tried(warm, turned(by), {}, seconds=3000) for by in (*others, stricter)] == expected


def test_what_is_kept_is_bounded(world: World, today: Tried, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calm, "_MOST_MOMENTS", 5)
    monkeypatch.setattr(calm, "_MOST_WINDOWS", 50)
    weeks = Weeks(world, NOW, DAYS, RULES)
    assert tried(weeks, RULES, {}, seconds=3000) == today


def test_no_series_shows_anything_rarer_than_its_bound(warm: Weeks) -> None:
    """Where it is passed over without its windows: each of them, judged by any rules, comes more often."""
    looked_at = 0
    for hours in range(3, 24 * DAYS, 5):
        at = warm.since + hours * HOUR
        for rules in (RULES, turned({"minimum_ratio": 1.2, "minimum_negative": 2}), turned({"detectors": ("slow",)})):
            names = [name for name in NAMES if name in warm.calm.series]
            bounds = warm.calm.rarest(at, rules, {}, names)
            for spike in warm.spikes(at, rules, {}):
                for one in spike.considered:
                    if spike.series in bounds:
                        looked_at += 1
                        assert one.per_week / rules.part(one.detector) >= bounds[spike.series] * (1 - 1e-9)
    assert looked_at


def test_the_rules_that_windows_rest_on_are_known() -> None:
    """A new rule is either named where things are kept by it, or one that only judges: this fails until it is."""
    judging = {
        "false_alerts_per_week",
        "false_discovery_rate",
        "minimum_publishers",
        "breaking_publishers",
        "breaking_hours",
        "warning_score",
        "critical_score",
        "lingering_probability",
        "pending_minutes",
        "recovering_minutes",
    }
    resting = {"windows", "detectors", "baseline_days", "learning_days", "leave_out_hours", "slow_days"}
    assert set(Rules.model_fields) == judging | resting | {"minimum_negative", "minimum_ratio"}
    assert set(Detector) == {Detector.VOLUME, Detector.TONE, Detector.SLOW, Detector.BREAKING}
