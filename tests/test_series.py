"""Names of series: made from scores, taken apart, and told to people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.score import TOPICS, Abstention, Score
from monitor.news.headlines import Headline, Standing
from monitor.series import Kind, Scored, counts, parted, sector_of, series_of, title_of

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
PLAIN = Headline(1, "f", "p", "t", "", "", "en", NOON, NOON, NOON, Standing.FRESH, (), 1)
SCORE = Score(0.8, 0.1, 0.1, (("Macro", 0.7), ("Fed | Central Banks", 0.6)), "m")


def test_a_headline_belongs_to_the_market_its_topics_themes_and_companies() -> None:
    headline = replace(PLAIN, companies=("JPM", "BRK.B"))
    assert series_of(headline, Scored(SCORE, ("bank-stress",))) == (
        "market",
        "topic:Macro",
        "topic:Fed | Central Banks",
        "theme:bank-stress",
        "sector:Financials",
        "company:JPM",
        "company:BRK.B",
    )


def test_a_company_that_nobody_knows_has_no_sector() -> None:
    assert series_of(replace(PLAIN, companies=("NOBODY",)), Scored(SCORE))[-1] == "company:NOBODY"
    assert "sector:Energy" in {f"sector:{sector}" for sector in sector_of().values()}


def test_a_headline_without_anything_to_say_belongs_to_the_market() -> None:
    silent = Scored(Score(0.3, 0.4, 0.3, (), "m", Abstention.EMPTY_TEXT))
    assert series_of(PLAIN, silent) == ("market",)


names = st.text(min_size=1, max_size=12)


@given(st.lists(st.sampled_from(TOPICS), max_size=4), st.lists(names, max_size=4), st.lists(names, max_size=4))
def test_every_series_is_named_once_and_can_be_taken_apart(
    topics: list[str], themes: list[str], companies: list[str]
) -> None:
    score = replace(SCORE, topics=tuple((topic, 0.5) for topic in topics))
    made = series_of(replace(PLAIN, companies=tuple(companies)), Scored(score, tuple(themes)))
    assert len(made) == len(set(made))
    apart = [parted(series) for series in made]
    assert apart[0] == (Kind.MARKET, "")
    assert {name for kind, name in apart if kind is Kind.TOPIC} == set(topics)
    assert {name for kind, name in apart if kind is Kind.THEME} == set(themes)
    assert {name for kind, name in apart if kind is Kind.COMPANY} == set(companies)


@pytest.mark.parametrize(
    "text", ["", "markets", "market:", "market:x", "topic", "topic:", "sector", "sectors:Energy", ":x"]
)
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no series"):
        parted(text)


@pytest.mark.parametrize(
    ("series", "title"),
    [
        ("market", "Market"),
        ("topic:M&A | Investments", "Topic: M&A | Investments"),
        ("theme:bank-stress", "Bank stress"),
        ("theme:gone", "gone"),
        ("sector:Energy", "Sector: Energy"),
        ("story:00000000000000ff", "Breaking story"),
        ("company:JPM", "JPMorgan Chase (JPM)"),
        ("company:XX", "XX"),
    ],
)
def test_people_read_names_not_keys(series: str, title: str) -> None:
    assert title_of(series, {"bank-stress": "Bank stress"}, {"JPM": "JPMorgan Chase"}) == title


def test_only_a_headline_with_a_trustworthy_date_is_counted() -> None:
    assert {standing for standing in Standing if counts(standing)} == {
        Standing.FRESH,
        Standing.FIRST_FETCH,
        Standing.ARCHIVE,
    }
