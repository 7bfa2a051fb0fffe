"""Matches below a cell: the shift, in fractions of a pixel, by which a matched patch misses its true place.

A descriptor covers a cell of 4x4 pixels, so the best patch of all (Eq. 8) may still lie up to two pixels off along
either axis. The offsets of dynamic aggregation cannot see that: they are predicted from features of the reference that
are not yet moved to the match. What is left is found in the pixels themselves, for every matched patch alone:

1. the luma of the enlarged LR image, and that of the reference, blurred as LR is (``LR_BLUR``)
2. their normalised cross-correlation in a window around the patch, at all whole shifts up to ``REACH``
3. the top of the quadratic surface through the best correlation and its eight neighbours

Along an edge nothing tells where a patch belongs. A parabola for each axis would then correct the same error twice, so
the surface has a mixed term, and its curvature is steadied (``STEADY``).

The correlation is also the certainty of the match: patches that only resemble each other correlate little.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching.correspondence import Correspondence
from c2matching.matching.pruned import available, in_threads
from c2matching.matching.window import CELL, FLAT, LEAST_BEND, REACH, STEADY, WINDOW
from refsr_bench.learning.hardware import in_float32
from refsr_bench.pixels.resize import LR_BLUR

MOST = REACH + 1  # shifts that are ever looked at: a parabola needs the neighbours of the furthest
RIM = CELL + MOST  # pixels that windows reach beyond an image, whose border is repeated there
PATCHES = 1 << 12  # patches refined at once by tensors; their windows take 10 MB
LUMA = (0.299, 0.587, 0.114)


@in_float32
@torch.no_grad()
def refine(found: Correspondence, enlarged: Tensor, refs: Sequence[Tensor]) -> Correspondence:
    """Move every match of ``found`` to its place below a cell, and state its certainty.

    enlarged (3, H, W): the enlarged LR image whose descriptors were matched. refs: references (3, H, W), as matched;
    all RGB in [0, 1]. Returns fractional flows, in cells, and ``certainty`` (h-2, w-2): the correlation in [-1, 1], 0
    where nothing but a flat surface is seen. Patches do not depend on each other, so any part of an image gives the
    same result as the whole.
    """
    own = _padded(luma(enlarged), CELL)
    shift, certainty = torch.zeros_like(found.flow), torch.zeros_like(found.similarity)
    for number, ref in enumerate(refs):
        chosen = found.reference == number
        if not chosen.any():
            continue
        places = places_of(found.index, ref.shape[2] // CELL - 2)
        by = by_loops if own.device.type == "cpu" and available() else by_tensors
        moved, score = by(own, _padded(blurred(luma(ref)), RIM), places, chosen)
        shift[chosen], certainty[chosen] = moved[chosen], score[chosen]
    return dataclasses.replace(found, flow=found.flow + shift / CELL, certainty=certainty)


def places_of(index: Tensor, columns: int) -> Tensor:
    """Turn numbers of patches (h, w) into their top-left cells (h, w, 2), (x, y). columns: patches per row."""
    return torch.stack((index % columns, index // columns), dim=-1)


def luma(image: Tensor) -> Tensor:
    """Return the luma of an image (3, H, W) RGB: (H, W)."""
    red, green, blue = LUMA
    return red * image[0] + green * image[1] + blue * image[2]


def blurred(image: Tensor) -> Tensor:
    """Blur (H, W) by a Gaussian of LR_BLUR pixels, the border repeated."""
    reach = round(4 * LR_BLUR)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=image.device) / LR_BLUR) ** 2)
    kernel = (kernel / kernel.sum()).to(image.dtype)
    x = _padded(image, reach)[None, None]
    return F.conv2d(F.conv2d(x, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))[0, 0]


def _padded(image: Tensor, rim: int) -> Tensor:
    return F.pad(image[None, None], (rim,) * 4, mode="replicate")[0, 0].contiguous()


def _variances(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of every WINDOW x WINDOW pixels of (H, W), by the window's top-left pixel.

    float64 inside where the device has it, because the variance is a small difference of large numbers.
    """

    def mean_of(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.avg_pool2d(x[None, None], (WINDOW, 1), 1), (1, WINDOW), 1)[0, 0]

    x = image if image.device.type == "mps" else image.double()  # which has no float64
    mean, square = mean_of(x), mean_of(x.square())
    return mean.to(image.dtype), (square - mean.square()).clamp_min(0).to(image.dtype)


