"""Training steps per second: ours beside a plain loop over the samples like that of the authors' code.

    python benchmarks/training.py [CONFIG ...]      # small-cpu by default; see refsr-bench train c2matching --recipe

Both do the same iteration with the same networks and batches, on data that lie in memory; seconds are the best of three
after one that does not count, taken in turn. The plain loop computes the margin and distillation losses sample after
sample, matches by direct correlation of patches, sample after sample, and uses torchvision's deformable convolution.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from direct import direct_match
from torch import Tensor

from c2matching.matching.patches import index_to_flow
from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.nets.model import C2Matching
from c2matching.training.config import C2Training, MatchingTraining
from c2matching.training.losses import BORDER, MIN_POINTS, STRIDE
from c2matching.training.pairs import transformed_pair
from c2matching.training.prepare import wake
from c2matching.training.stages import MatchingStage, RestorationStage
from refsr_bench.data.opening import open_dataset
from refsr_bench.learning import deform
from refsr_bench.learning.tensors import degrade, to_tensor
from refsr_bench.learning.training import config
from refsr_bench.learning.training.prepare import kaiming
from refsr_bench.learning.training.stage import Setting
from refsr_bench.learning.training.views import restoration_pair

EXCLUDED = 10  # added to distances that may not be picked


def batch_of(n: int, crop: int, training: C2Training) -> dict[str, Tensor]:
    """Crops of the sample set's photos with transformed copies, and shifted crops as references."""
    border = ((0, crop), (0, crop), (0, 0))
    photos = [np.pad(pair.hr.load(), border, "reflect") for pair in open_dataset("sample").pairs]
    rng, samples = np.random.RandomState(0), []
    for k in range(n):
        photo = photos[k % len(photos)]
        hr, ref = photo[:crop, :crop], photo[9 : 9 + crop, 14 : 14 + crop]
        moved, pair = transformed_pair(to_tensor(hr), rng, training.views), restoration_pair(hr, ref)
        samples.append(
            {"hr": moved.hr, "transformed": moved.transformed, "coordinates": moved.coordinates, "ref": pair.ref,
             "lr": pair.lr, "lr_up": to_tensor(degrade(hr)[1])}
        )  # fmt: skip
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


