"""Words that the encoder does not know: how many of a day's news are such."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models.encoder import find_encoder
from models.running.tokens import Tokens
from models.trust.metrics import measure, reliability
from monitor.desk.odd_words import odd_words
from monitor.news.headlines import Headline, Standing
from monitor.storage.reading import Reader
from monitor.storage.store import Batch, Store

DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens(find_encoder().folder, 96)


def test_common_words_are_known_and_spelled_ones_are_not(tokens: Tokens) -> None:
    words = ["bank", "withdraw", "billions", "xqzzkwvj", "銀行業務", "Zynerbaqua"]
    assert tokens.strange(words)[:3] == [False, False, False]
    assert tokens.strange(words)[3:] == [True, True, True]
    assert tokens.strange([]) == []


def test_the_share_of_odd_words_by_day(tokens: Tokens, tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    told = {
        MIDNIGHT + DAY / 2: ["Bank falls on losses", "Shares of 12 banks gain 4.5 %"],
        MIDNIGHT + DAY: ["Bank xqzzkwvj falls https://x.example/qqqzzz", "Jqvvxk zwqqj"],
    }
    made = [
        Headline(n, "wire", "wire", title, "", "", "en", at, at, at, Standing.FRESH, (), n)
        for n, (at, title) in enumerate(((at, title) for at, titles in told.items() for title in titles), start=1)
    ]
    with Store.open(path, MIDNIGHT) as store:
        store.append(Batch(headlines=made), MIDNIGHT + 2 * DAY)
    with Reader.open(path) as reader:
        found = odd_words(reader, tokens, MIDNIGHT, MIDNIGHT + 2 * DAY)
        assert odd_words(reader, tokens, MIDNIGHT - DAY, MIDNIGHT) == {}
        # There the second day begins thirteen hours earlier.
        elsewhere = odd_words(reader, tokens, MIDNIGHT, MIDNIGHT + 2 * DAY, "Pacific/Auckland")
    assert elsewhere == {MIDNIGHT + DAY: pytest.approx(3 / 13)}
    assert found == {MIDNIGHT: 0.0, MIDNIGHT + DAY: pytest.approx(3 / 5)}, "numbers and addresses are no words"


def test_reliability_counts_every_text_once_and_agrees_with_the_error() -> None:
    chance = np.random.default_rng(3)
    probabilities = chance.dirichlet([2, 1, 1], 500)
    labels = chance.integers(0, 3, 500).tolist()
    rows = reliability(labels, probabilities, bins=15)
    assert sum(row["n"] for row in rows) == 500
    assert [row["confidence"] for row in rows] == sorted(row["confidence"] for row in rows)
    error = sum(row["n"] / 500 * abs(row["accuracy"] - row["confidence"]) for row in rows)
    assert error == pytest.approx(measure(labels, probabilities, ["a", "b", "c"]).ece, abs=1e-3)
