"""Batching is a permutation within a budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.running.batching import Batch, batches, halves

COUNTS = st.lists(st.integers(1, 300), max_size=200)


@given(COUNTS, st.integers(1, 5000))
def test_every_position_once_and_within_the_budget(counts: list[int], budget: int) -> None:
    made = batches(counts, budget)
    positions = [position for batch in made for position in batch.positions]
    assert sorted(positions) == list(range(len(counts)))
    for batch in made:
        assert batch.longest == max(counts[position] for position in batch.positions)
        assert batch.padded_tokens <= budget or len(batch.positions) == 1


@given(st.lists(st.integers(1, 100), min_size=1, max_size=200))
def test_padding_never_exceeds_that_of_arrival_order(counts: list[int]) -> None:
    budget = 512
    sorted_cost = sum(batch.padded_tokens for batch in batches(counts, budget))
    size = max(1, budget // max(counts))
    arrival = [counts[start : start + size] for start in range(0, len(counts), size)]
    assert sorted_cost <= sum(len(chunk) * max(chunk) for chunk in arrival) + budget


@given(st.lists(st.integers(1, 100), min_size=2, max_size=50))
def test_halves_hold_the_same_positions(counts: list[int]) -> None:
    whole = Batch(tuple(range(len(counts))), max(counts))
    first, second = halves(whole, counts)
    assert first.positions + second.positions == whole.positions
    assert max(first.longest, second.longest) == whole.longest


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="budget"):
        batches([1], 0)
    with pytest.raises(ValueError, match="at least one token"):
        batches([0], 10)
    with pytest.raises(ValueError, match="cannot be split"):
        halves(Batch((0,), 5), [5])
