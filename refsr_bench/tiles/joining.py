"""Joins what tiles tell beside their pixels: where they found the first reference, and their views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from refsr_bench.core.schema import FoundBy
from refsr_bench.core.types import Correspondence, Prediction, View
from refsr_bench.tiles.cuts import Tile
from refsr_bench.tiles.places import Part

NOWHERE = -1e6  # the place of what no view shows


@dataclass
class JoinedView:
    """The views of one reference, side by side, in the frame of the whole image."""

    image: np.ndarray
    source: np.ndarray
    valid: np.ndarray
    taken: float = 0.0
    largest: int = 0
    found_by: FoundBy = "unknown"

    @classmethod
    def empty(cls, size: tuple[int, int]) -> JoinedView:
        source = np.full((*size, 2), NOWHERE, np.float32)
        return cls(np.zeros((*size, 3), np.uint8), source, np.zeros(size, bool))

    def add(self, tile: Tile, scale: int, part: Part, view: View, share: float) -> None:
        """Add what a tile alone shows; where it has several views of a reference, the first that shows a place counts.

        share: of the tile, that was taken from the view.
        """
        whole, own = tile.own(scale), tile.own_within(scale)
        new = view.valid[own] & ~self.valid[whole]
        self.image[whole][new] = view.image[own][new]
        self.source[whole][new] = part.back(view.source[own][new])
        self.valid[whole] |= new
        self.taken += share * new.size / self.valid.size
        if (count := int(new.sum())) > self.largest:
            self.largest, self.found_by = count, view.found_by


@dataclass
class Joining:
    """Collects what the tiles of one image tell. size: (height, width) of SR. views: whether views are kept at all."""

    size: tuple[int, int]
    scale: int
    views: bool
    joined: dict[int, JoinedView] = field(default_factory=dict)
    points: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)
    confidences: list[np.ndarray | None] = field(default_factory=list)
    shares_told: bool = True

    def add(self, tile: Tile, parts: Sequence[Part], made: Prediction) -> None:
        """Add the prediction of one tile. parts: what it was given of each reference."""
        if made.correspondence is not None:
            self._add_matches(tile, parts[0], made.correspondence)
        if not self.views:
            return
        self.shares_told &= len(made.shares) == len(made.views)
        for number, view in enumerate(made.views):
            found = self.joined.setdefault(view.reference, JoinedView.empty(self.size))
            share = made.shares[number] if self.shares_told else 0.0
            found.add(tile, self.scale, parts[view.reference], view, share)

    def _add_matches(self, tile: Tile, part: Part, found: Correspondence) -> None:
        rows, columns = tile.own_within(self.scale)
        x, y = np.asarray(found.points, np.float64).reshape(-1, 2).T + 0.5
        own = (x > columns.start) & (x <= columns.stop) & (y > rows.start) & (y <= rows.stop)
        first = np.asarray([tile.columns.first, tile.rows.first]) * self.scale
        self.points.append(np.asarray(found.points)[own] + first)
        self.targets.append(part.back(np.asarray(found.targets)[own]))
        self.confidences.append(None if found.confidence is None else np.asarray(found.confidence)[own])

    def correspondence(self) -> Correspondence | None:
        """Return all matches with the first reference, each from the tile that its point belongs to."""
        if not self.points:
            return None
        stated = None if any(c is None for c in self.confidences) else np.concatenate(self.confidences)
        points, targets = (np.concatenate(each).astype(np.float32) for each in (self.points, self.targets))
        return Correspondence(points, targets, stated)

    def seen(self) -> tuple[tuple[View, ...], tuple[float, ...]]:
        """Return one view for each reference that any tile has a view of, and the shares taken from them."""
        numbers = sorted(self.joined)
        views = tuple(
            View(j.image, j.source, j.valid, j.found_by, n) for n, j in ((n, self.joined[n]) for n in numbers)
        )
        shares = tuple(min(1.0, self.joined[n].taken) for n in numbers) if self.shares_told else ()
        return views, shares
