"""Companies in headlines: longest names, marked tickers, and ordinary words only where a company is meant."""

from __future__ import annotations

import csv
import hashlib
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import SettingsUnusable
from monitor.news.companies import Company, CompanyMatcher, Mention, gazetteer
from monitor.news.own_companies import OwnCompany, with_own
from monitor.settings_file import load_settings

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
        ("Ad mogul sees Meta rebounding strongly this year", ("META",)),
        ("Talks revived with SoftBank on London listing for Arm", ("SFTBY", "ARM")),
        ("SoftBank’s Arm to raise prices", ("SFTBY", "ARM")),
        ("Luxury-car maker Lucid produced more vehicles than expected", ("LCID",)),
        ("JetBlue-Spirit Deal Faces Antitrust Suit", ("JBLU", "SAVE")),
        ("JetBlue’s $3.8 Billion Spirit Deal Challenged", ("JBLU", "SAVE")),
        ("Collapse of Signature, SVB and Silvergate", ("SBNY", "SIVB", "SI")),
        ("Apple's rival Meta unveils headset", ("AAPL", "META")),
        ("FirstFT: Deutsche cuts ties with retail tycoon", ("DB",)),
        ("TikTok owner ByteDance and Huawei protest", ("BYTEDANCE", "HUAWEI")),
        ("Adani shares plunge", ("ADANIENT",)),
        ("Maersk, Rheinmetall and Monte dei Paschi report", ("AMKBY", "RNMBY", "BMDPF")),
        ("Private equity firms Apollo and KKR among bidders", ("APO", "KKR")),
        ("Visa and Mastercard Settle", ("V", "MA")),
        ("Mastercard & Visa Settle", ("MA", "V")),
        ("Better Buy: Home Depot vs. Target", ("HD", "TGT")),
        ("Better Buy: Target or Walmart", ("TGT", "WMT")),
        ("ICE profit drops 27% on weak growth", ("ICE",)),
        ("RTX raises 2025 forecast", ("RTX",)),
        ("McCormick cuts profit forecast on tariffs", ("MKC",)),
        ("Kellogg to split into three", ("K",)),
        ("US Steel agrees to Nippon takeover", ("X",)),
        ("U.S. Bank names new CEO", ("USB",)),
        ("UK's National Grid sells unit", ("NGG",)),
        ("Western Alliance says deposits are stable", ("WAL",)),
        ("Crypto exchange Gemini lays off 10%", ("GEMINI",)),
        ("Expand Energy shares rise", ("EXE",)),
        ("Workday added to Goldman's conviction list", ("WDAY", "GS")),
        # ordinary words, meant as such
        ("Gautam Adani speaks", ()),
        ("Monetary policy is in the right place, Fed's Williams says", ()),
        ("Fed\u2019s Williams: risks to the economy still to the downside", ()),
        ("Inflation is sticky, says BOE's Ball", ()),
        ("Short-seller Muddy Waters takes a position in a solar firm", ()),
        ("Apollo Hospitals shares rise", ()),
        ("Delta Corp sells casinos; stock up", ()),
        ("Twitter lawsuit goes to Chancellor Kathaleen McCormick in Delaware", ("TWTR",)),
        ("Trump envoy Kellogg says talks go on in Kyiv", ()),
        ("ICE arrests workers at Hyundai plant in Georgia", ("HYMTF",)),
        ("Hundreds detained by ICE at battery plant in Georgia", ()),
        ("EU softens ban on new ICE cars after pressure", ()),
        ("Nvidia RTX 5090 cards sell out", ("NVDA",)),
        ("SSE Composite falls 2%", ()),
        ("EU Seeks Relief From US Steel Tariffs", ()),
        ("U.S. Bank Failures Rattle Markets", ()),
        ("Cuba's National Grid Collapses Again", ()),
        ("Trump Strains Western Alliance Over Ukraine", ()),
        ("India, Russia Agree to Expand Energy Ties", ()),
        ("Amazon Staff Push for Shorter Workday", ("AMZN",)),
        ("It's Showtime for the Fed", ()),
        ("Apple to Use Google's Gemini for Siri", ("AAPL", "GOOGL")),
        ("Canadian National Detained in Iran", ()),
        ("Nuclear Waste Management Costs Soar", ()),
        ("Space Rocket Companies Race to Launch", ()),
        ("Boeing supplier Spirit cuts dividend", ("BA",)),
        ("People's Bank of China cuts rates", ()),
        ("Delta variant spreads", ()),
        ("Doug Ford wins Ontario vote", ()),
        ("A Meta-analysis of Vaccines", ()),
        ("Circle of friends gathers", ()),
        ("Snap Elections Loom in Bulgaria", ()),
        ("Deal Is Signed With Lloyds of London", ()),
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


