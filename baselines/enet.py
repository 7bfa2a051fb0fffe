"""ENet, which is EnhanceNet-PAT (Sajjadi et al., ICCV 2017)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

TENSORFLOW = re.compile(r"generator/Conv(?:_(\d+))?/(weights|biases)")


def build(**options: Any) -> nn.Module:
    from baselines.nets.enet import ENet

    return ENet(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    return net(lr)


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert the variables of the authors' TensorFlow checkpoint.

    Kernels are height x width x in x out, or in PyTorch's order. The numbers in the names count the convolutions in the
    order of their use. Other variables are ignored.
    """
    found = {key: (int(match[1] or 0), match[2]) for key in states[0] if (match := TENSORFLOW.fullmatch(key))}
    numbers = {number for number, _ in found.values()}
    blocks, odd = divmod(len(numbers) - 5, 2)
    if odd or blocks < 1 or len(found) != 2 * len(numbers) or max(numbers) != len(numbers) - 1:
        return None
    names = ["conv_first", *(f"body.{i}.conv{j}" for i in range(blocks) for j in (1, 2))]
    names += ["conv_up1", "conv_up2", "conv_hr", "conv_last"]
    state = {}
    for key, (number, kind) in found.items():
        value = states[0][key]
        if kind == "weights" and value.shape[:2] == (3, 3):
            value = value.permute(3, 2, 0, 1).contiguous()
        state[f"{names[number]}.{'weight' if kind == 'weights' else 'bias'}"] = value
    return {"channels": len(state["conv_first.bias"]), "blocks": blocks}, state


SYSTEM = System(build, restore, convert)

METHODS = (
    method_card(
        SYSTEM,
        name="enet",
        title="ENet",
        group="SISR",
        references="none",
        gan=True,
        year=2017,
        paper="Sajjadi et al., EnhanceNet: Single Image Super-Resolution Through Automated Texture "
        "Synthesis, ICCV 2017",
        description="EnhanceNet-PAT: perceptual, adversarial and texture losses. The authors' weights give the "
        "Urban100 entry of the table's row.",
        parameters=852_867,
        gmacs=53.6,
        verified="real weights",
        files=(
            WeightsFile(
                "weights",
                "https://github.com/msmsajjadi/EnhanceNet-Code",
                "trained on MS COCO; CC BY-NC-ND 4.0: no commercial use, do not pass on what is made of it",
            ),
        ),
    ),
)
