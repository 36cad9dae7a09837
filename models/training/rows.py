"""Texts as token rows, and rows as padded batches.

takes  `Example`s and a tokenizer
gives  `Row`s, shuffled into batches of similar length, padded into tensors
never  computes a loss or touches weights
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.datasets import Example

# Asked for (headline, company) the tokenizer answers with the pair, its special tokens between.
Tokenizer = Callable[..., dict[str, list[list[int]]]]


@dataclass(frozen=True, slots=True)
class Taught:
    """A teacher's probabilities for one text: of sentiment and topic, or of the sentiment towards its company."""

    sentiment: tuple[float, ...] = ()
    topic: tuple[float, ...] = ()
    company: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids of one example; the last `framed` are its end, with the company asked about, and never hidden."""

    ids: tuple[int, ...]
    example: Example
    framed: int = 1
    taught: Taught = Taught()


def encoded(
    tokenizer: Tokenizer, examples: Sequence[Example], longest: int, taught: Sequence[Taught] = ()
) -> list[Row]:
    """A row per example, in order; only the headline is truncated where a pair is longer than `longest` tokens."""
    rows: list[Row | None] = [None] * len(examples)
    for paired in (False, True):
        chosen = [position for position, one in enumerate(examples) if bool(one.company) is paired]
        if not chosen:
            continue
        texts = [examples[position].text for position in chosen]
        if paired:
            companies = [examples[position].company for position in chosen]
            ids = tokenizer(texts, companies, truncation="only_first", max_length=longest)["input_ids"]
            # Behind the text stand all special tokens of a pair but the first, some of them before the company.
            around = max(0, len(tokenizer([""], [""])["input_ids"][0]) - 1)
            frames = [len(one) + around for one in tokenizer(companies, add_special_tokens=False)["input_ids"]]
        else:
            ids = tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
            frames = [1] * len(texts)
        for position, one, framed in zip(chosen, ids, frames, strict=True):
            rows[position] = Row(tuple(one), examples[position], framed, taught[position] if taught else Taught())
    return [row for row in rows if row is not None]


def mini_batches(rows: Sequence[Row], size: int, seed: int) -> Iterator[list[Row]]:
    """Batches of similar length in random order; all tasks mix freely in one batch."""
    shuffler = random.Random(seed)
    jittered = sorted(rows, key=lambda row: len(row.ids) + shuffler.uniform(-2, 2))
    groups = [jittered[start : start + size] for start in range(0, len(jittered), size)]
    shuffler.shuffle(groups)
    yield from groups


def padded(rows: Sequence[Row], padding: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, int64 [rows, longest row]."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.tensor([row.ids + (padding,) * (longest - len(row.ids)) for row in rows], dtype=torch.long)
    lengths = torch.tensor([len(row.ids) for row in rows])
    mask = (torch.arange(longest) < lengths[:, None]).long()
    return ids.to(device), mask.to(device)


def hidden(rows: Sequence[Row], ids: Tensor, mask_token: int, share: float) -> Tensor:
    """Replace a random share of the words by the mask token; the frame, and the company asked about, stay."""
    ends = torch.tensor([len(row.ids) - row.framed for row in rows], device=ids.device)
    places = torch.arange(ids.shape[1], device=ids.device)
    chosen = (torch.rand(ids.shape, device=ids.device) < share) & (places < ends[:, None]) & (places > 0)
    return ids.masked_fill(chosen, mask_token)
