"""The true position of an input's pixels in its reference: every kind of ``types.Truth``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Dataset, Truth
from refsr_bench.geometry.transformation import Size, Transformation, seen, targets, within


def truth_of(dataset: Dataset, pair_id: str) -> Truth:
    """Return the truth about a pair's HR pixels and its first reference. Raises BenchError if it is unknown."""
    pair = next((pair for pair in dataset.pairs if pair.id == pair_id), None)
    if pair is None:
        raise BenchError(f"{dataset.name} has no pair called '{pair_id}'.")
    if pair.truth is None:
        raise BenchError(f"No true correspondences are known for pair '{pair_id}' of {dataset.name}.")
    return pair.truth()


@dataclass(frozen=True)
class TransformationTruth:
    """The truth of a reference made by a transformation. size: (height, width) of the HR image."""

    transformation: Transformation
    size: Size

    def targets(self, points: np.ndarray) -> np.ndarray:
        return targets(self.transformation, points)

    def valid(self, points: np.ndarray) -> np.ndarray:
        x, y = np.moveaxis(np.asarray(points), -1, 0)
        inside = within(x, y, (0, 0, self.size[1], self.size[0]))
        return inside & seen(self.transformation, self.targets(points))


@dataclass(frozen=True)
class NoTruth:
    """The truth of an unrelated reference, which shows nothing of the input."""

    def targets(self, points: np.ndarray) -> np.ndarray:
        return np.full((len(points), 2), np.nan)

    def valid(self, points: np.ndarray) -> np.ndarray:
        return np.zeros(len(points), bool)


@dataclass(frozen=True)
class DisparityTruth:
    """The truth of a rectified stereo pair. disparity: float32 (h, w), HR pixels to the left, NaN if unknown.

    size: (height, width) of the reference. A point counts as hidden when another one of its row, more than a pixel
    nearer, lands within half a pixel of it.
    """

    disparity: np.ndarray
    size: Size

    def targets(self, points: np.ndarray) -> np.ndarray:
        points = np.asarray(points, np.float64)
        row, column, _ = self._pixels(points)
        return points - np.stack((self.disparity[row, column], np.zeros(len(points))), axis=-1)

    def valid(self, points: np.ndarray) -> np.ndarray:
        row, column, inside = self._pixels(np.asarray(points, np.float64))
        there = self.targets(points)
        height, width = self.size
        with np.errstate(invalid="ignore"):
            inside &= (there[:, 0] >= -0.5) & (there[:, 0] < width - 0.5) & (there[:, 1] < height - 0.5)
        return inside & self._shown[row, column]

    def _pixels(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return nearest row and column, and whether the point is inside the HR image."""
        height, width = self.disparity.shape
        column, row = np.floor(points + 0.5).astype(np.int64).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        # Points outside get the nearest index, which ``inside`` rules out again.
        return row.clip(0, height - 1), column.clip(0, width - 1), inside

    @cached_property
    def _shown(self) -> np.ndarray:
        """Tell for every pixel, bool (h, w), whether its disparity is known and nothing nearer hides it."""
        known = np.isfinite(self.disparity)
        height, width = self.disparity.shape
        d = np.where(known, self.disparity, 0)
        # This is the nearest point that lands on each pixel of the reference's row; the offset covers points that land
        # beside it.
        column = np.floor(np.arange(width) - d + 0.5).astype(np.int64)
        offset = column.min()
        nearest = np.full((height, int(column.max() - offset) + 1), -np.inf)
        row = np.broadcast_to(np.arange(height)[:, None], d.shape)
        np.maximum.at(nearest, (row[known], column[known] - offset), d[known])
        return known & (nearest[row, column - offset] <= d + 1)
