"""Rough maps from scattered matches: at every cell the affine motion that the matches around it agree on."""

from __future__ import annotations

import numpy as np

from refsr_bench.core.types import Correspondence
from refsr_bench.geometry.correspondences import CELL
from refsr_bench.geometry.transformation import Size, pixel_grid

WIDTH = 5.0  # cells, standard deviation of the neighbourhood that shares a motion
ROUNDS = 8  # of reweighting; the allowed error halves from each to the next
ALLOWED = 1.0  # pixels off the common motion that the last round allows
DOUBTFUL, CERTAIN = 0.6, 0.9  # confidences of which the one counts nothing and the other fully
STEADY = 4.0  # cells squared, added to the spread of the points: few points in a line give no wild slopes


def from_matches(matches: Correspondence, size: Size) -> np.ndarray:
    """Return the map that matches agree on, see ``warps``. size: (height, width) of the image.

    Most matches may be wrong: what disagrees with its surroundings loses its weight, round by round.
    """
    height, width = size
    rows, columns = height // CELL, width // CELL
    points, targets = matches.points, matches.targets
    weight = np.ones(len(points))
    if matches.confidence is not None:
        weight = ((matches.confidence - DOUBTFUL) / (CERTAIN - DOUBTFUL)).clip(0, 1)
    cell = ((points + 0.5) // CELL).astype(int)
    known = (cell >= 0).all(1) & (cell < (columns, rows)).all(1) & np.isfinite(targets).all(1)
    moves, weights = np.zeros((rows, columns, 2)), np.zeros((rows, columns))
    column, row = cell[known].T
    moves[row, column] = (targets - points)[known]  # one match per cell; of several the last one counts
    weights[row, column] = weight[known]
    return from_cells(agreed(moves, weights), size)


def from_trusted(source: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    """Return the map that continues ``source`` (h, w, 2) from its trusted pixels, bool (h, w), to all others."""
    import cv2

    height, width = trusted.shape
    cells = (width // CELL, height // CELL)
    moves = cv2.resize(source - pixel_grid((height, width)).astype(np.float32), cells, interpolation=cv2.INTER_AREA)
    weights = cv2.resize(trusted.astype(np.float32), cells, interpolation=cv2.INTER_AREA)
    return from_cells(agreed(moves.astype(np.float64), weights.astype(np.float64), rounds=4), (height, width))


def from_cells(moves: np.ndarray, size: Size) -> np.ndarray:
    """Return the map of displacements given at the centres of 4x4 cells, (rows, columns, 2)."""
    import cv2

    rows, columns = moves.shape[:2]
    area = cv2.resize(moves.astype(np.float32), (columns * CELL, rows * CELL), interpolation=cv2.INTER_LINEAR)
    below, beside = size[0] - rows * CELL, size[1] - columns * CELL  # pixels that fill no cell
    area = np.pad(area, ((0, below), (0, beside), (0, 0)), mode="edge")
    return area + pixel_grid(size).astype(np.float32)


def agreed(moves: np.ndarray, weights: np.ndarray, rounds: int = ROUNDS) -> np.ndarray:
    """Fit an affine motion around every cell by least squares, reweighted so that what disagrees counts less.

    moves (rows, columns, 2) in pixels; weights (rows, columns), 0 where nothing is known. Returns the fitted moves.
    """
    import cv2

    def around(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (0, 0), WIDTH, borderType=cv2.BORDER_CONSTANT)

    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]].astype(np.float64)
    counted = weights
    for n in range(rounds):
        total = around(counted) + 1e-9
        mean_x, mean_y = around(counted * x) / total, around(counted * y) / total
        xx = around(counted * x * x) / total - mean_x**2 + STEADY
        yy = around(counted * y * y) / total - mean_y**2 + STEADY
        xy = around(counted * x * y) / total - mean_x * mean_y
        determinant = xx * yy - xy**2
        fitted = np.empty_like(moves)
        for k in range(2):
            mean = around(counted * moves[..., k]) / total
            with_x = around(counted * moves[..., k] * x) / total - mean_x * mean
            with_y = around(counted * moves[..., k] * y) / total - mean_y * mean
            slope_x = (with_x * yy - with_y * xy) / determinant
            slope_y = (with_y * xx - with_x * xy) / determinant
            fitted[..., k] = mean + slope_x * (x - mean_x) + slope_y * (y - mean_y)
        error = ((moves - fitted) ** 2).sum(-1)
        allowed = ALLOWED * 2 ** (rounds - 1 - n)
        counted = weights / (1 + error / allowed**2) ** 2
    return fitted
