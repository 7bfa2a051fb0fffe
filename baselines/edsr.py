"""EDSR (Lim et al., CVPR Workshops 2017): the large network of the paper, and its small one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.formats.keys import count, renamed
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

BASICSR = "https://github.com/XPixelGroup/BasicSR"
OFFICIAL = (
    (r"head\.0\.(\w+)", r"conv_first.\1"),
    (r"body\.(\d+)\.body\.0\.(\w+)", r"body.\1.conv1.\2"),
    (r"body\.(\d+)\.body\.2\.(\w+)", r"body.\1.conv2.\2"),
    (r"body\.\d+\.(\w+)", r"conv_after_body.\1"),
    (r"tail\.0\.(\d)\.(\w+)", r"upsample.\1.\2"),
    (r"tail\.1\.(\w+)", r"conv_last.\1"),
)
"""Rules that rename the keys of the authors' PyTorch code to ours, which are BasicSR's."""


def build(**options: Any) -> nn.Module:
    from baselines.nets.edsr import EDSR

    return EDSR(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    return net(lr)


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert a file of the authors or of BasicSR.

    No file holds the residual scale. It is 0.1 for the published network of 256 channels, else 1. The authors' files
    hold their mean, a constant here; one without is of a network that was trained without it, and is not taken.
    """
    state = dict(states[0])
    if "head.0.weight" in state:
        if "sub_mean.weight" not in state:
            return None
        state = renamed({k: v for k, v in state.items() if "_mean." not in k}, OFFICIAL)
    if "upsample.2.weight" not in state or "body.0.conv1.weight" not in state:
        return None
    channels = len(state["conv_first.weight"])
    blocks, scale = count(state, r"body\.(\d+)\.conv1"), 0.1 if channels > 128 else 1.0
    return {"channels": channels, "blocks": blocks, "scale": scale}, state


SYSTEM = System(build, restore, convert, small={"channels": 64, "blocks": 8, "scale": 1.0})

METHODS = (
    method_card(
        SYSTEM,
        name="edsr",
        title="EDSR",
        group="SISR",
        references="none",
        gan=False,
        year=2017,
        paper="Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPR Workshops 2017",
        description="Residual blocks without BatchNorm. The table's row was retrained on CUFED5 in an unknown size.",
        parameters=43_089_923,
        gmacs=1286.5,
        verified="golden vectors",
        files=(
            WeightsFile("edsr_x4-*.pt", "https://github.com/sanghyun-son/EDSR-PyTorch", "trained on DIV2K"),
            WeightsFile("EDSR_Lx4_f256b32_DIV2K_official-76ee1c8f.pth", BASICSR, "trained on DIV2K", sha256="76ee1c8f"),
            WeightsFile("EDSR_Mx4_f64b16_DIV2K_official-0c287733.pth", BASICSR, "the small network", sha256="0c287733"),
        ),
    ),
)
