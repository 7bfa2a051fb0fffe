"""SwinIR (Liang et al., ICCV Workshops 2021) for x4: the networks M and S, and the large one for real photographs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import BenchError
from refsr_bench.formats.keys import count, renamed
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import SCALE, System

if TYPE_CHECKING:
    from torch import Tensor, nn

HOME = "https://github.com/JingyunLiang/SwinIR/releases/tag/v0.0"
_CLASSICAL = "001_classicalSR_DF2K_s64w8_SwinIR-M_x4.pth"
OFFICIAL = (
    (r"patch_embed\.norm\.(\w+)", r"norm_first.\1"),
    (r"(layers\.\d+)\.residual_group\.(.+)", r"\1.\2"),
    (r"conv_before_upsample\.0\.(\w+)", r"upsampler.conv_before_upsample.\1"),
    (r"((?:upsample|conv_up1|conv_up2|conv_hr|conv_last)\..+)", r"upsampler.\1"),
)
"""Rules that rename the keys of the authors' code, which BasicSR shares, to ours."""

# These follow from sizes alone, the mask from those of the training crops.
COMPUTED = ("relative_position_index", "attn_mask")


def build(**options: Any) -> nn.Module:
    from baselines.nets.swinir import SwinIR

    return SwinIR(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale LR, mirrored at the bottom and right (border pixels twice) to the *next* multiple of the window.

    A side that is a multiple already gains a whole window, because the authors' test script does so and their numbers
    contain it. In training mode such a side stays as it is, like the crops they trained on.
    """
    height, width = lr.shape[-2:]
    spare = 0 if net.training else 1  # the least number of pixels added
    sides = (side + spare + -(side + spare) % net.window for side in (height, width))
    return net(mirrored(lr, *sides))[..., : SCALE * height, : SCALE * width]


def mirrored(x: Tensor, height: int, width: int) -> Tensor:
    """Extend (..., h, w) to (..., height, width) at the bottom and right by mirror images, as often as needed."""
    import torch

    for dim, size in ((-2, height), (-1, width)):
        place = torch.arange(size, device=x.device)
        there_and_back = place % place.new_full((1,), 2 * x.shape[dim])
        x = x.index_select(dim, torch.minimum(there_and_back, 2 * x.shape[dim] - 1 - there_and_back))
    return x


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert the authors' file, trained on crops of any size. Raises BenchError when it is for another scale."""
    state = {key: value for key, value in states[0].items() if not key.endswith(COMPUTED)}
    state = renamed(state, OFFICIAL)
    table = state.get("layers.0.blocks.0.attn.relative_position_bias_table")
    if table is None or "norm_first.weight" not in state:
        return None
    channels, positions, heads = len(state["norm_first.weight"]), *table.shape
    upsampler, scale = _upsampler(state)
    if scale != SCALE:
        raise BenchError(f"These weights are SwinIR's for x{scale}; x{SCALE} is needed.")
    options = {
        "channels": channels,
        "groups": count(state, r"layers\.(\d+)\.blocks"),
        "layers": count(state, r"layers\.0\.blocks\.(\d+)"),
        "heads": heads,
        "window": (math.isqrt(positions) + 1) // 2,
        "mlp_ratio": len(state["layers.0.blocks.0.mlp.fc1.weight"]) // channels,
        "upsampler": upsampler,
        "bottleneck": "conv_after_body.0.weight" in state,
    }
    return options, state


def _upsampler(state: Mapping[str, Tensor]) -> tuple[str, int]:
    """Tell which upsampler the tensors make up, and its scale."""
    if "upsampler.conv_up1.weight" in state:
        return "nearest+conv", 4 if "upsampler.conv_up2.weight" in state else 2
    steps = [len(value) for key, value in state.items() if key.startswith("upsampler.upsample.") and value.ndim == 4]
    if "upsampler.conv_last.weight" in state:  # every step is a convolution to 64 * factor^2 channels
        return "pixelshuffle", math.prod(math.isqrt(channels // 64) for channels in steps)
    return "pixelshuffledirect", math.isqrt(steps[0] // 3) if steps else 1


SMALL = {"channels": 60, "groups": 4, "upsampler": "pixelshuffledirect"}

SYSTEM = System(build, restore, convert, small=SMALL)

METHODS = (
    method_card(
        SYSTEM,
        name="swinir",
        title="SwinIR",
        group="SISR",
        references="none",
        gan=False,
        year=2021,
        paper="Liang et al., SwinIR: Image Restoration Using Swin Transformer, ICCV Workshops 2021",
        description="Self-attention in shifted windows of 8x8 LR pixels; later than the C2-Matching paper's table. "
        "The file tells the network: M for bicubic degradation, the light S, or L for real photographs.",
        parameters=11_900_199,
        gmacs=369.0,
        verified="golden vectors",
        files=(
            WeightsFile(
                _CLASSICAL,
                HOME,
                "M, trained on DIV2K and Flickr2K",
                "swinir-m",
                f"https://github.com/JingyunLiang/SwinIR/releases/download/v0.0/{_CLASSICAL}",
                "4e78e33f22c1aa8a773db0cf4a7381bae97c2362c717f155439ebc690cbd9215",  # as users of the release state it
                "Apache-2.0",
            ),
            WeightsFile("001_classicalSR_DIV2K_s48w8_SwinIR-M_x4.pth", HOME, "M, trained on DIV2K"),
            WeightsFile("002_lightweightSR_DIV2K_s64w8_SwinIR-S_x4.pth", HOME, "S, 0.93 M parameters"),
            WeightsFile("003_realSR_*_x4_GAN.pth", HOME, "L, for real degradations, adversarial"),
        ),
        guesses=("Trained here without the stochastic depth of the authors' training.",),
    ),
)
