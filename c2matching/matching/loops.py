"""The inner loops of ``fused``, compiled by numba at their first use and kept for the next.

Reference patches lie in one axis of whole rows, v * W + u, so that a shift by (i, j) is one by i * W + j. The last two
of each row's W positions are no patches: their scale is zero.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SEGMENT = 256  # positions summed at once; a fixed length, in the first-level cache, compiles to vector instructions
CHUNK = 128  # positions that share a maximum
FAST = {"reassoc", "contract", "nsz", "nnan"}
LEAST = np.float32(-3e38)


@njit(fastmath=FAST, inline="always")
def _dot(a, b):
    total = np.float32(0)
    for c in range(a.size):
        total += a[c] * b[c]
    return total


@njit(fastmath=FAST, inline="always")
def _patch_dot(own, start, ref, at, width, length):
    """own (3, w*C) from ``start`` with ref (H*W*C) from ``at``: three runs of ``length`` = 3*C, rows of width = W*C."""
    return (
        _dot(own[0, start : start + length], ref[at : at + length])
        + _dot(own[1, start : start + length], ref[at + width : at + width + length])
        + _dot(own[2, start : start + length], ref[at + 2 * width : at + 2 * width + length])
    )


@njit(fastmath=FAST, nogil=True)
def _nine(a0, a1, a2, b0, b1, b2, c0, c1, c2, scale, out):
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
def _sums(row0, row1, row2, x, width, scale, sums, tops):
    """Patch sums of query x with all positions, times scale -> sums (n), and the largest of every chunk -> tops."""
    a0, a1, a2 = row0[x], row0[x + 1], row0[x + 2]
    b0, b1, b2 = row1[x], row1[x + 1], row1[x + 2]
    c0, c1, c2 = row2[x], row2[x + 1], row2[x + 2]
    for p in range(0, sums.size, SEGMENT):
        q, r, e = p + width, p + 2 * width, p + SEGMENT
        f, g = q + SEGMENT, r + SEGMENT
        _nine(
            a0[p:e], a1[p + 1 : e + 1], a2[p + 2 : e + 2],
            b0[q:f], b1[q + 1 : f + 1], b2[q + 2 : f + 2],
            c0[r:g], c1[r + 1 : g + 1], c2[r + 2 : g + 2],
            scale[p:e], sums[p:e],
        )  # fmt: skip
        for k in range(p // CHUNK, e // CHUNK):
            tops[k] = _most(sums[k * CHUNK : (k + 1) * CHUNK])


@njit(nogil=True, cache=True)
def largest(row0, row1, row2, width, scale, valid, best, index, sums, tops):
    """The best match of each patch of a row: sums of pixel correlations row0, row1, row2 (w, L), three input rows
    against all reference pixels. scale (n): of each position, zero where it is no patch; valid (n) bool. width: W.
    best, index (w-2): written; of equal ones the lowest place. sums (n), tops (n / CHUNK): room to work in.
    """
    for x in range(best.size):
        _sums(row0, row1, row2, x, width, scale, sums, tops)
        found, place = LEAST, 0
        for k in range(tops.size):
            if tops[k] > found:
                for p in range(k * CHUNK, (k + 1) * CHUNK):
                    if sums[p] > found and valid[p]:
                        found, place = sums[p], p
        best[x], index[x] = found, place


@njit(fastmath=FAST, nogil=True, cache=True)
def search(
    row0, row1, row2, width, scale, valid, best, index, sums, tops,
    own, ref, own_more, ref_more, pixels, left, slack, allowed,
):  # fmt: skip
    """As ``largest`` where row0, row1, row2 hold bounds: what they cannot exclude is correlated in full.

    own (3, W'*C), of which columns from ``left`` are meant, and ref (pixels*C): descriptors. own_more (3, W'*M),
    ref_more (pixels*M): their products turn the first bound into a closer one. All arrays are contiguous. slack (w-2):
    what rounding may take from a bound. Gives up, and returns False, when more than ``allowed`` positions had to be
    looked at.
    """
    looked_at = 0
    channels, more = ref.size // pixels, ref_more.size // pixels
    run, run_more = 3 * channels, 3 * more
    for x in range(best.size):
        start, start_more = (left + x) * channels, (left + x) * more
        _sums(row0, row1, row2, x, width, scale, sums, tops)
        # A match to beat: at the likeliest place, or the neighbour's match moved along. What it is, is found below:
        # values to be compared come from one place in the code, where all are rounded alike.
        k = np.argmax(tops)
        place = k * CHUNK + np.argmax(sums[k * CHUNK : (k + 1) * CHUNK])
        if not valid[place]:
            place = 0
        found = _patch_dot(own, start, ref, place * channels, width * channels, run) * scale[place]
        if x > 0:
            p = index[x - 1] + 1
            if valid[p] and sums[p] >= found:
                value = _patch_dot(own, start, ref, p * channels, width * channels, run) * scale[p]
                found = max(found, value)
        least = found - slack[x]
        found = LEAST
        for k in range(tops.size):
            if tops[k] < least:
                continue
            for p in range(k * CHUNK, (k + 1) * CHUNK):
                if sums[p] < least or not valid[p]:
                    continue
                looked_at += 1
                closer = _patch_dot(own_more, start_more, ref_more, p * more, width * more, run_more) * scale[p]
                if sums[p] + closer < least:
                    continue
                value = _patch_dot(own, start, ref, p * channels, width * channels, run) * scale[p]
                if value > found:
                    found, place = value, p
                    least = max(least, found - slack[x])
        best[x], index[x] = found, place
        if looked_at > allowed:
            return False
    return True
