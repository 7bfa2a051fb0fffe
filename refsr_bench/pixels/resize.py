"""Resizing: pure functions on images, ``uint8 H x W x 3 RGB``; sizes are ``(height, width)`` in pixels.

No function changes its input.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image as PILImage

from refsr_bench.core.types import Image

# Kernel support of cubic convolution, and Keys' free parameter a = -0.5, which MATLAB and Pillow share.
_CUBIC_SUPPORT = 4.0
_CUBIC_A = -0.5
LR_BLUR = 1.75
"""Standard deviation, pixels, of the Gaussian that makes a photo most like its bicubic reduction x4, enlarged again."""


def resize_pil_bicubic(image: Image, height: int, width: int) -> Image:
    """Resize by Pillow's bicubic: antialiased when it shrinks, a = -0.5, fixed-point weights, columns before rows.

    ``scipy.misc.imresize`` did the same, so nearly all Ref-SR papers made their LR images this way. Images of uint16
    are resized channel by channel in float32 and rounded.
    """
    if image.dtype == np.uint16:
        return np.stack([_resize_deep(image[..., n], height, width) for n in range(image.shape[2])], -1)
    if image.shape[2] == 1:
        return resize_pil_bicubic(image.repeat(3, 2), height, width)[..., :1]
    return np.asarray(PILImage.fromarray(image).resize((width, height), PILImage.Resampling.BICUBIC))


def _resize_deep(channel: np.ndarray, height: int, width: int) -> np.ndarray:
    resized = PILImage.fromarray(channel.astype(np.float32)).resize((width, height), PILImage.Resampling.BICUBIC)
    return np.rint(np.asarray(resized).clip(0, 65535)).astype(np.uint16)


def resize_matlab_bicubic(
    image: Image, height: int | None = None, width: int | None = None, *, factor: float | None = None
) -> Image:
    """Resize uint8 as MATLAB's ``imresize(I, [height width])`` or ``imresize(I, factor)``: bicubic, antialiased.

    Reproduces the LR files of the SelfExSR release bit for bit: border pixels are repeated, rows are resized first and
    rounded to uint8, then columns, rounded again (the axis with the smaller factor goes first when they differ, as
    ``imresize`` orders them). Halves round up. ``factor`` gives ``ceil(factor * size)`` pixels. Recent MATLAB versions
    mirror the border instead, which changes only the outermost pixels.
    """
    if factor is not None:
        factors = (factor, factor)
        # Float error just above a whole number would make one pixel more.
        sizes = tuple(math.ceil(round(factor * n, 9)) for n in image.shape[:2])
    else:
        sizes = (int(height or 0), int(width or 0))
        factors = tuple(out / n for out, n in zip(sizes, image.shape[:2], strict=True))
    if min(sizes) < 1:
        raise ValueError(f"cannot resize {image.shape[1]}x{image.shape[0]} to {sizes[1]}x{sizes[0]}")
    for axis in sorted((0, 1), key=factors.__getitem__):  # stable sort: rows first when both factors are equal
        image = _resize_axis(image, axis, sizes[axis], factors[axis])
    return image


def _resize_axis(image: Image, axis: int, n_out: int, factor: float) -> Image:
    taps, weights = _cubic_taps(image.shape[axis], n_out, factor)
    by_axis = np.moveaxis(image, axis, 0)
    total = np.zeros((n_out, *by_axis.shape[1:]), np.float64)
    column = (slice(None),) + (None,) * (by_axis.ndim - 1)
    # Work tap by tap, because gathering all taps at once would hold a dozen copies of the image.
    for k in range(taps.shape[1]):
        total += weights[:, k][column] * by_axis[taps[:, k]]
    return np.moveaxis(np.clip(np.floor(total + 0.5), 0, 255).astype(np.uint8), 0, axis)


def _cubic_taps(n_in: int, n_out: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return source indices and normalised weights, both (n_out, taps).

    The kernel widens by 1/factor when shrinking.
    """
    stretch = min(factor, 1.0)
    centre = (np.arange(n_out) + 0.5) / factor - 0.5
    first = np.floor(centre - _CUBIC_SUPPORT / stretch / 2).astype(np.int64)
    taps = first[:, None] + np.arange(math.ceil(_CUBIC_SUPPORT / stretch) + 2)
    weights = cubic((centre[:, None] - taps) * stretch)
    # Taps beyond the image repeat its border pixels.
    return np.clip(taps, 0, n_in - 1), weights / weights.sum(axis=1, keepdims=True)


def cubic(x: np.ndarray) -> np.ndarray:
    """Evaluate Keys' cubic convolution kernel."""
    x = np.abs(x)
    near = (_CUBIC_A + 2) * x**3 - (_CUBIC_A + 3) * x**2 + 1
    far = _CUBIC_A * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


RESIZERS = {"pil-bicubic": resize_pil_bicubic, "matlab-bicubic": resize_matlab_bicubic}
"""Resizers by the name a protocol gives them: ``resize(image, height, width)``."""
