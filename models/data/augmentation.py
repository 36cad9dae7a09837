"""Training texts made from training texts, and sentences made from a grammar of figures.

takes  `Example`s of the training part, a seed
gives  more of them: another company in the same sentence, a slip of the keyboard, figures that rise, fall or stand
never  touches a validation or test row, and never copies a sentence from anywhere

Why a grammar: in the training sets "profit fell to 5.1 mn from 7.4 mn" is rare, and a small encoder does not learn to
compare two figures from a handful of examples. What rises and what falls, which of the two is good news, and what is
only said, is all that these sentences teach; names, figures, units and frames are drawn at random.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import resources

from models.data.datasets import Example, Part

_KEYS = {"a": "sq", "e": "wr", "i": "uo", "o": "ip", "n": "bm", "r": "et", "s": "ad", "t": "ry", "l": "k", "c": "xv"}


@cache
def _grammar() -> dict[str, list[str]]:
    """Words and frames by name (models/data/figures.toml)."""
    return tomllib.loads(resources.files("models.data").joinpath("figures.toml").read_text(encoding="utf-8"))


def other_companies(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """The same rows, with another company's name in a `share` of those whose company stands in the text.

    What is said of a company decides, not its name: a model that has seen the same sentence of many names learns no
    opinion of the names.
    """
    chance = random.Random(seed)
    names = sorted({one.company for one in examples if one.company})
    return [_renamed(one, chance.choice(names)) if one.company and chance.random() < share else one for one in examples]


def with_slips(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """The same rows, with one slip of the keyboard in a `share` of the texts; names that are asked about stay whole."""
    chance = random.Random(seed)
    return [_slipped(one, chance) if chance.random() < share else one for one in examples]


def figures(count: int, names: Sequence[str], seed: int) -> list[Example]:
    """`count` sentences of the grammar as training rows, a third of each sentiment."""
    chance = random.Random(seed)
    names = names or ("Nordvale", "Castell Group", "Okafor Bank", "Brightwater Energy", "Lindqvist", "Meridian Foods")
    makers = (_bad_news, _plain_news, _good_news)
    return [
        Example(_tidy(makers[index % 3](chance, names)), index % 3, "sentiment", "figures", Part.TRAIN)
        for index in range(count)
    ]


def _renamed(one: Example, name: str) -> Example:
    # As a word of its own, and in the text itself: in lower case it may be longer (İ is two characters there).
    found = re.search(rf"(?<!\w){re.escape(one.company)}(?!\w)", one.text, re.IGNORECASE)
    if found is None:
        return one
    return replace(one, text=one.text[: found.start()] + name + one.text[found.end() :], company=name)


def _slipped(one: Example, chance: random.Random) -> Example:
    words = one.text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha() and word not in one.company]
    if not places:
        return one
    place = chance.choice(places)
    words[place] = misspelt(words[place], chance)
    return replace(one, text=" ".join(words))


def misspelt(word: str, chance: random.Random) -> str:
    """The word of at least three letters with one slip of the keyboard in it."""
    at = chance.randrange(1, len(word) - 1)
    match chance.randrange(4):
        case 0:  # dropped
            return word[:at] + word[at + 1 :]
        case 1:  # doubled
            return word[:at] + word[at] + word[at:]
        case 2:  # swapped
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case _:  # a neighbouring key
            return word[:at] + chance.choice(_KEYS.get(word[at].lower(), word[at])) + word[at + 1 :]


def _good_news(chance: random.Random, names: Sequence[str]) -> str:
    if chance.random() < 0.5:
        return _filled(chance.choice(_grammar()["positive"]), chance, names)
    good = chance.random() < 0.75
    return _compared(chance, names, chance.choice(_grammar()["good"] if good else _grammar()["bad"]), rises=good)


def _bad_news(chance: random.Random, names: Sequence[str]) -> str:
    if chance.random() < 0.5:
        return _filled(chance.choice(_grammar()["negative"]), chance, names)
    good = chance.random() < 0.75
    return _compared(chance, names, chance.choice(_grammar()["good"] if good else _grammar()["bad"]), rises=not good)


def _plain_news(chance: random.Random, names: Sequence[str]) -> str:
    return _filled(chance.choice(_grammar()["neutral"]), chance, names)


def _compared(chance: random.Random, names: Sequence[str], measure: str, *, rises: bool) -> str:
    """A figure now and a figure before; in some frames only the two figures tell which way it went."""
    low = chance.choice((chance.uniform(0.1, 9.9), chance.uniform(10, 99), float(chance.randint(100, 990))))
    high = low * chance.uniform(1.06, 1.9)
    digits = 0 if low >= 100 else 1
    unit = chance.choice(_grammar()["units"])
    now, before = (unit.format(f"{value:.{digits}f}") for value in ((high, low) if rises else (low, high)))
    name, when = chance.choice(names), chance.choice(_grammar()["when"])
    verb = chance.choice(_grammar()["up"] if rises else _grammar()["down"])
    ago = chance.choice(("", "", " a year earlier", " in the corresponding period", " the year before"))
    frames = (
        f"{name}'s {measure} {verb} to {now} from {before}{ago} {when}",
        f"{name} said its {measure} {verb} to {now} {when} from {before}{ago}",
        f"{when} , {measure} at {name} {verb} to {now} from {before}{ago}",
        f"{name} posts {measure} of {now} {when}, versus {before}{ago}",
        f"{name}'s {measure} totalled {now} {when}, compared to {before}{ago}",
        f"{measure} amounted to {now} {when}, against {before}{ago}, {name} said",
        f"{name}: {measure} {verb} {chance.randint(2, 60)}% {when}",
        f"{name} {measure} {verb} to {now} vs {before}",
    )
    return chance.choice(frames)


def _filled(frame: str, chance: random.Random, names: Sequence[str]) -> str:
    amount = chance.choice(_grammar()["units"][:6]).format(chance.randint(2, 900))
    count = f"{chance.randint(12, 90) * 10:,}"
    text = frame.format(n=chance.choice(names), o=chance.choice(names), m=amount, k=count, d=chance.randint(2, 28))
    when = chance.choice(_grammar()["when"])
    return f"{text} {when}" if chance.random() < 0.15 else text


def _tidy(text: str) -> str:
    text = re.sub(r"\s+([,.])", r"\1", re.sub(r"\s+", " ", text)).strip(" ,")
    return text[0].upper() + text[1:]
