"""Which hours of a history may be learned from, and how many days they make.

takes  hourly stories of the market, since when each series is watched, rules
gives  a mask of hours for every series; days of history behind each
never  lets an hour in that is being judged
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from alerts.detection.baseline import HOURS_A_DAY, Mask
from alerts.detection.surprise import Counts, Floats
from alerts.rules import Rules

_HOUR = timedelta(hours=1)


def since_columns(since: Mapping[str, datetime], names: Sequence[str], start: datetime, columns: int) -> Counts:
    """First whole hour that each series was watched, as a column; `columns` for a series that is not watched."""
    return np.array(
        [max(0, -((start - since[name]) // _HOUR)) if name in since else columns for name in names], dtype=np.int64
    )


def usable_hours(market: Floats, since: Counts, rules: Rules) -> Mask:
    """Hours that may be learned from: watched, after the market's first story, and not among the last ones."""
    columns = len(market)
    begun = np.flatnonzero(market)
    start = np.maximum(since, begun[0] if begun.size else columns)
    column = np.arange(columns)
    return np.asarray((column >= start[:, None]) & (column < columns - rules.left_out_hours))


def covered_days(usable: Mask, market: Floats) -> Floats:
    """Days of history behind each series; a day without a single story of the market taught nothing."""
    silent = np.convolve(market, np.ones(HOURS_A_DAY))[: len(market)] == 0
    return np.asarray((usable & ~silent).sum(axis=1) / HOURS_A_DAY)
