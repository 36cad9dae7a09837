"""Events put into a history, what is made of them, and the page that tells it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.backtesting.injecting import Planted, PlantedEvent, plant, plantable, trial_of
from monitor.backtesting.page import page
from monitor.backtesting.report import Day, FiredAlert, Report, Story, Trial
from monitor.cli import squall
from monitor.feeds.feed import Entry
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import headline
from monitor.news.stories import Stories
from monitor.series import series_of

BEGUN = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "ra", "se", "to")
_WORDS = [first + second + third for first in _SYLLABLES for second in _SYLLABLES for third in _SYLLABLES]
TITLES = [" ".join(_WORDS[start : start + 8]) for start in range(0, len(_WORDS), 8)]
SERIES = ["company:JPM", "theme:bank-stress", "topic:Macro"]


def history() -> list[Entry]:
    return [
        Entry(f"feed-{n % 3}", f"house-{n % 3}", "en", "", "", TITLES[n % 64], "", BEGUN + n * HOUR, BEGUN + n * HOUR)
        for n in range(40 * 24)
    ]


def planted(size: int = 5, seed: int = 3) -> Planted:
    names = {"JPM": "JPMorgan"}
    return plant(history(), SERIES, size, BEGUN + 10 * DAY, BEGUN + 40 * DAY, seed, names.__getitem__)


def test_events_have_their_size_their_time_and_room_between_them() -> None:
    found = planted()
    assert len(found.entries) == 5 * len(found.events) == len(found.scored)
    for series in SERIES:
        begins = [event.begins for event in found.events if event.series == series]
        assert len(begins) >= 2
        assert all(after - before >= 5 * DAY for before, after in pairwise(begins))
    assert all(BEGUN + 10 * DAY <= entry.fetched <= BEGUN + 40 * DAY for entry in found.entries)
    assert {entry.feed for entry in found.entries} <= {"feed-0", "feed-1", "feed-2"}


def test_the_same_seed_plants_at_the_same_times() -> None:
    assert planted() == planted()
    assert [event.series for event in planted(4).events] == [event.series for event in planted(9).events]
    assert planted(seed=4).events != planted().events


def test_a_planted_story_is_negative_about_its_series_and_a_story_of_its_own() -> None:
    found, matcher = planted(), CompanyMatcher()
    made = [headline(entry, entry.fetched, first_fetch=False, companies=matcher) for entry in found.entries]
    for place, one in enumerate(made):
        scored = found.scored[found.entries[place].title]
        assert scored.score.counts_as_negative
        assert found.events[place // 5].series in series_of(one, scored)
    told = Stories(matcher).assign(sorted(made, key=lambda one: one.effective))
    assert len({one.story for one in told}) == len(told)


def test_only_what_headlines_can_be_about_is_disturbed() -> None:
    assert plantable(["market", "sector:Energy", *SERIES]) == SERIES


def alert(series: str, opened: datetime, *titles: str, resolved: datetime | None = None) -> FiredAlert:
    stories = tuple(Story(title, "wire", "", opened) for title in titles)
    return FiredAlert(
        series, series, "info", opened, resolved, 24, 1.0, 5, 1e-5, 5, opened, stories, "volume", "score 1"
    )


def report(*alerts: FiredAlert) -> Report:
    days = {"market": tuple(Day(BEGUN + n * DAY, 20, 3) for n in range(9)), "company:JPM": (Day(BEGUN, 2, 1),)}
    return Report(900, 800, BEGUN, BEGUN + 9 * DAY, BEGUN + 2 * DAY, "m-1", alerts, days)


def test_a_trial_counts_what_was_found_late_missed_and_false() -> None:
    scored = dict.fromkeys(["injected a", "injected b"], next(iter(planted().scored.values())))
    events = tuple(
        PlantedEvent(series, 5, BEGUN + number * DAY)
        for number, series in enumerate(["company:JPM", "theme:x", "theme:y", "theme:z"], 2)
    )
    old = alert("theme:z", BEGUN + 5 * DAY - HOUR)
    plain = report(old)
    found = report(
        old,
        alert("company:JPM", events[0].begins + 6 * HOUR, "injected a"),  # found
        alert(
            "market", events[0].begins + 7 * HOUR, "injected a", "real"
        ),  # of the same event: neither found nor false
        alert("theme:x", events[1].begins + 30 * HOUR, "injected b"),  # too late, but no false one
        alert("theme:other", BEGUN + 8 * DAY, "real"),  # false
    )
    trial = trial_of(5, Planted(events, (), scored), plain, found)
    # theme:z had an alert open already, so its event could not be found.
    assert trial == Trial(size=5, events=3, found=1, delay_hours=6.0, false_alerts=1)
    assert trial.recall == pytest.approx(1 / 3)
    assert Trial(5, 0, 0, None, 0).recall == 0


def test_the_page_needs_nothing_else_and_shows_titles_as_text() -> None:
    hostile = alert(
        "company:JPM", BEGUN + 3 * DAY, "<script>alert(1)</script> & more", *[f"Title {n}" for n in range(12)]
    )
    both = {"your settings": report(hostile), "strict": report()}
    text = page(both, {"your settings": [Trial(8, 10, 7, 5.5, 1)], "strict": []})
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in text
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=|https?://", text)
    assert "7 of 10" in text
    assert "70%" in text
    assert "and 5 more" in text
    assert text.count("<svg") == 2
    assert "Rules compared" not in page({"only": report()}, {})


def test_a_page_of_nothing_is_a_page() -> None:
    text = page({"only": replace(report(), days={})}, {})
    assert "None." in text


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be used"), ("x = 1", "has no [rules] table"), ("[rules]\nwindows = [3, 1]", "cannot be used")],
)
def test_rules_that_cannot_be_compared_are_named(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "strict.toml"
    if content is not None:
        path.write_text(content)
    news = tmp_path / "news.csv"
    news.write_text("published,outlet,title\n2026-03-01T10:00:00Z,Wire,A headline\n")
    told = CliRunner().invoke(squall, ["backtest", str(news), "--compare", str(path), "--quiet"])
    assert words in str(told.exception)
    assert "strict.toml" in str(told.exception)
