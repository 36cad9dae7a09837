"""One headline, two companies, two fates: a company's series counts what is said of it, from the model to the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from models.score import CompanyScore, Score
from monitor.feeds.feed import Entry
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import Headline, headline
from monitor.series import Scored
from monitor.service.scoring import Scoring
from monitor.settings import ModelSettings
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Batch, Store

TITLE = "Microsoft shares plunge after profit warning while Apple soars to record"


def one(now: datetime) -> Headline:
    entry = Entry("f", "p", "en", "1", "https://example.org/1", TITLE, "", now, now)
    return headline(entry, now, first_fetch=False, companies=CompanyMatcher())


def said(negative: float, positive: float) -> CompanyScore:
    return CompanyScore("x", negative, 1 - negative - positive, positive)


def scored() -> Scored:
    """On the whole good news."""
    score = Score(0.2, 0.2, 0.6, (("Stock Movement", 0.9),), "m-1")
    return Scored(score, ("profit-warning",), (("MSFT", said(0.9, 0.05)), ("AAPL", said(0.02, 0.9))))


def test_a_company_counts_what_is_said_of_it(tmp_path: Path, now: datetime) -> None:
    headline_ = one(now)
    assert headline_.companies == ("MSFT", "AAPL")
    with Store.open(tmp_path / "s.duckdb", now) as store:
        store.append(Batch((), [headline_], {headline_.id: scored()}), now)
        history = AlertStore(store).history(now - timedelta(days=1), now + timedelta(hours=1))
        counted = {row["series"]: row["negative"] for row in history.iter_rows(named=True)}
        assert counted["company:MSFT"] == 1
        assert counted["company:AAPL"] == counted["market"] == counted["theme:profit-warning"] == 0
        assert store.rollup_faults().is_empty()
        store.rebuild_rollups()
        assert store.rollup_faults().is_empty()
        alerts = AlertStore(store)
        (evidence,) = alerts.evidence("company:MSFT", [headline_.story])
        assert evidence.negative == pytest.approx(0.9)
        assert alerts.evidence("company:AAPL", [headline_.story]) == ()


def test_without_an_opinion_of_the_company_the_headline_speaks_for_it(now: datetime) -> None:
    score = Score(0.9, 0.05, 0.05, (("Earnings", 0.9),), "m-1")
    plain = Scored(score, (), (("AAPL", said(0.02, 0.9)),))
    assert plain.counts_as_negative_in("company:MSFT")
    assert not plain.counts_as_negative_in("company:AAPL")
    assert plain.counts_as_negative_in("market")
    assert plain.tone_in("company:AAPL") == pytest.approx(0.88)
    assert plain.tone_in("company:MSFT") == pytest.approx(-0.85)


def test_the_shipped_model_tells_the_two_apart(now: datetime) -> None:
    title = "Microsoft falls, Apple rises after earnings"
    entry = Entry("f", "p", "en", "1", "https://example.org/1", title, "", now, now)
    headline_ = headline(entry, now, first_fetch=False, companies=CompanyMatcher())
    found = Scoring(ModelSettings(), (), companies=CompanyMatcher()).score_all([headline_])[headline_.id]
    assert [ticker for ticker, _ in found.towards] == ["MSFT", "AAPL"]
    assert found.counts_as_negative_in("company:MSFT")
    assert not found.counts_as_negative_in("company:AAPL")
