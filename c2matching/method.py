"""The description of C2-Matching as a system, and the cards of its two rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from c2matching.checkpoints import BUNDLE, BUNDLED, COMPANIONS, HOME, convert, from_bundle
from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.types import Correspondence
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import Graph, Located, Stages, System

if TYPE_CHECKING:
    from torch import Tensor

    from c2matching.nets.model import C2Matching

MATCHING = ("exact", "half", "coarse", "sub-cell")
MIN_SIDE = 3  # matching compares 3x3 patches of maps at LR resolution
STAGES = ("teacher", "student", "restoration")


def build(**options: Any) -> C2Matching:
    """Build the network. options: the fields of ``RestorationConfig``.

    Raises TypeError for an unknown option, ValueError for a bad value.
    """
    from c2matching.nets.model import C2Matching
    from c2matching.nets.restoration import RestorationConfig

    lists = {key: tuple(value) for key, value in options.items() if isinstance(value, list)}
    net = C2Matching(RestorationConfig(**options | lists))
    for part in (net.extractor, net.vgg):  # they are trained before the restoration network, or never
        part.requires_grad_(False)
    return net


def restore(net: C2Matching, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Match, aggregate, restore; each patch uses the best match among all references.

    A single image without gradients is restored strip by strip: the same numbers in bounded memory.
    """
    import torch

    if torch.is_grad_enabled() or len(lr) > 1:
        return net(lr, lr_up, refs)
    return net.upscale(lr, lr_up, refs)


def match(net: C2Matching, lr_up: Tensor, ref: Tensor) -> Correspondence:
    """Locate the middle of every 3x3 patch of descriptors in the reference, with the cosine of the two patches."""
    (found,) = net.correspondences(lr_up, ref)
    return matches_of(found.flow, found.similarity)


def matches_of(flow: Tensor, similarity: Tensor | None = None) -> Correspondence:
    """Turn displacements in descriptors into correspondences in pixels, one from the middle of every patch.

    flow (h-2, w-2, 2), (x, y), to one reference; similarity (h-2, w-2). A descriptor covers 4x4 pixels, and the middle
    of the n-th lies at 4n + 1.5. A patch counts from its top-left descriptor, so its middle lies at 4n + 5.5.
    """
    import numpy as np

    displacement = flow.cpu().numpy()
    y, x = np.mgrid[: displacement.shape[0], : displacement.shape[1]]
    points = (4 * np.stack((x, y), axis=-1) + 5.5).astype(np.float32)
    confidence = None if similarity is None else similarity.cpu().numpy().reshape(-1)
    return Correspondence(points.reshape(-1, 2), (points + 4 * displacement).reshape(-1, 2), confidence)


def restore_views(
    net: C2Matching, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor], ask: Callable[..., Sequence[Any]]
) -> tuple[Tensor, Located]:
    """Restore with views of the references, as ``System.restore_views`` says."""
    from c2matching.matching.correspondence import canvas_tops
    from c2matching.nets.views import Asked, TensorView, upscale_with_views

    of_views, of_refs = [], []  # heights in cells

    def asked(number: int, found: Any) -> Asked:
        views, upright = ask(number, matches_of(found.flow, found.certainty))
        of_views.extend(image.shape[2] // 4 for image, _ in views)
        of_refs.append((refs[number] if upright is None else upright).shape[2] // 4)
        return Asked([TensorView(*view) for view in views], upright)

    sr, found = upscale_with_views(net, lr, lr_up, refs, asked)
    tops = found.flow.new_tensor(canvas_tops([*of_views, *of_refs]))
    flow = found.flow.clone()
    flow[..., 1] -= tops[found.reference.clamp_min(0)]
    matches = matches_of(flow, found.similarity)
    chosen = found.reference.cpu().numpy().reshape(-1)
    return sr, Located(matches.points, matches.targets, matches.confidence, chosen)


def _configuration() -> type:
    from c2matching.training.config import C2Training

    return C2Training


def _stage(name: str, plan: Any) -> Any:
    from c2matching.training.prepare import make

    return make(name, plan)


def _graph(net: C2Matching) -> Graph:
    from c2matching.graph import graph

    return graph(net)


SYSTEM = System(
    build,
    restore,
    convert,
    least=MIN_SIDE,
    older={BUNDLE: from_bundle},
    match=match,
    matching=MATCHING,
    variants={"sub-cell": "sub-cell"},
    tiling="strips",
    channels_last=True,
    stages=Stages(STAGES, _configuration, _stage),
    restore_views=restore_views,
    bytes_per_pixel=5300,  # a view, and a turned reference of twice the size; 3000 without views
    graph=_graph,
)

_COMMON = {
    "group": "Ref-SR",
    "references": "many",
    "year": 2021,
    "paper": "Jiang et al., Robust Reference-based Super-Resolution via C2-Matching, CVPR 2021",
    "parameters": 8_865_547,
    "gmacs": 1294.7,
    "verified": "golden vectors",
}

METHODS = (
    method_card(
        SYSTEM,
        name="c2matching",
        title="C²-Matching-rec",
        gan=False,
        description="Contrastive correspondence, dynamic aggregation, restoration; reconstruction loss alone. "
        "Bundled weights: see c2matching/weights/MODEL_CARD.md.",
        files=(WeightsFile("c2_matching_restoration_mse.pth", HOME, "trained on CUFED5"), *COMPANIONS),
        bundled=BUNDLED,
        **_COMMON,
    ),
    method_card(
        SYSTEM,
        name="c2matching-gan",
        title="C²-Matching",
        gan=True,
        description="The same network trained with perceptual and adversarial losses; needs the authors' weights.",
        files=(WeightsFile("c2_matching_restoration.pth", HOME, "trained on CUFED5"), *COMPANIONS),
        **_COMMON,
    ),
)
