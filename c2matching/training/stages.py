"""The training stages (paper section 3.5 and supplement A): what one iteration of each does, and how it is validated.

A stage takes micro-batches, sums their gradients (over processes too) and updates its networks once. Losses are divided
by the numbers of the whole iteration, so how it is cut into micro-batches and processes changes rounding alone. (Not so
in GAN training: the perceptual norm and the discriminator's BatchNorm look at a micro-batch as a whole.)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from c2matching.matching.correspondence import correspond
from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.nets.discriminator import ImageDiscriminator
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationNet
from c2matching.training.config import MatchingTraining, RestorationTraining, factor_at
from c2matching.training.losses import (
    STRIDE,
    Points,
    correlation,
    discriminator_loss,
    distillation_loss,
    generator_loss,
    gradient_penalty,
    margin_loss,
    matching_loss,
    perceptual_loss,
    reconstruction_loss,
    usable_points,
)
from refsr_bench.learning.tensors import quantised
from refsr_bench.learning.vgg import VGG19Features
from refsr_bench.metrics.psnr import psnr

MATCHING = MatchingTraining()
RESTORATION = RestorationTraining()
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Parallel:
    """The processes that train together, and which this is. sum: adds a tensor up over them. autocast: the context
    that networks run in."""

    processes: int = 1
    process: int = 0
    sum: Callable[[Tensor], Tensor] = lambda tensor: tensor
    autocast: Callable[[], AbstractContextManager] = nullcontext
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


ALONE = Parallel()


def _update(optimiser: torch.optim.Optimizer, parallel: Parallel, clip: float = 0.0) -> None:
    """One optimiser step with the gradients of all processes."""
    parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    if parallel.processes > 1:
        total = parallel.sum(torch.cat([p.grad.flatten() for p in parameters]))
        for p, gradient in zip(parameters, total.split([p.numel() for p in parameters]), strict=True):
            p.grad.copy_(gradient.view_as(p))
    if clip:
        nn.utils.clip_grad_norm_(parameters, clip)
    optimiser.step()
    optimiser.zero_grad()


def _set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _adam(groups: Sequence[dict], betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.Adam:
    return torch.optim.Adam([group | {"initial_lr": group["lr"]} for group in groups], betas=betas)


# -- correspondence network (stages 1 and 2) -----------------------------------------------------------------------


def correspondence_loss(
    student: tuple[Tensor, Tensor],
    points: Points,
    teacher: tuple[Tensor, Tensor] | None = None,
    config: MatchingTraining = MATCHING,
) -> dict[str, Tensor]:
    """The terms of Eq. (7), weights included, per pair (N,), of descriptor maps (N, C, h, w).

    Without a teacher, Eq. (1) alone (the teacher's own stage). Pairs without usable points contribute zero.
    """
    terms = {"margin": margin_loss(*student, points, config.margin, config.safe_radius)}
    if teacher is not None:
        logits, target = (correlation(*d, points, config.temperature) for d in (student, teacher))
        terms["distillation"] = config.distillation_weight * distillation_loss(logits, target, points.valid)
    return terms


class MatchingStage:
    """Stage 1 (no teacher): HR against transformed HR. Stage 2: LR against transformed HR, distilled from the teacher.

    Batches hold hr, lr_up, transformed (N, 3, S, S) and coordinates (N, S/4, S/4, 2).
    """

    best = ("aee", min)

    def __init__(
        self,
        net: ContrastiveExtractor,
        teacher: ContrastiveExtractor | None = None,
        config: MatchingTraining = MATCHING,
        parallel: Parallel = ALONE,
    ) -> None:
        self.net, self.teacher, self.config, self.parallel = net, teacher, config, parallel
        self.average: nn.Module | None = None
        if teacher is not None:
            teacher.eval().requires_grad_(False)
        net.train().requires_grad_(True)
        self.networks: dict[str, nn.Module] = {"extractor": net}
        self.optimisers = {"extractor": _adam([{"params": list(net.parameters()), "lr": config.rate}])}

    def _descriptors(self, net: ContrastiveExtractor, low: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        with self.parallel.autocast():
            first, second = net(low, moved)
        return first.float(), second.float()

    def step(self, batches: Sequence[Tensors], iteration: int) -> dict[str, float]:
        """One iteration, counted from 1. Returns the terms of the loss, weights included, and ``left_out``, the pairs
        with fewer than 128 usable points. When none of the pairs is usable nothing is updated."""
        config = self.config
        points = [usable_points(batch["coordinates"], tuple(batch["hr"].shape[-2:])) for batch in batches]
        usable = sum(p.valid.any(1).sum() for p in points)
        counts = torch.stack([usable, torch.tensor(sum(len(p.valid) for p in points), device=usable.device)]).float()
        used, pairs = self.parallel.sum(counts).tolist()
        if not used:
            return {"left_out": pairs}
        totals: dict[str, Tensor] = {}
        for batch, each in zip(batches, points, strict=True):
            student = self._descriptors(self.net, batch["lr_up" if self.teacher else "hr"], batch["transformed"])
            if iteration <= config.warm_up:
                terms = {"warm_up": matching_loss(*student, each, config.warm_up_temperature)}
            else:
                target = None
                if self.teacher:
                    with torch.no_grad():
                        target = self._descriptors(self.teacher, batch["hr"], batch["transformed"])
                terms = correspondence_loss(student, each, target, config)
            terms = {name: term.sum() / used for name, term in terms.items()}
            sum(terms.values()).backward()
            for name, term in terms.items():
                totals[name] = totals.get(name, 0) + term.detach()
        _set_rates(self.optimisers["extractor"], factor_at(iteration, config.decays, config.ramp))
        _update(self.optimisers["extractor"], self.parallel, config.clip)
        return {name: self.parallel.sum(total).item() for name, total in totals.items()} | {"left_out": pairs - used}

    @torch.no_grad()
    def validate(self, batches: Iterable[Tensors]) -> tuple[dict[str, float], dict[str, Tensor]]:
        """AEE in HR pixels and the share of matches within one descriptor cell (4 pixels), over all usable patches; and
        images (3, S, S) of the last pair: input, transformed, end-point error (white: 40 pixels)."""
        self.net.eval()
        found, pictures = [], {}
        for batch in batches:
            low, moved = batch["lr_up" if self.teacher else "hr"], batch["transformed"]
            for n, maps in enumerate(zip(*self._descriptors(self.net, low, moved), strict=True)):
                error, inside = end_point_errors(*maps, batch["coordinates"][n], tuple(moved.shape[-2:]))
                found.append(error[inside])
            shown = F.interpolate((error * inside / 40).clamp(0, 1)[None, None], low.shape[-2:])[0]
            pictures = {"input": low[-1], "transformed": moved[-1], "end-point error": shown.expand(3, -1, -1)}
        self.net.train()
        errors = torch.cat(found)
        return {"aee": errors.mean().item(), "within_a_cell": (errors <= STRIDE).float().mean().item()}, pictures


def end_point_errors(
    features1: Tensor, features2: Tensor, coordinates: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Distance in HR pixels between where patches match and where they lie, (h-2, w-2), and which truly lie inside.

    features (C, h, w); coordinates (h, w, 2) as ``usable_points`` takes them; size: of the transformed image.
    """
    flow = correspond(features1, features2).flow
    truth = coordinates[1:-1, 1:-1].float()  # a patch is where its middle cell is
    h, w = truth.shape[:2]
    y, x = torch.meshgrid(torch.arange(1, h + 1), torch.arange(1, w + 1), indexing="ij")
    found = STRIDE * (flow + torch.stack((x, y), dim=-1).to(flow))
    inside = (truth > STRIDE).all(-1) & (truth[..., 0] < size[1] - 2 * STRIDE) & (truth[..., 1] < size[0] - 2 * STRIDE)
    return (found - truth).norm(dim=-1), inside


# -- restoration network (stage 3) ---------------------------------------------------------------------------------


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


class ImageStage:
    """Trains a network that makes SR images of a batch; stage 3, and any other method of the field.

    restored(net, batch): SR (N, 3, S, S) by ``net``, with gradients. groups: Adam's parameter groups. discriminator and
    perceptual (features at relu5_1) come together; without them reconstruction loss is all there is. The networks given
    are set to training or frozen evaluation mode. average: a moving average of the weights, when the configuration
    asks for one. Batches hold hr, lr_up, ref (N, 3, S, S) and lr (N, 3, S/4, S/4).
    """

    best = ("psnr", max)

    def __init__(
        self,
        net: nn.Module,
        restored: Callable[[nn.Module, Tensors], Tensor],
        groups: Sequence[dict],
        discriminator: ImageDiscriminator | None = None,
        perceptual: VGG19Features | None = None,
        config: RestorationTraining = RESTORATION,
        parallel: Parallel = ALONE,
        seed: int = 0,
    ) -> None:
        if (discriminator is None) != (perceptual is None):
            raise ValueError("the discriminator and the perceptual features are used together or not at all")
        self.net, self.restored = net.train(), restored
        self.discriminator, self.perceptual = discriminator, perceptual
        self.config, self.parallel, self.seed = config, parallel, seed
        if perceptual is not None:
            perceptual.eval().requires_grad_(False)
        self.networks: dict[str, nn.Module] = {"restoration": net}
        self.optimisers = {"restoration": _adam(groups, config.betas)}
        self.average = None
        if config.average:
            self.average = copy.deepcopy(net).requires_grad_(False)
            self.networks["average"] = self.average
        if discriminator is not None:
            discriminator.train()
            self.networks["discriminator"] = discriminator
            group = {"params": list(discriminator.parameters()), "lr": config.discriminator_rate}
            self.optimisers["discriminator"] = _adam([group], config.betas)

    def restore(self, batch: Tensors, net: nn.Module | None = None) -> Tensor:
        """SR (N, 3, S, S) by the network in training, or by ``net``."""
        with self.parallel.autocast():
            return self.restored(net or self.net, batch).float()

    def step(self, batches: Sequence[Tensors], iteration: int, alpha: Tensor | None = None) -> dict[str, float]:
        """One iteration, counted from 1: the discriminator is updated, then the generator.

        alpha: (N, 1, 1, 1) as ``gradient_penalty`` takes it, drawn from the seed and the iteration when None. Returns
        the terms of the losses, weights included.
        """
        config, share = self.config, 1 / (len(batches) * self.parallel.processes)
        adversarial = self.discriminator is not None and iteration > config.warm_up
        only = self.restore(batches[0]) if len(batches) == 1 else None  # otherwise one graph at a time is kept
        totals: dict[str, Tensor] = {}

        def descend(terms: dict[str, Tensor]) -> None:
            terms = {name: share * term for name, term in terms.items()}
            sum(terms.values()).backward()
            for name, term in terms.items():
                totals[name] = totals.get(name, 0) + term.detach()

        if adversarial:
            self.discriminator.requires_grad_(True)
            mixtures = [alpha] if alpha is not None else self._mixtures(batches, iteration)
            for batch, mixture in zip(batches, mixtures, strict=True):
                with torch.no_grad():
                    sr = only.detach() if only is not None else self.restore(batch)
                descend(self._discriminator_terms(batch["hr"], sr, mixture))
            _set_rates(self.optimisers["discriminator"], factor_at(iteration, config.discriminator_decays))
            _update(self.optimisers["discriminator"], self.parallel)
            self.discriminator.requires_grad_(False)
        for batch in batches:
            sr = only if only is not None else self.restore(batch)
            terms = {"reconstruction": config.reconstruction_weight * reconstruction_loss(sr, batch["hr"])}
            descend(terms | (self._generator_terms(batch["hr"], sr) if adversarial else {}))
        _set_rates(self.optimisers["restoration"], self._factor(iteration))
        _update(self.optimisers["restoration"], self.parallel, config.clip)
        if self.average is not None:
            decay = min(config.average, iteration / (iteration + 20))
            for kept, new in zip(self.average.parameters(), self.net.parameters(), strict=True):
                kept.lerp_(new.detach(), 1 - decay)
            for kept, new in zip(self.average.buffers(), self.net.buffers(), strict=True):
                kept.copy_(new)
        return {name: self.parallel.sum(total).item() for name, total in totals.items()}

    def _factor(self, iteration: int) -> float:
        config = self.config
        factor = factor_at(iteration, config.decays, config.ramp)
        if config.cosine:
            factor *= 0.51 + 0.49 * math.cos(math.pi * min(1, iteration / config.iterations))
        return factor

    def _mixtures(self, batches: Sequence[Tensors], iteration: int) -> list[Tensor]:
        """The random numbers of the gradient penalty, (N, 1, 1, 1) per micro-batch, the same for any cutting."""
        size = len(batches[0]["hr"])
        generator = torch.Generator().manual_seed(self.seed + iteration)
        numbers = torch.rand(size * len(batches) * self.parallel.processes, 1, 1, 1, generator=generator)
        numbers = numbers.to(self.parallel.device).split(size)
        first = self.parallel.process * len(batches)
        return list(numbers[first : first + len(batches)])

    def _discriminator_terms(self, hr: Tensor, sr: Tensor, alpha: Tensor) -> dict[str, Tensor]:
        """Eq. (13)."""
        critic = self.discriminator
        return {
            "discriminator": discriminator_loss(critic(hr), critic(sr)),
            "penalty": self.config.penalty_weight * gradient_penalty(critic, hr, sr, alpha),
        }

    def _generator_terms(self, hr: Tensor, sr: Tensor) -> dict[str, Tensor]:
        """Eq. (11) and (12), the latter by the discriminator as just updated."""
        sr_features, hr_features = (self.perceptual(image)["relu5_1"] for image in (sr, hr))
        return {
            "perceptual": self.config.perceptual_weight * perceptual_loss(sr_features, hr_features),
            "adversarial": self.config.adversarial_weight * generator_loss(self.discriminator(sr)),
        }

    @torch.no_grad()
    def validate(self, batches: Iterable[Tensors]) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Mean PSNR-Y in dB (rounded to 8 bits, border 4 removed) of the averaged network, or of the network itself,
        and of bicubic; and images (3, S, S) of the last pair."""
        net = self.average or self.net
        net.eval()
        scores: dict[str, list[float]] = {"psnr": [], "bicubic": []}
        for batch in batches:
            sr = self.restore(batch, net).clamp(0, 1)
            for name, images in (("psnr", sr), ("bicubic", batch["lr_up"])):
                scores[name] += [
                    psnr(quantised(image), quantised(hr), "y", border=4)
                    for image, hr in zip(images, batch["hr"], strict=True)
                ]
        self.net.train()
        pictures = {"input": batch["lr_up"][-1], "reference": batch["ref"][-1], "SR": sr[-1], "HR": batch["hr"][-1]}
        return {name: sum(values) / len(values) for name, values in scores.items()}, pictures


class RestorationStage(ImageStage):
    """Stage 3: trains ``model.restoration`` with the extractors and the reference features frozen."""

    def __init__(
        self,
        model: C2Matching,
        discriminator: ImageDiscriminator | None = None,
        perceptual: VGG19Features | None = None,
        config: RestorationTraining = RESTORATION,
        parallel: Parallel = ALONE,
        seed: int = 0,
    ) -> None:
        def restored(net: nn.Module, batch: Tensors) -> Tensor:
            with torch.no_grad():
                refs = model.ref_features(batch["ref"])
                flows = model.flows(batch["lr_up"], batch["ref"])
            return net(batch["lr"], refs, model.offsets(flows))

        self.model = model
        for frozen in (model.extractor, model.vgg):
            frozen.eval().requires_grad_(False)
        net = model.restoration.requires_grad_(True)
        super().__init__(
            net, restored, generator_groups(net, config), discriminator, perceptual, config, parallel, seed
        )