@pytest.mark.parametrize(
    "title",
    [
        "Acme fined $1.3M over oil spill",
        "Streaming firm adds 9.3M subscribers",
        "Startup raises £3M",
        "Startup raises €3M to expand",
        "Startup raises ₹3M",
        "Startup raises $ 3M",
        "Startup raises EUR 3M",
        "Startup raises Rs 3M",
        "Startup raises 3M in seed round",
        "Bank fined US$3M",
        "Economy adds 2,3M jobs",
        "Robots may take 2-3M jobs",
        "Output falls from 4M to 3M",
        "3M to 4M cars to be recalled",
        "Hackers steal data of 3M customers",
        "3M users hit by breach",
        "3M jobs at risk",
        "Leak exposes 3M patient records",
        "3M US households lose power",
        "Saudis to pump 3M more barrels",
        "Output at 3M b/d",
        "Strike hits 3M+ people",
        "Nearly 3M without power",
        "Fund sells 3M shares",
        "Broker prices offering of 3M shares",
        "Insurer to cover 3M workers",
        "Fraudsters made 3M payments",
        "A 3M-barrel cut",
        "3M Libor rises",
        "UK unemployment rate (3M) falls",
        "UK index of services (3M/3M) rises",
    ],
)
def test_three_million_is_no_company(title: str) -> None:
    assert MATCHER.match(title) == ()


@pytest.mark.parametrize(
    "title",
    [
        "3M to pay $6 billion",
        "3M shares fall",
        "Why 3M shares are falling",
        "Dow slips as 3M shares slump",
        "Shares of 3M",
        "3M's CEO",
        "3M’s customers turn away",
        "EPA fines 3M over chemicals",
        "Fund buys 3M",
        "3M in talks to settle",
        "3M posts a loss",
        "3M records a charge",
        "3M cuts 2,500 jobs",
        "3M job cuts deepen",
        "3M workers strike",
        "3M cases go to trial",
        "Judge: 3M earplugs were defective",
        "Another 3M plant closes",
        "3M (NYSE: MMM) beats",
        "3M-backed start-up folds",
    ],
)
def test_the_company_3m_is_found_where_no_amount_is_meant(title: str) -> None:
    assert MATCHER.match(title) == ("MMM",)


@pytest.mark.parametrize(
    ("title", "tickers"),
    [
        ("Fed raises rates by 25 BP as most economists had expected", ()),
        ("Trader sees a 50-BP hike", ()),
        ("A 500 HP engine is unveiled", ()),
        ("Officials say the F5 tornado destroyed hundreds of homes", ()),
        ("BP to cut jobs", ("BP",)),
        ("By 2030 BP to halve output", ("BP",)),
        ("Q1 BP profit doubles", ("BP",)),
        ("Two of 4 BP refineries shut", ("BP",)),
        ("HP to cut jobs", ("HPQ",)),
        ("F5 shares fall", ("FFIV",)),
    ],
)
def test_a_unit_is_no_company(title: str, tickers: tuple[str, ...]) -> None:
    assert MATCHER.match(title) == tickers


def test_the_rest_of_a_number_is_no_name_of_ones_own_company_either() -> None:
    matcher = CompanyMatcher(with_own([OwnCompany(ticker="SEVEN", name="7 Oaks", names=("7 Oaks",))]))
    assert matcher.match("Lender 7 Oaks fined £7 million") == ("SEVEN",)
    assert matcher.match("The estate has 3.7 Oaks an acre, 1,7 Oaks were felled, £7 Oaks tax") == ()


def test_mentions_are_the_very_words_of_the_title() -> None:
    title = "UBS’s rival Credit Suisse falls, $JPM and Goldman (NYSE: GS) rise"
    assert MATCHER.mentions(title) == (
        Mention("UBS", "UBS", 0, 3),
        Mention("CS", "Credit Suisse", 12, 25),
        Mention("JPM", "JPM", 34, 37),
        Mention("GS", "Goldman", 42, 49),
        Mention("GS", "GS", 57, 59),
    )
    assert MATCHER.mentions("Storms flood Brazil") == ()


@given(
    st.lists(st.sampled_from(["Apple", "Ford’s", "and", "Shell shares", "$JPM", "(GS)", "Meta,", "é中"]), max_size=8)
)
def test_mentions_lie_where_they_say_and_do_not_overlap(words: list[str]) -> None:
    title = " ".join(words)
    found = MATCHER.mentions(title)
    assert all(title[one.start : one.end] == one.name for one in found)
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert MATCHER.match(title) == tuple(dict.fromkeys(one.ticker for one in found))


