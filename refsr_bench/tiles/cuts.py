"""Cuts an image into tiles that overlap, and joins their results without seams.

Two neighbours share at least OVERLAP pixels of LR. The outermost of them are thrown away, because a network sees less
around them, and in the middle the one fades into the other. Weights are whole numbers and their sum is the same
everywhere, so a pixel does not depend on the order in which tiles are added, and equal results stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

OVERLAP = 16  # LR pixels that neighbours share at least
FADE = 8  # LR pixels over which one tile fades into the next, in the middle of what they share
SMALLEST = OVERLAP + 2 * FADE  # LR pixels of a tile's side: below, three tiles would meet in one fade
STEP = 8  # sides that are chosen are multiples of it, which suits networks with windows
WEIGHT = 1 << 8  # the sum of weights along an axis; two axes and 16 bits fill uint32


@dataclass(frozen=True)
class Span:
    """The part of one axis that a tile reads, and where it fades, in pixels of LR.

    first, end: what it reads. before, after: the middles of the fades into its neighbours; the ends of the axis where
    there is none.
    """

    first: int
    end: int
    before: float
    after: float

    @property
    def length(self) -> int:
        return self.end - self.first


@dataclass(frozen=True)
class Tile:
    """One tile: the rows and the columns of LR that it reads."""

    rows: Span
    columns: Span

    def of(self, image: np.ndarray, scale: int = 1) -> np.ndarray:
        """Cut (h, w, ...) at ``scale`` times LR: what the tile reads."""
        rows, columns = self.rows, self.columns
        return image[rows.first * scale : rows.end * scale, columns.first * scale : columns.end * scale]

    def own(self, scale: int) -> tuple[slice, slice]:
        """Return rows and columns, at ``scale`` times LR, that belong to this tile more than to any other."""
        return tuple(slice(round(s.before * scale), round(s.after * scale)) for s in (self.rows, self.columns))

    def own_within(self, scale: int) -> tuple[slice, slice]:
        """Return the same, counted from the beginning of the tile."""
        firsts = self.rows.first * scale, self.columns.first * scale
        return tuple(slice(own.start - n, own.stop - n) for own, n in zip(self.own(scale), firsts, strict=True))


def spans(length: int, side: int) -> list[Span]:
    """Divide an axis into the fewest spans of at most ``side`` pixels that overlap by OVERLAP or more.

    They are evenly spaced and of one length, no longer than so many need, in multiples of STEP.
    """
    if length <= side:
        return [Span(0, length, 0, length)]
    count = 1 - (side - length) // (side - OVERLAP)
    needed = -(-(length + (count - 1) * OVERLAP) // count)
    side = min(side, -(-needed // STEP) * STEP)
    firsts = [(length - side) * n // (count - 1) for n in range(count)]
    middles = [0, *((after + before + side) / 2 for before, after in pairwise(firsts)), length]
    return [Span(first, first + side, middles[n], middles[n + 1]) for n, first in enumerate(firsts)]


def weights(span: Span, length: int, scale: int) -> np.ndarray:
    """Return the weights of a span's pixels at ``scale`` times LR, whole numbers from 0 to WEIGHT.

    length: of the axis, in LR pixels. Those of neighbours add up to WEIGHT.
    """
    places = (np.arange(span.first * scale, span.end * scale) + 0.5) / scale
    found = np.full(len(places), WEIGHT)
    if span.before > 0:
        found = np.minimum(found, _risen(places, span.before))
    if span.after < length:
        found = np.minimum(found, WEIGHT - _risen(places, span.after))
    return found


def _risen(places: np.ndarray, middle: float) -> np.ndarray:
    share = (places - middle) / FADE + 0.5
    return np.floor(WEIGHT * share.clip(0, 1) + 0.5).astype(np.int64)


def joined(
    size: tuple[int, int], side: int, scale: int, made: Callable[[Tile], np.ndarray]
) -> Iterator[np.ndarray]:
    """Make all tiles of an LR image and yield the joined result from top to bottom, in bands of rows.

    size: (height, width) of LR. made(tile): its result, uint8 or uint16 (h*scale, w*scale, 3). Only one row of tiles is
    held at a time.
    """
    height, width = size
    rows, columns = spans(height, side), spans(width, side)
    band = np.zeros((rows[0].length * scale, width * scale, 3), np.uint32)
    for number, row in enumerate(rows):
        down = weights(row, height, scale)
        for column in columns:
            across = weights(column, width, scale)
            result = made(Tile(row, column))
            area = band[:, column.first * scale : column.end * scale]
            area += result * (down[:, None] * across).astype(np.uint32)[..., None]
        ready = (rows[number + 1].first - row.first if number + 1 < len(rows) else row.length) * scale
        yield ((band[:ready] + np.uint32(WEIGHT * WEIGHT // 2)) // np.uint32(WEIGHT * WEIGHT)).astype(result.dtype)
        band = np.concatenate((band[ready:], np.zeros_like(band[:ready])))
