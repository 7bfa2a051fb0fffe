"""SRGAN (Ledig et al., CVPR 2017) with either generator: the paper's, with BatchNorm, or the "modified" one.

The authors published no weights. Files of mmsr and BasicSR hold the modified generator, which is also built without a
file. Three points about the paper's generator are guessed: convolutions before a BatchNorm have no bias, a PReLU has
one slope, and SR images are in [0, 1] (the paper trains for [-1, 1]). The recognised reimplementation agrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.formats.keys import count, renamed
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

MMSR = (
    (r"recon_trunk\.(.*)", r"body.\1"),
    (r"HRconv\.(\w+)", r"conv_hr.\1"),
)
"""Rules that rename mmsr's keys to those of BasicSR, its successor, which are ours."""

SRGAN_PYTORCH = (
    (r"conv(?:_block)?1\.0\.(\w+)", r"conv_first.\1"),
    (r"conv(?:_block)?1\.1\.(\w+)", r"act_first.\1"),
    (r"trunk\.(\d+)\.rcb\.0\.(\w+)", r"body.\1.conv1.\2"),
    (r"trunk\.(\d+)\.rcb\.1\.(\w+)", r"body.\1.norm1.\2"),
    (r"trunk\.(\d+)\.rcb\.2\.(\w+)", r"body.\1.act.\2"),
    (r"trunk\.(\d+)\.rcb\.3\.(\w+)", r"body.\1.conv2.\2"),
    (r"trunk\.(\d+)\.rcb\.4\.(\w+)", r"body.\1.norm2.\2"),
    (r"conv(?:_block)?2\.0\.(\w+)", r"conv_body.\1"),
    (r"conv(?:_block)?2\.1\.(\w+)", r"norm_body.\1"),
    (r"upsampling\.0\.upsample_block\.0\.(\w+)", r"upconv1.\1"),
    (r"upsampling\.0\.upsample_block\.2\.(\w+)", r"act1.\1"),
    (r"upsampling\.1\.upsample_block\.0\.(\w+)", r"upconv2.\1"),
    (r"upsampling\.1\.upsample_block\.2\.(\w+)", r"act2.\1"),
    (r"conv(?:_block)?3\.(\w+)", r"conv_last.\1"),
)
"""Rules that rename the keys of two versions of SRGAN-PyTorch, which reimplements the paper's generator, to ours."""


def build(modified: bool = True, **options: Any) -> nn.Module:
    from baselines.nets.srgan import MSRResNet, SRResNet

    return (MSRResNet if modified else SRResNet)(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    return net(lr)


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert the modified generator of mmsr or BasicSR, or the paper's generator of SRGAN-PyTorch."""
    state = dict(states[0])
    if "trunk.0.rcb.0.weight" in state:
        state = renamed(state, SRGAN_PYTORCH)
    state = renamed(state, MMSR)
    if "upconv2.weight" not in state or "body.0.conv1.weight" not in state:
        return None
    modified = "body.0.norm1.weight" not in state
    if modified and ("conv_hr.weight" not in state or any(k.startswith(("conv_body.", "LRconv.")) for k in state)):
        return None  # RankSRGAN's generator differs from the modified one by a convolution and its activations
    blocks = count(state, r"body\.(\d+)\.conv1\.")
    return {"modified": modified, "channels": len(state["conv_first.weight"]), "blocks": blocks}, state


SYSTEM = System(build, restore, convert, small={"modified": True, "channels": 64, "blocks": 8})

_BASICSR = "https://github.com/XPixelGroup/BasicSR"

METHODS = (
    method_card(
        SYSTEM,
        name="srgan",
        title="SRGAN",
        group="SISR",
        references="none",
        gan=True,
        year=2017,
        paper="Ledig et al., Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network, "
        "CVPR 2017",
        description="Residual network trained with perceptual and adversarial losses. Public weights are of a modified "
        "generator without BatchNorm; the paper's own (1,547,350 parameters) is recognised too.",
        parameters=1_517_571,
        gmacs=64.9,
        verified="golden vectors",
        guesses=(
            "The table does not say which generator its row has: without a file, the modified one.",
            "The paper's generator is from its text: convolutions before BatchNorm without bias, one slope per PReLU, "
            "images in [0, 1] on both sides.",
        ),
        files=(
            WeightsFile("MSRGANx4.pth", "https://github.com/open-mmlab/mmsr", "modified generator"),
            WeightsFile(
                "004_MSRGAN_x4_f64b16_DIV2K_400k_B16G1_wandb/*.pth", _BASICSR, "modified generator, trained on DIV2K"
            ),
            WeightsFile(
                "SRGAN_x4-SRGAN_ImageNet.pth.tar",
                "https://github.com/Lornatang/SRGAN-PyTorch",
                "the paper's generator, trained on ImageNet, not by the authors",
            ),
        ),
    ),
)
