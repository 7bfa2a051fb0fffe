"""The losses of networks that make SR images, one pure function per equation of C2-Matching's supplement.

Images are (N, 3, H, W) RGB in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def reconstruction_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Compute Eq. (10) as a mean over all values."""
    return F.l1_loss(sr, hr)


def perceptual_loss(sr_features: Tensor, hr_features: Tensor) -> Tensor:
    """Compute Eq. (11) like the authors' code: the Frobenius norm over the whole batch of relu5_1 features."""
    return torch.linalg.vector_norm(sr_features - hr_features)


def generator_loss(fake_scores: Tensor) -> Tensor:
    """Compute Eq. (12)."""
    return -fake_scores.mean()


def discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Compute Eq. (13) without the gradient penalty."""
    return fake_scores.mean() - real_scores.mean()


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, alpha: Tensor
) -> Tensor:
    """Compute the penalty of Eq. (13), the mean of (|grad D| - 1)^2 at alpha * real + (1 - alpha) * fake.

    alpha (N, 1, 1, 1) in [0, 1], one per sample. No gradient reaches the generator.
    """
    mixed = (alpha * real + (1 - alpha) * fake).detach().requires_grad_(True)
    scores = discriminator(mixed)
    (gradient,) = torch.autograd.grad(scores.sum(), mixed, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
