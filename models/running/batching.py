"""Which texts share a forward pass.

takes  token counts of texts, and a budget
gives  `Batch`es of positions: every position once, padded size within the budget
never  touches text, tensors or devices

Padding is paid for like text, so texts of similar length travel together: on headlines this alone more than
doubles throughput against batches in order of arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """Positions of texts that are scored together, and the token count of the longest."""

    positions: tuple[int, ...]
    longest: int

    @property
    def padded_tokens(self) -> int:
        """Tokens in the padded batch: texts x longest."""
        return len(self.positions) * self.longest


def batches(token_counts: Sequence[int], budget: int) -> list[Batch]:
    """Group positions by length so that no padded batch exceeds `budget` tokens.

    A single text longer than the budget gets a batch of its own. Longest first: the largest allocation comes
    at once, so memory that does not suffice shows in the first batch, not in the last.

    Args:
        token_counts: tokens per text, each at least 1.
        budget: most tokens in one padded batch, at least 1.

    Raises:
        ValueError: on a budget or a token count below 1.
    """
    if budget < 1:
        raise ValueError(f"the token budget must be at least 1, not {budget}")
    if any(count < 1 for count in token_counts):
        raise ValueError("every text has at least one token")
    order = sorted(range(len(token_counts)), key=lambda position: -token_counts[position])
    grouped: list[Batch] = []
    start = 0
    while start < len(order):
        longest = token_counts[order[start]]
        size = max(1, budget // longest)
        grouped.append(Batch(tuple(order[start : start + size]), longest))
        start += size
    return grouped


def halves(batch: Batch, token_counts: Sequence[int]) -> tuple[Batch, Batch]:
    """Split a batch that did not fit in memory; both halves know their own longest text.

    Raises:
        ValueError: when the batch holds a single text and cannot be split.
    """
    if len(batch.positions) < 2:
        raise ValueError("a batch of one text cannot be split")
    middle = len(batch.positions) // 2
    first, second = batch.positions[:middle], batch.positions[middle:]
    return (
        Batch(first, max(token_counts[p] for p in first)),
        Batch(second, max(token_counts[p] for p in second)),
    )
