"""Exact matching on CPUs by bounds (``bounds``) with compiled inner loops (``compiled``). Needs numba.

1. pixel correlations, or the first bounds of them: matrix products, as in ``patch_correlation``
2. sums over the nine shifts and the maximum: one pass in the first-level cache
3. a look at the candidates that the bounds leave

Each thread takes its own band of rows from product to match, so threads wait for each other only at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching.bounds import CANDIDATE_COST, Bounds, find_bounds, principal_directions

T = TypeVar("T")
SMALLEST = 4 << 20  # pairs of pixels; with fewer there is nothing to gain
LARGEST = 1e12  # squared norm of a descriptor; its squares and sums stay far from float32's 3e38
HELD = 4 << 20  # pixel correlations that each thread holds, more when strips would get narrow
IN_ALL = 1 << 28  # pixel correlations that all threads may hold, 1 GiB
KEYS = 2400  # reference pixels multiplied at once, what the second-level cache holds of them
NARROW = 32  # patches in a row of a strip; products of fewer are slow
WAIT = 4  # rows done without bounds after one where they excluded too little; twice as many after the next


@cache
def available() -> bool:
    """Tell whether numba is installed, fits the installed NumPy and finds a place for its compiled code."""
    try:
        import c2matching.matching.compiled  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


def usable(features: Tensor, ref_features: Tensor) -> bool:
    """Tell whether ``match`` takes these maps (C, h, w), (C, H, W), and they are large enough to gain by it."""
    maps = (features, ref_features)
    return (
        features[0].numel() * ref_features[0].numel() >= SMALLEST
        and all(f.device.type == "cpu" and f.dtype == torch.float32 for f in maps)
        and all(f.square().sum(0).max() < LARGEST for f in maps)  # false with NaN, too
        and available()
    )


def match(
    features: Tensor, ref_features: Tensor, scale: Tensor, limit: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Match like ``patch_correlation.match``, before the input's normalisation; None when bounds do not pay.

    features (C, h, w), ref_features (C, H, W), float32 on the CPU. scale (H-2, W-2), positive: what correlations with
    each reference patch are multiplied by. limit (h-2, w-2): what no correlation of a patch exceeds. Returns index
    (h-2, w-2) int64 and correlation (h-2, w-2).
    """
    # Small problems take longer in several threads, many times longer when other work shares the cores.
    (basis,) = in_threads([partial(principal_directions, features, ref_features)])
    if basis is None:
        return None
    task = _Task(features, ref_features, scale)
    bounds = find_bounds(task.pixels, task.keys, basis, scale, limit)
    if bounds is None:
        return None
    rows, count = features.shape[1] - 2, torch.get_num_threads()
    edges = sorted({rows * i // count for i in range(count + 1)})
    in_threads([partial(task.band, bounds, first, end, IN_ALL // count) for first, end in pairwise(edges)])
    index = torch.from_numpy(task.index)
    return index - index // task.ref_width * 2, torch.from_numpy(task.best)  # from whole rows to rows of patches


def in_threads(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Return the result of each call, made in a thread of its own, in which PyTorch uses no further threads."""

    def alone(call: Callable[[], T]) -> T:
        torch.set_num_threads(1)  # OpenMP keeps it for this thread alone
        with torch.inference_mode():
            return call()

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(alone, calls))
    finally:
        torch.set_num_threads(before)


class _Products:
    """The products of three neighbouring rows of pixels with all pixels of the reference.

    Each row is multiplied once: it is kept for the two windows of rows that follow.
    """

    def __init__(self, image: Tensor, keys: Tensor, width: int) -> None:
        """image (h, w, k), of which up to ``width`` columns are wanted at once; keys (n, k)."""
        self.image, self.keys = image, [part.T for part in keys.split(KEYS)]
        self.held = torch.empty(3, width, len(keys))  # row y lies at y % 3
        self.made: list[tuple[int, int] | None] = [None] * 3  # (row, first column) of what lies there

    def __call__(self, top: int, columns: slice) -> list[np.ndarray]:
        """Return the products of three rows from ``top``, (w, n) each, for the pixels in ``columns``."""
        width = columns.stop - columns.start
        for y in range(top, top + 3):
            if self.made[y % 3] != (y, columns.start):
                outs = self.held[y % 3, :width].split(KEYS, dim=1)
                for part, out in zip(self.keys, outs, strict=True):
                    torch.mm(self.image[y, columns], part, out=out)
                self.made[y % 3] = (y, columns.start)
        return [self.held[y % 3, :width].numpy() for y in range(top, top + 3)]


class _Task:
    """The data that the bands share: both maps, arranged for products and searches, and the matches found.

    pixels (h, w, C) and keys (L, C) of the reference; best and index (h-2, w-2).
    """

    def __init__(self, features: Tensor, ref_features: Tensor, scale: Tensor) -> None:
        from c2matching.matching.compiled import SEGMENT, Reference

        _, h, w = features.shape
        _, ref_h, self.ref_width = ref_features.shape
        # Positions of reference patches in one axis of whole rows, up to a whole number of segments.
        filled = (ref_h - 2) * self.ref_width
        positions = -(-filled // SEGMENT) * SEGMENT
        over = positions + 2 * self.ref_width + 2 - ref_h * self.ref_width  # pixels read beyond the map
        self.pixels = features.permute(1, 2, 0).contiguous()
        self.keys = F.pad(ref_features.flatten(1).T, (0, 0, 0, over))
        weights = F.pad(F.pad(scale, (0, 2)).flatten(), (0, positions - filled)).numpy()  # zero where no patch is
        self.reference = Reference(self.ref_width, weights, weights > 0)
        self.best = np.zeros((h - 2, w - 2), np.float32)
        self.index = np.zeros((h - 2, w - 2), np.int64)

    def band(self, bounds: Bounds, first: int, end: int, limit: int) -> None:
        """Match the patches of rows first..end, in strips of columns that take up to ``limit`` pixel correlations.

        A row is searched by bounds. Where these leave so many candidates that the full product is cheaper, it and some
        rows after it are done in full.
        """
        from c2matching.matching.compiled import CHUNK, Matches, Pruning, Rows, Vectors, Workspace, largest, search

        h, w, channels = self.pixels.shape
        positions, step = len(self.reference.scale), self._strip_width(limit)
        full = _Products(self.pixels, self.keys, step + 2)
        upper = _Products(bounds.first[0].view(h, w, -1), bounds.first[1], step + 2)
        work = Workspace(np.empty(positions, np.float32), np.empty(positions // CHUNK, np.float32))
        flat = [(own.reshape(h, -1).numpy(), ref.flatten().numpy(), ref.shape[1])
                for own, ref in ((self.pixels, self.keys), bounds.second)]  # fmt: skip
        slack = bounds.slack.numpy()
        for left in range(0, w - 2, step):
            right = min(w - 2, left + step)
            pixels = slice(left, right + 2)
            allowed = (right - left) * positions * channels // CANDIDATE_COST  # what costs as much as the full product
            skip, wait = 0, WAIT
            for y in range(first, end):
                matches = Matches(self.best[y, left:right], self.index[y, left:right])
                if skip == 0:
                    vectors = (Vectors(own[y : y + 3], ref, c) for own, ref, c in flat)
                    pruning = Pruning(*vectors, left, slack[y, left:right], allowed)
                    if search(Rows(*upper(y, pixels)), self.reference, matches, work, pruning):
                        continue
                    skip, wait = wait, 2 * wait
                skip -= 1
                largest(Rows(*full(y, pixels)), self.reference, matches, work)

    def _strip_width(self, limit: int) -> int:
        """Count the patches in a row of a strip: as ``HELD`` allows, at least NARROW, at most what ``limit`` allows."""
        cols, column = self.best.shape[1], 3 * len(self.keys)
        most = max(1, min(max(NARROW, HELD // column - 2), limit // column - 2))
        return min(cols, -(-cols // -(-cols // most)))  # strips of about equal width
