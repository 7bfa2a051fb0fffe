"""Peak signal-to-noise ratio, peak 255, in dB."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from refsr_bench.core.cards import MetricCard
from refsr_bench.core.types import Image
from refsr_bench.metrics._planes import measured


def psnr(sr: Image, hr: Image, channel: str, border: int, y_rounded: bool = False) -> float:
    """Return PSNR of two uint8 RGB images (H, W, 3) of equal size, in dB; infinite when they are identical.

    channel: "y", "y-full" or "rgb" (one mean squared error over all three channels). border: pixels left out on each
    side. The squared error is a float64 mean. Raises BenchError when sizes differ or nothing is left.
    """
    a, b = measured(sr, hr, channel, border, y_rounded)
    # One mean covers all measured values: for RGB, the channels share an error instead of averaging their PSNRs.
    mse = float(np.mean((a - b) ** 2))
    return math.inf if mse == 0 else 10 * math.log10(255.0**2 / mse)


def _card(name: str, title: str, channel: str, description: str) -> MetricCard:
    def load(device, weights):
        return partial(_compute, channel=channel)

    return MetricCard(name, title, "higher", "dB", 2, description, load)


def _compute(sr: Image, hr: Image, border: int, y_rounded: bool, *, channel: str) -> float:
    return psnr(sr, hr, channel, border, y_rounded)


METRICS = (
    _card("psnr_y", "PSNR-Y", "y", "On BT.601 studio-range luma (16..235), as Ref-SR papers report it."),
    _card("psnr_y_full", "PSNR-Y full", "y-full", "On full-range luma (0.299, 0.587, 0.114); 1.32 dB below PSNR-Y."),
    _card("psnr_rgb", "PSNR-RGB", "rgb", "On the three colour channels together; commonly 1.3 to 1.5 dB below PSNR-Y."),
)
