"""What was seen beside what was to be expected: counting, exposure, learning, robustness."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from pydantic import ValidationError

from alerts.detection.windows import HISTORY, MARKET, SIGHTINGS, WATCHED, Window, windows
from alerts.errors import FrameUnusable
from alerts.rules import Detector, Rules

HOUR = timedelta(hours=1)
BANKS = "theme:bank-stress"


def history(rows: list[tuple[str, datetime, int, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(HISTORY), orient="row")


def sightings(rows: list[tuple[str, int, datetime, list[str]]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(SIGHTINGS), orient="row")


def watched(since: datetime, *series: str) -> pl.DataFrame:
    return pl.DataFrame([(name, since) for name in series], schema=dict(WATCHED), orient="row")


def flat(
    now: datetime, days: int, *, stories: int = 6, every: int = 24, until: int = 0
) -> list[tuple[str, datetime, int, int]]:
    """A market of `stories` an hour, some of them negative, and one negative bank story each `every` hours."""
    bucket = now.replace(minute=0, second=0, microsecond=0)
    rows = []
    for back in range(until, days * 24):
        hour = bucket - back * HOUR
        rows.append((MARKET, hour, stories, 1 if hour.hour % 2 == 0 else 0))
        if back % every == 0:
            rows.append((BANKS, hour, 1, 1))
    return rows


def seen(now: datetime, count: int, *, series: str = BANKS, publishers: int = 2) -> pl.DataFrame:
    families = [f"house-{number}" for number in range(publishers)]
    return sightings([(series, story, now - story * timedelta(minutes=7), families) for story in range(count)])


def of(found: tuple[Window, ...], hours: int, series: str = BANKS) -> Window:
    return next(window for window in found if window.series == series and window.hours == hours)


def test_distinct_fresh_stories_are_counted_once_within_hour_buckets(now: datetime) -> None:
    now = now + timedelta(minutes=30)
    edge = now.replace(minute=0) - 2 * HOUR
    rows = [
        (BANKS, 1, now, ["a"]),
        (BANKS, 1, now, ["a"]),
        (BANKS, 2, edge, ["b"]),
        (BANKS, 3, edge - timedelta(microseconds=1), ["c"]),
        (BANKS, 4, now + HOUR, ["d"]),
    ]
    window = of(windows(history(flat(now, 28)), sightings(rows), watched(now - 40 * 24 * HOUR, BANKS), now, Rules()), 3)
    assert (window.observed, window.publishers, window.stories) == (2, 2, (2, 1))
    assert (window.since, window.start, window.end) == (edge, edge, now)
    assert window.exposure == 18


def test_how_far_stories_are_carried_is_judged_by_what_the_markets_stories_usually_are(now: datetime) -> None:
    """The market's own young stories say nothing yet; those older than two days do."""

    def carried(usual_families: int, families: int) -> float:
        houses = [f"house-{number}" for number in range(20)]
        old = [(MARKET, 100 + n, now - (50 + n) * HOUR, houses[:usual_families]) for n in range(150)]
        young = [(name, n, now - n * HOUR, houses[:families]) for n in range(4) for name in (MARKET, BANKS)]
        watch = watched(now - 40 * 24 * HOUR, BANKS)
        return of(windows(history(flat(now, 29)), sightings([*old, *young]), watch, now, Rules()), 24).carried

    assert carried(1, 1) == 1
    assert carried(1, 3) < 1e-4
    assert carried(1, 4) < carried(1, 3) < carried(1, 2) < 1
    assert carried(3, 3) > 0.1
    assert carried(3, 5) < carried(3, 3)


def test_the_expected_count_is_the_usual_share_of_the_markets_stories(now: datetime) -> None:
    found = windows(history(flat(now, 29)), seen(now, 2), watched(now - 40 * 24 * HOUR, BANKS), now, Rules())
    assert of(found, 24).expected == pytest.approx(1.0, rel=0.1)
    assert of(found, 12).expected == pytest.approx(0.5, rel=0.1)


