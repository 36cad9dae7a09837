"""Other rules on the last weeks of a store: the same answers as detection gives, within a limit of time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from alerts.detection.spikes import Spike, Verdict
from alerts.rules import Rules
from models.score import Score
from monitor.backtesting.tuning import Weeks, tried
from monitor.errors import ServiceError
from monitor.news.headlines import Headline, Standing
from monitor.service.detecting import look_back
from monitor.storage.reading import Reader
from monitor.storage.store import Batch, Scored, Store

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SURGE = NOW - 3 * DAY
RULES = Rules(learning_days=5, baseline_days=30)
FEW = Rules(**{**RULES.model_dump(), "minimum_negative": 500, "breaking_publishers": 50})


def headline(id_: int, at: datetime, late: timedelta = timedelta(0)) -> Headline:
    title, house = f"Headline {id_}", ("wire", "post", "times")[id_ % 3]
    return Headline(
        id_, "wire", house, title, "", f"https://news.example/{id_}", "en", at, at + late, at, Standing.FRESH, (), id_
    )


def scored(negative: float, *themes: str) -> Scored:
    return Scored(Score(negative, (1 - negative) / 2, (1 - negative) / 2, (("Macro", 0.9),), "model-1"), themes)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty calm days with two headlines an hour, and six hours of bad news about banks three days ago."""
    path = tmp_path_factory.mktemp("tuning") / "squall.duckdb"
    begun = NOW - 40 * DAY
    with Store.open(path, begun) as opened:
        opened.watch(["market", "topic:Macro", "theme:bank-stress"], begun)
        calm = [headline(n, begun + n * HOUR / 2) for n in range(1, 40 * 48)]
        scores = {one.id: scored(0.9 if one.id % 40 == 0 else 0.1) for one in calm}
        opened.append(Batch(headlines=calm, scores=scores), begun)
        surge = [headline(10_000 + n, SURGE + n * HOUR / 4, timedelta(minutes=20)) for n in range(24)]
        opened.append(Batch(headlines=surge, scores={one.id: scored(0.95, "bank-stress") for one in surge}), NOW)
    return path


@pytest.fixture(scope="module")
def weeks(store: Path) -> Weeks:
    with Reader.open(store) as reader:
        return Weeks(reader, NOW, 6, RULES)


def test_it_finds_what_happened_and_stricter_rules_do_not(weeks: Weeks) -> None:
    found = tried(weeks, RULES, {}, seconds=300)
    assert found.whole
    assert found.step_hours == 1
    bank = next(one for one in found.alerts if one.series == "theme:bank-stress")
    assert SURGE < bank.fired_at <= SURGE + 4 * HOUR
    assert bank.resolved_at is not None
    assert bank.observed >= RULES.minimum_negative
    assert [one.fired_at for one in found.alerts] == sorted(one.fired_at for one in found.alerts)
    assert tried(weeks, FEW, {}, seconds=300).alerts == ()


@pytest.mark.parametrize(
    "turned",
    [
        {},
        {"minimum_negative": 1, "minimum_ratio": 1.0, "false_alerts_per_week": 20.0, "false_discovery_rate": 0.5},
        {"minimum_publishers": 1, "breaking_publishers": 2, "pending_minutes": 120, "recovering_minutes": 60},
        {"detectors": ("tone", "slow"), "false_alerts_per_week": 50.0, "leave_out_hours": 48},
    ],
)
def test_what_is_passed_over_changes_no_alert(weeks: Weeks, turned: dict[str, object]) -> None:
    """Against a full look at every hour: the same alerts to the last digit, and most hours need no such look."""

    class Thorough(Weeks):
        """Looks in full, always."""

        def __init__(self) -> None:
            """The same weeks."""
            self.__dict__.update(weeks.__dict__)

        def telling(
            self, now: datetime, rules: Rules, weights: Mapping[str, float], _: Collection[str]
        ) -> tuple[Spike, ...]:
            """All that detection says."""
            return self.spikes(now, rules, weights)

    rules = Rules.model_validate({**RULES.model_dump(), **turned})
    expected = tried(Thorough(), rules, {}, seconds=300)
    assert tried(weeks, rules, {}, seconds=300) == expected
    if "false_alerts_per_week" not in turned:
        assert expected.alerts


def test_a_calm_hour_says_nothing_and_a_surge_what_a_full_look_says(weeks: Weeks) -> None:
    calm = SURGE - 30 * HOUR
    assert weeks.telling(calm, RULES, {}, ()) == ()
    surging = weeks.telling(SURGE + 5 * HOUR, RULES, {}, ())
    assert any(one.verdict is Verdict.SURGE for one in surging)
    assert surging == tuple(
        replace(one, smallest_detectable=0)
        for one in weeks.spikes(SURGE + 5 * HOUR, RULES, {})
        if one.verdict is Verdict.SURGE
    )


