"""Which windows are surges, how sure that is, and how often it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from alerts.detection.spikes import Beside, Severity, Spike, Verdict, by_count, spikes
from alerts.detection.surprise import crossings_a_week, false_alerts_a_week, rarer, rarer_a_week, smallest_surge, tail
from alerts.detection.windows import HISTORY, MARKET, SIGHTINGS, WATCHED, Window, windows
from alerts.lifecycle import Alert, ChangeReason, advance
from alerts.rules import Detector, Rules

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def window(
    observed: int, expected: float = 1.0, *, series: str = "theme:bank-stress", hours: int = 24, publishers: int = 3
) -> Window:
    return Window(
        series=series,
        hours=hours,
        start=NOW - (hours - 1) * HOUR,
        end=NOW,
        observed=observed,
        exposure=120,
        expected=expected,
        dispersion=0.5,
        publishers=publishers,
        stories=tuple(range(observed)),
        since=NOW - HOUR if observed else None,
        history_days=20.0,
        budget=0.05,
        smallest_detectable=9,
    )


def only(*looked_at: Window, rules: Rules | None = None) -> Spike:
    (spike,) = spikes(looked_at, rules or Rules())
    return spike


def test_the_tail_is_that_of_the_negative_binomial() -> None:
    count, mean, dispersion = np.meshgrid([0, 1, 2, 7, 40], [0.01, 1.0, 12.0], [0.05, 0.5, 4.0])
    reference = stats.nbinom.sf(count - 1, 1 / dispersion, 1 / (1 + dispersion * mean))
    np.testing.assert_allclose(tail(count, mean, dispersion), reference, rtol=1e-9)


def test_the_smallest_surge_is_the_first_count_that_is_one() -> None:
    rules = Rules()
    for expected in (0.02, 0.7, 5.0, 60.0):
        looked_at = window(1, expected)
        smallest = int(
            smallest_surge(
                np.array([expected]), np.array([looked_at.dispersion]), 24, np.array([looked_at.budget]), rules
            )[0]
        )
        assert only(window(smallest, expected)).verdict is Verdict.SURGE
        assert only(window(smallest - 1, expected)).verdict is not Verdict.SURGE


def test_series_beside_step_up_as_if_their_windows_were_listed() -> None:
    """With others a window is rare that alone is not."""
    rules = Rules(false_alerts_per_week=0.4, false_discovery_rate=0.2, detectors=(Detector.VOLUME,))
    few = [window(observed, series=f"company:{observed}") for observed in range(6, 14)]
    many = [window(20 + more, series=f"topic:{more}") for more in range(9)]
    part = rules.part(Detector.VOLUME)
    probability, per_week = by_count(many)
    # Where there are enough stories, count and carriers are judged together; no family is one more here.
    budget = np.full(len(many), 0.05)
    together = spikes([*few, *many], rules)[: len(few)]
    assert spikes(few, rules, beside=Beside(per_week / part, probability / part, budget)) == together
    assert spikes(few, rules, budget=np.full(len(few), 0.05)) == spikes(few, rules)
    assert [one.verdict for one in together] != [one.verdict for one in spikes(few, rules)]
    assert spikes(few, rules, budget=np.full(len(few), 1e-9)) != spikes(few, rules)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, Verdict.SURGE),
        ({"history_days": 6.9}, Verdict.LEARNING),
        ({"expected": 9.0}, Verdict.USUAL),
        ({"publishers": 1}, Verdict.ONE_PUBLISHER),
        ({"observed": 3, "stories": (0, 1, 2), "expected": 0.001}, Verdict.TOO_FEW),
        ({"expected": 12.0, "dispersion": 0.001, "budget": 1.0}, Verdict.SMALL_RISE),
    ],
)
def test_every_refusal_has_its_name(changed: dict[str, Any], verdict: Verdict) -> None:
    rules = Rules(minimum_ratio=3) if verdict is Verdict.SMALL_RISE else Rules()
    assert only(replace(window(30), **changed), rules=rules).verdict is verdict


def test_a_lavish_budget_still_meets_the_limit_on_false_discoveries() -> None:
    lavish = Rules(false_alerts_per_week=50, false_discovery_rate=0.001)
    assert only(window(10), rules=lavish).verdict is Verdict.AMONG_MANY
    assert only(window(10), rules=Rules(false_alerts_per_week=50, false_discovery_rate=0.5)).verdict is Verdict.SURGE


def test_company_in_a_crowd_of_surges_needs_less_than_one_alone() -> None:
    rules = Rules(false_alerts_per_week=50, false_discovery_rate=0.01)
    weak = window(11, series="theme:weak")
    assert only(weak, rules=rules).verdict is Verdict.AMONG_MANY
    crowd = [window(40, series=f"theme:{number}") for number in range(9)]
    found = {spike.series: spike.verdict for spike in spikes([weak, *crowd], rules)}
    assert found["theme:weak"] is Verdict.SURGE


def test_one_event_in_several_lengths_is_one_spike_and_pays_for_each_length() -> None:
    lengths = [window(14, 0.2, hours=3), window(15, 0.8, hours=12), window(16, 1.6, hours=24)]
    spike = only(*lengths)
    assert spike.hours == 3
    least = tail(Rules().minimum_negative, 0.2, 0.5)
    alone = float(rarer(tail(14, 0.2, 0.5), least))
    assert spike.p_value == pytest.approx(alone / Rules().part(Detector.VOLUME), abs=0)


def test_a_length_that_meets_the_minimums_goes_before_a_rarer_one_that_does_not() -> None:
    spike = only(window(14, 0.1, hours=3, publishers=1), window(16, 1.0, hours=24, publishers=2))
    assert (spike.verdict, spike.hours) == (Verdict.SURGE, 24)


def test_stories_that_more_families_carry_than_usual_are_rarer() -> None:
    usual, wide = only(window(7, 1.0)), only(replace(window(7, 1.0), carried=1e-4))
    assert (usual.verdict, wide.verdict) == (Verdict.USUAL, Verdict.SURGE)
    assert wide.per_week < usual.per_week / 10
    assert wide.p_value < usual.p_value / 10
    assert wide.considered[0].carried == 1e-4


def test_how_far_they_are_carried_cannot_stand_in_for_too_few_stories() -> None:
    assert only(replace(window(2, 0.01), carried=1e-9), rules=Rules(false_alerts_per_week=5)).verdict is Verdict.TOO_FEW


@given(st.floats(0.001, 20), st.floats(0.05, 3), st.integers(0, 30), st.floats(1e-6, 1), st.sampled_from([1, 3, 24]))
def test_what_is_as_rare_counts_every_count_with_its_second_mark(
    mean: float, dispersion: float, more: int, second: float, hours: int
) -> None:
    least = int(mean) + 2
    level = float(crossings_a_week(least + more, hours, mean, dispersion)) * second
    counts = np.arange(least, least + 20_000)
    every = np.minimum(crossings_a_week(counts, hours, mean, dispersion), level).sum()
    assert rarer_a_week(level, hours, mean, dispersion, least) == pytest.approx(every, rel=1e-6)


def test_the_product_of_two_marks_is_as_rare_as_said() -> None:
    """Counts with a second mark that is itself whole, so that both err on the side of silence."""
    random = np.random.default_rng(5)
    counts, marks = random.negative_binomial(2, 0.6, 400_000), random.poisson(1.5, 400_000)
    dispersion, mean = 0.5, 2 * 0.4 / 0.6
    product = tail(counts, mean, dispersion) * stats.poisson.sf(marks - 1, 1.5)
    for level in (1e-4, 1e-3, 1e-2):
        seen = ((product <= level) & (counts >= 3)).mean()
        assert seen <= float(rarer(level, tail(3, mean, dispersion))) * 1.1
        assert seen >= level * 0.1


def test_an_empty_window_is_never_the_most_telling_one() -> None:
    spike = only(window(0, hours=3, publishers=0), window(1, hours=24, publishers=1))
    assert (spike.verdict, spike.hours, spike.since) == (Verdict.USUAL, 24, NOW - HOUR)
    assert spikes([], Rules()) == ()


@pytest.mark.parametrize(
    ("observed", "publishers", "severity"),
    [(9, 2, Severity.INFO), (12, 2, Severity.INFO), (12, 3, Severity.WARNING), (60, 3, Severity.CRITICAL)],
)
def test_severity_grows_with_rarity_size_and_publishers(observed: int, publishers: int, severity: Severity) -> None:
    assert only(window(observed, publishers=publishers)).severity is severity


@given(
    observed=st.integers(0, 200), expected=st.floats(0.001, 50), more=st.integers(1, 50), dispersion=st.floats(0.01, 5)
)
def test_more_stories_are_never_more_probable(observed: int, expected: float, more: int, dispersion: float) -> None:
    first, second = tail([observed, observed + more], expected, dispersion)
    assert 0 <= second <= first <= 1


def test_a_sliding_window_reaches_a_count_no_more_often_than_stated() -> None:
    """Poisson arrivals over 4,000 weeks, looked at after every arrival: upcrossings against the bound."""
    random = np.random.default_rng(5)
    hours, weeks, rate = 24, 4000, 2 / 24
    arrivals = np.sort(random.uniform(0, weeks * 168, random.poisson(rate * weeks * 168)))
    inside = np.arange(len(arrivals)) - np.searchsorted(arrivals, arrivals - hours) + 1
    for count in (6, 8):
        seen = int((inside == count).sum()) / weeks
        stated = float(false_alerts_a_week(count, hours, stats.poisson.sf(count - 1, 2)))
        assert 0.4 * stated < seen < 1.05 * stated


def calm_stream(random: np.random.Generator, days: int, shares: dict[str, float]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A calm market with days and weekends, and negative-binomial series whose share varies from day to day."""
    start, hours = NOW - days * 24 * HOUR, days * 24
    hour_of_day = np.arange(hours) % 24
    weekend = np.arange(hours) % 168 >= 120
    market = random.poisson(6 * (1 + 0.7 * np.sin((hour_of_day - 8) / 24 * 2 * np.pi)) * np.where(weekend, 0.4, 1.0))
    stamps = pl.datetime_range(start, start + (hours - 1) * HOUR, "1h", eager=True).cast(pl.Datetime("us", "UTC"))
    history, sightings = [], []
    for name, share in shares.items():
        restless = np.repeat(random.gamma(1 / 0.3, 0.3, days), 24)
        negative = np.minimum(random.poisson(market * share * restless), market)
        stories = market if name == MARKET else negative
        frame = pl.DataFrame({"hour": stamps, "stories": stories, "negative": negative}).filter(pl.col("stories") > 0)
        history.append(frame.select(pl.lit(name).alias("series"), "hour", "stories", "negative"))
        times = stamps.gather(np.repeat(np.arange(hours), negative))
        minutes = pl.Series(random.integers(0, 60, len(times))) * timedelta(minutes=1)
        sightings.append(pl.DataFrame({"negative_at": times + minutes}).with_columns(series=pl.lit(name)))
    numbered = (
        pl.concat(sightings).sort("negative_at").with_row_index("story").with_columns(publishers=pl.lit(["a", "b"]))
    )
    return (
        pl.concat(history).select(pl.col(name).cast(kind) for name, kind in HISTORY.items()),
        numbered.select(pl.col(name).cast(kind) for name, kind in SIGHTINGS.items()),
    )


