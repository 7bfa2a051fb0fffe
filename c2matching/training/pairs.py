"""Training pairs (paper section 3.1 and 3.5): an image and its homography-transformed copy with exact correspondence
for the correspondence network; an image, its LR version and a reference for the restoration network."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.training.config import Views
from refsr_bench.core.types import Image
from refsr_bench.learning.tensors import degrade, to_tensor
from refsr_bench.pixels.resize import resize_pil_bicubic

PATCH = 160  # side of the training image, and of the square whose corners are displaced, pixels
MAX_SHIFT = 10  # corner displacements are 0..9 pixels with a random sign, per coordinate
PAPER_VIEWS = Views()


def homography_from_corners(corners: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The 3x3 matrix (float64, last entry 1) that maps four points (4, 2), (x, y), onto four others."""
    return cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))


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


@dataclass(frozen=True)
class TransformedPair:
    """hr and transformed (3, H, W) in [0, 1]; coordinates: where pixel (4r, 4c) of hr lies in transformed, (x, y)."""

    hr: Tensor
    transformed: Tensor
    coordinates: Tensor


def turned_and_scaled(rng: np.random.RandomState, centre: tuple[float, float], views: Views) -> np.ndarray:
    """A random similarity about ``centre`` (x, y), 3x3 float64; the identity for the paper's views."""
    angle = np.deg2rad(rng.uniform(-1, 1) * views.rotation)
    scale = views.scale ** rng.uniform(-1, 1)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    x, y = centre
    return np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y], [0, 0, 1]])


def recoloured(image: np.ndarray, rng: np.random.RandomState, views: Views) -> np.ndarray:
    """Gain, gamma and blur of the reference, float (H, W, 3) in [0, 1]; the image itself for the paper's views."""
    if views.photometric and rng.uniform() < 0.5:
        low, high = 1 - views.photometric, 1 + views.photometric
        image = (image ** rng.uniform(low, high) * rng.uniform(low, high, 3)).clip(0, 1)
    if views.blur and rng.uniform() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), max(0.1, rng.uniform(0, views.blur)))
    return image


def transformed_pair(hr: Tensor, rng: np.random.RandomState, views: Views = PAPER_VIEWS) -> TransformedPair:
    """Warp an image by the inverse of a random homography H; pixel p of ``hr`` lies at H^-1 p in the result."""
    h, w = hr.shape[-2:]
    matrix = random_homography(rng, min(h, w), views.max_shift)
    if views != PAPER_VIEWS:
        matrix = turned_and_scaled(rng, ((w - 1) / 2, (h - 1) / 2), views) @ matrix
    coordinates = transform_points(np.linalg.inv(matrix), h, w, step=4)
    transformed = warp(hr, matrix)
    if views != PAPER_VIEWS:
        changed = recoloured(transformed.permute(1, 2, 0).numpy(), rng, views)
        transformed = torch.from_numpy(np.ascontiguousarray(changed.transpose(2, 0, 1))).float()
    return TransformedPair(hr, transformed, torch.from_numpy(coordinates))


def view_of(photo: Image, centre: tuple[float, float], side: int, rng: np.random.RandomState, views: Views) -> Image:
    """A ``side`` x ``side`` view of a photo around ``centre`` (x, y): its corners jitter, then as ``views`` says.

    What lies beyond the photo is its mirror image.
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
