"""The inner loops of ``pruned``, compiled by numba at their first use and cached.

Positions of reference patches lie in one axis of whole rows, v * W + u, so that a shift by (i, j) is one by i * W + j.
The last two of each row's W positions are no patches: their scale is zero.

Arguments that belong together are named tuples; numba takes them apart, so that the machine code sees plain arrays. All
arrays are contiguous along their last axis.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

SEGMENT = 256  # positions summed at once; this fixed length fits the first-level cache and compiles to vector code
CHUNK = 128  # positions that share a maximum; a divisor of SEGMENT
FAST = {"reassoc", "contract", "nsz", "nnan"}  # sums may be reordered, which vector code needs; infinities keep meaning
LEAST = np.float32(-3e38)  # below every correlation: ``pruned.LARGEST`` keeps these finite


class Rows(NamedTuple):
    """Pixel correlations, or bounds of them, of three neighbouring rows of the input: (w, L) each.

    L counts the pixels of the reference, and zeros up to what the last segment reaches.
    """

    upper: np.ndarray
    middle: np.ndarray
    lower: np.ndarray


class Reference(NamedTuple):
    """The positions of a reference. scale (n,): what correlations are multiplied by; valid (n,) bool: scale > 0."""

    width: int
    scale: np.ndarray
    valid: np.ndarray


class Matches(NamedTuple):
    """The matches of one row of patches, which are written: correlation (w-2,) float32, position (w-2,) int64."""

    best: np.ndarray
    index: np.ndarray


class Workspace(NamedTuple):
    """Room for one patch: its sums with all positions (n,) and the largest of every chunk (n / CHUNK,)."""

    sums: np.ndarray
    tops: np.ndarray


class Vectors(NamedTuple):
    """Vectors of pixels, c numbers each, whose products are summed over a patch. own (3, w*c), ref (L*c)."""

    own: np.ndarray
    ref: np.ndarray
    channels: int


class Pruning(NamedTuple):
    """The arguments of ``search`` besides the first bound.

    descriptors: of all channels. second: makes the first bound a closer one. left: column of ``own`` at which the row
    of patches begins. slack (w-2,): what rounding may take from a bound. allowed: candidates that may be looked at.
    """

    descriptors: Vectors
    second: Vectors
    left: int
    slack: np.ndarray
    allowed: int


@njit(fastmath=FAST, inline="always")
def _dot(a, b):
    total = np.float32(0)
    for c in range(a.size):
        total += a[c] * b[c]
    return total


@njit(fastmath=FAST, inline="always")
def _patch_dot(vectors, x, position, width):
    """The patch at column x of three rows with the one at ``position``: three runs of 3 * channels numbers."""
    channels = vectors.channels
    own, ref = vectors.own, vectors.ref
    start, at, row, length = x * channels, position * channels, width * channels, 3 * channels
    return (
        _dot(own[0, start : start + length], ref[at : at + length])
        + _dot(own[1, start : start + length], ref[at + row : at + row + length])
        + _dot(own[2, start : start + length], ref[at + 2 * row : at + 2 * row + length])
    )


@njit(fastmath=FAST, nogil=True)
def _nine(taps, scale, out):
    """Add nine arrays (SEGMENT,), times scale -> out. A function of its own, so that it is compiled for one length."""
    a0, a1, a2, b0, b1, b2, c0, c1, c2 = taps
    for u in range(SEGMENT):
        out[u] = (
            (a0[u] + a1[u] + a2[u]) + (b0[u] + b1[u] + b2[u]) + (c0[u] + c1[u] + c2[u])
        ) * scale[u]  # fmt: skip


@njit(fastmath=FAST, inline="always")
def _most(values):
    most = LEAST
    for u in range(CHUNK):
        most = max(most, values[u])
    return most


@njit(fastmath=FAST, nogil=True)
def _patch_sums(rows, x, reference, work):
    """Sum the nine shifts of the patch at column x, for all positions, times scale -> ``work``."""
    a0, a1, a2 = rows.upper[x], rows.upper[x + 1], rows.upper[x + 2]
    b0, b1, b2 = rows.middle[x], rows.middle[x + 1], rows.middle[x + 2]
    c0, c1, c2 = rows.lower[x], rows.lower[x + 1], rows.lower[x + 2]
    width, scale, sums, tops = reference.width, reference.scale, work.sums, work.tops
    for p in range(0, sums.size, SEGMENT):
        q, r, e = p + width, p + 2 * width, p + SEGMENT  # one and two rows further down; the end of the segment
        f, g = q + SEGMENT, r + SEGMENT
        taps = (
            a0[p:e], a1[p + 1 : e + 1], a2[p + 2 : e + 2],
            b0[q:f], b1[q + 1 : f + 1], b2[q + 2 : f + 2],
            c0[r:g], c1[r + 1 : g + 1], c2[r + 2 : g + 2],
        )  # fmt: skip
        _nine(taps, scale[p:e], sums[p:e])  # Eq. (4): f_p . f_q / |f_q|, or a bound of it
        for k in range(p // CHUNK, e // CHUNK):
            tops[k] = _most(sums[k * CHUNK : (k + 1) * CHUNK])


@njit(nogil=True, cache=True)
def largest(rows, reference, matches, work):
    """Write the best match of each patch of a row, by all its correlations. Equal ones go to the lowest position."""
    sums, tops, valid = work.sums, work.tops, reference.valid
    for x in range(matches.best.size):
        _patch_sums(rows, x, reference, work)
        found, place = LEAST, 0
        for k in range(tops.size):
            if tops[k] > found:
                for p in range(k * CHUNK, (k + 1) * CHUNK):
                    if sums[p] > found and valid[p]:
                        found, place = sums[p], p
        matches.best[x], matches.index[x] = found, place  # Eq. (8)


@njit(fastmath=FAST, nogil=True, cache=True)
def search(rows, reference, matches, work, pruning):
    """Write the best match of each patch of a row as ``largest`` does, where ``rows`` holds first bounds.

    What the bounds cannot exclude is correlated in full. Gives up and returns False once more than ``pruning.allowed``
    candidates had to be looked at.
    """
    looked_at = 0
    width, scale, valid = reference.width, reference.scale, reference.valid
    sums, tops, index = work.sums, work.tops, matches.index
    descriptors, second, left = pruning.descriptors, pruning.second, pruning.left
    for x in range(index.size):
        _patch_sums(rows, x, reference, work)
        # First a match to beat: the position of the highest bound, or the neighbour's match moved along. Its value is
        # computed again below, because values that are compared must come from one place in the code, where all are
        # rounded alike.
        k = np.argmax(tops)
        place = k * CHUNK + np.argmax(sums[k * CHUNK : (k + 1) * CHUNK])
        if not valid[place]:
            place = 0
        found = _patch_dot(descriptors, left + x, place, width) * scale[place]
        if x > 0:
            p = index[x - 1] + 1
            if valid[p] and sums[p] >= found:
                value = _patch_dot(descriptors, left + x, p, width) * scale[p]
                found = max(found, value)
        least = found - pruning.slack[x]  # a bound below that excludes
        found = LEAST
        for k in range(tops.size):
            if tops[k] < least:
                continue
            for p in range(k * CHUNK, (k + 1) * CHUNK):
                if sums[p] < least or not valid[p]:
                    continue
                looked_at += 1
                closer = _patch_dot(second, left + x, p, width) * scale[p]
                if sums[p] + closer < least:
                    continue
                value = _patch_dot(descriptors, left + x, p, width) * scale[p]
                if value > found:  # positions rise, so that equal ones go to the lowest
                    found, place = value, p
                    least = max(least, found - pruning.slack[x])
        matches.best[x], index[x] = found, place  # Eq. (8)
        if looked_at > pruning.allowed:
            return False
    return True
