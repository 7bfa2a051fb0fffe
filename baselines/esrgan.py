"""ESRGAN (Wang et al., ECCV Workshops 2018): residual-in-residual dense blocks and a relativistic discriminator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.formats.keys import count, renamed, without_prefix
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

OLDER = (
    (r"RRDB_trunk\.(\d+)\.RDB(\d)\.(.*)", r"body.\1.rdb\2.\3"),
    (r"trunk_conv\.(\w+)", r"conv_body.\1"),
    (r"upconv(\d)\.(\w+)", r"conv_up\1.\2"),
    (r"HRconv\.(\w+)", r"conv_hr.\1"),
    # before the authors' code had names for its parts
    (r"model\.0\.(\w+)", r"conv_first.\1"),
    (r"model\.1\.sub\.(\d+)\.RDB(\d)\.(conv\d)\.0\.(\w+)", r"body.\1.rdb\2.\3.\4"),
    (r"model\.1\.sub\.\d+\.(\w+)", r"conv_body.\1"),
    (r"model\.3\.(\w+)", r"conv_up1.\1"),
    (r"model\.6\.(\w+)", r"conv_up2.\1"),
    (r"model\.8\.(\w+)", r"conv_hr.\1"),
    (r"model\.10\.(\w+)", r"conv_last.\1"),
)
"""Rules that rename the keys of two older layouts of the authors' code to ours, which are BasicSR's."""


def build(**options: Any) -> nn.Module:
    from baselines.nets.esrgan import RRDBNet

    return RRDBNet(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    return net(lr)


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert either layout of the authors' code, or BasicSR's, which mmagic's files hold as ``generator.*``.

    Networks for x2 and x1 have the same names but take images folded into 12 or 48 channels; they are refused.
    """
    state = renamed(without_prefix(states[0], "generator.") or states[0], OLDER)
    dense, first = state.get("body.0.rdb1.conv1.weight"), state.get("conv_first.weight")
    if dense is None or first is None or first.shape[1] != 3 or "conv_up2.weight" not in state:
        return None
    return {"channels": len(first), "blocks": count(state, r"body\.(\d+)\."), "growth": len(dense)}, state


SYSTEM = System(build, restore, convert, small={"channels": 64, "blocks": 2, "growth": 32})

_AUTHORS, _BASICSR = "https://github.com/xinntao/ESRGAN", "https://github.com/XPixelGroup/BasicSR"

METHODS = (
    method_card(
        SYSTEM,
        name="esrgan",
        title="ESRGAN",
        group="SISR",
        references="none",
        gan=True,
        year=2018,
        paper="Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCV Workshops 2018",
        description="Dense blocks within residual blocks, trained with perceptual and relativistic adversarial losses.",
        parameters=16_697_987,
        gmacs=458.9,
        verified="golden vectors",
        files=(
            WeightsFile("RRDB_ESRGAN_x4.pth", _AUTHORS, "trained on DIV2K, Flickr2K and OST"),
            WeightsFile("ESRGAN_SRx4_DF2KOST_official-ff704c30.pth", _BASICSR, "the same, renamed", sha256="ff704c30"),
            WeightsFile("RRDB_PSNR_x4.pth", _AUTHORS, "the network before its GAN training"),
        ),
    ),
)
