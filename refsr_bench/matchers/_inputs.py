"""The images that matchers compare, and how matchers inside OpenCV are loaded."""

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
    """LR at the size of HR, by Pillow's bicubic: what matchers of this field compare with a reference."""
    return lr if scale == 1 else resize_pil_bicubic(lr, scale * lr.shape[0], scale * lr.shape[1])


def luma(image: Image) -> np.ndarray:
    """OpenCV's luma, uint8 (H, W)."""
    import cv2

    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def opencv_loader(match: Match) -> Callable[[Path | None, str], LoadedMatcher]:
    """The ``load`` of a matcher inside OpenCV. It raises BenchError for weights, of which there are none."""

    def load(weights: Path | None, device: str) -> LoadedMatcher:
        import cv2

        if weights is not None:
            raise BenchError(f"{weights}: this matcher has no weights to load.")
        return LoadedMatcher(match, Weights("none", f"none (OpenCV {cv2.__version__})", None))

    return load