def test_a_feed_that_doubles_the_market_doubles_what_is_expected(now: datetime) -> None:
    usual = flat(now, 29)
    louder = [*usual, *((MARKET, now - back * HOUR, 6, 0) for back in range(24))]
    watch = watched(now - 40 * 24 * HOUR, BANKS)
    before = of(windows(history(usual), seen(now, 2), watch, now, Rules()), 24)
    after = of(windows(history(louder), seen(now, 2), watch, now, Rules()), 24)
    assert after.exposure == 2 * before.exposure
    assert after.expected == pytest.approx(2 * before.expected, rel=0.02)


def test_a_surge_does_not_inflate_its_own_exposure(now: datetime) -> None:
    calm = flat(now, 29)
    surge = [*calm, *((name, now - back * HOUR, 9, 9) for back in range(6) for name in (MARKET, BANKS))]
    watch = watched(now - 40 * 24 * HOUR, BANKS)
    before = of(windows(history(calm), seen(now, 2), watch, now, Rules()), 12)
    after = of(windows(history(surge), seen(now, 54), watch, now, Rules()), 12)
    assert after.exposure == before.exposure + 54
    assert after.expected == pytest.approx(before.expected)


def test_hours_of_day_are_learned_where_there_is_enough_to_learn_from(now: datetime) -> None:
    rows = [
        (MARKET, now - back * HOUR, 60, 12 if (now - back * HOUR).hour in (10, 11, 12) else 1)
        for back in range(29 * 24)
    ]
    noon = of(
        windows(history(rows), seen(now, 2, series=MARKET), watched(now - 40 * 24 * HOUR, MARKET), now, Rules()),
        3,
        MARKET,
    )
    night = now - 12 * HOUR
    midnight = of(
        windows(history(rows), seen(night, 2, series=MARKET), watched(now - 40 * 24 * HOUR, MARKET), night, Rules()),
        3,
        MARKET,
    )
    assert 30 < noon.expected < 40
    assert 2.5 < midnight.expected < 4.5


def test_a_past_event_hardly_moves_what_is_usual(now: datetime) -> None:
    calm = flat(now, 29)
    event = [*calm, *((BANKS, now - back * HOUR, 2, 2) for back in range(5 * 24, 7 * 24))]
    watch = watched(now - 40 * 24 * HOUR, BANKS)
    before = of(windows(history(calm), seen(now, 2), watch, now, Rules()), 24)
    after = of(windows(history(event), seen(now, 2), watch, now, Rules()), 24)
    assert after.expected < 1.5 * before.expected  # the plain mean would be 4.4 times as high
    assert after.smallest_detectable <= before.smallest_detectable + 4


def test_the_last_hours_do_not_become_their_own_norm(now: datetime) -> None:
    calm = flat(now, 29)
    surge = [*calm, *((name, now - back * HOUR, 5, 5) for back in range(24) for name in (MARKET, BANKS))]
    watch = watched(now - 40 * 24 * HOUR, BANKS)
    rules = Rules(leave_out_hours=0)
    before = of(windows(history(calm), seen(now, 2), watch, now, rules), 3)
    after = of(windows(history(surge), seen(now, 2), watch, now, rules), 3)
    assert after.expected == pytest.approx(before.expected)


def test_more_history_makes_a_smaller_event_detectable(now: datetime) -> None:
    smallest = []
    for days in (3, 9, 29):
        found = windows(history(flat(now, 40)), seen(now, 2), watched(now - days * 24 * HOUR, BANKS), now, Rules())
        smallest.append(of(found, 24).smallest_detectable)
    assert smallest == sorted(smallest, reverse=True)
    assert smallest[0] > smallest[-1]


@pytest.mark.parametrize(
    ("days", "gap", "least", "most"), [(29, 0, 28, 28.1), (9, 0, 7.9, 8.1), (29, 14, 13, 15.1), (0, 0, 0, 0)]
)
def test_history_is_counted_from_when_the_series_is_watched_and_silence_teaches_nothing(
    now: datetime, days: int, gap: int, least: float, most: float
) -> None:
    silent = (now - (3 + gap) * 24 * HOUR, now - 3 * 24 * HOUR)
    rows = [row for row in flat(now, 40) if not silent[0] <= row[1] < silent[1]]
    rules = Rules(baseline_days=29)
    found = windows(history(rows), seen(now, 2), watched(now - days * 24 * HOUR, BANKS), now, rules)
    assert least <= of(found, 24).history_days <= most


