"""The losses of the paper, one pure function per equation, in the form the authors trained with.

Descriptor maps are (C, h, w) at 1/4 of the image resolution; images are (N, 3, H, W) RGB in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STRIDE = 4  # image pixels per descriptor
BORDER = 10  # a correspondence this close to the image border (pixels) is not used
MIN_POINTS = 128  # a pair with fewer usable points is skipped
EXCLUDED = 10.0  # added to distances that may not be picked as negatives (squared distances are at most 4)


@dataclass(frozen=True)
class Points:
    """Usable correspondences of one pair: cells (n, 2) int64, (row, column), in image 1 and the transformed image."""

    cells: Tensor
    targets: Tensor


def usable_points(coordinates: Tensor, size: tuple[int, int]) -> Points:
    """Grid cells of image 1 whose correspondence lies strictly inside a 10-pixel border of the transformed image.

    coordinates (h, w, 2) float64: where pixel (4r, 4c) of image 1 lies in the transformed image, (x, y) in pixels.
    size: (height, width) of the transformed image in pixels.
    """
    x, y = coordinates.unbind(-1)
    inside = (x > BORDER) & (x < size[1] - BORDER) & (y > BORDER) & (y < size[0] - BORDER)
    cells = inside.nonzero()
    targets = torch.round(coordinates[inside] / STRIDE).long().flip(-1)
    return Points(cells, targets)


def _chebyshev(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, None] - b[None]).abs().amax(-1)


def descriptors_at(features: Tensor, cells: Tensor) -> Tensor:
    """L2-normalised descriptors (n, C) of a map (C, h, w) at cells (n, 2)."""
    return F.normalize(features, dim=0)[:, cells[:, 0], cells[:, 1]].T


def margin_loss(
    features1: Tensor, features2: Tensor, points: Points, margin: float = 1.0, safe_radius: int = 4
) -> Tensor:
    """Eq. (1) to (3): triplet margin ranking loss with the hardest negative on either side.

    Distances are squared L2 of unit descriptors, 2 - 2 cos. The negatives of p in the transformed image are the other
    usable targets; the negatives of p' in image 1 are all its cells; both farther than ``safe_radius`` cells.
    """
    f1 = descriptors_at(features1, points.cells)
    f2 = descriptors_at(features2, points.targets)
    positive = 2 - 2 * (f1 * f2).sum(1)
    near = _chebyshev(points.targets, points.targets) <= safe_radius
    negative_a = (2 - 2 * f1 @ f2.T + EXCLUDED * near).amin(1)
    all_cells = torch.cartesian_prod(*(torch.arange(n, device=f1.device) for n in features1.shape[1:]))
    near = _chebyshev(points.cells, all_cells) <= safe_radius
    negative_b = (2 - 2 * f2 @ descriptors_at(features1, all_cells).T + EXCLUDED * near).amin(1)
    return F.relu(margin + positive - torch.minimum(negative_a, negative_b)).mean()


def correlation(features1: Tensor, features2: Tensor, points: Points, temperature: float = 0.15) -> Tensor:
    """Eq. (4) before the softmax: logits (n, n) of usable points against usable targets."""
    return descriptors_at(features1, points.cells) @ descriptors_at(features2, points.targets).T / temperature


def distillation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Eq. (5) and (6): KL(teacher || student) of two logit matrices (n, n), mean over rows."""
    return F.kl_div(student.log_softmax(1), teacher.log_softmax(1), reduction="batchmean", log_target=True)


def reconstruction_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Eq. (10), as a mean over all values."""
    return F.l1_loss(sr, hr)


def perceptual_loss(sr_features: Tensor, hr_features: Tensor) -> Tensor:
    """Eq. (11) as the authors' code computes it: the Frobenius norm over the whole batch of relu5_1 features."""
    return torch.linalg.vector_norm(sr_features - hr_features)


def generator_loss(fake_scores: Tensor) -> Tensor:
    """Eq. (12)."""
    return -fake_scores.mean()


def discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Eq. (13) without the gradient penalty."""
    return fake_scores.mean() - real_scores.mean()


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, alpha: Tensor
) -> Tensor:
    """Eq. (13), the penalty: mean of (|grad D| - 1)^2 at alpha * real + (1 - alpha) * fake.

    alpha (N, 1, 1, 1) in [0, 1], one per sample. No gradient reaches the generator.
    """
    mixed = (alpha * real + (1 - alpha) * fake).detach().requires_grad_(True)
    scores = discriminator(mixed)
    (gradient,) = torch.autograd.grad(scores.sum(), mixed, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
