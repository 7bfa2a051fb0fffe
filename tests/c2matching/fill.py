"""Weights as a pure function of their names, so that golden outputs need no stored checkpoints.

A tensor's noise comes from a splitmix64 sequence started at the CRC-32 of its state-dict key; what is made of the noise
depends on the key and the shape (see ``value``). All arithmetic is on 64-bit integers and float64: the same bits
everywhere.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

FIRST, SECOND = "feature_extraction_image1.", "feature_extraction_image2."
GAINS = {"conv_offset_mask.": 1.25, "body.": 0.5, "body_": 0.5, "tail_large.2.": 0.08}
STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def _scramble(z: np.ndarray) -> np.ndarray:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> np.uint64(31))


def noise(key: str, shape: Iterable[int]) -> np.ndarray:
    """float64, uniform with mean zero and variance one."""
    shape = tuple(shape)
    seed = _scramble(np.array([zlib.crc32(key.encode())], np.uint64))
    steps = np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    unit = (_scramble(seed + steps) >> np.uint64(11)) * 2.0**-53
    return ((2 * unit - 1) * math.sqrt(3)).reshape(shape)


def value(key: str, shape: Iterable[int]) -> np.ndarray:
    """The float32 tensor (int64 for counters) of one state-dict entry.

    The extractor's second branch is the first plus a quarter of noise of its own, so that the two match meaningfully.
    """
    shape, kind = tuple(shape), key.rsplit(".", 1)[-1]
    if kind == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if kind in STATISTICS and shape == (1, 3, 1, 1):
        return np.array(STATISTICS[kind], np.float32).reshape(shape)
    n = noise(key, shape)
    if key.startswith(SECOND):
        n = (noise(FIRST + key.removeprefix(SECOND), shape) + 0.25 * n) / math.sqrt(1 + 0.25**2)
    if kind == "running_mean":
        n = 0.1 * n
    elif kind == "running_var":
        n = 1 + 0.1 * np.abs(n)
    elif len(shape) > 1:
        gain = next((gain for part, gain in GAINS.items() if part in key), math.sqrt(2))
        n = n * (gain / math.sqrt(math.prod(shape[1:])))
    elif kind == "weight":  # of a BatchNorm
        n = 1 + 0.1 * n
    else:
        n = 0.05 * n
    return n.astype(np.float32)


def values(shapes: Mapping[str, Iterable[int]]) -> dict[str, np.ndarray]:
    return {key: value(key, shape) for key, shape in shapes.items()}