def fired(
    history: pl.DataFrame, sightings: pl.DataFrame, watched: pl.DataFrame, rules: Rules, days: int
) -> Iterator[str]:
    """Series of the alerts that fire, looked at every four hours, once the first nine days are learned."""
    ongoing: dict[str, Alert] = {}
    for back in range((days - 9) * 6, 0, -1):
        now = NOW - back * 4 * HOUR
        recent = sightings.filter(pl.col("negative_at").is_between(now - rules.lookback, now))
        past = history.filter(pl.col("hour").is_between(now - 30 * 24 * HOUR, now, closed="left"))
        looked_at = spikes(windows(past, recent, watched, now, rules), rules)
        for change in advance(tuple(ongoing.values()), looked_at, now, rules, {}):
            ongoing[change.alert.series] = change.alert
            if not change.alert.is_open:
                del ongoing[change.alert.series]
            if change.reason is ChangeReason.FIRED:
                yield change.alert.series


def test_calm_weeks_bring_no_more_false_alerts_than_twice_what_the_rules_state() -> None:
    shares = {MARKET: 0.12, **{f"topic:{n}": s for n, s in enumerate((0.04, 0.02, 0.02, 0.01, 0.005, 0.003))}}
    shares |= {f"theme:{n}": s for n, s in enumerate((0.005, 0.003, 0.002, 0.001))}
    shares |= {f"company:{n}": s for n, s in enumerate((0.003, 0.001, 0.001, 0.0005))}
    # Without the minimums, which would hide a level that is wrong.
    rules = Rules(false_alerts_per_week=2, minimum_negative=1, minimum_publishers=1, minimum_ratio=1)
    days = 65
    history, sightings = calm_stream(np.random.default_rng(11), days, shares)
    since = NOW - days * 24 * HOUR
    watched = pl.DataFrame([(name, since) for name in shares], schema=dict(WATCHED), orient="row")
    alerts = list(fired(history, sightings, watched, rules, days))
    assert len(alerts) <= 2 * rules.false_alerts_per_week * (days - 9) / 7, alerts
