"""Sampling between pixels, against scipy."""

import numpy as np
from scipy.ndimage import map_coordinates

from refsr_bench.pixels.sampling import linearly


def test_equals_scipy_inside_and_beyond():
    rng = np.random.default_rng(0)
    values, places = rng.normal(size=(7, 9, 2)), rng.uniform(-2, 11, (200, 2))
    channels = [map_coordinates(values[..., k], places.T[::-1], order=1, mode="nearest") for k in range(2)]
    expected = np.stack(channels, axis=-1)
    assert abs(linearly(values, places) - expected).max() < 1e-12


def test_a_single_row_or_column():
    row = np.arange(5.0).reshape(1, 5, 1)
    assert linearly(row, np.array([[1.5, 0.0], [9.0, 3.0]])).tolist() == [[1.5], [4.0]]
    assert linearly(row.transpose(1, 0, 2), np.array([[0.0, 2.25]])).tolist() == [[2.25]]
