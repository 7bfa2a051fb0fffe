"""The losses of the correspondence network, one pure function per equation, in the form the authors trained with.

Descriptor maps are (C, h, w) at 1/4 of the image resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STRIDE = 4  # image pixels per descriptor
BORDER = 10  # pixels; a correspondence this close to the image border is not used
MIN_POINTS = 128  # a pair with fewer usable points adds nothing to the loss
EXCLUDED = -4.0  # the cosine that bars a negative: lower than any real one, so it is never the hardest
NEVER = -1e9  # the logit of a target that does not exist; finite, so that 0 * log 0 is 0


@dataclass(frozen=True)
class Points:
    """The usable correspondences of a batch.

    cells, targets (N, P, 2) int64, (row, column): descriptor cells in image 1 and in the transformed image. P is the
    largest number of any pair in the batch; valid (N, P) bool marks the entries that exist.
    """

    cells: Tensor
    targets: Tensor
    valid: Tensor


def usable_points(coordinates: Tensor, size: tuple[int, int], at_least: int = MIN_POINTS) -> Points:
    """Select the cells of image 1 whose correspondence lies strictly inside a 10-pixel border of the transformed image.

    coordinates (N, h, w, 2) float64: the place of pixel (4r, 4c) of image 1 in the transformed image, (x, y) in pixels.
    size: (height, width) of the transformed image in pixels. A pair with fewer than ``at_least`` such cells gets none.
    """
    n, h, w, _ = coordinates.shape
    x, y = coordinates.unbind(-1)
    inside = (x > BORDER) & (x < size[1] - BORDER) & (y > BORDER) & (y < size[0] - BORDER)
    inside = inside.view(n, h * w)
    counts = inside.sum(1)
    inside = inside & (counts >= at_least)[:, None]
    most = max(1, int(inside.sum(1).max()))
    order = inside.int().argsort(dim=1, descending=True, stable=True)[:, :most]  # usable cells first, in raster order
    valid = inside.gather(1, order)
    positions = coordinates.view(n, h * w, 2).gather(1, order[..., None].expand(-1, -1, 2))
    targets = torch.round(positions / STRIDE).long().flip(-1)
    cells = torch.stack((order // w, order % w), dim=-1)
    return Points(cells, targets.masked_fill(~valid[..., None], 0), valid)


def _near(a: Tensor, b: Tensor, radius: int) -> Tensor:
    """Compare cells (N, P, 2) with (N, Q, 2): Chebyshev distance of at most ``radius``, (N, P, Q) bool."""
    a, b = a.to(torch.int16)[:, :, None], b.to(torch.int16)[:, None]
    rows, columns = ((a[..., n] - b[..., n]).abs_() <= radius for n in (0, 1))
    return rows.logical_and_(columns)


def descriptors_at(features: Tensor, cells: Tensor) -> Tensor:
    """Return the L2-normalised descriptors (N, P, C) of a map (N, C, h, w) at cells (N, P, 2)."""
    where = cells[..., 0] * features.shape[3] + cells[..., 1]
    return _taken(F.normalize(features, dim=1).flatten(2).transpose(1, 2), where)


def _taken(descriptors: Tensor, which: Tensor) -> Tensor:
    """Pick descriptors (N, Q, C) by indices (N, P) -> (N, P, C)."""
    return descriptors.gather(1, which[..., None].expand(-1, -1, descriptors.shape[2]))


def cosines(features1: Tensor, features2: Tensor, points: Points) -> Tensor:
    """Return the cosines of all usable points of image 1 with all usable targets, (N, P, P)."""
    return descriptors_at(features1, points.cells) @ descriptors_at(features2, points.targets).transpose(1, 2)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Average (N, P) over the valid points of each pair -> (N,); 0 for a pair without any."""
    return (values * valid).sum(1) / valid.sum(1).clamp(min=1)


def _hardest(descriptors: Tensor, others: Tensor, barred: Tensor) -> Tensor:
    """Return the squared distance of each descriptor to the nearest of the others that is not barred.

    descriptors (N, P, C); others (N, Q, C); barred (N, P, Q) bool. Returns (N, P). Gradients flow through the one that
    was found, not through all products.
    """
    with torch.no_grad():
        cosine, which = (descriptors @ others.transpose(1, 2)).masked_fill_(barred, EXCLUDED).max(2)
    distance = 2 - 2 * (descriptors * _taken(others, which)).sum(2)
    return distance.masked_fill(cosine == EXCLUDED, 2 - 2 * EXCLUDED)


def margin_loss(
    features1: Tensor, features2: Tensor, points: Points, margin: float = 1.0, safe_radius: int = 4
) -> Tensor:
    """Compute Eq. (1) to (3): the triplet margin ranking loss with the hardest negative on either side, (N,).

    features (N, C, h, w). Distances are squared L2 of unit descriptors, 2 - 2 cos. The negatives of p in the
    transformed image are the other usable targets; those of p' in image 1 are all its cells. Both must be farther than
    ``safe_radius`` cells.
    """
    everywhere = F.normalize(features1, dim=1).flatten(2).transpose(1, 2)  # (N, h*w, C)
    n, _, h, w = features1.shape
    f1 = _taken(everywhere, points.cells[..., 0] * w + points.cells[..., 1])
    f2 = descriptors_at(features2, points.targets)
    cells = torch.cartesian_prod(torch.arange(h, device=f2.device), torch.arange(w, device=f2.device))
    barred = _near(points.targets, points.targets, safe_radius) | ~points.valid[:, None]
    near = _near(points.cells, cells.expand(n, -1, -1), safe_radius)
    negative = torch.minimum(_hardest(f1, f2, barred), _hardest(f2, everywhere, near))
    positive = 2 - 2 * (f1 * f2).sum(2)
    return _mean(F.relu(margin + positive - negative), points.valid)


def correlation(features1: Tensor, features2: Tensor, points: Points, temperature: float = 0.15) -> Tensor:
    """Compute Eq. (4) before its softmax: logits (N, P, P) of usable points against usable targets."""
    logits = cosines(features1, features2, points) / temperature
    return logits.masked_fill(~points.valid[:, None], NEVER)


def distillation_loss(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Compute Eq. (5) and (6): KL(teacher || student) of two logit volumes (N, P, P), mean over valid rows, (N,)."""
    target = teacher.log_softmax(2)
    return _mean(torch.linalg.vecdot(target.exp(), target - student.log_softmax(2)), valid)


def matching_loss(features1: Tensor, features2: Tensor, points: Points, temperature: float = 0.07) -> Tensor:
    """Compute the cross entropy of Eq. (4) with the true target as the class, (N,). The paper does not have it.

    It is a gentle start for networks without ImageNet weights: Eq. (1) stalls at the margin when descriptors are
    random.
    """
    logits = correlation(features1, features2, points, temperature)
    n, p, _ = logits.shape
    truth = torch.arange(p, device=logits.device).expand(n, p)
    return _mean(F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none").view(n, p), points.valid)
