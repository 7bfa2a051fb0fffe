"""One optimisation step's loss for each training stage (paper section 3.5 and supplement A)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.extractor import ContrastiveExtractor
from c2matching.losses import (
    MIN_POINTS,
    correlation,
    distillation_loss,
    margin_loss,
    usable_points,
)
from c2matching.pairs import TransformedPair

DISTILLATION_WEIGHT = 15.0  # alpha_kl of Eq. (7)


def correspondence_loss(
    student: tuple[Tensor, Tensor],
    coordinates: Sequence[Tensor],
    size: tuple[int, int],
    teacher: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Eq. (7) over a batch of descriptor maps (N, C, h, w); without a teacher, Eq. (1) alone (the teacher's own stage).

    coordinates: per sample (h, w, 2) as ``usable_points`` takes them. Samples with fewer than 128 usable points are
    skipped and the sum is divided by the number used. Raises ValueError when none is left.
    """
    total, used = torch.zeros((), device=student[0].device), 0
    for n, grid in enumerate(coordinates):
        points = usable_points(grid, size)
        if len(points.cells) < MIN_POINTS:
            continue
        used += 1
        total = total + margin_loss(student[0][n], student[1][n], points)
        if teacher is not None:
            logits, target = (correlation(d[0][n], d[1][n], points) for d in (student, teacher))
            total = total + DISTILLATION_WEIGHT * distillation_loss(logits, target)
    if not used:
        raise ValueError("every sample of the batch has fewer than 128 usable points")
    return total / used


def matching_cross_entropy(
    features: tuple[Tensor, Tensor], coordinates: Sequence[Tensor], size: tuple[int, int]
) -> Tensor:
    """Cross entropy of Eq. (4) against the true target: a gentle start for networks without ImageNet weights.

    The hardest-negative loss of Eq. (1) stalls at the margin when descriptors are random.
    """
    losses = []
    for n, grid in enumerate(coordinates):
        points = usable_points(grid, size)
        if len(points.cells) >= MIN_POINTS:
            logits = correlation(features[0][n], features[1][n], points)
            losses.append(F.cross_entropy(logits, torch.arange(len(logits), device=logits.device)))
    if not losses:
        raise ValueError("every sample of the batch has fewer than 128 usable points")
    return torch.stack(losses).mean()


def describe(extractor: ContrastiveExtractor, first: Tensor, pairs: Sequence[TransformedPair]) -> tuple[Tensor, Tensor]:
    """Descriptors of ``first`` (the HR images for the teacher, upsampled LR for the student) and of the transformed."""
    return extractor(first, torch.stack([pair.transformed for pair in pairs]))
