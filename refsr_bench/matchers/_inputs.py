"""Prepares the images that matchers compare, and loads matchers inside OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from refsr_bench.core.cards import LoadedMatcher
from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import Weights
from refsr_bench.core.types import Image, Match
from refsr_bench.pixels.resize import resize_pil_bicubic


def enlarged(lr: Image, scale: int) -> Image:
    """Enlarge LR to the size of HR by Pillow's bicubic; matchers of this field compare that with a reference."""
    return lr if scale == 1 else resize_pil_bicubic(lr, scale * lr.shape[0], scale * lr.shape[1])


def luma(image: Image) -> np.ndarray:
    """Return OpenCV's luma, uint8 (H, W)."""
    import cv2

    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def opencv_loader(match: Match) -> Callable[[Path | None, str], LoadedMatcher]:
    """The ``load`` of a matcher inside OpenCV. It raises BenchError when weights are given, because none exist."""

    def load(weights: Path | None, device: str) -> LoadedMatcher:
        import cv2

        if weights is not None:
            raise BenchError(f"{weights}: this matcher has no weights to load.")
        return LoadedMatcher(match, Weights("none", f"none (OpenCV {cv2.__version__})", None))

    return load
