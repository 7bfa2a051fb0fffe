"""Describes a reference made from the input itself: where each of its pixels comes from, and how values change.

Points are (x, y) in pixels, and the centre of the first pixel is (0, 0); sizes are (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import Format, Text
from refsr_bench.geometry.kinds import KINDS

MIN_VISIBLE = 0.05  # share of the HR image; with less there is nothing to match, and a mean error would say nothing
_MOST_COUNTED = (
    128  # pixels per axis that ``check`` counts: the share is right to a per cent, whatever the image's size
)
_MIN_AREA = 1e-6  # of the HR image's area, in the reference; a homography below it is singular for all purposes

Side = Annotated[int, Meta(ge=1, le=1_000_000)]
Size = tuple[Side, Side]
Row = tuple[float, float, float]
Matrix = tuple[Row, Row, Row]
Box = tuple[int, int, int, int]

IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class Transformation(Format):
    """One reference made from an HR image.

    kind: of ``KINDS``, or a homography that came with two photographs. matrix: 3x3, HR pixel (x, y, 1) to reference
    pixel, homogeneous. size: of the reference. photometric: names and values, see ``warping.apply``. occluders: (left,
    top, width, height) in reference pixels. seed: the text that all random numbers were drawn from. Raises ValueError
    for a matrix with infinite values or NaN.
    """

    kind: Literal[*KINDS, "homography"]
    level: Text
    matrix: Matrix
    size: Size
    photometric: Mapping[str, float] = {}
    occluders: tuple[Box, ...] = ()
    seed: Text = ""

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for row in self.matrix for value in row):
            raise ValueError("matrix: expected finite numbers")


class TooLittle(BenchError):
    """The reference shows too little of the HR image."""


# -- points --------------------------------------------------------------------------------------------------------


def project(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (..., 2) through a 3x3 homography: (..., 2) float64, infinite or NaN on its horizon."""
    x, y = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u, v, w = (row[0] * x + row[1] * y + row[2] for row in matrix)
        return np.stack((u / w, v / w), axis=-1)


def targets(transformation: Transformation, points: np.ndarray) -> np.ndarray:
    """Map HR pixels (..., 2), (x, y), to reference pixels (..., 2), float64."""
    return project(np.asarray(transformation.matrix), points)


def within(x: np.ndarray, y: np.ndarray, box: Box) -> np.ndarray:
    """Tell (bool) which points lie in the area of the box's pixels, which extends half a pixel beyond their centres."""
    left, top, width, height = box
    return (x >= left - 0.5) & (x < left + width - 0.5) & (y >= top - 0.5) & (y < top + height - 0.5)


def seen(transformation: Transformation, there: np.ndarray) -> np.ndarray:
    """Tell which reference pixels (..., 2) are inside the reference and under no occluder: bool (...,)."""
    x, y = np.moveaxis(np.asarray(there), -1, 0)
    height, width = transformation.size
    inside = within(x, y, (0, 0, width, height))
    for box in transformation.occluders:
        inside &= ~within(x, y, box)
    return inside


def visible(transformation: Transformation, size: Size) -> np.ndarray:
    """Tell which pixels of an HR image the reference shows, inside and under no occluder: bool (height, width)."""
    return seen(transformation, targets(transformation, pixel_grid(size)))


def pixel_grid(size: Size, most: int | None = None) -> np.ndarray:
    """Return the pixel centres (h, w, 2) of an image, (x, y); at most ``most`` of them per axis, evenly spread."""
    y, x = (np.arange(n, dtype=np.float64) for n in size)
    if most is not None:
        y, x = (axis if len(axis) <= most else np.linspace(0, len(axis) - 1, most).round() for axis in (y, x))
    grid = np.empty((len(y), len(x), 2))
    grid[..., 0], grid[..., 1] = x, y[:, None]
    return grid


def outline(size: Size) -> np.ndarray:
    """Return the corners of an image's area, (4, 2) (x, y) relative to its centre, in order around it."""
    height, width = size
    return np.asarray([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * np.asarray([width / 2, height / 2])


def check(transformation: Transformation, size: Size, what: str) -> float:
    """Return the share of an HR image (height, width) that the reference shows, counted on at most 128 x 128 pixels.

    Raises BenchError naming ``what`` for a homography that is singular or folds the image over (its horizon crosses the
    image), and TooLittle when less than MIN_VISIBLE is shown.
    """
    matrix = np.asarray(transformation.matrix)
    corners = outline(size) + (np.asarray(size[::-1]) - 1) / 2
    depth = corners @ matrix[2, :2] + matrix[2, 2]
    # depth is linear in x and y, so its sign at the corners holds inside
    if not (np.all(depth > 0) or np.all(depth < 0)):
        raise BenchError(f"The homography of {what} folds the image: its horizon crosses it. Correct the matrix.")
    x, y = project(matrix, corners).T
    with np.errstate(over="ignore", invalid="ignore"):
        area = abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2  # of a quadrilateral, by its corners
    if not area > _MIN_AREA * size[0] * size[1]:
        raise BenchError(f"The homography of {what} is singular: it maps the image onto a line. Correct the matrix.")
    share = float(seen(transformation, targets(transformation, pixel_grid(size, _MOST_COUNTED))).mean())
    if share < MIN_VISIBLE:
        raise TooLittle(
            f"Only {share:.1%} of {what} can be seen in the reference under {transformation.kind} "
            f"{transformation.level}; {MIN_VISIBLE:.0%} are needed. Choose a milder level."
        )
    return share
