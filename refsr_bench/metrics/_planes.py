"""Selects the channel that PSNR and SSIM measure and removes the border."""

from __future__ import annotations

import numpy as np

from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image
from refsr_bench.pixels.colour import luma_bt601, luma_full

CHANNELS = ("y", "y-full", "rgb")


def planes(image: Image, channel: str, y_rounded: bool) -> np.ndarray:
    """Return the measured channel of a uint8 RGB image as float64 (H, W, C), values on the 0..255 scale.

    channel: "y" (BT.601 studio range), "y-full" (full-range luma) or "rgb" (C = 3). y_rounded: round luma to whole
    numbers, as code that converts uint8 images to uint8 YCbCr does; it changes nothing for "rgb".
    """
    if channel == "rgb":
        return image.astype(np.float64)
    luma = {"y": luma_bt601, "y-full": luma_full}[channel](image)
    # Halves are rounded up, as in MATLAB's uint8(); numpy would round them to even.
    return (np.floor(luma + 0.5) if y_rounded else luma)[..., None]


def measured(sr: Image, hr: Image, channel: str, border: int, y_rounded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return both images as float64 (H, W, C) without ``border`` pixels on each side.

    Raises BenchError when the sizes differ or nothing is left.
    """
    # The border is removed before the conversion: luma is pointwise, so the values are the same and less is computed.
    sr, hr = inside(sr, hr, border)
    return planes(sr, channel, y_rounded), planes(hr, channel, y_rounded)


def inside(sr: Image, hr: Image, border: int) -> tuple[Image, Image]:
    """Return both uint8 images without ``border`` pixels on each side.

    Raises BenchError when the sizes differ or nothing is left.
    """
    if sr.shape != hr.shape:
        raise BenchError(f"SR is {sr.shape[1]}x{sr.shape[0]} pixels but HR is {hr.shape[1]}x{hr.shape[0]}.")
    height, width = hr.shape[0] - 2 * border, hr.shape[1] - 2 * border
    if height < 1 or width < 1:
        raise BenchError(
            f"Nothing is left to measure: the image is {hr.shape[1]}x{hr.shape[0]} pixels and the protocol leaves out "
            f"{border} on every side. Use a larger image or --set border=0."
        )
    area = (slice(border, border + height), slice(border, border + width))
    return sr[area], hr[area]
