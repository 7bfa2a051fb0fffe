"""The stages of C2-Matching (paper section 3.5 and supplement A): one iteration of each, and its validation.

Losses are divided by the counts of the whole iteration, see ``learning.training.stage``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from c2matching.matching.correspondence import correspond
from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationNet
from c2matching.training.config import MatchingTraining
from c2matching.training.losses import (
    STRIDE,
    Points,
    correlation,
    distillation_loss,
    margin_loss,
    matching_loss,
    usable_points,
)
from c2matching.training.pairs import MatchingStream
from refsr_bench.learning.training.config import RestorationTraining, factor_at
from refsr_bench.learning.training.parallel import ALONE, Parallel
from refsr_bench.learning.training.stage import (
    RESTORATION,
    Critics,
    ImageStage,
    Setting,
    Tensors,
    adam,
    set_rates,
    update,
)
from refsr_bench.learning.weights import Trained

MATCHING = MatchingTraining()
PAPER = Setting()


# -- correspondence network (stages 1 and 2) -----------------------------------------------------------------------


def correspondence_loss(
    student: tuple[Tensor, Tensor],
    points: Points,
    teacher: tuple[Tensor, Tensor] | None = None,
    config: MatchingTraining = MATCHING,
) -> dict[str, Tensor]:
    """Compute the terms of Eq. (7), weights included, per pair (N,), from descriptor maps (N, C, h, w).

    Without a teacher, in the teacher's own stage, Eq. (1) is all. Pairs without usable points contribute zero.
    """
    terms = {"margin": margin_loss(*student, points, config.margin, config.safe_radius)}
    if teacher is not None:
        logits, target = (correlation(*d, points, config.temperature) for d in (student, teacher))
        terms["distillation"] = config.distillation_weight * distillation_loss(logits, target, points.valid)
    return terms


class MatchingStage:
    """The stages of the correspondence network.

    Stage 1, without a teacher, matches HR with transformed HR. Stage 2 matches LR with transformed HR, distilled from
    the teacher. Batches hold hr, lr_up, transformed (N, 3, S, S) and coordinates (N, S/4, S/4, 2).
    """

    best = ("aee", min)
    stream = MatchingStream

    def __init__(
        self,
        net: ContrastiveExtractor,
        teacher: ContrastiveExtractor | None = None,
        config: MatchingTraining = MATCHING,
        parallel: Parallel = ALONE,
    ) -> None:
        self.net, self.teacher, self.config, self.parallel = net, teacher, config, parallel
        if teacher is not None:
            teacher.eval().requires_grad_(False)
        net.train().requires_grad_(True)
        self.networks: dict[str, nn.Module] = {"extractor": net}
        self.optimisers = {"extractor": adam([{"params": list(net.parameters()), "lr": config.rate}])}

    def _descriptors(self, net: ContrastiveExtractor, low: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        with self.parallel.autocast():
            first, second = net(low, moved)
        return first.float(), second.float()

    def step(self, batches: Sequence[Tensors], iteration: int) -> dict[str, float]:
        """Do one iteration, counted from 1. Return the terms of the loss, weights included, and ``left_out``.

        left_out: the number of pairs with fewer than 128 usable points. Nothing is updated when no pair is usable.
        """
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
        set_rates(self.optimisers["extractor"], factor_at(iteration, config.decays, config.ramp))
        update(self.optimisers["extractor"], self.parallel, config.clip)
        return {name: self.parallel.sum(total).item() for name, total in totals.items()} | {"left_out": pairs - used}

    def trained(self) -> Trained:
        """Return the two extractors, a part of C2-Matching."""
        state = {f"extractor.{key}": value for key, value in self.net.state_dict().items()}
        return Trained(state, part="extractor")

    @torch.no_grad()
    def validate(self, batches: Iterable[Tensors]) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Return the average end-point error and the share of good matches, over all usable patches, and images.

        aee: HR pixels. within_a_cell: the share of matches off by at most one descriptor cell (4 pixels). The images
        (3, S, S) are of the last pair: input, transformed, end-point error (white at 40 pixels).
        """
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
    """Measure the end-point error of every patch in HR pixels, and tell which patches truly lie inside.

    features (C, h, w); coordinates (h, w, 2), one image's for ``usable_points``; size: (height, width) of the
    transformed image. Both results are (h-2, w-2), the second bool.
    """
    flow = correspond(features1, features2).flow
    truth = coordinates[1:-1, 1:-1].float()  # the place of a patch is that of its middle cell
    h, w = truth.shape[:2]
    y, x = torch.meshgrid(torch.arange(1, h + 1), torch.arange(1, w + 1), indexing="ij")
    found = STRIDE * (flow + torch.stack((x, y), dim=-1).to(flow))
    inside = (truth > STRIDE).all(-1) & (truth[..., 0] < size[1] - 2 * STRIDE) & (truth[..., 1] < size[0] - 2 * STRIDE)
    return (found - truth).norm(dim=-1), inside


# -- restoration network (stage 3) ---------------------------------------------------------------------------------


def generator_groups(net: RestorationNet, config: RestorationTraining = RESTORATION) -> list[dict]:
    """Make Adam's parameter groups: the predictors of offsets and masks at each scale, and before them the rest."""
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


class RestorationStage(ImageStage):
    """Stage 3, which trains ``model.restoration``; extractors and reference features are frozen."""

    def __init__(self, model: C2Matching, setting: Setting = PAPER, critics: Critics | None = None) -> None:
        def restored(net: nn.Module, batch: Tensors) -> Tensor:
            with torch.no_grad():
                refs = model.ref_features(batch["ref"])
                flows = model.flows(batch["lr_up"], batch["ref"])
            return net(batch["lr"], refs, model.offsets(flows))

        self.model = model
        for frozen in (model.extractor, model.vgg):
            frozen.eval().requires_grad_(False)
        net = model.restoration.requires_grad_(True)
        super().__init__(net, restored, generator_groups(net, setting.config), setting, critics)

    def trained(self) -> Trained:
        """Return the whole of C2-Matching, with the average of the restoration network if one is kept."""
        restoration = (self.average or self.net).state_dict()
        state = self.model.state_dict() | {f"restoration.{key}": value for key, value in restoration.items()}
        return Trained(state, self.model.options)
