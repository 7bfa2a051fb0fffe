"""The inner loop of ``subcell``, compiled by numba at its first use and cached."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from c2matching.matching.compiled import FAST, LEAST
from c2matching.matching.window import CELL, FLAT, LEAST_BEND, REACH, STEADY, WINDOW

MOST = REACH + 1  # shifts that are ever looked at: the neighbours of the furthest
SIDE = 2 * MOST + 1
AROUND = WINDOW + 2 * MOST
AREA = np.float32(WINDOW * WINDOW)


class Windows(NamedTuple):
    """The arguments of ``correlate``: luma with its rims, see ``subcell``; means and variances of their windows."""

    own: np.ndarray
    ref: np.ndarray
    own_mean: np.ndarray
    own_variance: np.ndarray
    ref_variance: np.ndarray


class Patches(NamedTuple):
    """The patches of ``correlate`` and what is written of them, as in ``subcell.by_loops``."""

    places: np.ndarray
    chosen: np.ndarray
    shift: np.ndarray
    score: np.ndarray


@njit(fastmath=FAST, inline="always")
def _crossed(centred, around, b, a):
    """Sum centred (WINDOW, WINDOW) times around (AROUND, AROUND) at the shift (b, a), counted from -MOST."""
    total = np.float32(0)
    for j in range(WINDOW):
        for i in range(WINDOW):
            total += centred[j, i] * around[b + j, a + i]
    return total


@njit(fastmath=FAST, inline="always")
def _top(scores, row, column):
    """The top of the surface through a score and its eight neighbours, (x, y) from it: see ``subcell.tops``."""
    best = scores[row, column]
    slope_x = (scores[row, column + 1] - scores[row, column - 1]) / 2
    slope_y = (scores[row + 1, column] - scores[row - 1, column]) / 2
    xx = 2 * best - scores[row, column + 1] - scores[row, column - 1]
    yy = 2 * best - scores[row + 1, column] - scores[row - 1, column]
    xy = -(scores[row + 1, column + 1] - scores[row + 1, column - 1]
           - scores[row - 1, column + 1] + scores[row - 1, column - 1]) / 4  # fmt: skip
    steady = STEADY * max(xx + yy, np.float32(LEAST_BEND))
    xx, yy = xx + steady, yy + steady
    determinant = xx * yy - xy * xy
    if xx <= 0 or determinant <= 0:
        return 0.0, 0.0
    x, y = (yy * slope_x - xy * slope_y) / determinant, (xx * slope_y - xy * slope_x) / determinant
    return min(1.0, max(-1.0, x)), min(1.0, max(-1.0, y))


@njit(fastmath=FAST, nogil=True)
def correlate(windows, patches, first, end):
    """Find the shift of every chosen patch in rows first..end, and its correlation: ``subcell.by_loops``."""
    centred, around = np.empty((WINDOW, WINDOW), np.float32), np.empty((AROUND, AROUND), np.float32)
    scores = np.empty((SIDE, SIDE), np.float32)
    for y in range(first, end):
        for x in range(patches.chosen.shape[1]):
            top, left = y * CELL, x * CELL
            variance = windows.own_variance[top, left]
            if not patches.chosen[y, x] or variance <= FLAT:
                continue
            v, u = patches.places[y, x, 1] * CELL, patches.places[y, x, 0] * CELL
            mean, level = windows.own_mean[top, left], windows.ref[v + AROUND // 2, u + AROUND // 2]
            for j in range(WINDOW):
                for i in range(WINDOW):
                    centred[j, i] = windows.own[top + j, left + i] - mean
            for j in range(AROUND):
                for i in range(AROUND):
                    around[j, i] = windows.ref[v + j, u + i] - level  # small numbers lose less when they are rounded
            best, row, column = LEAST, 0, 0
            for b in range(1, SIDE - 1):
                for a in range(1, SIDE - 1):
                    spread = max(windows.ref_variance[v + b, u + a], np.float32(FLAT))
                    scores[b, a] = _crossed(centred, around, b, a) / (AREA * np.sqrt(variance * spread))
                    if scores[b, a] > best:
                        best, row, column = scores[b, a], b, a
            # The neighbours of the best, of which those beyond REACH were not needed before.
            for b in range(row - 1, row + 2):
                for a in range(column - 1, column + 2):
                    if b == 0 or b == SIDE - 1 or a == 0 or a == SIDE - 1:
                        spread = max(windows.ref_variance[v + b, u + a], np.float32(FLAT))
                        scores[b, a] = _crossed(centred, around, b, a) / (AREA * np.sqrt(variance * spread))
            x_top, y_top = _top(scores, row, column)
            patches.score[y, x] = best
            patches.shift[y, x, 0], patches.shift[y, x, 1] = column - MOST + x_top, row - MOST + y_top
