"""What is seen of a series now, for its alert: it opens one, keeps it going, or lets it ease.

takes  the most telling window of a series, and rules
gives  `Bearing`
never  lets a series that is learning have a say
"""

from __future__ import annotations

from enum import StrEnum

from alerts.detection.spikes import Spike, Verdict
from alerts.rules import Rules


class Bearing(StrEnum):
    """What a series' spike means for its alert."""

    OPENS = "opens"  # a surge: opens an alert, or goes on with it
    KEEPS = "keeps"  # no surge of its own, but so far above the usual that an open alert goes on
    EASES = "eases"  # neither, or nothing was seen at all


def bearing(spike: Spike | None, rules: Rules) -> Bearing:
    """What a series' most telling window means for its alert, open or to be opened.

    Ending an alert takes more calm than opening it takes surge (hysteresis): otherwise a crisis with quiet nights
    would be told as a new one each day. A series that is learning never has a say.
    """
    if spike is None or spike.verdict is Verdict.LEARNING:
        return Bearing.EASES
    if spike.verdict is Verdict.SURGE:
        return Bearing.OPENS
    return Bearing.KEEPS if _lingers(spike, rules) else Bearing.EASES


def _lingers(spike: Spike, rules: Rules) -> bool:
    """Whether any of the series' windows is far above the usual: the most telling one need not be the one that is."""
    shown = [(spike.observed, spike.expected, spike.p_value)]
    shown += [(one.observed, one.expected, one.probability / rules.part(one.detector)) for one in spike.considered]
    return any(
        observed >= rules.minimum_ratio * expected and p_value <= rules.lingering_probability
        for observed, expected, p_value in shown
    )
