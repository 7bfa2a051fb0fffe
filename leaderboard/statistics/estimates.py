"""Computes means over images and their certainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A mean over images with its 95 % bootstrap interval (nan for a single image)."""

    mean: float
    low: float
    high: float
    images: int


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of one value per image, at least one, correctly rounded; infinite if one of them is."""
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else float(sum(values) / len(values))


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of one value per image, at least one, with its interval; infinite values are allowed."""
    return Estimate(mean_of(values), *interval(values), len(values))


def interval(values: Sequence[float], share: float = 0.95, draws: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap confidence interval of the mean over images (Efron's percentiles): (low, high).

    values (n,): one per image, infinite ones allowed. Images are drawn with replacement ``draws`` times. The same seed
    and n draw the same images, so intervals of methods measured on the same images compare. Returns (nan, nan) for
    fewer than two images, which say nothing about their spread.
    """
    import numpy as np

    numbers = np.asarray(values, np.float64)
    if len(numbers) < 2:
        return float("nan"), float("nan")
    index = np.random.default_rng(seed).integers(0, len(numbers), (draws, len(numbers)))
    means = numbers[index].mean(1)
    tail = (1 - share) / 2
    low = np.quantile(means, tail, method="lower")  # no interpolation, because it would spoil infinite values
    return float(low), float(np.quantile(means, 1 - tail, method="higher"))


def difference(a: float, b: float) -> float:
    """Return a - b; 0 for equal values, even if both are infinite."""
    return 0.0 if a == b else a - b
