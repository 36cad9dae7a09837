"""Sentences that companies publish about themselves, and headlines about two companies, made by a grammar.

takes  a number of sentences, names of companies, a seed
gives  `Example`s of the training part: the sentiment of a sentence, or what a headline says of each of two companies
never  asks a teacher: what a sentence says is known from how it was made

Why: in tweets and in the Indian press a contract won is mostly told as plain news, so that a model of them hears
nothing in it; and where a headline sets two companies against each other, a few hundred labelled ones teach a small
encoder which word belongs to whom less well than thousands that differ in nothing but the names.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from models.data.datasets import Example, Part
from models.score import SENTIMENTS

ANNOUNCED = "announcements"
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_WORDS = re.compile(r"\{=(\w+)\}")
_INVENTED = ("Nordvale", "Castell Group", "Okafor Bank", "Brightwater Energy", "Lindqvist", "Meridian Foods")
_AMOUNTS = ("EUR {} mn", "EUR{}m", "${} million", "${}bn", "Rs {} crore", "USD {} mln", "GBP {} mn", "SEK {} mn")


@cache
def _grammar() -> dict[str, Any]:
    """Words, sentences by sentiment, and frames of two names (models/data/announcements.toml)."""
    return tomllib.loads(resources.files("models.data").joinpath("announcements.toml").read_text(encoding="utf-8"))


def announcements(count: int, names: Sequence[str], seed: int) -> list[Example]:
    """`count` sentences, a third of each sentiment, no text twice."""
    chance = random.Random(seed)
    made: dict[str, int] = {}
    for index in range(count):
        label = index % len(SENTIMENTS)
        frame = chance.choice(_grammar()["sentences"][list(SENTIMENTS)[label]])
        made.setdefault(filled(frame, _two(names, chance), chance), label)
    return [Example(text, label, "sentiment", ANNOUNCED, Part.TRAIN) for text, label in made.items()]


def rivals(count: int, names: Sequence[str], seed: int) -> list[Example]:
    """`count` headlines of two companies, each asked about both: two rows a headline."""
    chance = random.Random(seed)
    kinds = list(SENTIMENTS)
    rows: dict[tuple[str, str], Example] = {}
    for _ in range(count):
        kind: Mapping[str, Any] = chance.choice(_grammar()["towards"])
        pair = _two(names, chance)
        text = filled(chance.choice(kind["frames"]), pair, chance)
        for name, place in zip(pair, ("n", "o"), strict=True):
            if name in text:
                one = Example(text, kinds.index(kind[place]), "company", ANNOUNCED, Part.TRAIN, name)
                rows.setdefault((text, name), one)
    return list(rows.values())


def filled(frame: str, names: tuple[str, str], chance: random.Random) -> str:
    """A frame with its choices drawn, innermost first, and its places filled."""
    text, before = frame, ""
    while text != before:
        before = text
        text = _WORDS.sub(lambda found: chance.choice(_grammar()["words"][found.group(1)]), text)
        text = _CHOICE.sub(lambda found: chance.choice(found.group(1).split("|")), text)
    places = {
        "n": names[0],
        "o": names[1],
        "m": chance.choice(_AMOUNTS).format(chance.choice((chance.randint(2, 900), round(chance.uniform(1, 9), 1)))),
        "k": f"{chance.randint(12, 90) * 10:,}",
        "p": str(chance.choice((chance.randint(2, 40), round(chance.uniform(1, 9), 1)))),
    }
    # A text is not a format string once a company's name is in it, which may hold braces itself.
    text = re.sub(r"\{([nomkp])\}", lambda found: places[found.group(1)], text)
    text = re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s+", " ", text)).strip(" ,")
    return text[0].upper() + text[1:]


def _two(names: Sequence[str], chance: random.Random) -> tuple[str, str]:
    """Two names of which neither stands in the other."""
    names = names if len(names) > 1 else _INVENTED
    while True:
        one, other = chance.sample(list(names), 2)
        if one not in other and other not in one:
            return one, other
