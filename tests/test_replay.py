"""The bank stress of March 2023, from real headlines: noticed on the day, and little before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.themes import default_themes
from monitor.backtesting.backtest import Report, backtest
from monitor.news.companies import gazetteer
from monitor.settings import ModelSettings, Settings

BANKS = "theme:bank-stress"
WARMUP = datetime(2023, 2, 1, tzinfo=UTC)
CALM_UNTIL = datetime(2023, 3, 8, tzinfo=UTC)
NOTICED_BY = datetime(2023, 3, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def replay(shared_data: Path) -> Report:
    history = shared_data / "replay" / "finance_2023q1.csv"
    return backtest(history, Settings(model=ModelSettings(device="cpu")), WARMUP)


def banks() -> set[str]:
    named = ("bank", "silvergate", "svb", "signature", "credit suisse", "ubs", "first republic")
    companies = {f"company:{one.ticker}" for one in gazetteer() if any(word in one.name.lower() for word in named)}
    assert BANKS.removeprefix("theme:") in {theme.id for theme in default_themes()}
    return {BANKS, "topic:Financials", *companies}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_bank_stress_of_march_2023_is_noticed_on_the_day_svb_closed(replay: Report) -> None:
    found = [alert for alert in replay.alerts if alert.series in banks() and alert.opened_at >= CALM_UNTIL]
    assert found, [(alert.series, alert.opened_at) for alert in replay.alerts]
    assert min(alert.opened_at for alert in found) <= NOTICED_BY


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_weeks_before_it_bring_two_alerts_at_most(replay: Report) -> None:
    """Sources thin out in those weeks, and earnings come in: neither is news of its own."""
    early = [alert for alert in replay.alerts if WARMUP <= alert.opened_at < CALM_UNTIL + timedelta(days=1)]
    assert len(early) <= 2, [(alert.series, alert.opened_at) for alert in early]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_replay_is_read_whole(replay: Report) -> None:
    assert replay.headlines > 10_400
    assert replay.stories < replay.headlines
