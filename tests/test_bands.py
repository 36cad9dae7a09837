"""The band of what is usual: learned from the past, wide where little is seen, and silent while learning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from alerts.detection.bands import BAND, band
from alerts.rules import Rules

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = datetime(2026, 3, 10, tzinfo=UTC)
RULES = Rules(learning_days=7)


def history(days: int, negative: float = 4.0, market: float = 40.0, last: float | None = None) -> pl.DataFrame:
    """Hourly counts of a theme and the market; in the last day the theme has `last` negative stories an hour."""
    draws = np.random.default_rng(7)
    hours = [END - (days * 24 - at) * HOUR for at in range(days * 24)]
    bad = draws.poisson(negative, len(hours))
    if last is not None:
        bad[-24:] = draws.poisson(last, 24)
    stories = bad + draws.poisson(negative, len(hours))
    tone = np.array([draws.normal(-0.2, 0.5, count).sum() for count in stories])
    own = {"series": ["theme:x"] * len(hours), "hour": hours, "stories": stories, "negative": bad, "tone": tone}
    all_of = {"series": ["market"] * len(hours), "hour": hours, "stories": stories + draws.poisson(market, len(hours))}
    rest = {"negative": bad + draws.poisson(market / 8, len(hours)), "tone": tone}
    kind = {"hour": pl.Datetime("us", "UTC")}
    return pl.concat([pl.DataFrame(own, schema_overrides=kind), pl.DataFrame(all_of | rest, schema_overrides=kind)])


def steps(since: datetime, until: datetime, step: timedelta) -> list[datetime]:
    return [since + at * step for at in range((until - since) // step + 1)]


def test_nine_usual_steps_of_ten_lie_in_the_band() -> None:
    counts = history(56)
    found = band(counts, "theme:x", END - 56 * DAY, steps(END - 28 * DAY, END - DAY, HOUR), RULES)
    own = counts.filter(pl.col("series") == "theme:x").rename({"hour": "at"})
    both = found.join(own, on="at")
    assert both.height == 27 * 24
    # A whole number of stories lies on a limit now and then, so a little more than nine of ten.
    assert 0.86 <= both.select(pl.col("negative").is_between("low", "high").mean()).item() <= 0.99
    mean = pl.col("tone") / pl.col("stories")
    toned = both.filter(pl.col("stories") > 0)
    assert 0.85 <= toned.select(mean.is_between("tone_low", "tone_high").mean()).item() <= 0.97
    assert both.select((pl.col("expected") - 4).abs().mean()).item() < 1


def test_a_surge_of_the_last_day_does_not_widen_its_own_band() -> None:
    calm = band(history(56), "theme:x", END - 56 * DAY, [END - DAY, END], RULES).row(0, named=True)
    loud = band(history(56, last=40.0), "theme:x", END - 56 * DAY, [END - DAY, END], RULES).row(0, named=True)
    assert loud["expected"] == pytest.approx(calm["expected"], rel=0.1)
    assert loud["high"] < 24 * 40


def test_days_have_a_band_that_is_narrower_for_their_size() -> None:
    counts = history(56)
    (day,) = band(counts, "theme:x", END - 56 * DAY, [END - 2 * DAY, END - DAY], RULES).iter_rows(named=True)
    hours = band(counts, "theme:x", END - 56 * DAY, steps(END - 2 * DAY, END - DAY, HOUR), RULES)
    assert day["expected"] == pytest.approx(hours["expected"].sum(), rel=0.1)
    widths = hours.select(count=(pl.col("high") - pl.col("low")).sum(), tone=(pl.col("tone_high") - pl.col("tone_low")))
    assert day["high"] - day["low"] < widths["count"].item(0)
    assert day["tone_high"] - day["tone_low"] < widths["tone"].min()


@pytest.mark.parametrize("since", [None, END - 3 * DAY])
def test_a_series_without_history_has_no_band(since: datetime | None) -> None:
    found = band(history(20), "theme:x", since, [END - DAY, END], RULES)
    assert found.is_empty()
    assert found.schema == pl.Schema(BAND)


def test_the_market_is_a_series_too() -> None:
    found = band(history(30), "market", END - 30 * DAY, [END - DAY, END], RULES)
    row = found.row(0, named=True)
    assert row["low"] <= row["expected"] <= row["high"]
    assert row["tone_low"] <= row["tone_usual"] <= row["tone_high"]


def test_a_band_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        band(history(10), "theme:x", END - 10 * DAY, [END], RULES)
