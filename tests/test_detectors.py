"""Tone, slow rises, breaking stories, sources, budgets and severity: each by itself."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.detection.baseline import Baseline, learn
from alerts.detection.breaking import breaking, story_of, story_series
from alerts.detection.budgets import growth, shares
from alerts.detection.cusum import false_a_week, slow_rise
from alerts.detection.severity import Gravity, Severity, gravity
from alerts.detection.sources import (
    AFFINITIES,
    SOURCES,
    SourceShift,
    Voices,
    source_changes,
)
from alerts.detection.spikes import Verdict, spikes
from alerts.detection.surprise import crossings_a_week, smallest_count, tail
from alerts.detection.tone import Tone, learn_tone
from alerts.detection.windows import HISTORY, MARKET, SIGHTINGS, WATCHED, Past, Window, windows
from alerts.rules import Detector, Rules

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
BANKS = "theme:bank-stress"


# Tone


def busy_news(series: int, share: float, moods: float, seed: int) -> tuple[Baseline, npt.NDArray[np.float64]]:
    """Sixty days on which much or little is written, negative or not, of series in a market of twenty an hour."""
    random = np.random.default_rng(seed)
    days, hours = 60, 60 * 24
    busy = np.repeat(random.gamma(1.5, 1 / 1.5, (series, days)), 24, axis=1)
    mood = np.repeat(random.gamma(1 / moods, moods, (series, days)), 24, axis=1)
    negative = random.poisson(0.5 * share * busy * mood).astype(np.float64)
    quiet = random.poisson(0.5 * (1 - share) * busy).astype(np.float64)
    market = random.poisson(20, (series, hours)).astype(np.float64)
    usable = np.ones((series, hours), dtype=bool)
    usable[:, -24:] = False
    return learn(negative, market, usable, np.arange(hours) % 168, 4), quiet


def last_day(baseline: Baseline) -> npt.NDArray[np.float64]:
    return np.asarray(baseline.told.negative[:, -24:].sum(axis=1))


def test_what_tone_finds_improbable_is_so_on_days_that_differ_in_how_much_is_written() -> None:
    baseline, quiet = busy_news(1_500, 0.3, 0.1, 3)
    tone = learn_tone(baseline, quiet, (24,))
    by_tone = tail(last_day(baseline), tone.expected[:, 0], tone.dispersion[:, 0])
    for level in (0.1, 0.02):
        assert level / 2 <= (by_tone <= level).mean() <= level * 1.6
    # It knows more than the volume does: how far off it is says as much.
    error = np.abs(last_day(baseline) - tone.expected[:, 0]).mean()
    assert error < 0.75 * np.abs(last_day(baseline) - baseline.expected(24)).mean()


def test_a_busy_day_is_no_news_to_tone_and_a_quiet_one_that_turns_bad_is() -> None:
    baseline, quiet = busy_news(3, 0.3, 0.05, 5)
    quiet[:, -24:] = 0
    quiet[0, -24:], quiet[1, -24:-20] = 2, 2
    expected = learn_tone(baseline, quiet, (3, 24)).expected
    by_volume = baseline.expected(24)
    assert expected[0, 1] > 3 * by_volume[0]
    assert expected[1, 1] == pytest.approx(by_volume[1], rel=0.25)
    assert expected[2, 1] < 0.3 * by_volume[2]
    assert expected[0, 0] > 2 * baseline.expected(3)[0]


def test_a_restless_tone_is_allowed_more() -> None:
    steady, restless = (learn_tone(*busy_news(20, 0.3, moods, 7), (24,)) for moods in (0.02, 1.5))
    assert np.median(restless.dispersion) > 3 * np.median(steady.dispersion)


def test_a_series_without_stories_is_expected_to_have_as_few_by_tone_as_by_volume() -> None:
    hours = 240
    nothing, market = np.zeros((1, hours)), np.full((1, hours), 20.0)
    baseline = learn(nothing, market, np.ones((1, hours), dtype=bool), np.arange(hours) % 168, 4)
    tone = learn_tone(baseline, nothing, (1, 24))
    for at, length in enumerate((1, 24)):
        assert tone.expected[0, at] == pytest.approx(baseline.expected(length)[0], rel=0.15)


def test_tone_of_some_series_is_that_of_all_and_joins_again() -> None:
    tone = learn_tone(*busy_news(4, 0.3, 0.1, 11), (1, 24))
    some, rest = np.array([2, 0]), np.array([1, 3])
    joined = tone.rows(some).joined(tone.rows(rest))
    assert (joined.expected == tone.expected[[2, 0, 1, 3]]).all()
    assert (joined.dispersion == tone.dispersion[[2, 0, 1, 3]]).all()
    assert Tone.unasked(4, 2).expected.shape == tone.expected.shape


# Slow rises


def test_a_rise_that_lasts_is_told_and_one_bad_day_is_not() -> None:
    usual = np.full((3, 10), 4.0)
    seen = np.array([[4.0] * 10, [4.0] * 9 + [200.0], [4.0] * 3 + [9.0] * 7])
    slow = slow_rise(seen, usual, np.full(3, 0.2), 2.0)
    rate = false_a_week(slow.evidence)
    assert rate[2] < 0.02 < 0.2 < rate[1]
    assert slow.days[2] == 7
    assert slow.evidence[0] == 0
    assert slow.days[0] == 0


def test_false_alarms_of_a_slow_rise_are_rarer_than_stated() -> None:
    """Lorden's bound, on 4,000 years of calm days."""
    random = np.random.default_rng(8)
    seen = random.negative_binomial(2, 2 / (2 + 3.0), (1000, 1460)).astype(np.float64)
    evidence = np.zeros(1000)
    crossed, states = 0, np.zeros(1000, dtype=bool)
    step = slow_rise(seen[:, :1], np.full((1000, 1), 3.0), np.full(1000, 0.5), 2.0)
    assert step.evidence.shape == (1000,)
    ratio = seen * math.log(2) - (2 + seen) * (math.log1p(3.0) - math.log1p(1.5))
    for day in range(seen.shape[1]):
        evidence = np.maximum(evidence + np.minimum(ratio[:, day], 3.0), 0)
        above = evidence >= 5
        crossed += int((above & ~states).sum())
        evidence = np.where(above, 0.0, evidence)
        states = above
    assert crossed / (1000 * 1460 / 7) <= float(false_a_week(np.array([5.0]))[0])


