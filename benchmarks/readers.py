"""How far two readers agree on the held-out pairs of stories, and what a way reaches against each of them.

takes  verdicts of both readers on the same pairs, and which pairs a way joined
gives  agreement, Cohen's kappa, precision and recall
never  prefers a reader: where they differ, a way is measured against each, and where they agree

`benchmarks/stories.py` prints what is here; the second reader's verdicts are in tests/judged/story_second_reader.csv.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SECOND = Path(__file__).parents[1] / "tests" / "judged" / "story_second_reader.csv"
SIDES = ("first_published", "second_published", "first_sha256", "second_sha256")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The second reader's: whether a pair is one story, and whether that was marked as beyond doubt."""

    same: bool
    sure: bool


@dataclass(frozen=True, slots=True)
class Table:
    """How often two say yes: both, the one who is measured alone, the one measured against alone, neither."""

    both: int
    alone: int
    missed: int
    neither: int

    @property
    def precision(self) -> float:
        return self.both / (self.both + self.alone) if self.both + self.alone else math.nan

    @property
    def recall(self) -> float:
        return self.both / (self.both + self.missed) if self.both + self.missed else math.nan

    @property
    def agreement(self) -> float:
        return (self.both + self.neither) / (self.both + self.alone + self.missed + self.neither)

    @property
    def kappa(self) -> float:
        """Cohen's: agreement beyond what two who say yes as often as these would have by chance."""
        of = self.both + self.alone + self.missed + self.neither
        one, other = (self.both + self.alone) / of, (self.both + self.missed) / of
        chance = one * other + (1 - one) * (1 - other)
        return (self.agreement - chance) / (1 - chance) if chance < 1 else math.nan

    def __str__(self) -> str:
        return f"P {self.precision:.3f} R {self.recall:.3f}"


def second_reader() -> dict[tuple[str, ...], Verdict]:
    with SECOND.open(encoding="utf-8") as file:
        return {
            tuple(row[side] for side in SIDES): Verdict(row["same"] == "yes", row["sure"] == "yes")
            for row in csv.DictReader(file)
        }


def table(measured: Sequence[bool], against: Sequence[bool]) -> Table:
    counted = Counter(zip(measured, against, strict=True))
    return Table(counted[True, True], counted[True, False], counted[False, True], counted[False, False])


def show_readers(first: Sequence[bool], second: Sequence[Verdict], strata: Sequence[str]) -> None:
    """The second reader against the first: by every yes, by those beyond doubt, and by stratum."""
    says = [one.same for one in second]
    whole = table(says, first)
    print(
        f"second reader, {len(first)} held-out pairs: agreement {whole.agreement:.3f}  kappa {whole.kappa:.3f}  "
        f"yes of both {whole.both}, of the second alone {whole.alone}, of the first alone {whole.missed}"
    )
    print(f"  against the first: {whole};  the first against the second: {table(first, says)}")
    print(f"  by the yes beyond doubt alone: {table([one.same and one.sure for one in second], first)}")
    at = [number for number, one in enumerate(second) if one.sure]
    clear = table([says[n] for n in at], [first[n] for n in at])
    print(f"  {len(at)} pairs beyond doubt: {clear}  agreement {clear.agreement:.3f}  kappa {clear.kappa:.3f}")
    for stratum in sorted(set(strata)):
        at = [number for number, one in enumerate(strata) if one == stratum]
        part = table([says[n] for n in at], [first[n] for n in at])
        print(
            f"  {stratum:<12}{len(at):>3} pairs, yes of both {part.both:>2}, second alone {part.alone}, "
            f"first alone {part.missed}, agreement {part.agreement:.2f}"
        )


def against_readers(joined: Sequence[bool], first: Sequence[bool], second: Sequence[bool]) -> Mapping[str, Table]:
    """What a way reaches against each reader, where both agree, and if a yes of either counts."""
    agreed = [number for number, (one, other) in enumerate(zip(first, second, strict=True)) if one == other]
    return {
        "the first reader": table(joined, first),
        "the second reader": table(joined, second),
        f"both, on the {len(agreed)} pairs they agree on": table(
            [joined[n] for n in agreed], [first[n] for n in agreed]
        ),
        "either's yes": table(joined, [one or other for one, other in zip(first, second, strict=True)]),
    }
