"""Paired statistics over shared draws. scipy compares one pair at a time and draws anew for each.

Bootstrap, sign flips, Holm, Friedman and Nemenyi work on arrays alone; the tests compare them with scipy's and R's
values. Everything drawn at random comes from a fixed seed and the number of images, so the same input gives the same
numbers and all methods of a column see the same draws.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHARE = 0.95
DRAWS = 10_000
FLIPS = 20_000
EXACT = 14
"""Images up to which all 2^n sign patterns are tried."""
SEED = 0
_CHUNK = 32  # pairs held in memory at once


@functools.lru_cache(maxsize=8)
def resamples(n: int, draws: int = DRAWS) -> Floats:
    """Return weights (draws, n) of images drawn with replacement; rows sum to 1.

    The draws are those of ``leaderboard.statistics.estimates``.
    """
    index = np.random.default_rng(SEED).integers(0, n, (draws, n))
    counts = np.bincount((index + n * np.arange(draws)[:, None]).ravel(), minlength=n * draws)
    weights = counts.reshape(draws, n) / n
    weights.setflags(write=False)
    return weights


def limits(means: Floats, share: float = SHARE) -> tuple[Floats, Floats]:
    """Return Efron's percentiles (low (k,), high (k,)) of bootstrap means (k, draws), without interpolation."""
    last, tail = means.shape[1] - 1, (1 - share) / 2
    # These are the order statistics that ``estimates.interval`` takes by method="lower" and "higher".
    low, high = math.floor(tail * last), math.ceil((1 - tail) * last)
    ordered = np.partition(means, (low, high), axis=1)
    return ordered[:, low], ordered[:, high]


def intervals(values: Floats) -> tuple[Floats, Floats]:
    """Return 95 % bootstrap intervals (low (k,), high (k,)) of column means of finite values (n, k), n >= 2."""
    return limits(np.ascontiguousarray(values.T) @ resamples(len(values)).T)


def difference_intervals(values: Floats, i: Sequence[int], j: Sequence[int]) -> tuple[Floats, Floats]:
    """Return paired bootstrap intervals of mean(values[:, i] - values[:, j]); values (n, k), n >= 2."""
    means = _centred(values) @ resamples(len(values)).T
    parts = [limits(means[a] - means[b]) for a, b in _chunks(i, j)]
    return np.concatenate([low for low, _ in parts]), np.concatenate([high for _, high in parts])


@functools.lru_cache(maxsize=8)
def signs(n: int, batch: int = 0) -> Floats:
    """Return sign patterns (m, n): half of all 2^n (the other half mirrors it) up to EXACT images, else random ones."""
    if n <= EXACT:
        bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1
    else:
        bits = np.random.default_rng((SEED, batch)).integers(0, 2, (FLIPS, n), np.int8)
    patterns = 1.0 - 2.0 * bits
    patterns.setflags(write=False)
    return patterns


def sign_flips(values: Floats, i: Sequence[int], j: Sequence[int], family: int = 1) -> Floats:
    """Return two-sided p of the paired permutation test of every pair of columns of finite values (n, k).

    Under the null hypothesis an image's difference has either sign with equal probability. The statistic is the mean
    difference. Random patterns count the observed one in, (hits + 1) / (patterns + 1), so p is never 0 (Phipson and
    Smyth 2010). family: number of pairs that p will be corrected for, see ``flips``.
    """
    n = len(values)
    centred = _centred(values)
    observed = [
        (np.abs((d := centred[a] - centred[b]).sum(1)) - 1e-12 * np.abs(d).sum(1))[:, None] for a, b in _chunks(i, j)
    ]  # slightly less, because sums that should be equal differ in their last digits
    hits = np.zeros(len(i))
    batches = 1 if n <= EXACT else flips(family) // FLIPS
    for batch in range(batches):
        # Sum methods, not pairs, because the difference of two sums is the sum of the differences.
        sums = centred @ signs(n, batch).T
        parts = zip(_chunks(i, j), observed, strict=True)
        hits += np.concatenate([(np.abs(sums[a] - sums[b]) >= least).sum(1) for (a, b), least in parts])
    return hits / 2 ** (n - 1) if n <= EXACT else (hits + 1) / (flips(family) + 1)


