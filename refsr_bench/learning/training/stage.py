"""The interface of training stages, and the stage of any network that makes SR images (C2-Matching, supplement A).

A stage takes micro-batches, sums their gradients (over processes too) and updates its networks once. Losses are divided
by the counts of the whole iteration, so cutting it into micro-batches and processes changes rounding alone. Only GAN
training differs, because the perceptual norm and the discriminator's BatchNorm see one micro-batch as a whole.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from refsr_bench.core import catalogue
from refsr_bench.learning.tensors import quantised
from refsr_bench.learning.training.config import RestorationTraining, factor_at
from refsr_bench.learning.training.discriminator import ImageDiscriminator
from refsr_bench.learning.training.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    perceptual_loss,
    reconstruction_loss,
)
from refsr_bench.learning.training.parallel import ALONE, Parallel
from refsr_bench.learning.training.photos import ImageStream, Stream
from refsr_bench.learning.vgg import VGG19Features
from refsr_bench.learning.weights import Trained

BORDER = 4  # pixels left out of validation on every side, as in the protocol of C2-Matching
RESTORATION = RestorationTraining()
Tensors = Mapping[str, Tensor]


class Stage(Protocol):
    """The interface through which the trainer drives networks in training.

    best: the score of ``validate`` that decides which weights are the best, and ``min`` or ``max``. stream: the class
    that draws its samples. config: an object with at least ``iterations``, ``batch`` and ``crop``.
    """

    best: tuple[str, Callable[[float, float], float]]
    stream: type[Stream]
    config: Any
    parallel: Parallel
    networks: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]

    def step(self, batches: Sequence[Tensors], iteration: int) -> dict[str, float]:
        """Do one iteration, counted from 1, over micro-batches. Return the terms of the loss, weights included."""

    def validate(self, batches: Iterable[Tensors]) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Return scores by name, and images (3, S, S) in [0, 1] to look at."""

    def trained(self) -> Trained:
        """Return the weights that the training is for: their average if one is kept."""


@dataclass(frozen=True)
class Setting:
    """The circumstances of a training. seed: that of the losses' random numbers."""

    config: RestorationTraining = RESTORATION
    parallel: Parallel = ALONE
    seed: int = 0


@dataclass(frozen=True)
class Critics:
    """The judges of a GAN training: a discriminator, and a network whose relu5_1 features images are compared by."""

    discriminator: ImageDiscriminator
    perceptual: VGG19Features


def update(optimiser: torch.optim.Optimizer, parallel: Parallel, clip: float = 0.0) -> None:
    """Do one optimiser step with the summed gradients of all processes. clip: largest norm, 0 for no limit."""
    parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    if parallel.processes > 1:
        total = parallel.sum(torch.cat([p.grad.flatten() for p in parameters]))
        for p, gradient in zip(parameters, total.split([p.numel() for p in parameters]), strict=True):
            p.grad.copy_(gradient.view_as(p))
    if clip:
        nn.utils.clip_grad_norm_(parameters, clip)
    optimiser.step()
    optimiser.zero_grad()


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set the rates to ``factor`` times those that the optimiser began with."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


