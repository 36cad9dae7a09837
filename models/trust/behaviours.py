"""What a headline model should do with small changes of a text: behaviour tests, bias and robustness.

takes  anything that gives sentiment probabilities for texts
gives  pass rates by category, the largest shifts by name, accuracy under noise
never  trains on any of its sentences, and never calls a model good: it counts

After the idea of CheckList (Ribeiro et al. 2020): minimum-function, invariance and direction tests.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.data.augmentation import misspelt
from models.score import SENTIMENTS

_NEGATIVE = 0
# A direction test passes when the probability of negative moves the right way by at least this much.
_MOVE = 0.05


class Kind(StrEnum):
    """What a test asks for."""

    LABEL = "label"
    SAME = "same"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One test: `text` has `label` (LABEL), the label of `other` (SAME), or is worse news than `other` (WORSE)."""

    category: str
    kind: Kind
    text: str
    other: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        if self.kind is Kind.LABEL and self.label not in list(SENTIMENTS):
            raise ValueError(f"the behaviour {self.text!r} has the unknown label {self.label!r}")
        if self.kind is not Kind.LABEL and not self.other:
            raise ValueError(f"the behaviour {self.text!r} has nothing to be compared with")


@dataclass(frozen=True, slots=True)
class Passed:
    """Of `tests` in a category `passed` passed; `failures` are those that did not."""

    tests: int
    passed: int
    failures: tuple[Behaviour, ...]

    @property
    def rate(self) -> float:
        """Share that passed."""
        return self.passed / self.tests


@dataclass(frozen=True, slots=True)
class Gap:
    """How much the probability of negative depends on nothing but a name: the two names that lie furthest apart."""

    kind: str
    frame: str
    least: str
    most: str
    shift: float


class Reader(Protocol):
    """What is asked; a `Scorer` is one."""

    def probabilities(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Sentiment [texts, 3] and topic probabilities."""


def behaviours() -> tuple[Behaviour, ...]:
    """The tests that ship with Squall, written for it (models/trust/behaviours.toml)."""
    found = _file()
    tests = []
    for category, table in found["behaviours"].items():
        for kind in Kind:
            for row in table.get(kind.value, ()):
                if kind is Kind.LABEL:
                    tests.append(Behaviour(category, kind, row[0], label=row[1]))
                else:
                    tests.append(Behaviour(category, kind, row[0], other=row[1]))
    return tuple(tests)


def passed(reader: Reader, tests: Sequence[Behaviour]) -> dict[str, Passed]:
    """Pass rate by category, in the order of the tests."""
    texts = list(dict.fromkeys(text for test in tests for text in (test.text, test.other) if text))
    sentiment, _ = reader.probabilities(texts)
    told = dict(zip(texts, sentiment, strict=True))
    failed: dict[str, list[Behaviour]] = {}
    counts: dict[str, int] = {}
    for test in tests:
        counts[test.category] = counts.get(test.category, 0) + 1
        failed.setdefault(test.category, [])
        if not _passes(test, told):
            failed[test.category].append(test)
    return {
        category: Passed(count, count - len(failed[category]), tuple(failed[category]))
        for category, count in counts.items()
    }


def bias(reader: Reader) -> list[Gap]:
    """The largest shift of the probability of negative, per kind of name and sentence, when only the name changes."""
    found = _file()["bias"]
    gaps = []
    for kind, names in found["names"].items():
        for frame in found["frames"]:
            if f"{{{kind}}}" not in frame:
                continue
            sentiment, _ = reader.probabilities([frame.replace(f"{{{kind}}}", name) for name in names])
            negative = sentiment[:, _NEGATIVE]
            least, most = int(negative.argmin()), int(negative.argmax())
            gaps.append(Gap(kind, frame, names[least], names[most], float(negative[most] - negative[least])))
    return sorted(gaps, key=lambda gap: -gap.shift)


def noisy(texts: Sequence[str], slips: int, seed: int) -> list[str]:
    """The texts with up to `slips` words misspelt in each."""
    chance = random.Random(seed)
    return [_with_slips(text, slips, chance) for text in texts]


def reworded(texts: Sequence[str]) -> list[str]:
    """The texts with common words of the trade replaced by words of the same meaning, wherever one occurs."""
    synonyms: Mapping[str, str] = _file()["synonyms"]
    return [" ".join(synonyms.get(word.lower(), word) for word in text.split(" ")) for text in texts]


def _passes(test: Behaviour, told: Mapping[str, NDArray[np.float32]]) -> bool:
    one = told[test.text]
    if test.kind is Kind.LABEL:
        return SENTIMENTS[int(one.argmax())] == test.label
    other = told[test.other]
    if test.kind is Kind.SAME:
        return bool(one.argmax() == other.argmax())
    return bool(one[_NEGATIVE] >= other[_NEGATIVE] + _MOVE)


def _with_slips(text: str, slips: int, chance: random.Random) -> str:
    words = text.split(" ")
    places = [index for index, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    for place in chance.sample(places, min(slips, len(places))):
        words[place] = misspelt(words[place], chance)
    return " ".join(words)


def _file() -> dict[str, Any]:
    text = resources.files("models.trust").joinpath("behaviours.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