OWN = OwnCompany(
    ticker="NORTHARB", name="Northern Harbour", names=("Northern Harbour", "NoHaBank"), contextual=("Northern",)
)


def test_a_company_of_ones_own_is_linked_by_its_names() -> None:
    matcher = CompanyMatcher(with_own([OWN, OwnCompany(ticker="TSLA", names=("Austin carmaker",))]))
    assert matcher.match("NoHaBank and Northern Harbour fined") == ("NORTHARB",)
    assert matcher.match("Northern shares fall as Austin carmaker gains") == ("NORTHARB", "TSLA")
    assert matcher.match("Northern lights seen; Tesla recalls cars") == ("TSLA",)
    assert (matcher.name("NORTHARB"), matcher.name("TSLA")) == ("Northern Harbour", MATCHER.name("TSLA"))
    assert matcher.tickers[:-1] == MATCHER.tickers


def test_a_user_decides_whether_a_known_name_is_an_ordinary_word() -> None:
    matcher = CompanyMatcher(
        with_own([OwnCompany(ticker="TGT", names=("Target",)), OwnCompany(ticker="AAPL", contextual=("Apple",))])
    )
    assert matcher.match("Shoppers leave Target empty-handed") == ("TGT",)
    assert matcher.match("An Apple a day") == ()
    assert matcher.match("Apple shares fall") == ("AAPL",)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('ticker = "NEWCO"', "does not know NEWCO"),
        ('ticker = "NEWCO"\nname = "New"\nnames = ["JPMorgan"]', "belongs to JPM already"),
        ('ticker = "NEWCO"\nname = "New"\nnames = ["x"]', "is no name"),
        ('ticker = "new co"\nname = "New"', "companies.0.ticker"),
        ('ticker = "JPM"\n[[companies]]\nticker = "JPM"', "more than once"),
    ],
)
def test_a_wrong_company_is_refused_in_words(tmp_path: Path, table: str, said: str) -> None:
    file = tmp_path / "squall.toml"
    file.write_text(f"[[companies]]\n{table}\n")
    with pytest.raises(SettingsUnusable, match=said):
        load_settings(file, {})


def test_a_watchlist_names_companies_that_are_known(tmp_path: Path) -> None:
    file = tmp_path / "squall.toml"
    file.write_text('[watch]\ncompanies = ["JPM", "NORTHARB"]\n')
    with pytest.raises(SettingsUnusable, match="does not know NORTHARB; add a"):
        load_settings(file, {})
    file.write_text(file.read_text() + '[[companies]]\nticker = "NORTHARB"\nname = "Northern Harbour"\n')
    assert load_settings(file, {}).companies[0].ticker == "NORTHARB"


def test_names_and_sectors_are_known() -> None:
    assert (MATCHER.name("CS"), MATCHER.sector("CS")) == ("Credit Suisse", "Financials")
    assert (MATCHER.name("NONE"), MATCHER.sector("NONE")) == ("NONE", None)


@given(st.text())
def test_any_title_is_read(title: str) -> None:
    tickers = MATCHER.match(title)
    assert len(set(tickers)) == len(tickers)
    assert all(MATCHER.sector(ticker) for ticker in tickers)


def test_every_company_is_found_by_its_first_name() -> None:
    named = [company for company in gazetteer() if company.names]
    found = {company.ticker: MATCHER.match(f"Analysts like {company.names[0]}") for company in named}
    assert found == {company.ticker: (company.ticker,) for company in named}


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
    started = time.process_time()
    found = [MATCHER.match(title) for title in titles]
    per_second = len(titles) / (time.process_time() - started)
    assert sum("SIVB" in tickers for tickers in found) > 100
    assert sum("CS" in tickers for tickers in found) > 50
    assert per_second > 20_000


def test_the_judged_headlines_reach_the_stated_figures(shared_data: Path) -> None:
    with (shared_data / "replay" / "finance_2023q1.csv").open(encoding="utf-8") as file:
        titles = {" ".join(row["title"].split()) for row in csv.DictReader(file)}
    by_digest = {hashlib.sha256(title.encode()).hexdigest(): title for title in titles}
    with (Path(__file__).parent / "judged" / "companies.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 600
    right = wrong = missed = 0
    for row in rows:
        named = set(row["companies"].split())
        found = set(MATCHER.match(by_digest[row["title_sha256"]])) - set(row["unclear"].split())
        right, wrong, missed = right + len(found & named), wrong + len(found - named), missed + len(named - found)
    assert right / (right + wrong) >= 0.985
    assert right / (right + missed) >= 0.90