def flips(family: int) -> int:
    """Return how many random patterns keep the smallest p of one test among ``family`` below .01 after correction."""
    return FLIPS * max(1, math.ceil(family / 200))


def smallest_p(n: int, family: int = 1) -> float:
    """Return the smallest p that ``sign_flips`` can give for n images."""
    return 2 / 2**n if n <= EXACT else 1 / (flips(family) + 1)


def wilcoxon(differences: Floats) -> Floats:
    """Return two-sided p of Wilcoxon's signed-rank test of every column of (n, pairs); 1 if all differences are 0.

    Zeros are dropped (Wilcoxon). The test is exact up to 50 images without zeros and ties, and else uses the normal
    approximation.
    """
    from scipy import stats

    found = np.ones(differences.shape[1])
    size = np.sort(np.abs(differences), axis=0)
    # scipy chooses between exact and approximate once per call, so the two kinds go in separately.
    tied = (size[0] == 0) | (np.diff(size, axis=0) == 0).any(0)
    for chosen in (~tied, tied & (size[-1] > 0)):
        if chosen.any():
            found[chosen] = stats.wilcoxon(differences[:, chosen], axis=0).pvalue
    return np.minimum(found, 1)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p values of one family by Holm's step-down procedure (Holm 1979); they keep their order."""
    adjusted = [1.0] * len(p)
    largest = 0.0
    for step, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        largest = max(largest, min(1.0, (len(p) - step) * p[place]))
        adjusted[place] = largest
    return adjusted


@dataclass(frozen=True)
class Ranking:
    """Friedman's test and Nemenyi's critical difference (Demšar 2006, section 3.2.2).

    mean_ranks: by method, 1 is best. order: methods by mean rank. p: of Iman and Davenport's F. distance: two mean
    ranks closer than this are not distinguishable. groups: maximal runs of such methods, as positions in ``order``
    (first, last), or one over all if F finds nothing.
    """

    mean_ranks: tuple[float, ...]
    order: tuple[int, ...]
    images: int
    chi2: float
    f: float
    p: float
    distance: float
    groups: tuple[tuple[int, int], ...]


def rank(values: Floats, lower_is_better: bool = False, alpha: float = 1 - SHARE) -> Ranking:
    """Rank k >= 3 methods on every image; values (n, k), infinite ones allowed. Equal values share their mean rank."""
    from scipy import stats

    n, k = values.shape
    ranks = stats.rankdata(values if lower_is_better else -values, axis=1).mean(0)
    chi2 = 12 * n / (k * (k + 1)) * (float(np.square(ranks).sum()) - k * (k + 1) ** 2 / 4)
    rest = n * (k - 1) - chi2
    # if every image ranks them alike, rest is 0 up to rounding
    f = (n - 1) * chi2 / rest if rest > 1e-9 * n * k else math.inf
    p = float(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))
    distance = nemenyi(k, alpha) * math.sqrt(k * (k + 1) / (6 * n))
    order = tuple(sorted(range(k), key=lambda method: (ranks[method], method)))
    ordered = [float(ranks[method]) for method in order]
    groups = _runs(ordered, distance) if p < alpha else ((0, k - 1),)
    return Ranking(tuple(map(float, ranks)), order, n, chi2, f, p, distance, groups)


@functools.cache
def nemenyi(k: int, alpha: float = 1 - SHARE) -> float:
    """The critical value q of Nemenyi's test for k methods: the studentized range for infinite samples over sqrt 2."""
    from scipy import stats

    return float(stats.studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)


def _runs(ordered: Sequence[float], distance: float) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for first, start in enumerate(ordered):
        last = max(place for place, value in enumerate(ordered) if value - start < distance)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return tuple(found)


def _centred(values: Floats) -> Floats:
    """Return methods first (k, n), without each image's mean, which cancels in differences: fewer digits are lost."""
    return np.ascontiguousarray((values - values.mean(1, keepdims=True)).T)


def _chunks(i: Sequence[int], j: Sequence[int]) -> list[tuple[NDArray, NDArray]]:
    a, b = np.asarray(i, int), np.asarray(j, int)
    return [(a[start : start + _CHUNK], b[start : start + _CHUNK]) for start in range(0, len(a), _CHUNK)]
