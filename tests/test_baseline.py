"""What is usual for a series hangs on nothing but that series, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.detection.baseline import Baseline, learn, running, sliding
from alerts.detection.sources import Voices
from alerts.detection.surprise import Floats

HOURS = 24 * 30 + 1
SLOTS = (5 + np.arange(HOURS)) % 168
USABLE = np.arange(HOURS) < HOURS - 24


def world(series: int) -> tuple[Floats, Floats]:
    """Sparse and busy series, some with an event in the middle."""
    random = np.random.default_rng(11)
    rate = random.choice([0.003, 0.02, 0.3], series)[:, None]
    negative = random.poisson(rate * random.gamma(1.0, 1.0, (series, HOURS))).astype(np.float64)
    negative[::3, 300:306] += 4
    return negative, random.random((series, HOURS)) * 12


def learned(negative: Floats, others: Floats) -> Baseline:
    return learn(negative, others, np.tile(USABLE, (len(negative), 1)), SLOTS, 4)


def test_no_series_has_a_say_in_anothers_baseline() -> None:
    """Alone, beside others, and cut out of what was learned of all: the same bits."""
    negative, others = world(17)
    together = learned(negative, others)
    quiet = (negative.reshape(17, -1)[:, 1:].reshape(17, 30, 24).sum(axis=2) < 4).all(axis=1)
    assert quiet.any()
    assert not quiet.all()
    for some in ([0], [4], [1, 2, 3], [int(np.flatnonzero(quiet)[0])], list(range(5, 17))):
        rows = np.array(some)
        for one in (together.rows(rows), learned(negative[rows], others[rows])):
            assert np.array_equal(one.rate, together.rate[rows])
            assert np.array_equal(one.stories, together.stories[rows])
            assert np.array_equal(one.weights, together.weights[rows])
            for hours in (1, 12, 24, 72):
                assert np.array_equal(one.expected(hours), together.expected(hours)[rows])
                assert np.array_equal(one.dispersion(hours), together.dispersion(hours)[rows])
            assert np.array_equal(one.expected_by_day(5), together.expected_by_day(5)[rows])


def test_a_series_without_an_event_is_believed_in_every_hour() -> None:
    negative, others = world(9)
    negative[4] = 0
    negative[4, ::100] = 1
    found = learned(negative, others)
    assert np.array_equal(found.weights[4], USABLE.astype(np.float64))
    assert (found.weights[0] < USABLE).any()


@pytest.mark.parametrize("hours", [1, 3, 24, 700])
def test_sliding_sums_are_those_of_each_window(hours: int) -> None:
    values = world(3)[1]
    naive = [[row[at : at + hours].sum() for at in range(HOURS - hours + 1)] for row in values]
    np.testing.assert_allclose(sliding(running(values), hours), naive, rtol=1e-9, atol=1e-9)


def test_no_series_has_a_say_in_anothers_exposure() -> None:
    random = np.random.default_rng(5)
    voices = Voices(tuple("abcdefg"), random.integers(0, 9, (7, HOURS)).astype(np.float64), frozenset())
    own = random.integers(0, 40, (13, 7)).astype(np.float64)
    together = voices.weighed(own)
    for some in ([0], [12], [3, 4, 5], list(range(1, 12))):
        assert np.array_equal(voices.weighed(own[some]), together[some])
    assert Voices((), np.zeros((0, HOURS)), frozenset()).weighed(np.zeros((2, 0))).shape == (2, HOURS)
