"""Stories by meaning: a model is asked seldom, once, and only where words leave it open; a restart changes nothing."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.feeds.feed import Entry
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import Headline, headline
from monitor.news.likeness import COPIED, Difference, belonging, difference, likeness
from monitor.news.manner import Manner, manner
from monitor.news.rarity import RAREST, Memo, Rarities
from monitor.news.stories import Stories
from monitor.news.wording import stems
from monitor.news.wording import told as read

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MATCHER = CompanyMatcher()
FIRST = "Regulator imposes record penalty on Northern Harbour Bank"
SECOND = "Northern Harbour hit by biggest ever fine from watchdog"


class Meanings:
    """Vectors by a table of groups: texts of one group mean the same, all others are a right angle apart."""

    def __init__(self, *groups: Sequence[str], there: bool = True) -> None:
        self._group = {text: number for number, group in enumerate(groups) for text in group}
        self.asked: list[str] = []
        self.there = there

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        if not self.there:
            return None
        self.asked.extend(texts)
        vectors = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            spot = self._group.get(text, 8 + int(hashlib.blake2b(text.encode(), digest_size=4).hexdigest(), 16) % 56)
            vectors[row, spot] = 1.0
        return vectors


def told(title: str, minutes: int = 0, publisher: str = "house", summary: str = "") -> Headline:
    at = NOW + timedelta(minutes=minutes)
    entry = Entry("wire", publisher, "en", f"{title}{minutes}{publisher}", "", title, summary, at, at)
    return headline(entry, at, first_fetch=False, companies=MATCHER)


def test_the_same_event_in_other_words_is_one_story_where_a_model_says_so() -> None:
    pair = [told(FIRST), told(SECOND, 20, "other")]
    by_words = Stories(MATCHER).assign(pair)
    assert by_words[0].story != by_words[1].story
    alike = Stories(MATCHER, Meanings([FIRST, SECOND])).assign(pair)
    assert alike[0].story == alike[1].story == pair[0].id
    apart = Stories(MATCHER, Meanings([FIRST], [SECOND])).assign(pair)
    assert apart[0].story != apart[1].story


def test_a_model_does_not_overrule_what_keeps_titles_apart() -> None:
    pair = [
        told("Lender cuts 500 jobs in Madrid branches"),
        told("Lender cuts 900 jobs in Madrid branches", 5, "other"),
    ]
    same = Meanings([one.title for one in pair])
    found = Stories(MATCHER, same).assign(pair)
    assert found[0].story != found[1].story
    assert same.asked == []


def test_titles_that_share_nothing_are_never_embedded() -> None:
    meanings = Meanings()
    Stories(MATCHER, meanings).assign([told("Storms flood coast of Brazil"), told("Nokia wins court case", 5)])
    assert meanings.asked == []


def test_every_title_is_embedded_once() -> None:
    meanings = Meanings([FIRST, SECOND])
    stories = Stories(MATCHER, meanings)
    stories.assign([told(FIRST)])
    stories.assign([told(SECOND, 20, "other")])
    stories.assign([told(SECOND, 30, "third")])
    assert sorted(meanings.asked) == sorted([FIRST, SECOND, SECOND])


def test_without_the_model_for_a_while_words_decide() -> None:
    meanings = Meanings([FIRST, SECOND], there=False)
    stories = Stories(MATCHER, meanings)
    copy = told(FIRST, 10, "third")
    first, again, other = stories.assign([told(FIRST), copy, told(SECOND, 20, "other")])
    assert first.story == again.story != other.story
    meanings.there = True
    late = stories.assign([told(SECOND + " today", 25, "fourth")])[0]
    assert late.story in {first.story, other.story}


def test_the_name_of_a_column_is_not_the_story() -> None:
    first, second = Stories(MATCHER).assign(
        [
            told("FirstFT: Central bank of Norland raises rates by half a point", 0),
            told("Norland central bank raises rates by half a point", 30, "other"),
        ]
    )
    assert first.story == second.story


def test_titles_without_spaces_between_words_join_only_as_copies() -> None:
    chinese = "央行宣布下调存款准备金率零点五个百分点"
    meanings = Meanings([chinese, "央行宣布上调存款准备金率零点五个百分点"])
    found = Stories(MATCHER, meanings).assign(
        [told(chinese), told(chinese, 5, "other"), told("央行行长表示经济平稳增长", 10, "third")]
    )
    assert found[0].story == found[1].story != found[2].story
    assert meanings.asked == []


def test_a_summary_tells_what_the_title_leaves_out() -> None:
    summary = (
        "Harbour Lines said its vessel Meridian ran aground off Norland, spilling four thousand tonnes of fuel oil."
    )
    titles = ("Harbour Lines vessel runs aground", "Fuel spills as Harbour Lines ship hits rocks")
    bare = Stories(MATCHER).assign([told(titles[0]), told(titles[1], 30, "other")])
    told_more = Stories(MATCHER).assign(
        [told(titles[0], summary=summary), told(titles[1], 30, "other", summary=summary)]
    )
    assert bare[0].story != bare[1].story
    assert told_more[0].story == told_more[1].story


EVENTS = (
    FIRST,
    SECOND,
    "Northern Harbour Bank shares slump after record penalty",
    "Regulator fines Northern Harbour Bank record sum",
    "Norland central bank raises rates by half a point",
    "Central bank of Norland lifts rates half a point",
    "Storms flood coast of Brazil",
)


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 3_000)), max_size=24), st.integers(0, 24))
@settings(max_examples=60, deadline=None)
def test_a_restart_between_two_batches_changes_nothing(rows: list[tuple[str, int]], cut: int) -> None:
    batch = sorted((told(title, at, str(n % 3)) for n, (title, at) in enumerate(rows)), key=lambda h: h.effective)
    before, after = batch[:cut], batch[cut:]
    groups = (EVENTS[:2], EVENTS[4:6])
    running = Stories(MATCHER, Meanings(*groups))
    stored = running.assign(before)
    restarted = Stories(MATCHER, Meanings(*groups))
    restarted.restore((h.story, h.title, h.summary, h.effective, h.publisher) for h in stored)
    assert restarted.assign(after) == running.assign(after)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("Acme cuts outlook", "Acme cuts outlook again", Difference.NONE),
        ("Bonds yield 4.5% in May", "Bonds yield 4.7% in May", Difference.NUMBER),
        ("Firm to cut 10% of staff", "Firm to cut 2,000 staff", Difference.NONE),
        ("Inflation fell in April", "Inflation fell in June", Difference.PERIOD),
        ("JPMorgan beats forecasts", "Wells Fargo beats forecasts", Difference.COMPANY),
        ("BoE holds rates", "ECB holds rates", Difference.CENTRAL_BANK),
        ("Crude rises on supply", "Crude falls on supply", Difference.DIRECTION),
        ("Quuxco wins port contract", "Zorbex wins port contract", Difference.NAME),
        ("", "Crude falls", Difference.WORDLESS),
    ],
)
def test_what_keeps_titles_apart_has_a_name(first: str, second: str, reason: Difference) -> None:
    one, other = (read(title, "", NOW, "house", MATCHER.match(title)) for title in (first, second))
    assert difference(one, other) is difference(other, one) is reason


def test_likeness_is_the_same_from_both_sides_and_rises_with_nearness() -> None:
    one, other = (read(title, "", NOW, house, ()) for title, house in ((FIRST, "a"), (SECOND, "b")))
    rarity = Memo(Rarities())
    alike = likeness(one, other, rarity)
    assert alike == likeness(other, one, rarity)
    assert alike.given(0.2) < alike.given(0.8) < alike.given(1.0) == alike.at_best
    assert alike.given(None) == alike.by_words


@pytest.mark.parametrize(
    ("title", "follows", "markets", "about"),
    [
        ("Regulator fines Northern Harbour Bank", False, False, False),
        ("Rival condemns fine on Northern Harbour Bank", True, False, False),
        ("Northern Harbour shares tumble after record fine", True, True, False),
        ("Why the fine on Northern Harbour matters", False, False, True),
        ("Here\u2019s what the Northern Harbour fine means for savers", False, False, True),
        ("Is Northern Harbour safe?", False, False, True),
        ("The fine that shook Northern Harbour", False, False, True),
        ("", False, False, False),
    ],
)
def test_titles_are_worded_as_news_as_what_follows_or_about_it(
    title: str, follows: bool, markets: bool, about: bool
) -> None:
    assert manner(title) == Manner(follows, markets, about)


@pytest.mark.parametrize(
    "next_step",
    [
        "Northern Harbour shares tumble on record fine from watchdog",
        "Why the record fine from the watchdog for Northern Harbour matters",
    ],
)
def test_the_market_and_an_explanation_are_less_alike_than_another_report(next_step: str) -> None:
    report = "Northern Harbour handed record fine from watchdog"
    first, second, later = (
        read(title, "", NOW, house, ()) for title, house in ((SECOND, "a"), (report, "b"), (next_step, "b"))
    )
    rarity = Memo(Rarities())
    assert likeness(first, later, rarity).at_best < likeness(first, second, rarity).at_best


def test_a_column_tells_what_was_told_before_it() -> None:
    report, reworded = "Northern Harbour handed record fine from watchdog", "Regulator fines Northern Harbour"
    hour = timedelta(hours=1)

    def odds(first: str, second: str, apart: timedelta = hour) -> float:
        one, other = read(first, "", NOW, "a", ()), read(second, "", NOW + apart, "b", ())
        alike, turned = likeness(one, other, Memo(Rarities())), likeness(other, one, Memo(Rarities()))
        assert alike == turned
        return alike.at_best

    column = f"FirstFT: {reworded}"
    assert odds(report, column) > odds(report, reworded) == odds(f"FirstFT: {report}", reworded)
    at_once = timedelta(0)
    assert odds(report, column, at_once) == odds(f"FirstFT: {report}", reworded, at_once)


def test_a_title_that_is_like_one_title_of_many_belongs_less() -> None:
    assert belonging([1.0], 1) == pytest.approx(1.0)
    assert belonging([1.0, 1.0], 2) == pytest.approx(1.0)
    assert belonging([1.0], 2) < belonging([1.0, -1.0], 2) < 1.0
    assert belonging([1.0], 12) < belonging([1.0], 2)
    assert belonging([COPIED], 12) > belonging([5.0] * 12, 12)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=12), st.integers(1, 12))
def test_to_belong_is_no_more_than_to_be_like_the_most_alike(odds: list[float], titles: int) -> None:
    assert belonging(odds, titles) <= max(*odds, -2.0) + 1e-9
    assert belonging(odds[::-1], titles) == pytest.approx(belonging(odds, titles))


@given(st.lists(st.text(max_size=40), max_size=12))
def test_rarities_remember_exactly_what_was_not_dropped(texts: list[str]) -> None:
    kept, both = Rarities(), Rarities()
    for number, text in enumerate(texts):
        both.add(stems(text))
        if number % 2:
            kept.add(stems(text))
    for text in texts[::2]:
        both.drop(stems(text))
    for stem in {stem for text in texts for stem in stems(text)} | {"bank", "zzzzz"}:
        assert both(stem) == kept(stem)
        assert 0 <= both(stem) <= RAREST


def test_a_word_that_everybody_uses_today_tells_little() -> None:
    rarity = Rarities()
    before = rarity("zorbe")
    for _ in range(300):
        rarity.add(["zorbe"])
    assert before > 6 > 1 > rarity("zorbe")


def test_judgements_name_headlines_of_the_replay(shared_data: Path) -> None:
    with (shared_data / "replay" / "finance_2023q1.csv").open(encoding="utf-8") as file:
        digests = {hashlib.sha256(told(row["title"]).title.encode()).hexdigest() for row in csv.DictReader(file)}
    judged = Path(__file__).parent / "judged"
    with (judged / "story_pairs.csv").open(encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    assert len(pairs) >= 3_000
    assert {row[side] for row in pairs for side in ("first_sha256", "second_sha256")} <= digests
    with (judged / "story_windows.csv").open(encoding="utf-8") as file:
        assert {row["title_sha256"] for row in csv.DictReader(file)} <= digests
    for row in pairs:
        weeks = {
            datetime.fromisoformat(row[f"{side}_published"]).isocalendar().week % 2 for side in ("first", "second")
        }
        assert float(row["weight"]) > 0 or weeks == {0}, "what was read for the fit is of even weeks"
    sides = [f"{side}_{what}" for what in ("published", "sha256") for side in ("first", "second")]
    odd = [
        [row[side] for side in sides]
        for row in pairs
        if float(row["weight"]) > 0 and datetime.fromisoformat(row["first_published"]).isocalendar().week % 2
    ]
    with (judged / "story_second_reader.csv").open(encoding="utf-8") as file:
        assert [[row[side] for side in sides] for row in csv.DictReader(file)] == odd, "every held-out pair, once"