# Breaking stories


def told(families: int, ago: timedelta, story: int) -> tuple[int, datetime, set[str]]:
    return story, NOW - ago, {f"house-{number}" for number in range(families)}


def broken(*stories: tuple[int, datetime, set[str]], rules: Rules | None = None) -> tuple[Window, ...]:
    ordered = sorted(stories, key=lambda one: one[1])
    ids, times = [one[0] for one in ordered], [one[1] for one in ordered]
    return breaking(ids, times, [one[2] for one in ordered], NOW, 20.0, 0.1, rules or Rules())


CALM = [told(1 + (number % 7 == 0), 3 * DAY + number * HOUR, number) for number in range(150)]


def test_one_story_of_many_families_breaks_and_a_copy_or_an_old_one_does_not() -> None:
    found = broken(*CALM, told(9, 2 * HOUR, 900), told(2, HOUR, 901), told(9, 7 * HOUR, 902))
    assert {window.series for window in found} == {story_series(900), story_series(901)}
    verdicts = {spike.series: spike.verdict for spike in spikes(found, Rules())}
    assert verdicts[story_series(900)] is Verdict.SURGE
    assert verdicts[story_series(901)] is not Verdict.SURGE
    assert story_of(story_series(900)) == 900
    assert story_of("market") is None


def test_where_everything_is_syndicated_more_families_are_needed() -> None:
    wide = [told(4 + number % 5, 3 * DAY + number * HOUR, number) for number in range(150)]
    alone, among = broken(*CALM, told(7, HOUR, 900)), broken(*wide, told(7, HOUR, 900))
    assert alone[0].smallest_detectable < among[0].smallest_detectable
    assert spikes(alone, Rules())[0].verdict is Verdict.SURGE
    assert spikes(among, Rules())[0].verdict is Verdict.USUAL


# Sources


