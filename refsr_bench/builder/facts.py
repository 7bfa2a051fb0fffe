"""Measures one image alone: the digest of its pixels, its sharpness, its JPEG quality."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core.types import Image
from refsr_bench.pixels.images import read_image

_LUMINANCE = np.array(  # table K.1 of ISO/IEC 10918-1 (JPEG), quality 50 of the Independent JPEG Group's scale
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)


MOST_BYTES = 1 << 30  # limit of an image file: twice the largest image that is decoded, were it not compressed


@dataclass(frozen=True)
class Facts:
    """An image file and its measurements. sha256: of the pixels. jpeg_quality: 0 if it is no JPEG."""

    image: Image
    sha256: str
    sharpness: float
    jpeg_quality: int

    @property
    def width(self) -> int:
        return self.image.shape[1]

    @property
    def height(self) -> int:
        return self.image.shape[0]

    def fault(self, least_sharpness: float, least_quality: int) -> str:
        """Return why the file falls short of these bounds, or ""."""
        if self.sharpness < least_sharpness:
            return f"soft: variance of the Laplacian {self.sharpness:.0f}"
        if 0 < self.jpeg_quality < least_quality:
            return f"over-compressed: JPEG quality {self.jpeg_quality}"
        return ""


def examine(path: str | Path) -> Facts:
    """Decode and measure one image file. Raises BenchError naming the file when it cannot be used."""
    image = read_image(path)
    return Facts(image, pixels_sha256(image), sharpness(image), jpeg_quality(path))


def pixels_sha256(image: Image) -> str:
    """Return SHA-256 (hex) over the decoded pixels and their size, whatever the file format."""
    digest = hashlib.sha256(f"{image.shape[1]}x{image.shape[0]}".encode())
    digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()


def sharpness(image: Image) -> float:
    """Return the variance of the Laplacian of the 8-bit luma at native size: below 50 is soft, most photos exceed 100.

    The image is not shrunk first, because that would hide blur and enlargement.
    """
    import cv2

    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def jpeg_quality(path: str | Path) -> int:
    """Return the quality (1 to 100, Independent JPEG Group's scale) of the luminance table; 0 for other files.

    Encoders with tables of their own get the quality whose table is as coarse on average.
    """
    try:
        with PilImage.open(path) as image:
            table = getattr(image, "quantization", {}).get(0) if image.format in ("JPEG", "MPO") else None
    except Exception:  # decoders raise nearly anything; ``read_image`` says what is wrong with the file
        return 0
    if not table or len(table) != 64:
        return 0
    return quality_of(np.array(table))


def quality_of(table: np.ndarray) -> int:
    """Return the quality whose scaled standard table is nearest in the mean logarithm. table: 64 quantisation steps."""
    wanted = np.log(np.maximum(table, 1)).mean()  # a step of 0 has no logarithm
    return min(range(1, 101), key=lambda quality: (abs(_mean_log(quality) - wanted), -quality))


def _mean_log(quality: int) -> float:
    # jpeg_quality_scaling and jpeg_add_quant_table of libjpeg's jcparam.c
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    return float(np.log(np.clip(np.floor((_LUMINANCE * percent + 50) / 100), 1, 255)).mean())
