"""Finds which part of a large reference shows what a tile shows, in small copies of both.

1. LR and reference are reduced, and the reference is warped into the frame of LR (``views.proposals``)
2. an affine motion is fitted to what the view shows of a tile, or to its map where that leads into the reference; it
   puts the corners of the tile into the reference
3. for any other tile, histograms of gradients are matched one by one, and the window is taken that holds most matches

The result does not depend on the method that gets it. A part that is larger than MOST times the tile's own pixels is
reduced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refsr_bench.core.types import Correspondence, Image, View
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.tiles.cuts import Span, Tile
from refsr_bench.views import turns
from refsr_bench.views.proposals import Views, propose
from refsr_bench.views.warps import inside

SMALL = 1 << 15  # LR pixels that are compared; four times as many take four times as long and find no more
SMALL_REF = 1 << 20  # pixels of the reference that are compared with them: twice their number at the size of SR
MOST = 2.0  # pixels of a reference that a tile gets, as a multiple of its own SR pixels
AROUND = 0.125  # of a part's sides, added on each side: things before a surface lie beside it in the reference
LEAST = 64  # pixels of a part's side; a smaller part holds no patches to speak of
KNOWN = 0.05  # least share of a tile that must be known; less says nothing about the rest of it
WIDER = 1.25  # sides of the window for a tile that no view shows, in sides of the tile
STRIDE = 4  # LR pixels between the places of a tile that no view shows
CHUNK = 1 << 24  # cosines held at once
GRID = 8  # cells along the shorter side of that window, by which it moves
CELL = 4  # pixels: parts begin at multiples of it, where methods that match whole cells find the same as in the whole


class Part(NamedTuple):
    """A part of a reference that a tile gets.

    image: uint8 (H, W, 3). origin (x, y), factor (x, y): see ``back``.
    """

    image: Image
    origin: tuple[int, int]
    factor: tuple[float, float]

    def back(self, places: np.ndarray) -> np.ndarray:
        """Turn places (..., 2), (x, y), in the part into places in the reference."""
        return (np.asarray(places) + 0.5) * self.factor - 0.5 + self.origin


@dataclass(frozen=True)
class Finder:
    """One reference, and what is known of it.

    ref: uint8 (H, W, 3). size: (height, width) of SR. scale: of the method. view: of the reduced reference in the frame
    of the reduced LR, None if none is believed. ratio (x, y): pixels of the reference per pixel of the reduced one.
    votes: matches of single places, in pixels of SR and of the reference.
    """

    ref: Image
    size: tuple[int, int]
    scale: int
    view: View | None
    ratio: tuple[float, float]
    votes: Correspondence

    def part(self, tile: Tile) -> Part:
        """Return the part of the reference for a tile; the whole reference if it is small enough."""
        height, width = (span.length * self.scale for span in (tile.rows, tile.columns))
        most = MOST * height * width
        if self.ref.shape[0] * self.ref.shape[1] <= most:
            return Part(self.ref, (0, 0), (1.0, 1.0))
        box = self._seen(tile)
        return _cut(self.ref, self._voted(tile, (height, width)) if box is None else box, most)

    def _seen(self, tile: Tile) -> np.ndarray | None:
        """Return the corners (2, 2), (x, y), of what the view shows in a tile; None if that is too little."""
        if self.view is None:
            return None
        shown = self.view.valid
        step = np.asarray([shown.shape[n] / self.size[n] for n in (1, 0)])
        corners = np.asarray([_ends(span, self.scale) for span in (tile.columns, tile.rows)])  # x, then y
        (left, right), (top, bottom) = (corners * step[:, None]).astype(int)
        area = np.s_[top : bottom + 1, left : right + 1]
        trusted = shown[area]
        if trusted.mean() < KNOWN:  # the map goes on from where it is trusted, and a flat sky goes on with it
            trusted = inside(self.view.source[area], tuple(np.divide(self.ref.shape[:2], self.ratio[::-1])))
        if trusted.mean() < KNOWN:
            return None
        y, x = np.nonzero(trusted)
        there = (self.view.source[area][y, x].astype(np.float64) + 0.5) * self.ratio - 0.5
        own = np.column_stack(((x + left + 0.5) / step[0], (y + top + 0.5) / step[1]))
        fit, *_ = np.linalg.lstsq(np.column_stack((own, np.ones(len(own)))), there, rcond=None)
        ends = np.asarray([(u, v, 1.0) for u in corners[0] for v in corners[1]]) @ fit
        inner = np.percentile(there, (1, 99), axis=0)
        return np.stack((np.minimum(ends.min(0), inner[0]), np.maximum(ends.max(0), inner[1])))

    def _voted(self, tile: Tile, sides: tuple[int, int]) -> np.ndarray:
        """Return the corners of the window that holds most matches of a tile. sides: the tile's, (height, width)."""
        import cv2

        (left, right), (top, bottom) = (_ends(span, self.scale) for span in (tile.columns, tile.rows))
        x, y = self.votes.points.T
        own = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        wanted = [min(WIDER * side, there) for side, there in zip(sides, self.ref.shape[:2], strict=True)]
        cell = min(wanted) / GRID
        shape = [int(np.ceil(side / cell)) for side in self.ref.shape[:2]]
        window = [min(most, int(np.ceil(side / cell))) for side, most in zip(wanted, shape, strict=True)]
        votes = np.zeros(shape, np.float64)
        column, row = (self.votes.targets[own] / cell).astype(int).T
        np.add.at(votes, (row, column), self.votes.confidence[own])
        held = cv2.boxFilter(
            votes, -1, window[::-1], anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT
        )[: shape[0] - window[0] + 1, : shape[1] - window[1] + 1]
        corner = cell * np.asarray(np.unravel_index(int(held.argmax()), held.shape))[::-1]
        return np.stack((corner, corner + wanted[::-1]))