def test_a_series_that_nobody_watches_has_no_history(now: datetime) -> None:
    found = windows(history(flat(now, 29)), seen(now, 2), watched(now, MARKET), now, Rules())
    assert of(found, 24).history_days == 0
    assert of(found, 24).budget > 0


def test_the_false_alerts_are_shared_by_kind_and_then_by_series(now: datetime) -> None:
    names = [MARKET, BANKS, "theme:fraud", *(f"company:{number}" for number in range(1000))]
    rows = pl.concat([seen(now, 1), seen(now, 1, series=MARKET), seen(now, 1, series="company:7")])
    found = windows(history(flat(now, 29)), rows, watched(now - 40 * 24 * HOUR, *names), now, Rules())
    banks = of(found, 3).budget
    assert of(found, 3, MARKET).budget == pytest.approx(2 * banks)
    assert of(found, 3, "company:7").budget == pytest.approx(banks / 500)
    # What is left over is given back to all alike, so nobody gets less than an equal part of nine tenths.
    assert banks >= 0.9 / 6


def test_one_series_does_not_change_another(now: datetime) -> None:
    rows = flat(now, 29)
    watch = watched(now - 40 * 24 * HOUR, BANKS, MARKET)
    alone = windows(history(rows), seen(now, 3), watch, now, Rules())
    beside = windows(history(rows), pl.concat([seen(now, 3), seen(now, 9, series=MARKET)]), watch, now, Rules())
    assert alone == tuple(window for window in beside if window.series == BANKS)


def test_nothing_seen_gives_no_windows_and_an_empty_history_teaches_nothing(now: datetime) -> None:
    empty = history([])
    assert windows(empty, sightings([]), watched(now), now, Rules()) == ()
    found = windows(empty, seen(now, 5), watched(now - 40 * 24 * HOUR, BANKS), now, Rules())
    assert [window.hours for window in found if window.detector is Detector.VOLUME] == [1, 3, 12, 24]
    assert {window.history_days for window in found} == {0.0}


def test_a_window_may_be_longer_than_what_is_left_out(now: datetime) -> None:
    rules = Rules(windows=(1, 72))
    found = windows(history(flat(now, 29)), seen(now, 5), watched(now - 40 * 24 * HOUR, BANKS), now, rules)
    assert of(found, 72).history_days < 26.1
    assert of(found, 72).expected == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize("broken", ["history", "sightings", "watched"])
def test_a_frame_without_its_columns_or_types_is_refused_by_name(now: datetime, broken: str) -> None:
    frames = {"history": history(flat(now, 2)), "sightings": seen(now, 1), "watched": watched(now, BANKS)}
    frames[broken] = frames[broken].drop("series")
    with pytest.raises(FrameUnusable, match=f"the {broken} frame lacks the column 'series'"):
        windows(frames["history"], frames["sightings"], frames["watched"], now, Rules())
    frames[broken] = frames[broken].with_columns(series=pl.lit(1))
    with pytest.raises(FrameUnusable, match=f"the {broken} frame has 'series' as"):
        windows(frames["history"], frames["sightings"], frames["watched"], now, Rules())


def test_a_naive_now_is_refused(now: datetime) -> None:
    with pytest.raises(ValueError, match="aware"):
        windows(history([]), sightings([]), watched(now), now.replace(tzinfo=None), Rules())


def test_a_window_refuses_a_count_that_does_not_match_its_stories() -> None:
    end = datetime(2026, 3, 10, tzinfo=UTC)
    with pytest.raises(ValueError, match="counts its stories"):
        Window(BANKS, 3, end - HOUR, end, 2, 9, 1.0, 0.5, 1, (1,), end, 9.0, 0.5, 4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"windows": (24, 3)},
        {"windows": ()},
        {"learning_days": 60},
        {"learning_days": 6, "baseline_days": 7, "leave_out_hours": 48},
        {"warning_score": 9},
        {"detectors": []},
        {"detectors": ["volume", "volume"]},
        {"surprise": 1},
    ],
)
def test_rules_that_contradict_each_other_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate(wrong)


def test_every_rule_is_described() -> None:
    assert [name for name, field in Rules.model_fields.items() if not field.description] == []
