"""Structural similarity (Wang et al., 2004) in the two variants found behind published Ref-SR tables."""

from __future__ import annotations

from functools import partial

import numpy as np

from refsr_bench.core.cards import MetricCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image
from refsr_bench.metrics._planes import measured

WINDOWS = {"gauss11": 11, "uniform7": 7}
"""Side of the sliding window in pixels."""

# K1 = 0.01, K2 = 0.03 and the Gaussian are the paper's; C1 and C2 keep flat windows from dividing by zero.
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
_SIGMA = 1.5


def ssim(sr: Image, hr: Image, channel: str, border: int, y_rounded: bool = False, window: str = "gauss11") -> float:
    """Return mean SSIM of two uint8 RGB images (H, W, 3) of equal size; 1 when they are identical.

    channel: "y", "y-full" or "rgb" (mean of the three channels' values). border: pixels left out on each side first.
    window: "gauss11" is an 11x11 Gaussian of sigma 1.5 over the positions at which it lies inside the image; "uniform7"
    is scikit-image's default: 7x7 box, sample covariance, data range 255.
    Raises BenchError when sizes differ or less than one window is left.
    """
    a, b = measured(sr, hr, channel, border, y_rounded)
    side = WINDOWS[window]
    if min(a.shape[:2]) < side:
        raise BenchError(
            f"SSIM needs at least {side}x{side} pixels after the border is left out; of {hr.shape[1]}x{hr.shape[0]} "
            f"a border of {border} leaves {a.shape[1]}x{a.shape[0]}. Use a larger image or --set border=0."
        )
    flavour = _gauss11 if window == "gauss11" else _uniform7
    return float(np.mean([flavour(a[..., c], b[..., c]) for c in range(a.shape[2])]))


def _gauss11(a: np.ndarray, b: np.ndarray) -> float:
    """Mean SSIM of float64 (H, W) planes; the window is separable, so each local mean takes two 1-D passes."""
    from scipy.ndimage import correlate1d

    offsets = np.arange(11) - 5
    kernel = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()

    def mean(x: np.ndarray) -> np.ndarray:
        # Positions at which the window leaves the image are cut off, as MATLAB's filter2(..., 'valid') does.
        return correlate1d(correlate1d(x, kernel, axis=0), kernel, axis=1)[5:-5, 5:-5]

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2, mean(a * b) - mu_a * mu_b
    # These are population moments, E[xy] - E[x]E[y]; scikit-image's box takes sample moments, as part of its variant.
    similarity = (2 * mu_a * mu_b + _C1) * (2 * cov + _C2) / ((mu_a**2 + mu_b**2 + _C1) * (var_a + var_b + _C2))
    return float(similarity.mean())


def _uniform7(a: np.ndarray, b: np.ndarray) -> float:
    from skimage.metrics import structural_similarity

    return float(structural_similarity(a, b, data_range=255))


def _card(name: str, title: str, channel: str, window: str, description: str) -> MetricCard:
    def load(device, weights):
        return partial(_compute, channel=channel, window=window)

    return MetricCard(name, title, "higher", "", 4, description, load)


def _compute(sr: Image, hr: Image, border: int, y_rounded: bool, *, channel: str, window: str) -> float:
    return ssim(sr, hr, channel, border, y_rounded, window)


METRICS = (
    _card("ssim_y", "SSIM-Y", "y", "gauss11", "11x11 Gaussian window on studio-range luma, as TTSR and C2 measure."),
    _card("ssim_y_uniform7", "SSIM-Y 7x7", "y", "uniform7", "7x7 box on studio-range luma, as SRNTT's rows fit."),
    _card("ssim_y_full", "SSIM-Y full", "y-full", "gauss11", "11x11 Gaussian window on full-range luma."),
    _card("ssim_rgb", "SSIM-RGB", "rgb", "gauss11", "11x11 Gaussian window, mean of the three colour channels."),
)
