"""MASA-SR (Lu et al., CVPR 2021): coarse-to-fine matching, and fusion that adapts to the image.

The padding is decided here. The published evaluation pads the HR image to multiples of 32, centred, by repeating its
border, and makes the LR image from that. There is no HR image here, so the LR image is padded in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import SCALE, System
from refsr_bench.pixels.crop import ceil_multiple

if TYPE_CHECKING:
    from torch import Tensor, nn

HOME = "https://github.com/dvlab-research/MASA-SR"


def build(**options: Any) -> nn.Module:
    from baselines.nets.masa import MASA

    return MASA(**options)


def filled(images: Tensor, multiple: int) -> tuple[Tensor, int, int]:
    """Pad images (N, 3, H, W) to multiples, centred, by repeating their border.

    An odd row or column goes to the bottom or right. Returns the images and the rows added above and columns on the
    left.
    """
    import torch.nn.functional as F

    height, width = images.shape[-2:]
    y, x = ceil_multiple(height, multiple) - height, ceil_multiple(width, multiple) - width
    return F.pad(images, (x // 2, x - x // 2, y // 2, y - y // 2), mode="replicate"), y // 2, x // 2


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale a batch with a network that takes BGR.

    The LR image is padded to multiples of 8, the size of the matched blocks, and the reference to multiples of 16. The
    small reference is made from the padded one.
    """
    from baselines.nets.masa import LR_MULTIPLE, REF_MULTIPLE
    from refsr_bench.learning.tensors import down

    [ref] = refs
    height, width = (SCALE * side for side in lr.shape[-2:])
    lr, top, left = filled(lr.flip(1), LR_MULTIPLE)
    ref, _, _ = filled(ref.flip(1), REF_MULTIPLE)
    sr = net(lr, ref, down(ref)).flip(1)
    return sr[..., SCALE * top : SCALE * top + height, SCALE * left : SCALE * left + width]


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert the authors' file, in which every key may begin with ``module.``; our keys are the same."""
    state = {key.removeprefix("module."): value for key, value in states[0].items()}
    if not {"enc.conv_L1.weight", "decoder.pAda.conv_gamma.weight", "decoder.dram_x4.conv_cat.weight"} <= state.keys():
        return None
    return {"channels": len(state["enc.conv_L1.weight"])}, state


SYSTEM = System(build, restore, convert)

FACTS = {
    "group": "Ref-SR",
    "references": "one",
    "year": 2021,
    "paper": "Lu et al., MASA-SR: Matching Acceleration and Spatial Adaptation for Reference-Based Image "
    "Super-Resolution, CVPR 2021",
    "parameters": 4_028_291,
    "gmacs": 551.7,
    "verified": "golden vectors",
    "guesses": ("The LR image is filled to multiples of 8; the published evaluation fills the HR image before.",),
}

METHODS = (
    method_card(
        SYSTEM,
        name="masa-rec",
        title="MASA-rec",
        gan=False,
        description="Block-wise matching from coarse to fine, spatial adaptation; reconstruction loss only.",
        files=(WeightsFile("masa_rec.pth", HOME, "trained on CUFED5; trained again after the paper"),),
        **FACTS,
    ),
    method_card(
        SYSTEM,
        name="masa",
        title="MASA",
        gan=True,
        description="Block-wise matching from coarse to fine, spatial adaptation; perceptual and adversarial losses.",
        files=(WeightsFile("masa.pth", HOME, "trained on CUFED5; trained again after the paper"),),
        **FACTS,
    ),
)