def points_of(coordinates: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Cells (2, P) of one image and of its transformed copy, (row, column)."""
    x, y = coordinates.flatten(0, 1).unbind(-1)
    inside = (x > BORDER) & (x < width - BORDER) & (y > BORDER) & (y < height - BORDER)
    where, columns = inside.nonzero()[:, 0], coordinates.shape[1]
    own = torch.stack((where // columns, where % columns))
    return own, torch.round(torch.stack((y, x))[:, where] / STRIDE).long()


def chebyshev(a: Tensor, b: Tensor) -> Tensor:
    """(2, P), (2, Q) -> (P, Q)."""
    return (a[:, :, None].float() - b[:, None].float()).abs().max(0)[0]


def plain_losses(
    student: Sequence[Tensor], teacher: Sequence[Tensor] | None, batch: dict, c: MatchingTraining
) -> Tensor:
    """Eq. (7), mean over the usable samples."""
    total, used = 0, 0
    for n, coordinates in enumerate(batch["coordinates"]):
        own, there = points_of(coordinates, *batch["hr"].shape[-2:])
        if own.shape[1] < MIN_POINTS:
            continue
        f1, f2 = (F.normalize(f[n], dim=0) for f in student)
        d1, d2 = f1[:, own[0], own[1]], f2[:, there[0], there[1]]
        positive = 2 - 2 * (d1.T[:, None] @ d2.T[:, :, None]).squeeze()
        first = (2 - 2 * (d1.T @ d2) + EXCLUDED * (chebyshev(there, there) <= c.safe_radius)).min(1)[0]
        h, w = f1.shape[1:]
        cells = torch.cartesian_prod(torch.arange(h), torch.arange(w)).T
        second = (2 - 2 * (d2.T @ f1.flatten(1)) + EXCLUDED * (chebyshev(own, cells) <= c.safe_radius)).min(1)[0]
        total = total + F.relu(c.margin + positive - torch.min(first, second)).mean()
        if teacher is not None:
            t1, t2 = (F.normalize(f[n], dim=0) for f in teacher)
            target = F.softmax(t1[:, own[0], own[1]].T @ t2[:, there[0], there[1]] / c.temperature, dim=1)
            logits = F.log_softmax(d1.T @ d2 / c.temperature, dim=1)
            total = total + c.distillation_weight * F.kl_div(logits, target, reduction="none").sum(1).mean()
        used += 1
    return total / used


def plain_matching(
    net: ContrastiveExtractor, teacher: ContrastiveExtractor | None, c: MatchingTraining
) -> Callable[[dict], float]:
    optimiser = torch.optim.Adam(net.parameters(), lr=c.rate)

    def step(batch: dict) -> float:
        optimiser.zero_grad()
        target = None
        if teacher is not None:
            with torch.no_grad():
                target = teacher(batch["hr"], batch["transformed"])
        loss = plain_losses(net(batch["lr_up" if teacher else "hr"], batch["transformed"]), target, batch, c)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def plain_restoration(model: C2Matching, rate: float) -> Callable[[dict], float]:
    optimiser = torch.optim.Adam(model.restoration.parameters(), lr=rate)

    def step(batch: dict) -> float:
        deform.BACKEND = "torchvision"
        optimiser.zero_grad()
        with torch.no_grad():
            refs, flows = model.vgg(batch["ref"]), []
            for one, two in zip(*model.extractor(batch["lr_up"], batch["ref"]), strict=True):
                index, _ = direct_match(F.normalize(one, dim=0), F.normalize(two, dim=0))
                flows.append(index_to_flow(index, two.shape[2] - 2))
        loss = F.l1_loss(model.restoration(batch["lr"], refs, model.offsets(flows)), batch["hr"])
        loss.backward()
        optimiser.step()
        deform.BACKEND = "auto"
        return loss.item()

    return step


def compared(ours: Callable[[dict], float], plain: Callable[[dict], float], batch: dict) -> str:
    best, losses = {ours: float("inf"), plain: float("inf")}, {}
    for repeat in range(4):
        for step in (ours, plain):
            start = time.perf_counter()
            loss = step(batch)
            if repeat:
                best[step] = min(best[step], time.perf_counter() - start)
            else:
                losses[step] = loss
    difference = abs(losses[ours] - losses[plain]) / losses[plain]
    ratio = best[plain] / best[ours]
    return f"{1 / best[ours]:.2f} | {1 / best[plain]:.2f} | {ratio:.2f} | {difference:.0e}"


def extractor() -> ContrastiveExtractor:
    torch.manual_seed(0)
    net = ContrastiveExtractor()
    kaiming(net.feature_extraction_image1)
    net.feature_extraction_image2.load_state_dict(net.feature_extraction_image1.state_dict())
    return net


def main(names: Sequence[str]) -> None:
    print("| configuration | stage | batch | ours, steps/s | plain, steps/s | times | first losses differ by |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        training = config.load(C2Training, [name], ["teacher.warm_up=0", "student.warm_up=0"])
        teacher = extractor().eval().requires_grad_(False)
        for stage, taught in (("teacher", None), ("student", teacher)):
            own, c = extractor(), getattr(training, stage)
            made, plain = MatchingStage(own, taught, c), plain_matching(copy.deepcopy(own), taught, c)
            total = lambda batch, made=made: sum(v for k, v in made.step([batch], 1).items() if k != "left_out")  # noqa: E731
            row = compared(total, plain, batch_of(c.batch, c.crop, training))
            print(f"| {name} | {stage} | {c.batch} x {c.crop} | {row} |", flush=True)
        c, model = training.restoration, C2Matching(training.network).eval()
        wake(model.restoration)
        kaiming(model.vgg)
        model.extractor = teacher
        plain = plain_restoration(copy.deepcopy(model), c.rate)
        made = RestorationStage(model, Setting(c))
        ours = lambda batch, made=made: sum(made.step([batch], 1).values())  # noqa: E731
        row = compared(ours, plain, batch_of(c.batch, c.crop, training))
        print(f"| {name} | restoration | {c.batch} x {c.crop} | {row} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["small-cpu"])