def by_loops(own: Tensor, ref: Tensor, places: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Refine on a CPU with compiled loops, in as many threads as PyTorch uses.

    own: luma with a rim of CELL pixels; ref: blurred luma with a rim of RIM. places (h, w, 2), (x, y): matched patches
    by their top-left cell. chosen (h, w) bool: those to refine. Returns shifts (h, w, 2) in pixels, (x, y), and
    correlations (h, w).
    """
    from c2matching.matching.subcell_loops import Patches, Windows, correlate

    windows = Windows(own.numpy(), ref.numpy(), *(m.numpy() for m in (*_variances(own), _variances(ref)[1])))
    shift, score = torch.zeros(places.shape), torch.zeros(chosen.shape)
    rows, count = len(places), torch.get_num_threads()
    edges = sorted({rows * i // count for i in range(count + 1)})
    patches = Patches(places.numpy(), chosen.numpy(), shift.numpy(), score.numpy())
    in_threads([partial(correlate, windows, patches, first, end) for first, end in pairwise(edges)])
    return shift, score


def by_tensors(own: Tensor, ref: Tensor, places: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Refine like ``by_loops`` with tensor operations alone, on any device, PATCHES at a time."""
    (own_mean, own_variance), ref_variance = _variances(own), _variances(ref)[1]
    own_windows = own.unfold(0, WINDOW, CELL).unfold(1, WINDOW, CELL)  # (h, w, WINDOW, WINDOW)
    ref_windows = ref.unfold(0, WINDOW + 2 * MOST, CELL).unfold(1, WINDOW + 2 * MOST, CELL)
    spreads = ref_variance.unfold(0, 2 * MOST + 1, CELL).unfold(1, 2 * MOST + 1, CELL)
    shift, score = torch.zeros_like(places, dtype=own.dtype), torch.zeros(chosen.shape, device=own.device)
    for y, x in zip(*(part.split(PATCHES) for part in chosen.nonzero(as_tuple=True)), strict=True):
        column, row = places[y, x].unbind(-1)
        centred = own_windows[y, x] - own_mean[y * CELL, x * CELL, None, None]
        around = ref_windows[row, column]
        around = around - around[:, WINDOW // 2 + MOST, WINDOW // 2 + MOST, None, None]  # small numbers round less
        crossed = F.conv2d(around[None], centred[:, None], groups=len(y))[0] / WINDOW**2
        mine, theirs = own_variance[y * CELL, x * CELL], spreads[row, column]
        scores = crossed / (mine[:, None, None] * theirs.clamp_min(FLAT)).sqrt()
        moved, best = _peaks(scores)
        seen = mine > FLAT
        shift[y, x], score[y, x] = moved * seen[:, None], best * seen
    return shift, score


def _peaks(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the places (n, 2), (x, y) from the middle, and heights (n,) of the peaks of correlations (n, s, s).

    The outermost correlations are neighbours of peaks and never peaks themselves.
    """
    side = scores.shape[1] - 2
    best, at = scores[:, 1:-1, 1:-1].flatten(1).max(1)
    row, column = at // side + 1, at % side + 1
    each = torch.arange(len(scores), device=scores.device)
    around = [scores[each, row + j, column + i] for j in (-1, 0, 1) for i in (-1, 0, 1)]
    near = torch.stack(around, dim=-1).view(-1, 3, 3)
    middle = torch.stack((column, row), dim=-1) - MOST
    return middle + tops(near), best


def tops(near: Tensor) -> Tensor:
    """Return the tops (n, 2), (x, y) from the middle, of surfaces through 3x3 correlations (n, 3, 3).

    A top lies at most at a neighbour. It stays in the middle where the surface has none.
    """
    best = near[:, 1, 1]
    slope = torch.stack((near[:, 1, 2] - near[:, 1, 0], near[:, 2, 1] - near[:, 0, 1]), dim=-1) / 2
    xx, yy = 2 * best - near[:, 1, 2] - near[:, 1, 0], 2 * best - near[:, 2, 1] - near[:, 0, 1]
    xy = -(near[:, 2, 2] - near[:, 2, 0] - near[:, 0, 2] + near[:, 0, 0]) / 4
    steady = STEADY * (xx + yy).clamp_min(LEAST_BEND)
    xx, yy = xx + steady, yy + steady
    determinant = xx * yy - xy.square()
    there = torch.stack((yy * slope[:, 0] - xy * slope[:, 1], xx * slope[:, 1] - xy * slope[:, 0]), dim=-1)
    there = (there / determinant[:, None]).clamp(-1, 1)
    return torch.where(((xx > 0) & (determinant > 0))[:, None], there, 0)
