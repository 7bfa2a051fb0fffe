"""Samples maps of numbers between their pixels."""

from __future__ import annotations

import numpy as np


def linearly(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Sample values (h, w, n) at places (m, 2), (x, y), by bilinear interpolation: float64 (m, n).

    Beyond the outermost pixels, their values are repeated.
    """
    height, width = values.shape[:2]
    x, y = (np.asarray(places, np.float64)[:, k].clip(0, side - 1) for k, side in ((0, width), (1, height)))
    left, top = np.floor(x).astype(int).clip(0, max(0, width - 2)), np.floor(y).astype(int).clip(0, max(0, height - 2))
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    above = values[top, left] * (1 - across) + values[top, right] * across
    return above * (1 - down) + (values[below, left] * (1 - across) + values[below, right] * across) * down
