"""More texts like the labelled ones, for a teacher to judge: words replaced by words of nearly the same meaning.

takes  `Example`s of the training part, labelled or not, an encoder's word vectors, a seed
gives  unlabelled `Example`s: what a replaced word does to the meaning is for the teacher to say, not for the old label
never  touches a validation or test row

Why: a small model learns all of a large one only from many more texts than have labels (Jiao et al. 2020, TinyBERT,
whose augmentation this follows, with the encoder's own word vectors for neighbours).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from models.data.datasets import UNLABELLED, Example, Part
from models.errors import DataUnusable

REWORDED = "reworded"
_WORD = re.compile(r"[A-Za-z]{3,}")
# Share of the words that are replaced: fewer teach nothing new, more leave no headline.
_FEWEST, _MOST = 0.15, 0.35


def neighbours(vocabulary: Mapping[str, int], vectors: Tensor, count: int = 12) -> dict[str, tuple[str, ...]]:
    """The `count` nearest whole words of every whole word of letters, nearest first.

    Args:
        vocabulary: word pieces to rows; pieces that continue a word begin with ##.
        vectors: float32 [pieces, size], the encoder's input embeddings.
    """
    words = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2]
    chosen = torch.nn.functional.normalize(vectors[[vocabulary[word] for word in words]].float(), dim=1)
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(words), 2048):
        near = (chosen[start : start + 2048] @ chosen.T).topk(count + 1, dim=1).indices
        for word, row in zip(words[start : start + 2048], near.tolist(), strict=True):
            found[word] = tuple(words[index] for index in row if words[index] != word)[:count]
    return found


def variants(asked: Sequence[str]) -> dict[str, int]:
    """How many variants of each text of a source: `tfns:7` says seven of each text of tfns.

    Raises:
        DataUnusable: naming what is no such pair.
    """
    found: dict[str, int] = {}
    for one in asked:
        source, _, count = one.partition(":")
        if not source or not count.isdecimal():
            raise DataUnusable(f"the recipe's reworded {one!r} is no source and number, such as 'tfns:7'")
        found[source] = int(count)
    return found


def reworded(
    examples: Sequence[Example], copies: Mapping[str, int], near: Mapping[str, Sequence[str]], seed: int
) -> list[Example]:
    """Variants of the training texts, between 15 and 35 % of the known words replaced in each, a company's name never.

    Args:
        examples: of all parts; a variant that happens to be one of their texts is left out. Variants of texts that
            had no label themselves keep their source, all others have the source `REWORDED`.
        copies: variants per text, by source.
        near: words that may replace a word, from `neighbours`.
        seed: same seed, same variants.
    """
    chance = random.Random(seed)
    made: dict[tuple[str, str], Example] = {}
    for one in examples:
        if one.part is not Part.TRAIN:
            continue
        task, source = ("company", "sentiment")[not one.company], one.source if one.label == UNLABELLED else REWORDED
        for _ in range(copies.get(one.source, 0)):
            text = _beside(one.company, one.text, near, chance)
            if text:
                made.setdefault((text, one.company), Example(text, UNLABELLED, task, source, Part.TRAIN, one.company))
    known = {one.text for one in examples}
    return [one for one in made.values() if one.text not in known]


def _beside(company: str, text: str, near: Mapping[str, Sequence[str]], chance: random.Random) -> str:
    """A variant of the text, but for the company's name in it."""
    share = chance.uniform(_FEWEST, _MOST)
    before, name, after = text.partition(company) if company else (text, "", "")
    return _variant(before, near, chance, share) + name + _variant(after, near, chance, share)


def _variant(text: str, near: Mapping[str, Sequence[str]], chance: random.Random, share: float) -> str:
    def another(found: re.Match[str]) -> str:
        word = found.group()
        choices = near.get(word.lower(), ())
        if not choices or chance.random() >= share:
            return word
        other = chance.choice(list(choices))
        return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other

    return _WORD.sub(another, text)
