"""RankSRGAN (Zhang et al., ICCV 2019): a generator trained with a network that ranks images like a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.formats.keys import count, renamed
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

OFFICIAL = (
    (r"recon_trunk\.(.*)", r"body.\1"),
    (r"LRconv\.(\w+)", r"conv_body.\1"),
    (r"HRconv\.(\w+)", r"conv_hr.\1"),
)
"""Rules that rename the keys of the authors' code to ours."""


def build(**options: Any) -> nn.Module:
    from baselines.nets.ranksrgan import RankSRGAN

    return RankSRGAN(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    return net(lr)


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert a file of the authors, or one with our keys."""
    state = renamed(states[0], OFFICIAL)
    needed = ("body.0.conv1.weight", "conv_body.weight", "upconv2.weight", "conv_hr.weight")
    if any(key not in state for key in needed):
        return None
    return {"channels": len(state["conv_first.weight"]), "blocks": count(state, r"body\.(\d+)\.")}, state


SYSTEM = System(build, restore, convert, small={"channels": 64, "blocks": 8})

_HOME = "https://github.com/XPixelGroup/RankSRGAN"

METHODS = (
    method_card(
        SYSTEM,
        name="ranksrgan",
        title="RankSRGAN",
        group="SISR",
        references="none",
        gan=True,
        year=2019,
        paper="Zhang et al., RankSRGAN: Generative Adversarial Networks with Ranker for Image Super-Resolution, "
        "ICCV 2019",
        description="SRGAN's losses and one more: the score that a network gives which has learnt to rank images as a "
        "perceptual metric does.",
        parameters=1_554_499,
        gmacs=65.9,
        verified="golden vectors",
        files=(
            WeightsFile("mmsr_RankSRGAN_NIQE.pth", _HOME, "ranker of NIQE; there are others for Ma and PI"),
            WeightsFile("mmsr_SRResNet_pretrain.pth", _HOME, "the network before its GAN training"),
        ),
    ),
)
