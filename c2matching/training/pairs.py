"""Training pairs for the correspondence network (paper sections 3.1 and 3.5).

A pair is an image and its copy under a homography, with exact correspondence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from refsr_bench.learning.tensors import degrade, to_tensor
from refsr_bench.learning.training.config import Views
from refsr_bench.learning.training.photos import Photo, Stream, flipped, random_crop
from refsr_bench.learning.training.views import homography_from_corners, recoloured, turned_and_scaled

PATCH = 160  # pixels: the side of the training image, and of the square whose corners are displaced
MAX_SHIFT = 10  # corner displacements are 0..9 pixels with a random sign, per coordinate
PAPER_VIEWS = Views()


def random_homography(rng: np.random.RandomState, size: int = PATCH, max_shift: int = MAX_SHIFT) -> np.ndarray:
    """Draw the authors' random homography: a square placed at (x, y) in [max_shift, size), its corners displaced.

    rng: NumPy's legacy generator, because the authors' seeds refer to its stream. It draws corner x, corner y, then
    magnitude and sign of TL.x TL.y TR.x TR.y BL.x BL.y BR.x BR.y. size: the side of the square, pixels. Returns H, 3x3
    float64, which maps the square to the displaced square.
    """
    x, y = rng.randint(max_shift, size), rng.randint(max_shift, size)
    corners = np.array([(x, y), (x + size, y), (x, y + size), (x + size, y + size)], np.float64)
    moves = [rng.randint(0, max_shift) * rng.choice([-1, 1]) for _ in range(8)]
    return homography_from_corners(corners, corners + np.reshape(moves, (4, 2)))


def transform_points(matrix: np.ndarray, height: int, width: int, step: int = 1) -> np.ndarray:
    """Map every ``step``-th pixel by a 3x3 matrix: (height/step, width/step, 2) float64, (x, y)."""
    y, x = np.mgrid[0:height:step, 0:width:step].astype(np.float64)
    mapped = np.stack((x, y, np.ones_like(x)), axis=-1) @ matrix.T
    return mapped[..., :2] / mapped[..., 2:]


def warp(image: Tensor, source: np.ndarray) -> Tensor:
    """Warp an image (3, H, W) bilinearly, with zeros outside: pixel p takes it at ``source @ p``, 3x3 float64."""
    h, w = image.shape[-2:]
    grid = transform_points(source, h, w)
    grid = torch.from_numpy(2 * grid / (np.array([w, h]) - 1) - 1)  # float64, because float32 moves samples visibly
    warped = F.grid_sample(image[None].double(), grid[None], mode="bilinear", padding_mode="zeros", align_corners=True)
    return warped[0].to(image.dtype)


@dataclass(frozen=True)
class TransformedPair:
    """An image and its transformed copy, both (3, H, W) in [0, 1].

    coordinates (H/4, W/4, 2) float64: the place of pixel (4r, 4c) of ``hr`` in ``transformed``, (x, y).
    """

    hr: Tensor
    transformed: Tensor
    coordinates: Tensor


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


class MatchingStream(Stream):
    """A stream of hr, lr_up, transformed (3, S, S) in [0, 1] and coordinates (S/4, S/4, 2) for ``usable_points``."""

    def draw(self, photo: Photo, rng: np.random.RandomState) -> dict[str, Tensor]:
        (crop,) = flipped([random_crop(self.read(photo.path, rng), self.crop, rng)[0]], rng)
        pair = transformed_pair(to_tensor(crop), rng, self.training.views)
        tensors = {"hr": pair.hr, "transformed": pair.transformed, "coordinates": pair.coordinates}
        return tensors | {"lr_up": to_tensor(degrade(crop)[1])}
