"""How the false alerts that are accepted are shared among the series.

takes  what is watched, the weights of the settings, and how much each series usually has
gives  each series' share, and by how much all shares may grow until what is stated is also used
never  gives to series that are nearly always silent what others could use

A count is whole, so a series never uses its share to the last bit, and one without news uses none of it. What is left
over is given back to all alike: else "one false alert a week" would mean one in two or three.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from alerts.detection.surprise import Counts, Floats, crossings_a_week
from alerts.rules import Detector, Rules

# What the restlessness of series that were measured comes to, roughly; the exact one costs more than it is worth here.
_COMMON_DISPERSION = 0.5
# What breaking stories may use together; the series share the rest.
STORY_SHARE = 0.1
# Shares never grow by more: what is stated is a promise about real series, and this is an estimate of them. A cap of 32
# and a factor of three beside it used all of what was stated in simulation, and more than that on a real archive.
MOST_GROWTH = 2.0
_STEPS = 6
_RUNGS = 48


def shares(watched: Iterable[str], names: Sequence[str], weights: Mapping[str, float]) -> Floats:
    """Each series' share of the false alerts: equal among the kinds, then by weight within the kind.

    So thousands of companies take nothing from the market, the topics and the themes.

    Args:
        watched: every series that is watched; those of `names` are, too.
        names: whose shares are asked for.
        weights: of the settings, by series; 1 where none is given.
    """
    peers: Counter[str] = Counter()
    everyone = set(watched).union(names)
    for name in everyone:
        peers[_kind(name)] += 1
    total = dict(peers)
    whole: dict[str, float] = {kind: float(count) for kind, count in total.items()}
    for name, weight in weights.items():
        if name in everyone:
            whole[_kind(name)] += weight - 1
    return np.array([weights.get(name, 1.0) / (len(total) * whole[_kind(name)]) for name in names])


def growth(negative: Counts, stories: float, share: Floats, hourly: float, rules: Rules) -> float:
    """By how much all shares may grow until the rate of false alerts is what is stated, 1 to 2.

    Args:
        negative: stories of each series that has any in the baseline.
        stories: of the market in the baseline.
        share: of each of these series.
        hourly: stories of the market in a usual hour.
        rules: what is stated, and the smallest counts that may alert.
    """
    parts = [rules.part(one) for one in (Detector.VOLUME, Detector.TONE) if one in rules.detectors]
    if not len(negative) or hourly <= 0 or not parts:
        return 1.0
    rate = negative / max(stories, 1.0)
    spread = _COMMON_DISPERSION + 1 / (negative + 0.5)
    ladders = [_ladder(rate * hourly * hours, spread, hours, rules) for hours in rules.windows]
    # Tone follows nearly the same law as volume: what is usual of both is much the same at most times.
    stated = [rules.false_alerts_per_week * part for part in parts]
    low, high = 0.0, float(np.log2(MOST_GROWTH))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        allowed = [one * share * 2**middle for one in stated]
        used = sum(float(_attained(ladder, most).sum()) for ladder in ladders for most in allowed)
        low, high = (middle, high) if used <= sum(stated) * len(rules.windows) else (low, middle)
    return float(2**low)


def _ladder(expected: Floats, spread: Floats, hours: int, rules: Rules) -> Floats:
    """The rates a week of counts from the smallest that may alert upwards, [series, rungs]."""
    least = np.maximum(rules.minimum_negative, np.ceil(rules.minimum_ratio * expected - 1e-9))
    counts = least[:, None] + np.maximum(least // 20, 1)[:, None] * np.arange(_RUNGS)
    return crossings_a_week(counts, hours, expected[:, None], spread[:, None])


def _attained(ladder: Floats, allowed: Floats) -> Floats:
    """The rate of the first count that is rare enough; 0 where none of them is."""
    enough = ladder <= allowed[:, None]
    first = enough.argmax(axis=1)
    return np.where(enough.any(axis=1), ladder[np.arange(len(ladder)), first], 0.0)


def _kind(name: str) -> str:
    return name.partition(":")[0]