def finder(lr: Image, ref: Image, scale: int) -> Finder:
    """Look for a reference in an LR image, both uint8 (h, w, 3) RGB of any size."""
    size = (scale * lr.shape[0], scale * lr.shape[1])
    small = _reduced(lr, SMALL)
    factor = max(lr.shape[0] / small.shape[0], lr.shape[1] / small.shape[1])
    small_ref = _reduced(ref, min(SMALL_REF, ref.shape[0] * ref.shape[1] / factor**2))
    views = propose(Views(), small, [small_ref], scale)(0, None)
    ratio = (ref.shape[1] / small_ref.shape[1], ref.shape[0] / small_ref.shape[0])
    return Finder(ref, size, scale, views[0] if views else None, ratio, _votes(small, small_ref, size, ref.shape[:2]))


def _votes(small: Image, small_ref: Image, size: tuple[int, int], ref_size: tuple[int, int]) -> Correspondence:
    """Match places of a reduced LR image one by one with a reduced reference. size, ref_size: of SR and reference."""
    reduced = _reduced(small_ref, turns.LARGEST**2)
    points, described, _ = turns.descriptors(small, stride=STRIDE)
    there, others, _ = turns.descriptors(reduced)
    if not len(described) or not len(others):
        return Correspondence(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
    step = max(1, CHUNK // len(others))
    best, cosine = [], []
    for first in range(0, len(described), step):
        likeness = described[first : first + step] @ others.T
        best.append(likeness.argmax(1))
        cosine.append(likeness.max(1))
    own = (points + 0.5) * (size[1] / small.shape[1], size[0] / small.shape[0])
    found = (there[np.concatenate(best)] + 0.5) * (ref_size[1] / reduced.shape[1], ref_size[0] / reduced.shape[0])
    return Correspondence(own, found, np.concatenate(cosine))


def _ends(span: Span, scale: int) -> tuple[float, float]:
    return float(span.first * scale), float(span.end * scale)


def _reduced(image: Image, most: float) -> Image:
    """Reduce an image to at most ``most`` pixels, if it has more."""
    factor = (image.shape[0] * image.shape[1] / most) ** 0.5
    if factor <= 1:
        return image
    return resize_pil_bicubic(image, *(max(1, int(side / factor)) for side in image.shape[:2]))


def _cut(ref: Image, box: np.ndarray, most: float) -> Part:
    """Cut a box, (2, 2) of (x, y), widened by AROUND, out of a reference; reduce it to at most ``most`` pixels."""
    limit = np.asarray(ref.shape[1::-1])
    wider = AROUND * (box[1] - box[0])
    middle = ((box[0] + box[1]) / 2).clip(0, limit)
    half = np.maximum(box[1] - middle + wider, LEAST / 2)
    first = np.floor(np.minimum(box[0] - wider, middle - half).clip(0, np.maximum(limit - LEAST, 0))).astype(int)
    first -= first % CELL
    end = np.ceil(np.maximum(box[1] + wider, first + LEAST).clip(0, limit)).astype(int)
    part = ref[first[1] : end[1], first[0] : end[0]]
    image = _reduced(np.ascontiguousarray(part), most)
    factor = (part.shape[1] / image.shape[1], part.shape[0] / image.shape[0])
    return Part(image, (int(first[0]), int(first[1])), factor)
