"""Makes references that are the photo itself, turned and scaled, on a canvas that holds all of it."""

import numpy as np

from refsr_bench.geometry.transformation import Transformation
from refsr_bench.geometry.warping import apply
from refsr_bench.pixels.resize import resize_pil_bicubic

SCALE = 4


def posed(hr: np.ndarray, angle: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The photo turned by degrees and scaled, and the matrix from its pixels to those of the result."""
    cos, sin = scale * np.cos(np.deg2rad(angle)), scale * np.sin(np.deg2rad(angle))
    turn = np.array([[cos, -sin], [sin, cos]])
    across = np.array(hr.shape[1::-1])
    size = np.ceil(np.abs(turn) @ across - 1e-9).astype(int)
    shift = (size - 1) / 2 - turn @ ((across - 1) / 2)
    matrix = np.vstack((np.column_stack((turn, shift)), (0, 0, 1)))
    rows = tuple(tuple(row) for row in matrix.tolist())
    return apply(hr, Transformation("rotation+scale", "set", rows, (int(size[1]), int(size[0])))), matrix


def reduced(hr: np.ndarray) -> np.ndarray:
    """The LR image of a photo."""
    return resize_pil_bicubic(hr, hr.shape[0] // SCALE, hr.shape[1] // SCALE)


def enlarged(hr: np.ndarray) -> np.ndarray:
    """The LR image of a photo, as large as the photo."""
    return resize_pil_bicubic(reduced(hr), *hr.shape[:2])
