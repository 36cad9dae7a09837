"""Who is told of what, and when: routes, silences and quiet hours, by wall clocks that are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.detection.spikes import Severity
from alerts.telling.patterns import covers
from alerts.telling.routes import Route
from alerts.telling.silences import LONGEST, Silence, ended, silence, silencing

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZURICH = ZoneInfo("Europe/Zurich")


def quiet(**more: object) -> Route:
    return Route.model_validate({"name": "r", "time_zone": "Europe/Zurich", "quiet_hours": "22:00-07:00", **more})


def there(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZURICH, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("pattern", "series", "covered"),
    [
        ("theme:bank-stress", "theme:bank-stress", True),
        ("theme:bank-stress", "theme:bank-stress-2", False),
        ("company:*", "company:JPM", True),
        ("company:*", "market", False),
        ("*", "topic:M&A | Investments", True),
        ("topic:A[b]", "topic:A[b]", True),
        ("topic:A[b]", "topic:Ab", False),
        ("company:jpm", "company:JPM", False),
    ],
)
def test_a_pattern_covers_series(pattern: str, series: str, covered: bool) -> None:
    assert covers(pattern, series) is covered


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-10T21:59", None),
        ("2026-03-10T22:00", "2026-03-11T07:00"),
        ("2026-03-11T06:59", "2026-03-11T07:00"),
        ("2026-03-11T07:00", None),
        # The clocks go forward in this night: it is an hour shorter, and ends at 7 all the same.
        ("2026-03-28T23:00", "2026-03-29T07:00"),
        # And back in this one.
        ("2026-10-24T23:00", "2026-10-25T07:00"),
    ],
)
def test_quiet_hours_end_by_the_clock_on_the_wall(now: str, until: str | None) -> None:
    assert quiet().quiet_end(there(now), Severity.WARNING) == (None if until is None else there(until))


def test_the_nights_of_the_clock_change_have_their_own_length() -> None:
    spring, autumn = there("2026-03-28T23:00"), there("2026-10-24T23:00")
    assert quiet().quiet_end(spring, Severity.INFO) == spring + 7 * HOUR
    assert quiet().quiet_end(autumn, Severity.INFO) == autumn + 9 * HOUR


def test_quiet_days_join_quiet_hours() -> None:
    route = quiet(quiet_days=["sat", "sun"])
    friday_night = there("2026-03-13T22:30")
    assert route.quiet_end(friday_night, Severity.INFO) == there("2026-03-16T07:00")
    assert quiet(quiet_hours="", quiet_days=["sat"]).quiet_end(there("2026-03-14T12:00"), Severity.INFO) == there(
        "2026-03-15T00:00"
    )


def test_grave_alerts_break_through_as_far_as_the_route_lets_them() -> None:
    night = there("2026-03-10T23:00")
    assert quiet().quiet_end(night, Severity.CRITICAL) is None
    assert quiet(quiet_until="warning").quiet_end(night, Severity.WARNING) is None
    assert quiet(quiet_until="warning").quiet_end(night, Severity.INFO) is not None
    assert quiet(quiet_until="never").quiet_end(night, Severity.CRITICAL) is not None


def test_all_of_a_quiet_week_but_a_minute_waits_for_that_minute() -> None:
    """Seven quiet days are refused: what they held back would have to go out by night, or never."""
    almost = quiet(quiet_hours="00:01-00:00", quiet_days=["mon", "tue", "wed", "thu", "fri", "sat"])
    assert almost.quiet_end(there("2026-03-15T00:01"), Severity.INFO) == there("2026-03-22T00:00")


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds must be naive
    st.sampled_from(["22:00-07:00", "00:00-06:30", "12:00-13:00", "07:00-22:00"]),
    st.sampled_from(["Europe/Zurich", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
)
def test_the_end_of_a_quiet_time_is_later_and_not_quiet(now: datetime, hours: str, zone: str) -> None:
    route = quiet(quiet_hours=hours, time_zone=zone)
    end = route.quiet_end(now, Severity.INFO)
    if end is not None:
        assert now < end <= now + timedelta(hours=16)
        assert route.quiet_end(end, Severity.INFO) is None


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"quiet_hours": "22-7"}, "two different times"),
        ({"quiet_hours": "07:00-07:00"}, "two different times"),
        ({"quiet_days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}, "must leave a day"),
        ({"time_zone": "Europe/Zürich"}, "no time zone"),
        ({"severity": "grave"}, "severity"),
        ({"notices": []}, "at least 1"),
        ({"quiet_hour": "22:00-07:00"}, "Extra inputs"),
    ],
)
def test_routes_that_cannot_work_are_refused(table: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Route.model_validate({"name": "r", **table})


def test_reminders_come_less_and_less_often_and_at_least_weekly() -> None:
    route = Route(name="r", repeat_hours=24, repeat_backoff=2)
    waits = [route.repeat_wait(sent) for sent in range(6)]
    assert waits == [timedelta(hours=h) for h in (24, 48, 96, 168, 168, 168)]
    # An alert may fire for most of a year before anybody acknowledges it.
    assert {Route(name="r", repeat_backoff=10).repeat_wait(sent) for sent in range(1, 60)} == {timedelta(days=7)}
    assert Route(name="r", repeat_hours=0).repeat_wait(0) is None
    assert Route(name="r", notices=("fired",)).repeat_wait(0) is None


# Silences


def test_a_silence_holds_from_its_beginning_to_just_before_its_end() -> None:
    one = silence("company:*", NOW, NOW + HOUR, who="ann", why="results day")
    assert not one.holds(NOW - timedelta(microseconds=1))
    assert one.holds(NOW)
    assert not one.holds(NOW + HOUR)
    early = ended(one, NOW + HOUR / 2)
    assert early.holds(NOW + HOUR / 3)
    assert not early.holds(NOW + HOUR / 2)
    assert ended(early, NOW + HOUR) == early


def test_of_several_silences_the_one_that_lasts_longest_is_named() -> None:
    short = silence("company:*", NOW, NOW + HOUR, who="ann")
    long = silence("company:JPM", NOW, NOW + 3 * HOUR, who="bo")
    assert silencing("company:JPM", [short, long], NOW) == long
    assert silencing("company:BAC", [short, long], NOW) == short
    assert silencing("market", [short, long], NOW) is None
    assert silencing("company:JPM", [short, long], NOW + 4 * HOUR) is None


@pytest.mark.parametrize(
    ("pattern", "until"),
    [("", NOW + HOUR), ("a\nb", NOW + HOUR), ("market", NOW), ("market", NOW + LONGEST + HOUR)],
)
def test_silences_that_cannot_be_are_refused(pattern: str, until: datetime) -> None:
    with pytest.raises(ValueError, match="silence"):
        silence(pattern, NOW, until, who="ann")
    with pytest.raises(ValueError, match="aware"):
        Silence("silence_1", "market", NOW.replace(tzinfo=None), NOW, "ann")
