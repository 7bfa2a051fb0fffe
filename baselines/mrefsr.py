"""MRefSR (Zhang et al., ICCV 2023): several references, each aligned as in C2-Matching, fused by attention.

The authors' evaluation pads all images with zeros to 500 x 500; here they are padded to the size of the largest. Inside
the fusion an LR image whose sides are no multiples of four is extended to the next one by reflection, at every scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from c2matching.checkpoints import COMPANIONS, parts, sizes, start, whole
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

TITLE = "MRefSR"


def build(**options: Any) -> nn.Module:
    from baselines.nets.mrefsr import MRefSR

    return MRefSR(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Pad all images with zeros at the bottom and right to one size, as in the authors' evaluation, and upscale."""
    from baselines.nets.family import one_size

    height, width = lr_up.shape[-2:]
    return net(*one_size(lr, lr_up, refs))[..., :height, :width]


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert the authors' restoration network, C2-Matching's ``feature_extraction.pth`` and torchvision's VGG19."""
    found = parts(states)
    restoration = found.get("restoration", {})
    if "dyn_agg_restore.head_small.conv_emb1.0.weight" not in restoration:
        return None
    return sizes(restoration), whole(restoration, found, TITLE)


# Reflection inside the fusion and 3x3 patches need LR images of at least four pixels.
SYSTEM = System(
    *(build, restore, convert, start),
    least=4,
    small={"channels": 64, "blocks": [8, 8, 4, 2]},
    needs_student=True,
)

_HOME = "https://github.com/wdmwhh/MRefSR"
_COMMON = {
    "group": "Ref-SR",
    "references": "many",
    "year": 2023,
    "paper": "Zhang et al., LMR: A Large-Scale Multi-Reference Dataset for Reference-based Super-Resolution, ICCV 2023",
    "parameters": 23_711_633,
    "gmacs": 2146.2,
    "verified": "golden vectors",
    "files": COMPANIONS,
    "guesses": (
        "Images are filled with zeros to the size of the largest of them, not to the 500 x 500 of the authors' "
        "evaluation.",
        "Where the fusion is padded when LR sides are no multiples of four: at the bottom and right, by reflection.",
    ),
}

METHODS = (
    method_card(
        SYSTEM,
        name="mrefsr-rec",
        title="MRefSR-rec",
        gan=False,
        description="C2-Matching with any number of references, fused by attention at three scales; trained with the "
        f"reconstruction loss alone, on LMR. No restoration network was found at {_HOME}.",
        **_COMMON,
    ),
)
