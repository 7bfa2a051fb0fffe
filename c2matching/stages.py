"""One optimisation step's loss for each training stage (paper section 3.5 and supplement A)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from c2matching.config import MatchingTraining, RestorationTraining, decayed
from c2matching.discriminator import ImageDiscriminator
from c2matching.losses import (
    MIN_POINTS,
    correlation,
    discriminator_loss,
    distillation_loss,
    generator_loss,
    gradient_penalty,
    margin_loss,
    perceptual_loss,
    reconstruction_loss,
    usable_points,
)
from c2matching.model import C2Matching
from c2matching.pairs import RestorationPair
from c2matching.restoration import RestorationNet
from c2matching.vgg import VGG19Features

MATCHING = MatchingTraining()
RESTORATION = RestorationTraining()


def correspondence_loss(
    student: tuple[Tensor, Tensor],
    coordinates: Sequence[Tensor],
    size: tuple[int, int],
    teacher: tuple[Tensor, Tensor] | None = None,
    config: MatchingTraining = MATCHING,
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
        total = total + margin_loss(student[0][n], student[1][n], points, config.margin, config.safe_radius)
        if teacher is not None:
            logits, target = (correlation(d[0][n], d[1][n], points, config.temperature) for d in (student, teacher))
            total = total + config.distillation_weight * distillation_loss(logits, target)
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


def generator_groups(net: RestorationNet, config: RestorationTraining = RESTORATION) -> list[dict]:
    """Adam's parameter groups: everything else, then the predictors of offsets and masks at each scale."""
    rates = {
        "other": config.rate,
        "large": config.large_offset_rate,
        "small": config.small_offset_rate,
        "medium": config.medium_offset_rate,
    }
    groups: dict[str, list[nn.Parameter]] = {name: [] for name in rates}
    for name, parameter in net.named_parameters():
        scale = next((s for s in ("large", "small", "medium") if s in name), "other")
        groups[scale if "offset" in name else "other"].append(parameter)
    return [{"params": groups[name], "lr": rate} for name, rate in rates.items() if groups[name]]


class RestorationStage:
    """Stage 3: trains ``model.restoration`` with the extractors and the reference features frozen.

    discriminator and perceptual (features at relu5_1) come together; without them reconstruction loss is all there is.
    The networks given are set to training or frozen evaluation mode.
    """

    def __init__(
        self,
        model: C2Matching,
        discriminator: ImageDiscriminator | None = None,
        perceptual: VGG19Features | None = None,
        config: RestorationTraining = RESTORATION,
    ) -> None:
        if (discriminator is None) != (perceptual is None):
            raise ValueError("the discriminator and the perceptual features are used together or not at all")
        self.model, self.discriminator, self.perceptual, self.config = model, discriminator, perceptual, config
        for frozen in (model.extractor, model.vgg, perceptual):
            if frozen is not None:
                frozen.eval().requires_grad_(False)
        model.restoration.train().requires_grad_(True)
        self.generator_optimiser = torch.optim.Adam(generator_groups(model.restoration, config), betas=config.betas)
        if discriminator is not None:
            discriminator.train()
            self.discriminator_optimiser = torch.optim.Adam(
                discriminator.parameters(), lr=config.discriminator_rate, betas=config.betas
            )

    def step(
        self, batch: RestorationPair, iteration: int, alpha: Tensor | None = None
    ) -> tuple[Tensor, dict[str, float]]:
        """One iteration, counted from 1, on a batch (N, 3, H, W): the discriminator is updated, then the generator.

        alpha: (N, 1, 1, 1) as ``gradient_penalty`` takes it, drawn when None. Returns SR before the update and the
        terms of the losses, weights included.
        """
        model = self.model
        with torch.no_grad():
            refs = model.ref_features(batch.ref)
            offsets = model.offsets(model.flows(batch.lr_up, batch.ref))
        sr = model.restoration(batch.lr, refs, offsets)
        terms = {"reconstruction": self.config.reconstruction_weight * reconstruction_loss(sr, batch.hr)}
        critic_terms: dict[str, Tensor] = {}
        if self.discriminator is not None and iteration > self.config.warm_up:
            if alpha is None:
                alpha = torch.rand(len(sr), 1, 1, 1, device=sr.device)
            critic_terms = self._update_discriminator(batch.hr, sr.detach(), iteration, alpha)
            terms |= self._generator_terms(batch.hr, sr)
        _descend(self.generator_optimiser, sum(terms.values()))
        return sr.detach(), {name: term.item() for name, term in (terms | critic_terms).items()}

    def _update_discriminator(self, hr: Tensor, sr: Tensor, iteration: int, alpha: Tensor) -> dict[str, Tensor]:
        """Eq. (13)."""
        config, critic = self.config, self.discriminator
        critic.requires_grad_(True)
        for group in self.discriminator_optimiser.param_groups:
            group["lr"] = decayed(config.discriminator_rate, config.discriminator_decays, iteration)
        terms = {
            "discriminator": discriminator_loss(critic(hr), critic(sr)),
            "penalty": config.penalty_weight * gradient_penalty(critic, hr, sr, alpha),
        }
        _descend(self.discriminator_optimiser, sum(terms.values()))
        return terms

    def _generator_terms(self, hr: Tensor, sr: Tensor) -> dict[str, Tensor]:
        """Eq. (11) and (12), the latter by the discriminator as just updated."""
        self.discriminator.requires_grad_(False)
        sr_features, hr_features = (self.perceptual(image)["relu5_1"] for image in (sr, hr))
        return {
            "perceptual": self.config.perceptual_weight * perceptual_loss(sr_features, hr_features),
            "adversarial": self.config.adversarial_weight * generator_loss(self.discriminator(sr)),
        }


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
