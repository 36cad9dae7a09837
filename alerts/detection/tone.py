"""Whether a larger part of a series' own stories is negative than usual.

takes  hourly stories of each series and the negative ones among them, with how far each hour is believed
gives  `Tone`: the usual share and how restless it is; the probability of a share as high as the one seen
never  looks at how much is written: that is the volume's business

The law of the negative stories among s is beta-binomial with mean s * share and intra-class correlation `spread`
(Skellam 1948). Days in which much is written and nothing of it is worse than usual are then no news, and a quiet
series whose few stories all turn bad is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerts.detection.baseline import Mask
from alerts.detection.surprise import Floats

# Before it has shown otherwise a series shares the market's tone, as firmly as ten stories would teach it.
_PRIOR_STORIES = 10.0
# And its share varies between days as that of a market in which one story in ten follows another's tone.
_PRIOR_SPREAD = 0.1
_PRIOR_PAIRS = 50.0
_LEAST_SPREAD, _MOST_SPREAD = 0.01, 0.9
_LEAST_SHARE, _MOST_SHARE = 0.002, 0.98


@dataclass(frozen=True, slots=True)
class Tone:
    """What was learned; one number a series each.

    Attributes:
        share: usual part of negative stories, 0 to 1, neither end included.
        spread: correlation of the tone of two stories of one day, 0 to 1, neither end included.
    """

    share: Floats
    spread: Floats


def learn_tone(negative: Floats, stories: Floats, weights: Floats, market_share: float, hours_a_block: int) -> Tone:
    """The usual share of each series and its restlessness.

    Args:
        negative, stories: [series, hours]; weights: how far an hour is believed, 0 to 1, in the same shape.
        market_share: what a series without stories is taken to share.
        hours_a_block: length of the stretches between which restlessness is measured.
    """
    bad, every = weights * negative, weights * stories
    share = _share(bad, every, market_share)
    seen, among = _blocks(bad, hours_a_block), _blocks(every, hours_a_block)
    among = np.maximum(among, seen)
    chance = (share * (1 - share))[:, None]
    # Of s exchangeable stories the variance is s p (1 - p) (1 + (s - 1) spread): solve for the spread, by moments.
    excess = ((seen - among * share[:, None]) ** 2 - among * chance).sum(axis=1)
    pairs = (among * np.maximum(among - 1, 0) * chance).sum(axis=1)
    prior = _PRIOR_PAIRS * chance[:, 0]
    spread = (excess + prior * _PRIOR_SPREAD) / (pairs + prior)
    return Tone(share, np.clip(spread, _LEAST_SPREAD, _MOST_SPREAD))


def usual_share(negative: Floats, stories: Floats, weights: Floats, market_share: float) -> Floats:
    """The usual share of each series alone; see `learn_tone`."""
    return _share(weights * negative, weights * stories, market_share)


def market_share(negative: Floats, stories: Floats, usable: Mask) -> float:
    """What a series without stories is taken to share, of the market's hours that may be learned from."""
    return float(((usable * negative).sum() + 1) / ((usable * stories).sum() + 10))


def tone_tail(observed: int, stories: int, share: float, spread: float) -> float:
    """P(so many negative stories or more among so many), exact.

    Args:
        observed: negative stories, at most `stories`.
        stories: all stories.
        share, spread: see `Tone`.
    """
    from scipy import special

    if observed <= 0:
        return 1.0
    strength = 1 / spread - 1
    good, bad = share * strength, (1 - share) * strength
    counts: npt.NDArray[np.float64] = np.arange(observed, stories + 1, dtype=np.float64)
    choose = special.gammaln(stories + 1) - special.gammaln(counts + 1) - special.gammaln(stories - counts + 1)
    logs = choose + special.betaln(counts + good, stories - counts + bad) - special.betaln(good, bad)
    return float(min(np.exp(logs).sum(), 1.0))


def _share(negative: Floats, stories: Floats, market_share: float) -> Floats:
    seen, among = negative.sum(axis=1), stories.sum(axis=1)
    share = (seen + _PRIOR_STORIES * market_share) / (np.maximum(among, seen) + _PRIOR_STORIES)
    return np.asarray(np.clip(share, _LEAST_SHARE, _MOST_SHARE))


def _blocks(values: Floats, hours: int) -> Floats:
    padded = np.pad(values, ((0, 0), (-values.shape[1] % hours, 0)))
    return np.asarray(padded.reshape(len(values), -1, hours).sum(axis=2))
