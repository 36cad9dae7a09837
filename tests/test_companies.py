"""Companies in headlines: longest names, marked tickers, and ordinary words only where a company is meant."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.companies import Company, CompanyMatcher, gazetteer

MATCHER = CompanyMatcher()


@pytest.mark.parametrize(
    ("title", "tickers"),
    [
        ("Apple unveils a headset", ("AAPL",)),
        ("Apple's margins shrink", ("AAPL",)),
        ("Apple\u2019s margins shrink", ("AAPL",)),
        ("Bank of America cuts rates for savers", ("BAC",)),
        ("JPMorgan Chase and Wells Fargo report", ("JPM", "WFC")),
        ("UBS to buy Credit Suisse for $3.25bn", ("UBS", "CS")),
        ("SVB collapse hits First Republic and Signature Bank", ("SIVB", "FRC", "SBNY")),
        ("Silvergate winds down", ("SI",)),
        ("Toyota, HSBC and Deutsche Bank", ("TM", "HSBC", "DB")),
        ("AT&T and Procter & Gamble", ("T", "PG")),
        ("Google and YouTube face fines", ("GOOGL",)),
        ("Goldman-backed battery firm", ("GS",)),
        ("$AAPL and $JPM pop", ("AAPL", "JPM")),
        ("JPMorgan (NYSE: JPM) beats", ("JPM",)),
        ("Shares of the lender (NYSE:WFC) fall", ("WFC",)),
        ("The bank (FRC) halts trading", ("FRC",)),
        # ordinary words, meant as companies
        ("Target cuts forecast", ("TGT",)),
        ("Ford recalls 600,000 cars", ("F",)),
        ("Meta to cut 10,000 jobs", ("META",)),
        ("Visa's quarterly profit rises", ("V",)),
        ("Shell Plc sells its stake", ("SHEL",)),
        ("Gap shares slump", ("GPS",)),
        ("Retailer Best Buy hit by theft", ("BBY",)),
        ("Progressive Corp earnings beat", ("PGR",)),
        ("Amazon, Meta and Ford lay off thousands", ("AMZN", "META", "F")),
        # ordinary words, meant as such
        ("ECB keeps inflation target", ()),
        ("Inflation Target Under Pressure", ()),
        ("The Best Buy Signal in Years", ()),
        ("Visa rules for students tighten", ()),
        ("Pay gap widens", ()),
        ("The Gap Between Rich and Poor", ()),
        ("Shell companies in Panama", ()),
        ("All eyes on the Fed", ()),
        ("Key takeaways from Davos", ()),
        ("Progressive Democrats object", ()),
        ("Dow falls 300 points", ()),
        ("Nasdaq slides", ()),
        ("Harrison Ford returns", ()),
        ("Amazon rainforest fires rise", ()),
        ("US Intel agencies warn", ()),
        ("apple growers meet", ()),
        ("Pineapple prices", ()),
        ("Citizen's arrest at Citicorp Plaza", ()),
        ("A $5 fee and $3.2bn (ALL) cuts", ()),
        ("IT spending is ON the rise, SO what NOW", ()),
        ("", ()),
    ],
)
def test_titles_name_companies(title: str, tickers: tuple[str, ...]) -> None:
    assert MATCHER.match(title) == tickers


def test_names_and_sectors_are_known() -> None:
    assert (MATCHER.name("CS"), MATCHER.sector("CS")) == ("Credit Suisse", "Financials")
    assert (MATCHER.name("NONE"), MATCHER.sector("NONE")) == ("NONE", None)


@given(st.text())
def test_any_title_is_read(title: str) -> None:
    tickers = MATCHER.match(title)
    assert len(set(tickers)) == len(tickers)
    assert all(MATCHER.sector(ticker) for ticker in tickers)


@pytest.mark.parametrize("company", [c for c in gazetteer() if c.names], ids=lambda c: c.ticker)
def test_every_company_is_found_by_its_first_name(company: Company) -> None:
    assert MATCHER.match(f"Analysts like {company.names[0]}") == (company.ticker,)


def test_a_name_belongs_to_one_company() -> None:
    one = Company("A", "Acme", "Industrials", ("Acme",))
    with pytest.raises(ValueError, match="belongs to both A and B"):
        CompanyMatcher([one, Company("B", "Acme Two", "Industrials", ("Acme",))])
    with pytest.raises(ValueError, match="two companies have the ticker A"):
        CompanyMatcher([one, one])
    with pytest.raises(ValueError, match="not empty"):
        Company("A", "Acme", "Industrials", ("",))


def test_without_companies_nothing_is_found() -> None:
    assert CompanyMatcher([]).match("Apple and $AAPL") == ()


def test_the_whole_index_is_covered(shared_data: Path) -> None:
    with (shared_data / "gazetteer" / "sp500.csv").open(encoding="utf-8") as file:
        symbols = {row["Symbol"] for row in csv.DictReader(file)}
    assert symbols <= {company.ticker for company in gazetteer()}


def test_real_headlines_name_the_banks_of_march(shared_data: Path) -> None:
    with (shared_data / "replay" / "finance_2023q1.csv").open(encoding="utf-8") as file:
        titles = [row["title"] for row in csv.DictReader(file)]
    started = time.perf_counter()
    found = [MATCHER.match(title) for title in titles]
    per_second = len(titles) / (time.perf_counter() - started)
    assert sum("SIVB" in tickers for tickers in found) > 100
    assert sum("CS" in tickers for tickers in found) > 50
    assert per_second > 20_000
