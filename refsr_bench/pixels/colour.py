"""Luma, and the rounding of float images to 8 bits."""

from __future__ import annotations

import numpy as np

from refsr_bench.core.types import Image

# Weights of R, G, B. BT.601 studio range maps 0..255 to luma 16..235 (MATLAB's rgb2ycbcr, and the metric code of every
# Ref-SR project that we read, up to the fifth digit); full range maps 0..255 to 0..255 (OpenCV's GRAY, kornia, PIL's
# L).
BT601_WEIGHTS = np.array([65.481, 128.553, 24.966]) / 255.0
BT601_OFFSET = 16.0
FULL_WEIGHTS = np.array([0.299, 0.587, 0.114])


def quantise(image: np.ndarray, like: np.dtype | type = np.uint8) -> np.ndarray:
    """Convert float [0, 1] (any shape) to uint8: clipped, times 255, rounded half to even, as in published code.

    like: the type of the result, uint8 or uint16; the latter has 65535 steps.
    """
    return np.rint(np.clip(image, 0.0, 1.0) * float(np.iinfo(like).max)).astype(like)


def eight_bits(image: np.ndarray) -> Image:
    """Round uint16 to uint8, the nearest of 255 equal steps; uint8 is returned as it is."""
    return image if image.dtype == np.uint8 else ((image.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def luma_bt601(image: Image) -> np.ndarray:
    """Return studio-range luma of BT.601, float64 (H, W) in [16, 235], not rounded.

    TTSR's evaluator writes the weights as (65.738, 129.057, 25.064) / 256, which agrees to five digits.
    """
    return image @ BT601_WEIGHTS + BT601_OFFSET


def luma_full(image: Image) -> np.ndarray:
    """Return full-range luma (0.299, 0.587, 0.114), float64 (H, W) in [0, 255], not rounded.

    Differences are 255/219 times those of ``luma_bt601``, so PSNR is 1.32 dB lower for the same images.
    """
    return image @ FULL_WEIGHTS
