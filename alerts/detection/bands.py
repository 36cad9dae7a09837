"""What was usual for a series over a stretch of time: the band that a chart draws behind what was seen.

takes  hourly counts of a series and of the market, since when it is watched, the steps of a chart, rules
gives  expected negative stories and tone of each step, and between which limits nine steps of ten lie
never  decides whether anything is a surge: detection does, on windows that slide and with the same baseline

Negative stories: the baseline of `baseline` beside this file, with the exposure of each step; limits are the 5 % and
95 % points of the negative binomial law. Tone: the mean over the history, its spread between steps being that of
single stories over their number, plus what steps differ by beyond it; both by least squares on past steps of the same
length.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from scipy import special

from alerts.detection.frames import HISTORY, MARKET, Past
from alerts.detection.grid import Grid
from alerts.detection.surprise import Floats
from alerts.rules import Rules

BAND: dict[str, pl.DataType] = {
    "at": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("expected", "low", "high", "tone_usual", "tone_low", "tone_high"), pl.Float64()),
}

_HOUR = timedelta(hours=1)
_LOW, _HIGH = 0.05, 0.95
_SIGMAS = 1.645  # holds nine of ten where the law is normal
# Tone of one story varies by about this much about its mean, before a series has shown otherwise (as ten steps would).
_STORY_VARIANCE, _PRIOR_STEPS = 0.3, 10.0


def band(
    counts: pl.DataFrame, series: str, since: datetime | None, steps: Sequence[datetime], rules: Rules
) -> pl.DataFrame:
    """The usual of each step of a chart.

    Args:
        counts: series, hour, stories, negative and tone (sum over the hour's stories), of the series and the market.
        series: its name.
        since: when it began to be watched; None when it is not, then nothing is usual yet.
        steps: starts of the steps, aware UTC, ascending, and at last the end of the last step.
        rules: how much history is needed, and how much is left out at the end.

    Returns:
        Columns `BAND`, a row a step; no row while the series is still learning.

    Raises:
        ValueError: on fewer than one step.
    """
    if len(steps) < 2:
        raise ValueError("a band needs at least one step")
    if since is None or counts.is_empty():
        return pl.DataFrame(schema=BAND)
    last = (steps[-1] - timedelta(microseconds=1)).replace(minute=0, second=0, microsecond=0)
    first = min([steps[0], *counts.select(pl.col("hour").min())["hour"]])
    days = (last - first) // timedelta(days=1) + 1
    rules = rules.model_copy(update={"baseline_days": max(days, int(rules.learning_days) + 2)})
    watched = pl.DataFrame({"series": [series, MARKET], "since": [since, since]}).unique("series", maintain_order=True)
    names = sorted({series, MARKET})
    history = counts.select(*HISTORY)
    grid = Grid.of(history, watched, names, last, last, rules, Past(), frozenset())
    row = names.index(series)
    if grid.days[row] < rules.learning_days:
        return pl.DataFrame(schema=BAND)
    columns = len(grid.market)
    start = last - (columns - 1) * _HOUR
    # A step that begins within an hour begins with the next one: an hour belongs to the day that it began in.
    edges = np.clip([-((start - step) // _HOUR) for step in steps], 0, columns)
    negative = _negative(grid, row, edges, rules)
    tone = _tone(counts, series, start, columns, edges, grid.usable[row])
    shown = pl.Series("at", list(steps[:-1]), dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame([shown, *(pl.Series(name, values) for name, values in {**negative, **tone}.items())])


def _negative(grid: Grid, row: int, edges: Floats, rules: Rules) -> dict[str, Floats]:
    baseline = grid.baseline(rules)
    weighed, factors = grid.others[row] * baseline.factors[row], baseline.factors[row]
    hours = max(1, int(np.median(np.diff(edges))))
    exposure = np.array(
        [weighed[a:b].sum() + (factors[a:b].mean() if b > a else 0) for a, b in itertools.pairwise(edges)]
    )
    expected = np.maximum(baseline.rate[row] * exposure, 1e-9)
    size = 1 / float(baseline.dispersion(hours)[row])
    success = size / (size + expected)
    return {
        "expected": expected,
        "low": _point(_LOW, size, success),
        "high": _point(_HIGH, size, success),
    }


def _point(probability: float, size: float, success: Floats) -> Floats:
    """The smallest count that is not exceeded with this probability."""
    count = np.maximum(np.floor(special.nbdtrik(probability, size, success)), 0)
    # The inverse is of a continuous law; the first whole count that reaches the probability is at most one further.
    reached = special.betainc(size, count + 1, success) >= probability
    return np.asarray(np.where(reached, count, count + 1), dtype=np.float64)


def _tone(
    counts: pl.DataFrame, series: str, start: datetime, columns: int, edges: Floats, usable: Floats
) -> dict[str, Floats]:
    own = counts.filter(pl.col("series") == series, pl.col("stories") > 0)
    column = np.asarray([(hour - start) // _HOUR for hour in own["hour"]], dtype=np.int64)
    kept = (column >= 0) & (column < columns)
    stories = np.bincount(column[kept], own["stories"].to_numpy()[kept], columns)
    sums = np.bincount(column[kept], own["tone"].to_numpy()[kept], columns)
    hours = max(1, int(np.median(np.diff(edges))))
    usual, between, single = _spread(sums * usable, stories * usable, hours)
    number = np.array([stories[a:b].sum() for a, b in itertools.pairwise(edges)])
    deviation = _SIGMAS * np.sqrt(between + single / np.maximum(number, 1))
    return {
        "tone_usual": np.full(len(number), usual),
        "tone_low": np.clip(usual - deviation, -1, 1),
        "tone_high": np.clip(usual + deviation, -1, 1),
    }


def _spread(sums: Floats, stories: Floats, hours: int) -> tuple[float, float, float]:
    """Mean tone, its variance between steps beyond chance, and that of a single story."""
    whole = len(sums) // hours * hours
    told, among = sums[-whole:].reshape(-1, hours).sum(axis=1), stories[-whole:].reshape(-1, hours).sum(axis=1)
    seen = among > 0
    told, among = told[seen], among[seen]
    if not len(among):
        return 0.0, 0.0, _STORY_VARIANCE
    mean = float(told.sum() / among.sum())
    squares = (told / among - mean) ** 2
    # squares = between + single / stories, each step believed by its stories; the prior is ten steps of one story.
    rows = np.vstack([np.column_stack([np.ones_like(among), 1 / among]), [[1.0, 1.0]]])
    weight = np.sqrt(np.append(np.minimum(among, 50), _PRIOR_STEPS))
    found, *_ = np.linalg.lstsq(rows * weight[:, None], np.append(squares, _STORY_VARIANCE) * weight, rcond=None)
    return mean, max(0.0, float(found[0])), max(0.0, float(found[1]))
