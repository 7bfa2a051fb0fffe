"""Means over images and how sure they are."""

import numpy as np
import pytest

from leaderboard.statistics.estimates import difference, estimate, interval


def test_the_interval_of_two_images_is_their_range():
    """With two values 0 and 1, a quarter of the draws are both 0 and a quarter both 1, more than any 2.5 %."""
    assert interval([0, 1]) == (0, 1)
    assert interval([3, 3, 3]) == (3, 3)


def test_the_interval_of_many_images_is_the_normal_one():
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = interval(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    narrow = interval(values, share=0.5)
    assert low < narrow[0] < values.mean() < narrow[1] < high


def test_intervals_are_seeded():
    values = np.random.default_rng(2).normal(0, 1, 8)
    assert interval(values) == interval(values)
    assert interval(values) != interval(values, seed=1)


def test_one_image_has_no_interval_and_infinity_stays():
    assert np.isnan(interval([4.0])).all() and np.isnan(interval([])).all()
    low, high = interval([30.0, np.inf, 31.0, 30.5])
    assert high == np.inf and low >= 30  # most draws hold the infinite one, not all


def test_an_estimate_is_the_plain_mean_with_its_interval():
    found = estimate([1.0, 2.0, 6.0])
    assert (found.mean, found.images) == (3.0, 3) and found.low < 3.0 < found.high
    assert estimate([30.0, np.inf]).mean == np.inf


def test_equal_values_differ_by_nothing_even_infinite_ones():
    assert difference(np.inf, np.inf) == 0.0
    assert difference(2.5, 1.0) == 1.5 and difference(np.inf, 1.0) == np.inf
