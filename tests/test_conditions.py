"""How Squall itself is doing: who is told of channels, silent feeds and stages, once each; digests; the tally."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.evidence import Evidence
from alerts.judgement import Standing, Tally
from alerts.lifecycle import Change, ChangeReason, Sight, State
from alerts.telling.conditions import ChannelRecord, Condition, Health, Turn, channel_condition, turn
from alerts.telling.digests import Digest, Period, bulletin, due, resumed
from alerts.telling.sight import Looking, idle, sight, sight_condition
from alerts.texts.messages import alert_message, bulletin_message, read_message
from alerts.texts.prose import plain_text, subject

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
PATIENCE = 30 * MINUTE
CHANNELS = ("desk", "mail", "ops")


class House:
    """What a store would keep between two turns."""

    def __init__(self) -> None:
        self.known: dict[str, Condition] = {}
        self.told: list[tuple[str, str]] = []

    def look(self, now: datetime, *seen: Condition) -> list[tuple[str, str]]:
        made = turn(self.known, seen, CHANNELS, now, PATIENCE)
        self.known |= {one.subject: one for one in made.conditions}
        told = [(one.channel, one.reason) for one in made.deliveries]
        self.told += told
        return told


def failing(since: datetime, channel: str = "desk") -> Condition:
    return Condition(f"channel:{channel}", Health.FAILING, since, "it did not answer within 10 s")


def well(now: datetime, subject: str = "channel:desk") -> Condition:
    return Condition(subject, Health.WELL, now)


def test_a_channel_that_fails_for_long_is_told_of_on_the_others_once_and_once_when_it_is_back() -> None:
    house = House()
    assert house.look(NOW, failing(NOW)) == []
    assert house.look(NOW + 29 * MINUTE, failing(NOW)) == []
    assert house.look(NOW + 30 * MINUTE, failing(NOW)) == [("mail", "failing"), ("ops", "failing")]
    assert house.look(NOW + 5 * HOUR, failing(NOW)) == []
    assert house.look(NOW + 6 * HOUR, well(NOW + 6 * HOUR)) == [("mail", "well"), ("ops", "well")]
    assert house.look(NOW + 7 * HOUR, well(NOW + 7 * HOUR)) == []


def test_a_short_trouble_is_nobodys_business() -> None:
    house = House()
    house.look(NOW, failing(NOW))
    house.look(NOW + 10 * MINUTE, well(NOW + 10 * MINUTE))
    assert house.told == []


def test_a_channel_that_is_switched_off_is_told_of_at_once_and_stays_off() -> None:
    house = House()
    off = Condition("channel:desk", Health.DISABLED, NOW, "https://e.com/hook answered 410 Gone")
    assert house.look(NOW, off) == [("mail", "disabled"), ("ops", "disabled")]
    record = ChannelRecord("desk", None, "")
    assert channel_condition(record, house.known["channel:desk"], NOW + HOUR).health is Health.DISABLED


def test_trouble_waits_for_a_channel_that_can_tell_of_it() -> None:
    house = House()
    all_down = [failing(NOW, name) for name in CHANNELS]
    assert house.look(NOW + HOUR, *all_down) == []
    some = [failing(NOW, "desk"), failing(NOW, "mail"), well(NOW + 2 * HOUR, "channel:ops")]
    assert house.look(NOW + 2 * HOUR, *some) == [("ops", "failing"), ("ops", "failing")]


def test_the_same_trouble_told_again_after_a_crash_has_the_same_id() -> None:
    seen = [failing(NOW)]
    first = turn({}, seen, CHANNELS, NOW + HOUR, PATIENCE)
    again = turn({}, seen, CHANNELS, NOW + 2 * HOUR, PATIENCE)
    assert [one.id for one in first.deliveries] == [one.id for one in again.deliveries]


def test_what_people_read_names_the_thing_and_the_way_out() -> None:
    made = turn({}, [failing(NOW)], CHANNELS, NOW + HOUR, PATIENCE)
    message = read_message(made.deliveries[0].payload)
    assert subject(message) == "[Squall] Channel desk: messages do not arrive"
    text = plain_text(message)
    assert "it did not answer within 10 s" in text
    assert "squall alerts test desk" in text


def test_nothing_to_tell_is_nothing_to_write() -> None:
    assert turn({}, [well(NOW)], CHANNELS, NOW, PATIENCE) == Turn()


# Sight


def test_feeds_that_do_not_answer_are_no_calm() -> None:
    six = 6 * HOUR
    seen = Looking(NOW - MINUTE, NOW - MINUTE)
    silent = Looking(NOW - MINUTE, NOW - 7 * HOUR)
    assert sight(seen, NOW, six) is Sight.CLEAR
    assert sight(silent, NOW, six) is Sight.NO_DATA
    assert sight(replace(seen, fault="no model"), NOW, six) is Sight.ERROR
    assert sight(Looking(), NOW, six) is Sight.CLEAR, "nothing is polled when history is played"
    assert sight_condition(silent, NOW, six).health is Health.NO_DATA
    assert sight_condition(replace(silent, fault="no model"), NOW, six).health is Health.ERROR


def test_after_a_pause_nothing_is_calm_and_nobody_is_alarmed() -> None:
    before_the_first_answer = Looking(NOW - 48 * HOUR, NOW - 48 * HOUR)
    assert sight(before_the_first_answer, NOW, 6 * HOUR) is Sight.NO_DATA
    assert sight_condition(before_the_first_answer, NOW, 6 * HOUR).health is Health.WELL


@pytest.mark.parametrize(
    ("asked", "due", "pace", "off"),
    [
        (HOUR, HOUR - MINUTE, MINUTE, True),  # the daemon was off, or the machine slept
        (HOUR, 9 * MINUTE, MINUTE, False),  # one feed, asked every hour
        (MINUTE, 9 * HOUR, MINUTE, False),  # a feed that is left alone at its server's wish, beside others
        (HOUR, HOUR - MINUTE, HOUR, False),  # it is looked once an hour which feeds are due
        (-HOUR, -HOUR, MINUTE, False),  # by a clock that was set back
    ],
)
def test_a_pause_is_when_nobody_asks_though_a_feed_is_due(
    asked: timedelta, due: timedelta, pace: timedelta, *, off: bool
) -> None:
    assert idle(Looking(NOW - asked, NOW - asked, due_at=NOW - due), NOW, pace) is off
    assert not idle(Looking(), NOW, pace)
    assert not idle(Looking(NOW - asked), NOW, pace)


def test_a_pause_ends_with_the_first_answer_after_it() -> None:
    paused = Looking(NOW - HOUR, NOW - HOUR, paused_at=NOW - HOUR)
    assert sight(paused, NOW, 6 * HOUR) is Sight.NO_DATA
    assert sight(replace(paused, asked_at=NOW + MINUTE), NOW + MINUTE, 6 * HOUR) is Sight.NO_DATA, "it failed"
    # It was asked before we looked, and answered after.
    assert sight(replace(paused, answered_at=NOW - MINUTE), NOW + MINUTE, 6 * HOUR) is Sight.CLEAR
    assert sight_condition(paused, NOW, 6 * HOUR).health is Health.WELL


# Digests


def morning(**more: object) -> Digest:
    return Digest.model_validate({"name": "morning", "at": "07:30", "time_zone": "Europe/Zurich", **more})


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-03-10T06:29:59+00:00", "2026-03-09T06:30:00+00:00"),
        ("2026-03-10T06:30:00+00:00", "2026-03-10T06:30:00+00:00"),
        # In summer half past seven comes an hour earlier.
        ("2026-03-29T05:30:00+00:00", "2026-03-29T05:30:00+00:00"),
    ],
)
def test_a_daily_digest_ends_at_its_hour_by_the_wall_clock(now: str, end: str) -> None:
    assert morning().last_end(datetime.fromisoformat(now)) == datetime.fromisoformat(end)


def test_a_weekly_digest_ends_on_its_day() -> None:
    weekly = morning(every="week", weekday="fri")
    assert weekly.last_end(NOW) == datetime(2026, 3, 6, 6, 30, tzinfo=UTC)


def test_a_digest_is_due_once_and_what_was_missed_is_in_the_next() -> None:
    digest = morning()
    begun = digest.last_end(NOW)
    assert due(digest, None, NOW) is None
    assert due(digest, begun, NOW) is None
    later = NOW + timedelta(days=3)
    assert due(digest, begun, later) == (begun, digest.last_end(later))


@pytest.mark.parametrize(("every", "days"), [("day", 1), ("week", 7)])
def test_a_digest_that_comes_back_begins_no_earlier_than_usual(every: str, days: int) -> None:
    digest = morning(every=every, weekday="fri")
    until = digest.last_end(NOW)
    usual = until - timedelta(days=days)
    assert resumed(digest, until - timedelta(days=90), until) == usual
    assert resumed(digest, usual, until) == usual
    assert resumed(digest, usual + HOUR, until) == usual + HOUR


def test_a_digest_says_what_came_in_and_what_was_not_sent() -> None:
    period = Period(NOW - 24 * HOUR, NOW, (), 1200, 800, 90, {"silenced": 2, "inhibited": 1})
    message = bulletin_message("digest", bulletin(morning(), period, {}, "https://squall.example"), NOW)
    assert subject(message) == "[Squall] Daily digest: no alert"
    text = plain_text(message)
    for words in ("1,200 headlines, 800 stories, 90 of them negative", "2 notices: silenced", "1 notice: "):
        assert words in text
    with pytest.raises(ValidationError, match="no time zone"):
        morning(time_zone="Mars/Olympus")


def test_a_digest_reckons_the_length_of_an_alert_as_the_message_of_its_end_does() -> None:
    first = Evidence(1, "Bank falls", ("ft",), "", NOW - 3 * HOUR, 0.9)
    alert = SCENE["alert"](
        NOW - 2 * HOUR, state=State.RESOLVED, last_spike_at=NOW - HOUR, resolved_at=NOW, evidence=(first,)
    )
    end = alert_message(Change(alert, State.RECOVERING, ChangeReason.RESOLVED, NOW), names={}, dashboard_url="")
    digest = bulletin(morning(), Period(NOW - 24 * HOUR, NOW, (alert,)), {}, "")
    (line,) = digest.sections[0].items
    assert "over after 2 hours" in subject(end)
    assert "over after 2 hours" in line.title
    assert "Since 10 Mar 2026, 09:00 UTC" in line.text


# The tally


def tally(true: int = 0, false: int = 0, unjudged: int = 0, weeks: float = 10) -> Tally:
    return Tally(true, false, unjudged, weeks, stated=0.5)


@pytest.mark.parametrize(
    ("told", "standing"),
    [
        (tally(3, 5), Standing.AS_STATED),
        (tally(3, 20), Standing.MORE),
        (tally(9, 0), Standing.FEWER),
        (tally(9, 0, unjudged=9), Standing.AS_STATED),
        (tally(3, 20, weeks=0.5), Standing.TOO_EARLY),
        (tally(weeks=0), Standing.TOO_EARLY),
    ],
)
def test_judged_alerts_are_held_against_the_stated_rate(told: Tally, standing: Standing) -> None:
    assert told.standing is standing
    assert f"{told.judged_false} judged false" in told.words


@given(st.integers(0, 50), st.integers(0, 50), st.floats(1, 500))
def test_the_limits_hold_the_observed_rate_between_them(false: int, unjudged: int, weeks: float) -> None:
    told = tally(0, false, unjudged, weeks)
    assert told.range_per_week is not None
    low, high = told.range_per_week
    assert low <= false / weeks <= (false + unjudged) / weeks < high


def test_the_limits_are_those_of_a_table() -> None:
    """Garwood's limits for 5 events at 90 %: 1.970 and 10.513."""
    limits = tally(0, 5, 0, 1).range_per_week
    assert limits == pytest.approx((1.970, 10.513), abs=1e-3)
