"""How often people called an alert false, against the rate that the rules state.

takes  counts of judged alerts, and over how many weeks
gives  `Tally`: the observed rate with its uncertainty, and what it says about the stated one
never  counts an alert that nobody judged as true or as false
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scipy import special

_CONFIDENCE = 0.9


class Standing(StrEnum):
    """What the judged alerts say about the stated rate."""

    TOO_EARLY = "too_early"  # nothing was judged, or less than a week was watched
    AS_STATED = "as_stated"  # the stated rate is within what the judgements allow
    MORE = "more"  # surely more false alerts than stated
    FEWER = "fewer"  # surely fewer


@dataclass(frozen=True, slots=True)
class Tally:
    """Judged alerts of some weeks.

    Attributes:
        judged_true, judged_false, unjudged: alerts that fired.
        weeks: length of the time in which they did.
        stated: false alerts a week that the rules allow.

    Raises:
        ValueError: on negative counts or time, or a stated rate of zero or less.
    """

    judged_true: int
    judged_false: int
    unjudged: int
    weeks: float
    stated: float

    def __post_init__(self) -> None:
        if min(self.judged_true, self.judged_false, self.unjudged) < 0 or self.weeks < 0 or self.stated <= 0:
            raise ValueError("a tally needs counts and weeks of zero or more, and a stated rate above zero")

    @property
    def per_week(self) -> float | None:
        """False alerts a week, among those judged; None when no time has passed."""
        return self.judged_false / self.weeks if self.weeks else None

    @property
    def range_per_week(self) -> tuple[float, float] | None:
        """Rates that the judgements leave possible at 90 % (exact Poisson limits, Garwood 1936).

        The upper limit counts every unjudged alert as false: nobody knows better.
        """
        if not self.weeks:
            return None
        tail = (1 - _CONFIDENCE) / 2
        least, most = self.judged_false, self.judged_false + self.unjudged
        # Half the quantile of chi-squared with 2k degrees of freedom; `scipy.stats` itself takes 60 MiB.
        low = float(special.gammaincinv(least, tail)) if least else 0.0
        high = float(special.gammaincinv(most + 1, 1 - tail))
        return low / self.weeks, high / self.weeks

    @property
    def standing(self) -> Standing:
        """What this says about the stated rate."""
        limits = self.range_per_week
        if limits is None or self.weeks < 1:
            return Standing.TOO_EARLY
        if limits[0] > self.stated:
            return Standing.MORE
        return Standing.FEWER if limits[1] < self.stated else Standing.AS_STATED

    @property
    def words(self) -> str:
        """The tally in one or two sentences."""
        counted = (
            f"{self.judged_true} judged true, {self.judged_false} judged false, {self.unjudged} not judged, "
            f"in {self.weeks:.1f} weeks."
        )
        limits = self.range_per_week
        if limits is None or self.standing is Standing.TOO_EARLY:
            return f"{counted} The rules state {self.stated:g} false alerts a week; it is too early to compare."
        verdict = {
            Standing.AS_STATED: "within what the rules state",
            Standing.MORE: "more than the rules state: lower rules.false_alerts_per_week, or see which series they are",
            Standing.FEWER: "fewer than the rules state: they could afford to be more sensitive",
        }[self.standing]
        return (
            f"{counted} That is {self.per_week or 0:.2f} false alerts a week (90 % limits {limits[0]:.2f} to "
            f"{limits[1]:.2f}), {verdict} ({self.stated:g})."
        )
