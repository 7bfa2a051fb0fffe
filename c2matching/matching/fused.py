"""Exact matching on CPUs with compiled inner loops (``loops``), by bounds where they pay (``bounds``). Needs numba.

Correlations of pixels are products of matrices, as in ``correspondence``; sums over the nine shifts, the maximum and
the look at what bounds leave are one pass each, in the first-level cache. Each thread does its own band of rows from
product to match, so that threads wait for each other only at the end.
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

from c2matching.matching.bounds import LOOK, Bounds, directions, find_bounds

T = TypeVar("T")
SMALLEST = 4 << 20  # pairs of pixels below which there is nothing to gain
LARGEST = 1e12  # squared norms of descriptors; beyond, squares might overflow
HELD = 4 << 20  # pixel correlations that each thread holds, more when strips would get narrow
IN_ALL = 1 << 28  # that all threads hold
KEYS = 2400  # reference pixels multiplied at once: what the second-level cache holds of them
NARROW = 32  # patches in a row of a strip; of fewer, products are slow
WAIT = 4  # rows done without bounds after one where they excluded too little; twice as many after the next


@cache
def available() -> bool:
    """Whether numba is installed, fits the installed NumPy and finds a place for what it compiles."""
    try:
        import c2matching.matching.loops  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


def usable(features: Tensor, ref_features: Tensor) -> bool:
    """Whether ``match`` takes these maps (C, h, w), (C, H, W), and they are large enough to gain by it."""
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
    """What ``correspondence.match`` finds, before the input's normalisation; None where bounds do not pay.

    features (C, h, w), ref_features (C, H, W), float32 on the CPU. scale (H-2, W-2), positive: what correlations with
    each reference patch are multiplied by. limit (h-2, w-2): beyond which no correlation of a patch can be. Returns
    index (h-2, w-2) int64 and correlation (h-2, w-2).
    """
    # One thread: in several, small problems take longer, many times so when others compute as well.
    (basis,) = _in_threads([partial(directions, features, ref_features)])
    if basis is None:
        return None
    task = _Task(features, ref_features, scale)
    bounds = find_bounds(task.pixels, task.keys, basis, scale, limit)
    if bounds is None:
        return None
    rows, count = features.shape[1] - 2, torch.get_num_threads()
    edges = sorted({rows * i // count for i in range(count + 1)})
    _in_threads([partial(task.band, bounds, first, end, IN_ALL // count) for first, end in pairwise(edges)])
    index = torch.from_numpy(task.index)
    return index - index // task.ref_w * 2, torch.from_numpy(task.best)  # from whole rows to rows of patches


def _in_threads(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Each call in a thread of its own, where PyTorch uses no more than that one."""

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
    """Products of three rows of pixels with all pixels of the reference, made when they are asked for."""

    def __init__(self, image: Tensor, keys: Tensor, width: int) -> None:
        """image (h, w, k), of which up to ``width`` columns are wanted at once; keys (n, k)."""
        self.image, self.keys = image, [part.T for part in keys.split(KEYS)]
        self.held = torch.empty(3, width, len(keys))
        self.made: list[tuple[int, int] | None] = [None] * 3

    def __call__(self, top: int, columns: slice) -> list[np.ndarray]:
        """Three rows from ``top``, (w, n) each, of the pixels in ``columns``."""
        width = columns.stop - columns.start
        for y in range(top, top + 3):
            if self.made[y % 3] != (y, columns.start):
                outs = self.held[y % 3, :width].split(KEYS, dim=1)
                for part, out in zip(self.keys, outs, strict=True):
                    torch.mm(self.image[y, columns], part, out=out)
                self.made[y % 3] = (y, columns.start)
        return [self.held[y % 3, :width].numpy() for y in range(top, top + 3)]


class _Task:
    """What the bands share: both maps as products and searches need them, and the matches found."""

    def __init__(self, features: Tensor, ref_features: Tensor, scale: Tensor) -> None:
        from c2matching.matching.loops import SEGMENT

        _, h, w = features.shape
        _, ref_h, self.ref_w = ref_features.shape
        # Positions of reference patches in one axis of whole rows, and up to a whole number of segments.
        positions = -(-(ref_h - 2) * self.ref_w // SEGMENT) * SEGMENT
        over = positions + 2 * self.ref_w + 2 - ref_h * self.ref_w  # pixels that their patches reach beyond the map
        self.pixels = features.permute(1, 2, 0).contiguous()
        self.keys = F.pad(ref_features.flatten(1).T, (0, 0, 0, over))
        self.scale = F.pad(F.pad(scale, (0, 2)).flatten(), (0, positions - (ref_h - 2) * self.ref_w)).numpy()
        self.valid = self.scale > 0
        self.best = np.zeros((h - 2, w - 2), np.float32)
        self.index = np.zeros((h - 2, w - 2), np.int64)

    def band(self, bounds: Bounds, first: int, end: int, limit: int) -> None:
        """Match the patches of rows first..end, in strips of columns that take up to ``limit`` pixel correlations."""
        from c2matching.matching.loops import CHUNK, largest, search

        h, w, channels = self.pixels.shape
        cols, column = w - 2, 3 * len(self.keys)
        step = max(1, min(max(NARROW, HELD // column - 2), limit // column - 2))
        step = min(cols, -(-cols // -(-cols // step)))  # strips of about equal width
        full = _Products(self.pixels, self.keys, step + 2)
        room = np.empty(len(self.scale), np.float32), np.empty(len(self.scale) // CHUNK, np.float32)
        (own_first, ref_first), (own_more, ref_more) = bounds.first, bounds.more
        upper = _Products(own_first.view(h, w, -1), ref_first, step + 2)
        own, own_more = self.pixels.view(h, -1).numpy(), own_more.view(h, -1).numpy()
        ref, ref_more, slack = self.keys.flatten().numpy(), ref_more.flatten().numpy(), bounds.slack.numpy()
        for left in range(0, cols, step):
            right = min(cols, left + step)
            pixels = slice(left, right + 2)
            allowed = (right - left) * len(self.scale) * channels // LOOK
            skip, wait = 0, WAIT
            for y in range(first, end):
                shared = (self.ref_w, self.scale, self.valid, self.best[y, left:right], self.index[y, left:right])
                if skip == 0:
                    details = (own[y : y + 3], ref, own_more[y : y + 3], ref_more, len(self.keys), left)
                    if search(*upper(y, pixels), *shared, *room, *details, slack[y, left:right], allowed):
                        continue
                    skip, wait = wait, 2 * wait
                skip -= 1
                largest(*full(y, pixels), *shared, *room)
