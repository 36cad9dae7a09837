"""Whether a challenger may take the champion's place.

takes  both models' metrics on the same frozen sets, and the margin that a set may lose
gives  `Verdict`: promoted or refused, with every reason in words
never  loads a model, and never weighs a gain on one set against a loss on another
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from models.trust.metrics import Metrics

_NEGATIVE = "negative"


class Objection(StrEnum):
    """Why a challenger is refused."""

    MACRO_F1 = "macro-F1 drops"
    NEGATIVE_RECALL = "negative recall drops"
    UNMEASURED = "a set is not measured"
    NOTHING = "nothing was measured"


@dataclass(frozen=True, slots=True)
class Finding:
    """One objection on one set: champion's figure, challenger's figure."""

    objection: Objection
    source: str
    before: float
    after: float

    def __str__(self) -> str:
        """The finding in words."""
        if self.objection in (Objection.UNMEASURED, Objection.NOTHING):
            return f"{self.objection.value} {self.source}".strip()
        return f"{self.objection.value} on {self.source}: {self.before:.3f} to {self.after:.3f}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on a challenger; it is promoted when there are no findings."""

    findings: tuple[Finding, ...]

    @property
    def promoted(self) -> bool:
        """Whether it may take the place."""
        return not self.findings


def judged(champion: Mapping[str, Metrics], challenger: Mapping[str, Metrics], margin: float) -> Verdict:
    """Compare figures set by set.

    Args:
        champion, challenger: metrics by name of the set.
        margin: how much macro-F1, or the recall of the negative class, may drop on any set.

    Raises:
        ValueError: on a margin below 0 or NaN.
    """
    if not margin >= 0:
        raise ValueError(f"the margin must not be negative: {margin}")
    if not champion:
        return Verdict((Finding(Objection.NOTHING, "", 0.0, 0.0),))
    findings = []
    for source, before in champion.items():
        after = challenger.get(source)
        if after is None:
            findings.append(Finding(Objection.UNMEASURED, source, before.macro_f1, 0.0))
            continue
        if after.macro_f1 < before.macro_f1 - margin:
            findings.append(Finding(Objection.MACRO_F1, source, before.macro_f1, after.macro_f1))
        had, has = before.recall.get(_NEGATIVE), after.recall.get(_NEGATIVE)
        if had is not None and has is not None and has < had - margin:
            findings.append(Finding(Objection.NEGATIVE_RECALL, source, had, has))
    return Verdict(tuple(findings))
