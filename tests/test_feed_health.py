"""What dates are worth, what a feed's habit is, and how its health is told in words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds.concluding import Answer, Pacing, concluded
from monitor.feeds.feed import Check, Entry, Feed, FeedState, Outcome, unseen
from monitor.feeds.fetching import Fetched
from monitor.feeds.habits import Dates, Habit, judge_dates, learned
from monitor.feeds.health import Health, HealthState, health
from monitor.feeds.parsing import Kind, Parsed
from monitor.news.headlines import Standing, headline

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FEED = Feed(id="wire", url="https://wire.example/rss", name="Wire", publisher="house")
PACING = Pacing(6 * HOUR, 3.0, HOUR)


class NamesNone:
    def match(self, title: str) -> tuple[str, ...]:
        return ()


def entries(*dates: datetime | None) -> tuple[Entry, ...]:
    return tuple(
        Entry("wire", "house", "en", f"g{n}", f"https://wire.example/{n}", f"Title {n}", "", at, NOW)
        for n, at in enumerate(dates)
    )


def check(found: tuple[Entry, ...], state: FeedState | None = None, now: datetime = NOW) -> Check:
    outcome = Outcome.NEW if found else Outcome.EMPTY
    answer = Answer(outcome, parsed=Parsed(found, (), Kind.RSS), body=1)
    before = state or replace(unseen(FEED, now), last_success_at=now - HOUR, first_success_at=now - HOUR)
    fetched = Fetched(None, "", FEED.url, 200)
    return concluded(FEED, before, now, fetched, answer, 100, PACING, random.Random(1).random())


HOURLY = [NOW - n * HOUR for n in range(8)]
SAME = [NOW - HOUR] * 8
CASES: dict[Dates, Sequence[datetime | None]] = {
    Dates.DATED: HOURLY,
    Dates.UNDATED: [None] * 8,
    Dates.EPOCH: [datetime(1970, 1, 1, tzinfo=UTC)] * 8,
    Dates.FUTURE: [NOW + timedelta(days=2) + n * HOUR for n in range(8)],
    Dates.CONSTANT: SAME,
}


@pytest.mark.parametrize("dates", Dates)
def test_each_kind_of_dates_is_recognised_shown_and_kept_from_alerting(dates: Dates) -> None:
    found = entries(*CASES[dates])
    assert judge_dates(found, NOW) is dates
    checked = check(found)
    assert checked.state.dates == dates.value
    shown = health(FEED, checked.state, NOW)
    made = [headline(one, NOW, first_fetch=False, companies=NamesNone()) for one in checked.entries]
    if dates is Dates.DATED:
        assert shown.state is HealthState.OK
        assert {one.standing for one in made} == {Standing.FRESH}
    else:
        assert shown.state is HealthState.UNDATED
        assert "never alert" in shown.reason
        assert {one.standing for one in made} <= {Standing.UNDATED, Standing.FUTURE}


def test_few_entries_of_one_moment_are_believed() -> None:
    assert judge_dates(entries(*SAME[:4]), NOW) is Dates.DATED
    assert judge_dates((), NOW) is None
    assert judge_dates(entries(None, *HOURLY), NOW) is Dates.DATED


def test_an_answer_without_entries_changes_no_habit() -> None:
    state = check(entries(*HOURLY)).state
    after = check((), state, NOW + HOUR).state
    assert (after.dates, after.newest_at, after.gap_seconds) == (state.dates, state.newest_at, state.gap_seconds)


@given(st.lists(st.none() | st.datetimes(timezones=st.just(UTC)), max_size=12))
def test_any_dates_make_a_habit(dates: list[datetime | None]) -> None:
    found = entries(*dates)
    habit = learned(Habit(), found, judge_dates(found, NOW), NOW)
    assert habit.gap is None or habit.longest_gap is None or habit.gap <= habit.longest_gap + timedelta(seconds=1)
    assert habit.newest is None or habit.newest <= NOW + timedelta(minutes=15)


def known(**changes: object) -> FeedState:
    plain = check(entries(*HOURLY)).state
    return replace(plain, **changes)  # type: ignore[arg-type]  # field values as the tests name them


@pytest.mark.parametrize(
    ("state", "found", "words"),
    [
        (None, HealthState.NEW, ""),
        (known(), HealthState.OK, ""),
        (known(millis=9_000), HealthState.SLOW, "9.0 s"),
        (known(failures=3, reason="it is down"), HealthState.FAILING, "3 checks in a row failed: it is down"),
        (known(newest_at=NOW - timedelta(days=3)), HealthState.SILENT, "3 days ago"),
        (known(outcome="empty"), HealthState.EMPTY, "no entries"),
        (known(guids="churning"), HealthState.RENAMING, "matched by link and title"),
        (known(muted_at=NOW, failures=1, reason="gone"), HealthState.MUTED, "gone"),
        (known(dates="future"), HealthState.UNDATED, "time zone"),
        (known(url="https://old.example/"), HealthState.NEW, ""),
    ],
)
def test_each_state_has_its_words(state: FeedState | None, found: HealthState, words: str) -> None:
    shown = health(FEED, state, NOW)
    assert (shown.state, words in shown.reason) == (found, True), shown


def test_a_feed_that_publishes_weekly_is_not_silent_after_ten_days() -> None:
    weekly = entries(*(NOW - n * timedelta(days=7) for n in range(6)))
    state = check(weekly).state
    assert health(FEED, state, NOW + timedelta(days=10)).state is HealthState.OK
    assert health(FEED, state, NOW + timedelta(days=22)).state is HealthState.SILENT


def test_a_disabled_feed_is_muted_and_the_next_check_has_its_reason() -> None:
    off = FEED.model_copy(update={"enabled": False})
    assert health(off, known(), NOW).state is HealthState.MUTED
    shown = health(FEED, known(), NOW)
    assert shown.next_check_at is not None
    assert "every_minutes" in shown.pace
    assert "no daemon" in health(FEED, known(), NOW + 5 * HOUR).reason


def test_a_state_without_its_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Health(HealthState.FAILING, "", None)
