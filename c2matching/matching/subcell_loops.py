"""The inner loop of ``subcell``, compiled by numba at its first use and cached."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from c2matching.matching.compiled import FAST, LEAST
from c2matching.matching.patches import CELL, FLAT, REACH, WINDOW

SIDE = 2 * REACH + 1  # shifts along an axis
AROUND = WINDOW + 2 * REACH


class Windows(NamedTuple):
    """The arguments of ``correlate``: luma with its rims, see ``subcell``; means and variances of their windows."""

    own: np.ndarray
    ref: np.ndarray
    own_mean: np.ndarray
    own_variance: np.ndarray
    ref_variance: np.ndarray


@njit(fastmath=FAST, nogil=True)
def _crossed(centred, around, totals):
    """Sum centred (WINDOW, WINDOW) times around (AROUND, AROUND), at every shift -> totals (SIDE, SIDE)."""
    totals[:] = 0
    for b in range(SIDE):
        for j in range(WINDOW):
            for a in range(SIDE):
                total = np.float32(0)
                for i in range(WINDOW):
                    total += centred[j, i] * around[b + j, a + i]
                totals[b, a] += total


@njit(fastmath=FAST, inline="always")
def _vertex(before, best, after):
    bend = before - 2 * best + after
    return (before - after) / (2 * bend) if bend < 0 else np.float32(0)


@njit(fastmath=FAST, nogil=True)
def correlate(windows, places, chosen, shift, score, first, end):
    """Find the shift of every chosen patch in rows first..end, and its correlation: ``subcell.by_loops``."""
    centred, around = np.empty((WINDOW, WINDOW), np.float32), np.empty((AROUND, AROUND), np.float32)
    scores = np.empty((SIDE, SIDE), np.float32)
    for y in range(first, end):
        for x in range(chosen.shape[1]):
            top, left = y * CELL, x * CELL
            variance = windows.own_variance[top, left]
            if not chosen[y, x] or variance <= FLAT:
                continue
            v, u = places[y, x, 1] * CELL, places[y, x, 0] * CELL
            mean, level = windows.own_mean[top, left], windows.ref[v + AROUND // 2, u + AROUND // 2]
            for j in range(WINDOW):
                for i in range(WINDOW):
                    centred[j, i] = windows.own[top + j, left + i] - mean
            for j in range(AROUND):
                for i in range(AROUND):
                    around[j, i] = windows.ref[v + j, u + i] - level  # small numbers lose less when they are rounded
            _crossed(centred, around, scores)
            best, row, column = LEAST, 0, 0
            for b in range(SIDE):
                for a in range(SIDE):
                    spread = max(windows.ref_variance[v + b, u + a], np.float32(FLAT))
                    scores[b, a] /= np.float32(WINDOW * WINDOW) * np.sqrt(variance * spread)
                    if scores[b, a] > best:
                        best, row, column = scores[b, a], b, a
            score[y, x] = best
            shift[y, x, 0], shift[y, x, 1] = column - REACH, row - REACH
            if 0 < column < SIDE - 1:
                shift[y, x, 0] += _vertex(scores[row, column - 1], best, scores[row, column + 1])
            if 0 < row < SIDE - 1:
                shift[y, x, 1] += _vertex(scores[row - 1, column], best, scores[row + 1, column])