def test_each_look_is_what_detection_says_of_that_moment(store: Path, weeks: Weeks) -> None:
    with Reader.open(store) as reader:
        for hours in (2, 5, 30):
            at = SURGE.replace(minute=0) + hours * HOUR - timedelta(seconds=1)
            mine = weeks.spikes(at, RULES, {})
            theirs = look_back(reader, at, RULES, {})
            assert [one.series for one in mine] == [one.series for one in theirs]
            for one, other in zip(mine, theirs, strict=True):
                told = (one.verdict, one.observed, one.hours, one.detector, one.publishers)
                assert told == (other.verdict, other.observed, other.hours, other.detector, other.publishers)
                assert one.expected == pytest.approx(other.expected)
                assert one.stories == other.stories
    assert any(one.verdict is Verdict.SURGE for one in weeks.spikes(SURGE + 5 * HOUR, RULES, {}))


def test_nothing_is_known_before_it_was_fetched(weeks: Weeks) -> None:
    first = weeks.sightings(SURGE + timedelta(minutes=19), RULES).filter(pl.col("story") >= 10_000)
    later = weeks.sightings(SURGE + timedelta(minutes=21), RULES).filter(pl.col("story") >= 10_000)
    assert first.is_empty()
    assert set(later["story"]) == {10_000}


@pytest.mark.parametrize(
    ("negative", "windows"),
    [(0, RULES.windows), (4, RULES.windows), (0, (1,))],
    ids=["negative from the first", "negative at last", "older than the longest window"],
)
def test_a_breaking_story_between_two_looks_is_not_missed(
    tmp_path: Path, negative: int, windows: tuple[int, ...]
) -> None:
    """Four houses take up a story minutes before it is too old to be breaking: a daemon tells of it."""
    houses = ("wire", "post", "times", "globe", "herald")
    begun, first = NOW - 12 * DAY, NOW - DAY + timedelta(minutes=10)
    rules = Rules(learning_days=5, baseline_days=10, breaking_hours=1, windows=windows)
    with Store.open(tmp_path / "squall.duckdb", begun) as opened:
        opened.watch(["market"], begun)
        calm = [replace(headline(n, begun + n * HOUR / 2), publisher=houses[n % 5]) for n in range(1, 12 * 48)]
        opened.append(Batch(headlines=calm, scores={one.id: scored(0.1) for one in calm}), begun)
        minutes = (0, 51, 53, 55, 57)
        # Whoever tells of the bad part was the first to publish, and is the last to be asked.
        at = [first, *(first + timedelta(minutes=one) for one in minutes[1:])]
        told = [replace(headline(10_000 + n, at[n]), publisher=houses[n], story=10_000) for n in range(5)]
        if negative:
            told[4] = replace(told[4], published=first, effective=first)
        scores = {one.id: scored(0.95 if n == negative else 0.1) for n, one in enumerate(told)}
        opened.append(Batch(headlines=told, scores=scores), NOW)
    with Reader.open(tmp_path / "squall.duckdb") as reader:
        found = tried(Weeks(reader, NOW, 2, rules), rules, {}, seconds=300)
        looked = look_back(reader, first + timedelta(minutes=58), rules, {})
    assert [one.series for one in looked if one.verdict is Verdict.SURGE] == ["story:0000000000002710"]
    ((series, at_last),) = [(one.series, one.fired_at) for one in found.alerts]
    assert (series, at_last) == ("story:0000000000002710", first + timedelta(minutes=57 if negative else 55))


def test_it_stops_when_asked(weeks: Weeks) -> None:
    shares: list[float] = []

    def go_on(share: float) -> bool:
        shares.append(share)
        return len(shares) < 5

    found = tried(weeks, RULES, {}, seconds=300, go_on=go_on)
    assert not found.whole
    assert len(shares) == 5
    assert shares == sorted(shares)
    assert found.until == weeks.since + 5 * HOUR


def test_without_time_it_looks_less_often_and_says_so(weeks: Weeks) -> None:
    found = tried(weeks, RULES, {}, seconds=0.0)
    assert not found.whole
    assert found.until < weeks.until


@pytest.mark.parametrize(("until", "days"), [(NOW.replace(tzinfo=None), 5), (NOW, 0), (NOW, 61)])
def test_a_range_that_cannot_be_is_refused(store: Path, until: datetime, days: int) -> None:
    with Reader.open(store) as reader, pytest.raises(ValueError, match="needs an aware end"):
        Weeks(reader, until, days, RULES)


def test_an_answer_that_is_too_long_is_asked_for_in_halves(store: Path, weeks: Weeks) -> None:
    class Narrow:
        """A reader that answers three days at a time."""

        def __init__(self, reader: Reader) -> None:
            self._reader = reader

        def query(self, name: str, **params: object) -> pl.DataFrame:
            since, until = params.get("since"), params.get("until")
            if isinstance(since, datetime) and isinstance(until, datetime) and until - since > 3 * DAY:
                raise ServiceError("the answer has more than 200000 rows")
            return self._reader.query(name, **params)

    with Reader.open(store) as reader:
        narrow = Weeks(Narrow(reader), NOW, 6, RULES)
    at = SURGE + 5 * HOUR
    assert narrow.spikes(at, RULES, {}) == weeks.spikes(at, RULES, {})
