"""SRCNN (Dong et al., TPAMI 2016): three convolutions on the enlarged LR image, of luma or of RGB.

Table 1 does not say which of SRCNN's networks its row is. Without a file it is 9-5-5 on luma, the journal's final one,
which is a guess. The authors enlarge luma alone with MATLAB. Here luma is taken from the RGB image that Pillow has
enlarged with the same kernel, so it is rounded to 8 bits before the conversion to luma and not after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.formats.keys import without_prefix
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

KEYS = {f"conv{n}.{part}" for n in (1, 2, 3) for part in ("weight", "bias")}


def build(**options: Any) -> nn.Module:
    from baselines.nets.srcnn import SRCNN

    return SRCNN(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale on luma or on RGB, whichever the network takes.

    A luma network works on BT.601 luma in [16, 235] / 255 and keeps the chroma of ``lr_up``: the change of luma,
    stretched to full range, is added to R, G and B alike. An RGB network works on PyTorch's bicubic enlargement
    (a = -0.75), as in the code that its weights come from.
    """
    import torch.nn.functional as F

    from refsr_bench.pixels.colour import BT601_OFFSET, BT601_WEIGHTS

    if net.conv1.in_channels == 3:
        return net(F.interpolate(lr, scale_factor=4, mode="bicubic", align_corners=False))
    weights = lr_up.new_tensor(BT601_WEIGHTS).view(3, 1, 1)
    luma = (lr_up * weights).sum(1, keepdim=True) + BT601_OFFSET / 255
    return lr_up + (net(luma) - luma) / float(BT601_WEIGHTS.sum())


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert ``conv1`` to ``conv3``, plain or as ``generator.*`` in mmagic's files; shapes tell the options."""
    state = without_prefix(states[0], "generator.") or dict(states[0])
    if state.keys() != KEYS or len(state["conv3.bias"]) not in (1, 3):
        return None
    kernels = [state[f"conv{n}.weight"].shape[-1] for n in (1, 2, 3)]
    return {"channels": len(state["conv3.bias"]), "kernels": kernels}, state


SYSTEM = System(build, restore, convert, small={"channels": 1, "kernels": [9, 5, 5]})

METHODS = (
    method_card(
        SYSTEM,
        name="srcnn",
        title="SRCNN",
        group="SISR",
        references="none",
        gan=False,
        year=2016,
        paper="Dong et al., Image Super-Resolution Using Deep Convolutional Networks, TPAMI 38(2), 2016",
        description="Three convolutions on the luma of the bicubically enlarged image; its chroma stays. The first SR "
        "network. Weights on luma (9-5-5 or 9-1-5) and on RGB (9-1-5, without padding by repetition) are told apart.",
        parameters=57_281,
        gmacs=23.4,
        verified="text alone",
        guesses=(
            "The table does not say which of the paper's networks its row is: without a file, 9-5-5 on luma.",
            "Luma is taken from the enlarged 8-bit RGB image; the authors enlarge luma and do not round it.",
        ),
        files=(
            WeightsFile(
                "srcnn_x4k915_1x16_1000k_div2k_*.pth",
                "https://github.com/open-mmlab/mmagic",
                "RGB, 9-1-5; trained on DIV2K, not by the authors",
            ),
        ),
    ),
)
