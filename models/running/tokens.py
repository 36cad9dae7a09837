"""Texts, and pairs of text and company, as token ids.

takes  clean lines, alone or each with the name of a company
gives  token ids per line, special tokens included, at most `longest` of them; and padded arrays of a batch
never  cleans text, batches, or imports torch or transformers where the encoder brings its tokenizer.json
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.errors import EncoderMissing
from models.running.batching import Batch
from models.running.runtime import Padded

TokenIds = list[list[int]]
# Names and inflected words fall into two or three pieces; in four and more the encoder spells rather than reads.
STRANGE_PIECES = 4


class Query(NamedTuple):
    """One forward pass: a text alone, or with the company that it is asked about."""

    text: str
    company: str = ""


class Framed(NamedTuple):
    """One query as tokens that know their place.

    Attributes:
        sequences: per token 0 for the text, 1 for the company, -1 for special tokens.
        offsets: per token the characters [from, to) of its sequence.
    """

    ids: list[int]
    sequences: list[int]
    offsets: list[tuple[int, int]]


class Tokens:
    """The tokenizer of an encoder, set to truncate a text, and never the company it is paired with.

    Args:
        folder: the encoder's.
        longest: most tokens of a query, special tokens included.

    Raises:
        EncoderMissing: when the folder holds no tokenizer that can be read.
    """

    def __init__(self, folder: Path, longest: int) -> None:
        self._tokenizer = _tokenizer(folder)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest, strategy="only_first")
        self._padding = _padding_id(self._tokenizer)
        # A name longer than the room for both is cut too, which the other strategy never does.
        self._tight = _tokenizer(folder)
        self._tight.no_padding()
        self._tight.enable_truncation(longest, strategy="longest_first")

    def ids(self, queries: Sequence[Query]) -> TokenIds:
        """Token ids of each query, in order; runs outside the interpreter's lock."""
        given = [tuple(query) if query.company else query.text for query in queries]
        try:
            return [one.ids for one in self._tokenizer.encode_batch_fast(given)]
        except Exception:
            # tokenizers raises plain Exception when one name leaves no room for its text.
            return [self._squeezed(one) for one in given]

    def _squeezed(self, given: str | tuple[str, ...]) -> list[int]:
        try:
            return list(self._tokenizer.encode_batch_fast([given])[0].ids)
        except Exception:
            return list(self._tight.encode_batch_fast([given])[0].ids)

    def strange(self, words: Sequence[str], pieces: int = STRANGE_PIECES) -> list[bool]:
        """Of each word whether the vocabulary lacks it: it is unknown, or falls into so many pieces or more."""
        unknown = {self._tokenizer.token_to_id(token) for token in ("[UNK]", "<unk>")} - {None}
        found = self._tokenizer.encode_batch_fast(list(words), add_special_tokens=False)
        return [len(one.ids) >= pieces or not unknown.isdisjoint(one.ids) for one in found]

    def framed(self, query: Query) -> Framed:
        """One query with the place of every token, for explanations."""
        given = (query.text, query.company) if query.company else (query.text,)
        try:
            one = self._tokenizer.encode(*given)
        except Exception:
            # As in `ids`.
            one = self._tight.encode(*given)
        sequences = [-1 if place is None else int(place) for place in one.sequence_ids]
        return Framed(list(one.ids), sequences, list(one.offsets))

    @property
    def mask(self) -> int:
        """Id of the token that stands for a hidden word; of padding where the encoder has none."""
        known = [self._tokenizer.token_to_id(token) for token in ("[MASK]", "<mask>")]
        return next((int(one) for one in known if one is not None), self._padding)

    def padded(self, ids: TokenIds, batch: Batch) -> Padded:
        """The arrays of one batch."""
        filled = np.full((len(batch.positions), batch.longest), self._padding, dtype=np.int64)
        mask: NDArray[np.int64] = np.zeros_like(filled)
        for row, position in enumerate(batch.positions):
            one = ids[position]
            filled[row, : len(one)] = one
            mask[row, : len(one)] = 1
        return Padded(batch, filled, mask)


def _tokenizer(folder: Path) -> Tokenizer:
    file = folder / "tokenizer.json"
    try:
        if file.is_file():
            return Tokenizer.from_file(str(file))
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    except Exception as error:
        # tokenizers raises plain Exception for a file that it cannot parse.
        raise EncoderMissing(f"the tokenizer in {folder} cannot be loaded: {error}") from error


def _padding_id(tokenizer: Tokenizer) -> int:
    for token in ("[PAD]", "<pad>", "<|endoftext|>"):
        known = tokenizer.token_to_id(token)
        if known is not None:
            return int(known)
    return 0
