"""Warped views of a photo that serve as its references, and the tensors of a training pair."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from refsr_bench.core.types import Image
from refsr_bench.learning.tensors import degrade, to_tensor
from refsr_bench.learning.training.config import Views
from refsr_bench.pixels.resize import resize_pil_bicubic


def homography_from_corners(corners: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Find the 3x3 matrix (float64, last entry 1) that maps four points (4, 2), (x, y), onto four others."""
    return cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))


def turned_and_scaled(rng: np.random.RandomState, centre: tuple[float, float], views: Views) -> np.ndarray:
    """Draw a random similarity about ``centre`` (x, y), 3x3 float64; the identity for the paper's views."""
    angle = np.deg2rad(rng.uniform(-1, 1) * views.rotation)
    scale = views.scale ** rng.uniform(-1, 1)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    x, y = centre
    return np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y], [0, 0, 1]])


def recoloured(image: np.ndarray, rng: np.random.RandomState, views: Views) -> np.ndarray:
    """Change gain, gamma and blur of a float image (H, W, 3) in [0, 1] at random; the paper's views change nothing."""
    if views.photometric and rng.uniform() < 0.5:
        low, high = 1 - views.photometric, 1 + views.photometric
        image = (image ** rng.uniform(low, high) * rng.uniform(low, high, 3)).clip(0, 1)
    if views.blur and rng.uniform() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), max(0.1, rng.uniform(0, views.blur)))
    return image


def view_of(photo: Image, centre: tuple[float, float], side: int, rng: np.random.RandomState, views: Views) -> Image:
    """Draw a ``side`` x ``side`` view of a photo around ``centre`` (x, y): jittered corners, then ``views``.

    The photo is mirrored beyond its border. Returns uint8.
    """
    square = np.array([(0, 0), (side, 0), (0, side), (side, side)], np.float64)
    jitter = rng.uniform(1 - views.max_shift, views.max_shift - 1, (4, 2))
    there = square - side / 2 + centre + jitter
    matrix = turned_and_scaled(rng, centre, views) @ homography_from_corners(square, there)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    view = cv2.warpPerspective(photo, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.rint(255 * recoloured(view / np.float32(255), rng, views)).astype(np.uint8)


@dataclass(frozen=True)
class RestorationPair:
    """A training pair: hr, lr_up and ref (3, H, W), lr (3, H/4, W/4), float32 in [0, 1]."""

    hr: Tensor
    lr: Tensor
    lr_up: Tensor
    ref: Tensor


def restoration_pair(hr: Image, ref: Image) -> RestorationPair:
    """Make a training pair of stage 3 from uint8 (H, W, 3) images; the reference is resized to the size of ``hr``."""
    lr, lr_up = degrade(hr)
    ref = resize_pil_bicubic(ref, *hr.shape[:2])
    return RestorationPair(*(to_tensor(image) for image in (hr, lr, lr_up, ref)))
