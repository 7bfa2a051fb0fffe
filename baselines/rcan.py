"""RCAN (Zhang et al., ECCV 2018): residual groups with channel attention."""

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
    (r"head\.0\.(\w+)", r"conv_first.\1"),
    (r"body\.(\d+)\.body\.(\d+)\.body\.([02])\.(\w+)", r"body.\1.residual_group.\2.rcab.\3.\4"),
    (r"body\.(\d+)\.body\.(\d+)\.body\.3\.conv_du\.0\.(\w+)", r"body.\1.residual_group.\2.rcab.3.attention.1.\3"),
    (r"body\.(\d+)\.body\.(\d+)\.body\.3\.conv_du\.2\.(\w+)", r"body.\1.residual_group.\2.rcab.3.attention.3.\3"),
    (r"body\.(\d+)\.body\.\d+\.(\w+)", r"body.\1.conv.\2"),
    (r"body\.\d+\.(\w+)", r"conv_after_body.\1"),
    (r"tail\.0\.(\d)\.(\w+)", r"upsample.\1.\2"),
    (r"tail\.1\.(\w+)", r"conv_last.\1"),
)
"""Rules that rename the keys of the authors' code to ours, which are BasicSR's."""


def build(**options: Any) -> nn.Module:
    from baselines.nets.rcan import RCAN

    return RCAN(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale images in [0, 1] of any size; the network converts to [0, 255] inside."""
    return net(lr)


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert a file of the authors, whose frozen ``sub_mean`` and ``add_mean`` are constants here, or of BasicSR.

    Others train the authors' network without these, which gives other images: their files are not taken.
    """
    state = dict(states[0])
    if "head.0.weight" in state:
        if "sub_mean.weight" not in state:
            return None
        state = renamed({k: v for k, v in state.items() if "_mean." not in k}, OFFICIAL)
    squeeze = state.get("body.0.residual_group.0.rcab.3.attention.1.weight")
    if "upsample.2.weight" not in state or squeeze is None:
        return None
    squeezed, channels = squeeze.shape[:2]
    options = {
        "channels": channels,
        "groups": count(state, r"body\.(\d+)\."),
        "blocks": count(state, r"body\.0\.residual_group\.(\d+)\."),
        "reduction": channels // squeezed,
    }
    return options, state


SYSTEM = System(build, restore, convert, small={"channels": 64, "groups": 4, "blocks": 4, "reduction": 16})

METHODS = (
    method_card(
        SYSTEM,
        name="rcan",
        title="RCAN",
        group="SISR",
        references="none",
        gan=False,
        year=2018,
        paper="Zhang et al., Image Super-Resolution Using Very Deep Residual Channel Attention Networks, ECCV 2018",
        description="Ten groups of twenty residual blocks, each of which weighs its channels. The table's row was "
        "retrained on CUFED5, without the x2 network that the paper starts from.",
        parameters=15_592_355,
        gmacs=407.5,
        verified="golden vectors",
        files=(
            WeightsFile("RCAN_BIX4.pt", "https://github.com/yulunzhang/RCAN", "trained on DIV2K"),
            WeightsFile("RCAN_BIX4-official.pth", "https://github.com/XPixelGroup/BasicSR", "the same, renamed"),
        ),
    ),
)
