"""Cropping and padding: pure functions on images, ``uint8 H x W x 3 RGB``; sizes are ``(height, width)`` in pixels.

No function changes its input.
"""

from __future__ import annotations

import numpy as np

from refsr_bench.core.types import Image


def mod_crop(image: Image, multiple: int) -> Image:
    """Return the largest top-left part whose height and width are multiples of ``multiple`` (a view; may be empty)."""
    height, width = image.shape[:2]
    return image[: height - height % multiple, : width - width % multiple]


def ceil_multiple(value: int, multiple: int) -> int:
    """Return the smallest multiple of ``multiple`` that is at least ``value``."""
    return -(-value // multiple) * multiple


def pad_zero(image: Image, height: int, width: int) -> Image:
    """Add black at the bottom and right up to (height, width). Raises ValueError when the image is larger."""
    rows, columns = _missing(image, height, width)
    return np.pad(image, ((0, rows), (0, columns), (0, 0)))


def pad_replicate_centred(image: Image, height: int, width: int) -> tuple[Image, int, int]:
    """Repeat border pixels on all four sides up to (height, width), the odd pixel at the bottom or right.

    Returns the padded image and the (top, left) at which the original begins in it. Raises ValueError when the image is
    larger.
    """
    rows, columns = _missing(image, height, width)
    top, left = rows // 2, columns // 2
    return np.pad(image, ((top, rows - top), (left, columns - left), (0, 0)), mode="edge"), top, left


def _missing(image: Image, height: int, width: int) -> tuple[int, int]:
    rows, columns = height - image.shape[0], width - image.shape[1]
    if rows < 0 or columns < 0:
        raise ValueError(f"an image of {image.shape[1]}x{image.shape[0]} does not fit into {width}x{height}")
    return rows, columns
