"""Measures the errors of correspondences, their distance from the truth.

A matcher says where points of the input lie in the reference (``types.Correspondence``). A *truth* says where they
really lie, and at which of them the question makes sense. All distances are in HR pixels of the reference.
"""

from __future__ import annotations

import numpy as np

from refsr_bench.core.schema import MetricInfo
from refsr_bench.core.types import Correspondence, Truth

CELL = 4  # HR pixels: matchers of this field give one correspondence per LR pixel
PCK = (1, 3, 5, 10)
MEASURES = (
    MetricInfo("aee", "AEE", "lower", "HR pixels", 2),
    MetricInfo("aee_median", "median", "lower", "HR pixels", 2),
    *(MetricInfo(f"pck{t}", f"PCK@{t}", "higher", "%", 1) for t in PCK),
    MetricInfo("coverage", "coverage", "higher", "%", 1),
    MetricInfo("points", "points", "higher", "", 0),
)


def cell_centres(height: int, width: int) -> np.ndarray:
    """Return the centres of the whole 4x4 cells of an image: (n, 2) float32, (x, y), row by row."""
    y, x = np.mgrid[: height // CELL, : width // CELL]
    return (CELL * np.stack((x, y), axis=-1) + (CELL - 1) / 2).reshape(-1, 2).astype(np.float32)


def measure(matches: Correspondence, truth: Truth, size: tuple[int, int]) -> dict[str, float]:
    """Compute the ``MEASURES`` of one pair over the points that were matched and are visible in the reference.

    size: (height, width) of the input; points outside it do not count. aee is the mean end-point error, aee_median its
    median, and pck T the percentage of points at most T pixels off. coverage is the percentage of the visible 4x4 cells
    in which a point was matched: a matcher that answers only when it is sure has a small error and a small coverage.
    Without any point, only coverage and points are returned. Raises ValueError for arrays of other shapes.
    """
    points, found = (np.asarray(array, np.float64) for array in (matches.points, matches.targets))
    if points.shape != found.shape or points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points {points.shape} and targets {found.shape}: both must be (n, 2)")
    height, width = size
    kept = np.isfinite(points).all(1) & np.isfinite(found).all(1)
    # A pixel extends half a pixel beyond its centre, where its coordinates are whole numbers.
    kept &= (points >= -0.5).all(1) & (points < (width - 0.5, height - 0.5)).all(1)
    points, found = points[kept], found[kept]
    # A point whose position the reference does not show can be neither right nor wrong.
    if len(points):
        visible = np.asarray(truth.valid(points), bool)
        points, found = points[visible], found[visible]
    values = {"coverage": _coverage(points, truth, size), "points": float(len(points))}
    if not len(points):
        return values
    error = np.linalg.norm(found - truth.targets(points), axis=1)
    values |= {"aee": float(error.mean()), "aee_median": float(np.median(error))}
    return values | {f"pck{t}": 100 * float((error <= t).mean()) for t in PCK}


def _coverage(points: np.ndarray, truth: Truth, size: tuple[int, int]) -> float:
    rows, columns = (side // CELL for side in size)
    visible = np.asarray(truth.valid(cell_centres(*size)), bool).reshape(rows, columns)
    matched = np.zeros((rows, columns), bool)
    # The last rows and columns may not fill a cell; nothing is counted there.
    cells = np.floor((points + 0.5) / CELL).astype(int)
    cells = cells[(cells < (columns, rows)).all(1)]
    matched[cells[:, 1], cells[:, 0]] = True
    return 100 * float((matched & visible).sum() / max(1, visible.sum()))