def adam(groups: Sequence[dict], betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.Adam:
    """Make an Adam that remembers its first rates, for ``set_rates``. groups: parameter groups, each with ``lr``."""
    return torch.optim.Adam([group | {"initial_lr": group["lr"]} for group in groups], betas=betas)


class ImageStage:
    """The stage of a network that makes SR images.

    restored(net, batch): makes SR (N, 3, S, S) with ``net``, with gradients. groups: Adam's parameter groups. critics:
    None for reconstruction loss alone. The given networks are put into training mode or frozen in evaluation mode.
    average: a moving average of the weights, if the configuration asks for one. Batches hold hr, lr_up and ref
    (N, 3, S, S) and lr (N, 3, S/4, S/4), in [0, 1].
    """

    best = ("psnr", max)
    stream = ImageStream

    def __init__(
        self,
        net: nn.Module,
        restored: Callable[[nn.Module, Tensors], Tensor],
        groups: Sequence[dict],
        setting: Setting,
        critics: Critics | None = None,
    ) -> None:
        self.net, self.restored, self.critics = net.train(), restored, critics
        self.config, self.parallel, self.seed = setting.config, setting.parallel, setting.seed
        self.networks: dict[str, nn.Module] = {"restoration": net}
        self.optimisers = {"restoration": adam(groups, self.config.betas)}
        self.average = None
        if self.config.average:
            self.average = copy.deepcopy(net).requires_grad_(False)
            self.networks["average"] = self.average
        if critics is not None:
            critics.perceptual.eval().requires_grad_(False)
            self.networks["discriminator"] = critics.discriminator.train()
            group = {"params": list(critics.discriminator.parameters()), "lr": self.config.discriminator_rate}
            self.optimisers["discriminator"] = adam([group], self.config.betas)

    def restore(self, batch: Tensors, net: nn.Module | None = None) -> Tensor:
        """Make SR (N, 3, S, S) with the network in training, or with ``net``."""
        with self.parallel.autocast():
            return self.restored(net or self.net, batch).float()

    def step(self, batches: Sequence[Tensors], iteration: int, alpha: Tensor | None = None) -> dict[str, float]:
        """Do one iteration, counted from 1: update the discriminator, then the generator.

        alpha: (N, 1, 1, 1) for ``gradient_penalty``; None draws it from the seed and the iteration. Returns the terms
        of the losses, weights included.
        """
        adversarial = self.critics is not None and iteration > self.config.warm_up
        only = self.restore(batches[0]) if len(batches) == 1 else None  # with several, one graph at a time is kept
        descent = _Descent(1 / (len(batches) * self.parallel.processes))
        if adversarial:
            self._step_discriminator(batches, only, [alpha] if alpha is not None else None, iteration, descent)
        for batch in batches:
            sr = only if only is not None else self.restore(batch)
            terms = {"reconstruction": self.config.reconstruction_weight * reconstruction_loss(sr, batch["hr"])}
            descent(terms | (self._generator_terms(batch["hr"], sr) if adversarial else {}))
        set_rates(self.optimisers["restoration"], self._factor(iteration))
        update(self.optimisers["restoration"], self.parallel, self.config.clip)
        self._follow(iteration)
        return {name: self.parallel.sum(total).item() for name, total in descent.totals.items()}

    def _step_discriminator(
        self,
        batches: Sequence[Tensors],
        only: Tensor | None,
        mixtures: Sequence[Tensor] | None,
        iteration: int,
        descend: Callable[[dict[str, Tensor]], None],
    ) -> None:
        """Update the discriminator alone. only: SR of the micro-batch if there is just one, else None."""
        discriminator, optimiser = self.critics.discriminator, self.optimisers["discriminator"]
        discriminator.requires_grad_(True)
        for batch, mixture in zip(batches, mixtures or self._mixtures(batches, iteration), strict=True):
            with torch.no_grad():
                sr = only.detach() if only is not None else self.restore(batch)
            descend(self._discriminator_terms(batch["hr"], sr, mixture))
        set_rates(optimiser, factor_at(iteration, self.config.discriminator_decays))
        update(optimiser, self.parallel)
        discriminator.requires_grad_(False)

    def _follow(self, iteration: int) -> None:
        """Move the average, if one is kept, towards the weights; faster at first, while they are still poor."""
        if self.average is None:
            return
        decay = min(self.config.average, iteration / (iteration + 20))
        for kept, new in zip(self.average.parameters(), self.net.parameters(), strict=True):
            kept.lerp_(new.detach(), 1 - decay)
        for kept, new in zip(self.average.buffers(), self.net.buffers(), strict=True):
            kept.copy_(new)

    def _factor(self, iteration: int) -> float:
        config = self.config
        factor = factor_at(iteration, config.decays, config.ramp)
        if config.cosine:
            factor *= 0.51 + 0.49 * math.cos(math.pi * min(1, iteration / config.iterations))
        return factor

    def _mixtures(self, batches: Sequence[Tensors], iteration: int) -> list[Tensor]:
        """Draw the random numbers of the gradient penalty, (N, 1, 1, 1) per micro-batch of this process.

        An iteration has the same numbers however it is cut into micro-batches and processes.
        """
        size = len(batches[0]["hr"])
        generator = torch.Generator().manual_seed(self.seed + iteration)
        numbers = torch.rand(size * len(batches) * self.parallel.processes, 1, 1, 1, generator=generator)
        numbers = numbers.to(self.parallel.device).split(size)
        first = self.parallel.process * len(batches)
        return list(numbers[first : first + len(batches)])

    def _discriminator_terms(self, hr: Tensor, sr: Tensor, alpha: Tensor) -> dict[str, Tensor]:
        """Compute Eq. (13)."""
        critic = self.critics.discriminator
        return {
            "discriminator": discriminator_loss(critic(hr), critic(sr)),
            "penalty": self.config.penalty_weight * gradient_penalty(critic, hr, sr, alpha),
        }

    def _generator_terms(self, hr: Tensor, sr: Tensor) -> dict[str, Tensor]:
        """Compute Eq. (11), and (12) with the discriminator as just updated."""
        sr_features, hr_features = (self.critics.perceptual(image)["relu5_1"] for image in (sr, hr))
        return {
            "perceptual": self.config.perceptual_weight * perceptual_loss(sr_features, hr_features),
            "adversarial": self.config.adversarial_weight * generator_loss(self.critics.discriminator(sr)),
        }

    @torch.no_grad()
    def validate(self, batches: Iterable[Tensors]) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Return the mean PSNR-Y of SR and of bicubic, in dB, and images (3, S, S) of the last pair.

        SR comes from the averaged network if there is one. Images are rounded to 8 bits; a border of 4 is removed.
        """
        psnr = catalogue.get("METRICS", "psnr_y").load("cpu", None)
        net = self.average or self.net
        net.eval()
        scores: dict[str, list[float]] = {"psnr": [], "bicubic": []}
        for batch in batches:
            sr = self.restore(batch, net).clamp(0, 1)
            for name, images in (("psnr", sr), ("bicubic", batch["lr_up"])):
                scores[name] += [
                    psnr(quantised(image), quantised(hr), BORDER, False)
                    for image, hr in zip(images, batch["hr"], strict=True)
                ]
        self.net.train()
        pictures = {"input": batch["lr_up"][-1], "reference": batch["ref"][-1], "SR": sr[-1], "HR": batch["hr"][-1]}
        return {name: sum(values) / len(values) for name, values in scores.items()}, pictures

    def trained(self) -> Trained:
        """Return the network's weights: their average if one is kept."""
        net = self.average or self.net
        return Trained(net.state_dict(), net.options)


class _Descent:
    """Back-propagation of loss terms, each times ``share``, with their sums in ``totals``."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.totals: dict[str, Tensor] = {}

    def __call__(self, terms: dict[str, Tensor]) -> None:
        terms = {name: self.share * term for name, term in terms.items()}
        sum(terms.values()).backward()
        for name, term in terms.items():
            self.totals[name] = self.totals.get(name, 0) + term.detach()
