"""FID (Heusel et al., 2017) and KID (Binkowski et al., 2018) between crops of all SR images and of all HR images.

Both compare distributions of features, so they say nothing about one image, and little about few: with n crops the
covariance of FID has rank n - 1 of 2,048, and the values of different n cannot be compared. KID has no such bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from refsr_bench.core.cards import GatheredSet, MetricCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image
from refsr_bench.metrics._inception import SIDE, STEP, WIDTH, Features, both, count, features
from refsr_bench.registry.known import INCEPTION
from refsr_bench.registry.places import fetching

FEWEST_FOR_FID = WIDTH + 1
"""Crops that give a covariance of full rank."""
FEWEST_FOR_KID = 100
SUBSET, SUBSETS, SEED = 1000, 100, 0
"""KID takes all crops at once up to SUBSET, else the mean over SUBSETS draws of that size by SEED."""

_GET = f"{fetching(INCEPTION)}, or name a local copy with --metric-weights {{}}=FILE"


def fid(sr: np.ndarray, hr: np.ndarray) -> float:
    """Return the Frechet distance of two sets of features, float64 (n, d) each; 0 when the sets are the same.

    It is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2); covariances are divided by n - 1.
    """
    away = sr.mean(0) - hr.mean(0)
    first, second = (np.atleast_2d(np.cov(found, rowvar=False)) for found in (sr, hr))
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    # (C1 C2)^1/2 and (C1^1/2 C2 C1^1/2)^1/2 have the same trace, and the second is symmetric. Rounding makes
    # eigenvalues that should be 0 negative.
    both_roots = np.sqrt(np.clip(np.linalg.eigvalsh(root @ second @ root), 0, None))
    return float(away @ away + np.trace(first) + np.trace(second) - 2 * both_roots.sum())


def kid(sr: np.ndarray, hr: np.ndarray) -> float:
    """Return the unbiased squared MMD of two sets of n features, (n, d) each, with the kernel (x y / d + 1)^3.

    Above SUBSET crops it is the mean over SUBSETS draws without replacement. Negative values are possible.
    """
    n = len(sr)
    if n <= SUBSET:
        return _mmd(sr, hr)
    rng = np.random.Generator(np.random.PCG64(SEED))
    draws = ((rng.permutation(n)[:SUBSET], rng.permutation(n)[:SUBSET]) for _ in range(SUBSETS))
    return float(np.mean([_mmd(sr[one], hr[other]) for one, other in draws]))


def _mmd(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / x.shape[1] + 1) ** 3

    n, aa, bb = len(a), kernel(a, a), kernel(b, b)
    within = aa.sum() - np.trace(aa) + bb.sum() - np.trace(bb)
    return float(within / (n * (n - 1)) - 2 * kernel(a, b).mean())


def _load(device: str, weights: Path | None, *, compute: Callable, fewest: int, title: str) -> Callable:
    return _Gather(features(device, weights), compute, fewest, title)


class _Gather:
    """The metric with its network: ``gather(sizes, pairs)`` of a card."""

    def __init__(self, found: Features, compute: Callable, fewest: int, title: str) -> None:
        self.found, self.compute, self.fewest, self.title = found, compute, fewest, title

    def __call__(self, sizes: Sequence[tuple[int, int]], pairs: Iterable[tuple[Image, Image]]) -> GatheredSet:
        if (parts := count(sizes)) < self.fewest:  # before the network sees anything, which takes minutes
            raise BenchError(
                f"{self.title} needs at least {self.fewest:,} crops of {SIDE}x{SIDE} pixels; {len(sizes)} images hold "
                f"{parts:,}. It is left out."
            )
        return GatheredSet(self.compute(*both(self.found, pairs)), parts)


def _card(name: str, compute: Callable, fewest: int, digits: int, more: str) -> MetricCard:
    return MetricCard(
        name,
        name.upper(),
        "lower",
        "",
        digits,
        f"Inception features of {SIDE}-pixel crops at every {STEP} pixels, SR against HR; one value for all images, "
        f"from {fewest:,} crops on. {more}",
        partial(_load, compute=compute, fewest=fewest, title=name.upper()),
        get=_GET.format(name),
        file=INCEPTION,
        package="piq",
        level="set",
    )


METRICS = (
    _card("fid", fid, FEWEST_FOR_FID, 2, "Not comparable between sets of different sizes."),
    _card("kid", kid, FEWEST_FOR_KID, 5, "Unbiased; above 1,000 crops the mean of 100 draws of 1,000 by a fixed seed."),
)
