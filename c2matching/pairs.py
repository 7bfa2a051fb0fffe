"""Training pairs (paper section 3.1 and 3.5): an image and its homography-transformed copy with exact correspondence
for the correspondence network; an image, its LR version and a reference for the restoration network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from refsr_bench.imaging import resize_pil_bicubic
from refsr_bench.types import Image

SCALE = 4
PATCH = 160  # side of the training image, and of the square whose corners are displaced, pixels
MAX_SHIFT = 10  # corner displacements are 0..9 pixels with a random sign, per coordinate


def homography_from_corners(corners: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The 3x3 matrix (float64, last entry 1) that maps four points (4, 2), (x, y), onto four others."""
    rows = []
    for (x, y), (u, v) in zip(corners, moved, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solution = np.linalg.solve(np.array(rows, np.float64), np.asarray(moved, np.float64).ravel())
    return np.append(solution, 1.0).reshape(3, 3)


def random_homography(rng: np.random.RandomState, size: int = PATCH, max_shift: int = MAX_SHIFT) -> np.ndarray:
    """The authors' random homography: a ``size`` square placed at (max_shift.. size), its corners displaced.

    rng: the legacy generator, whose stream the authors' seeds refer to. Draws: corner x, corner y, then magnitude and
    sign of TL.x TL.y TR.x TR.y BL.x BL.y BR.x BR.y. Returns H, 3x3 float64, square -> displaced square.
    """
    x, y = rng.randint(max_shift, size), rng.randint(max_shift, size)
    corners = np.array([(x, y), (x + size, y), (x, y + size), (x + size, y + size)], np.float64)
    moves = [rng.randint(0, max_shift) * rng.choice([-1, 1]) for _ in range(8)]
    return homography_from_corners(corners, corners + np.reshape(moves, (4, 2)))


def transform_points(matrix: np.ndarray, height: int, width: int, step: int = 1) -> np.ndarray:
    """Image of every ``step``-th pixel (x, y) under a 3x3 matrix: (height/step, width/step, 2) float64, (x, y)."""
    y, x = np.mgrid[0:height:step, 0:width:step].astype(np.float64)
    mapped = np.stack((x, y, np.ones_like(x)), axis=-1) @ matrix.T
    return mapped[..., :2] / mapped[..., 2:]


def warp(image: Tensor, source: np.ndarray) -> Tensor:
    """Bilinear warp with zero border: output pixel p takes image (3, H, W) at ``source @ p``, 3x3 float64."""
    h, w = image.shape[-2:]
    grid = transform_points(source, h, w)
    grid = torch.from_numpy(2 * grid / (np.array([w, h]) - 1) - 1)  # float64: single precision moves samples visibly
    warped = F.grid_sample(image[None].double(), grid[None], mode="bilinear", padding_mode="zeros", align_corners=True)
    return warped[0].to(image.dtype)


def to_tensor(image: Image) -> Tensor:
    """uint8 (H, W, 3) -> float32 (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def truncated(image: Tensor) -> Image:
    """float (3, H, W) in [0, 1] -> uint8 (H, W, 3), rounded down: what the authors degrade of a warped image."""
    return (image * 255).byte().permute(1, 2, 0).numpy()


def degrade(hr: Image) -> tuple[Image, Image]:
    """LR (H/4, W/4, 3) and its enlargement (H, W, 3), both uint8 and PIL bicubic. H and W are multiples of 4."""
    height, width = hr.shape[:2]
    lr = resize_pil_bicubic(hr, height // SCALE, width // SCALE)
    return lr, resize_pil_bicubic(lr, height, width)


@dataclass(frozen=True)
class TransformedPair:
    """hr and transformed (3, H, W) in [0, 1]; coordinates: where pixel (4r, 4c) of hr lies in transformed, (x, y)."""

    hr: Tensor
    transformed: Tensor
    coordinates: Tensor


def transformed_pair(hr: Tensor, rng: np.random.RandomState) -> TransformedPair:
    """Warp an image by the inverse of a random homography H; pixel p of ``hr`` lies at H^-1 p in the result."""
    h, w = hr.shape[-2:]
    matrix = random_homography(rng, min(h, w))
    coordinates = transform_points(np.linalg.inv(matrix), h, w, step=4)
    return TransformedPair(hr, warp(hr, matrix), torch.from_numpy(coordinates))


@dataclass(frozen=True)
class RestorationPair:
    """hr (3, H, W), lr (3, H/4, W/4), lr_up (3, H, W) and ref (3, H, W), float32 in [0, 1]."""

    hr: Tensor
    lr: Tensor
    lr_up: Tensor
    ref: Tensor


def restoration_pair(hr: Image, ref: Image) -> RestorationPair:
    """A training pair of stage 3 from uint8 (H, W, 3) images; the reference is brought to the size of ``hr``."""
    lr, lr_up = degrade(hr)
    ref = resize_pil_bicubic(ref, *hr.shape[:2])
    return RestorationPair(*(to_tensor(image) for image in (hr, lr, lr_up, ref)))