def spoken(*rows: tuple[str, int, int, int]) -> pl.DataFrame:
    """(publisher, first hour ago, last hour ago, headlines an hour)."""
    found = [
        (name, NOW - back * HOUR, each, each // 6)
        for name, first, last, each in rows
        for back in range(first, last - 1, -1)
    ]
    return pl.DataFrame(found, schema=dict(SOURCES), orient="row")


def test_a_feed_that_is_new_silent_doubled_or_back_is_recognised() -> None:
    sources = spoken(
        ("steady", 24 * 40, 0, 6),
        ("silent", 24 * 40, 30, 6),
        ("new", 24 * 3, 0, 6),
        ("double", 24 * 40, 24, 6),
        ("double", 23, 0, 20),
        ("back", 24 * 40, 24 * 15, 6),
        ("back", 5, 0, 6),
    )
    found = {one.publisher: one.shift for one in source_changes(sources, NOW, 7)}
    assert found == {
        "silent": SourceShift.SILENT,
        "new": SourceShift.ADDED,
        "double": SourceShift.DOUBLED,
        "back": SourceShift.RETURNED,
    }


@pytest.mark.parametrize("hour", range(24))
def test_a_house_that_rests_at_weekends_neither_falls_silent_on_mondays_nor_doubles_on_saturdays(hour: int) -> None:
    """The last 24 hours of a Monday's night are a Sunday's, and those of a Saturday's a Friday's."""
    monday = datetime(2026, 3, 9, hour, 30, tzinfo=UTC)
    times = [monday.replace(minute=0) - back * HOUR for back in range(24 * 56)]
    busy = [("office", at, 4, 1) for at in times if at.isoweekday() <= 5 and 6 <= at.hour < 22]
    slow = [("paper", at, 8 if at.isoweekday() <= 5 else 1, 1) for at in times]
    sources = pl.DataFrame([*busy, *slow], schema=dict(SOURCES), orient="row")
    for now in (monday, monday - 2 * DAY):
        assert source_changes(sources.filter(pl.col("hour") <= now), now, 7) == ()


def test_a_house_that_rests_at_weekends_falls_silent_on_a_working_day() -> None:
    friday = datetime(2026, 3, 6, 12, tzinfo=UTC)
    times = [friday - back * HOUR for back in range(24 * 56)]
    rows = [("office", at, 4, 1) for at in times[24:] if at.isoweekday() <= 5] + [("paper", at, 4, 1) for at in times]
    (told,) = source_changes(pl.DataFrame(rows, schema=dict(SOURCES), orient="row"), friday, 7)
    assert (told.publisher, told.shift, told.seen) == ("office", SourceShift.SILENT, 0)
    assert told.usual == pytest.approx(96, rel=0.05)


def test_nothing_is_new_while_everything_is() -> None:
    assert source_changes(spoken(("a", 40, 0, 6), ("b", 40, 0, 6)), NOW, 7) == ()


def test_exposure_follows_the_publishers_that_write_about_a_series() -> None:
    start = NOW - 10 * DAY
    sources = spoken(("banks-daily", 240, 0, 6), ("general", 240, 12, 60))
    affinities = pl.DataFrame([(BANKS, "banks-daily", 200)], schema=dict(AFFINITIES), orient="row")
    exposure = Voices.of(sources, start, 241, frozenset()).exposure(affinities, [BANKS, "theme:other"])
    before, after = exposure[:, 200], exposure[:, 235]
    assert after[0] / before[0] > 0.9  # the general paper that fell silent never wrote about banks
    assert after[1] / before[1] < 0.2


def stream(days: int, *, silent_hours: int = 0) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Two houses write the market: one everything about banks, the other nothing; the other may fall silent."""
    random = np.random.default_rng(4)
    history, rows, sources = [], [], []
    story = 0
    for back in range(days * 24, -1, -1):
        hour = NOW - back * HOUR
        general = 0 if back < silent_hours else int(random.poisson(30))
        banks, negative = int(random.poisson(4)), int(random.poisson(0.5))
        history.append((MARKET, hour, general + banks + negative, negative))
        sources += [("banks-daily", hour, banks + negative, negative), ("bank-times", hour, banks + negative, negative)]
        sources.append(("general", hour, general, 0))
        if negative:
            history.append((BANKS, hour, negative, negative))
        for _ in range(negative):
            story += 1
            rows.append((BANKS, story, hour, ["banks-daily", "bank-times"]))
    return (
        pl.DataFrame(history, schema=dict(HISTORY), orient="row"),
        pl.DataFrame(rows, schema=dict(SIGHTINGS), orient="row"),
        pl.DataFrame([row for row in sources if row[2]], schema=dict(SOURCES), orient="row"),
    )


WATCHED_BANKS = pl.DataFrame([(name, NOW - 60 * DAY) for name in (BANKS, MARKET)], schema=dict(WATCHED), orient="row")
AFFINE = pl.DataFrame([(BANKS, "banks-daily", 300), (BANKS, "bank-times", 300)], schema=dict(AFFINITIES), orient="row")


def test_a_paper_that_falls_silent_makes_no_surge_of_the_others() -> None:
    rules = Rules(false_alerts_per_week=20, windows=(24,))
    history, sightings, sources = stream(50, silent_hours=24)
    blind = windows(history, sightings, WATCHED_BANKS, NOW, rules)
    aware = windows(history, sightings, WATCHED_BANKS, NOW, rules, Past(sources, AFFINE))
    volume = [
        next(one for one in found if one.detector is Detector.VOLUME and one.series == BANKS)
        for found in (blind, aware)
    ]
    assert volume[0].observed > 3 * volume[0].expected
    assert volume[1].observed < 1.7 * volume[1].expected
    assert all(spike.verdict is not Verdict.SURGE for spike in spikes(aware, rules))


def test_what_only_a_new_feed_carries_does_not_count_yet() -> None:
    rules = Rules(windows=(24,))
    history, sightings, sources = stream(50)
    extra = [(BANKS, 10_000 + number, NOW - number * timedelta(minutes=5), ["new-feed"]) for number in range(200)]
    louder = pl.concat([sightings, pl.DataFrame(extra, schema=dict(SIGHTINGS), orient="row")]).sort("negative_at")
    new = pl.DataFrame(
        [("new-feed", NOW - back * HOUR, 9, 9) for back in range(40)], schema=dict(SOURCES), orient="row"
    )
    found = windows(history, louder, WATCHED_BANKS, NOW, rules, Past(pl.concat([sources, new]), AFFINE))
    assert found == windows(history, sightings, WATCHED_BANKS, NOW, rules, Past(sources, AFFINE))


# Budgets


def test_weights_move_shares_within_a_kind_and_no_further() -> None:
    names = ["market", "company:A", "company:B", "company:C", "theme:x"]
    plain, weighed = shares(names, names, {}), shares(names, names, {"company:A": 4.0})
    assert plain.sum() == pytest.approx(1)
    assert weighed.sum() == pytest.approx(1)
    assert weighed[1] == pytest.approx(4 * weighed[2])
    assert weighed[[0, 4]] == pytest.approx(plain[[0, 4]])


def test_what_silent_series_leave_over_is_given_back_and_what_is_stated_is_not_exceeded() -> None:
    rules = Rules()
    share = np.full(20, 1 / 1000)
    more = growth(np.full(20, 40.0), 8000.0, share, 6.0, rules)
    assert 1.5 < more <= 2
    full = growth(np.full(20, 400.0), 8000.0, np.full(20, 1 / 20), 6.0, rules)
    assert full < more


@given(st.floats(0.05, 30), st.floats(0.05, 3), st.sampled_from([1, 3, 12, 24]), st.floats(1e-5, 1))
def test_the_smallest_count_is_the_first_that_is_rare_enough(
    expected: float, dispersion: float, hours: int, allowed: float
) -> None:
    mean, spread = np.array([expected]), np.array([dispersion])
    least = np.ceil(2 * mean).astype(np.int64) + 1
    count = smallest_count(mean, spread, hours, np.array([allowed]), least)
    assert crossings_a_week(count, hours, mean, spread)[0] <= allowed
    assert count[0] == least[0] or crossings_a_week(count - 1, hours, mean, spread)[0] > allowed


@given(st.integers(1, 60), st.floats(0.01, 20), st.floats(0.05, 3))
def test_the_rate_never_exceeds_its_bound(count: int, expected: float, dispersion: float) -> None:
    bound = 168 / 24 * count * tail(count, expected, dispersion)
    assert crossings_a_week(count, 24, expected, dispersion) <= bound * (1 + 1e-9)


# Severity


def weighed(**changed: float) -> Gravity:
    least = {"observed": 4, "needed": 4.0, "publishers": 2, "carriers": 2}
    base = {"allowed": 0.01, "per_week": 0.01, "weight": 1.0, **least}
    return gravity(**(base | changed))  # type: ignore[arg-type]  # counts among the floats are whole


def test_a_surge_that_just_meets_the_rules_has_no_points() -> None:
    assert weighed().score == 0
    assert weighed().severity(Rules()) is Severity.INFO


@pytest.mark.parametrize(
    "rules", [Rules(), Rules(breaking_publishers=3, minimum_negative=9), Rules(minimum_publishers=6)]
)
def test_a_breaking_story_is_weighed_by_the_families_that_make_one(rules: Rules) -> None:
    least = max(rules.breaking_publishers, rules.minimum_publishers)
    first, twice = (spikes(broken(*CALM, told(k * least, HOUR, 900), rules=rules), rules)[0].gravity for k in (1, 2))
    assert first is not None
    assert twice is not None
    assert (first.size, first.breadth) == (0, 0)
    assert (twice.size, twice.breadth) == (1, 1)


def test_each_part_of_the_score_is_a_doubling_or_two_decades() -> None:
    assert weighed(per_week=1e-4).rarity == pytest.approx(1)
    assert weighed(observed=8).size == pytest.approx(1)
    assert weighed(publishers=4).breadth == pytest.approx(1)
    assert weighed(weight=2.0).weight == pytest.approx(1)
    assert weighed(weight=0.5).score == pytest.approx(-1)
    grave = weighed(per_week=0.0, observed=64, publishers=16)
    assert (grave.rarity, grave.size, grave.breadth) == (3, 3, 2)
    assert grave.severity(Rules()) is Severity.CRITICAL
    assert grave.words == "score 8.0 = rarity 3.0 + size 3.0 + publishers 2.0 + weight 0.0"


def test_a_heavier_series_is_never_less_grave() -> None:
    ranks = [weighed(observed=16, per_week=1e-5, weight=weight).severity(Rules()).rank for weight in (0.25, 1.0, 4.0)]
    assert ranks == sorted(ranks)
    assert len(Counter(ranks)) > 1
