"""CrossNet (Zheng et al., ECCV 2018): optical flow that warps features of the reference.

Two points are decided here. The authors' network adds details to an image enlarged by MDSR, whose weights do not come
with CrossNet's; the bicubic enlargement takes its place. The network needs an image and a reference of one size; both
are padded with zeros at the bottom and right, as in C²-Matching's evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.formats.keys import renamed
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System
from refsr_bench.pixels.crop import ceil_multiple

if TYPE_CHECKING:
    from torch import Tensor, nn

OFFICIAL = (
    (r"FlowNet\.(\w+)(?:\.0)?\.(weight|bias)", r"flownet.\1.\2"),
    (r"Encoder\.(\w+)\.0\.(\w+)", r"encoder.\1.\2"),
    (r"UNet_decoder_2\.(\w+)\.0\.(\w+)", r"decoder.\1.\2"),
)
"""Rules that rename the keys of the authors' code to ours."""


def build() -> nn.Module:
    from baselines.nets.crossnet import CrossNet

    return CrossNet()


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor], sr_init: Tensor | None = None) -> Tensor:
    """Upscale image and reference, padded with zeros at the bottom and right to the multiples of 64 that hold both.

    sr_init (N, 3, 4h, 4w): an enlargement by a SISR network; None takes ``lr_up``.
    """
    from baselines.nets.crossnet import MULTIPLE
    from refsr_bench.learning.scales import at_grid

    [ref] = refs
    height, width = lr_up.shape[-2:]
    size = tuple(ceil_multiple(max(sides), MULTIPLE) for sides in zip(lr_up.shape[-2:], ref.shape[-2:], strict=True))
    images = (lr_up, lr_up if sr_init is None else sr_init, ref)
    return net(*(at_grid(image, size, (0, 0)) for image in images))[..., :height, :width]


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert the authors' file."""
    if not {"FlowNet.flow_12.0.weight", "UNet_decoder_2.final.0.weight"} <= states[0].keys():
        return None
    return {}, renamed(states[0], OFFICIAL)


SYSTEM = System(build, restore, convert)

METHODS = (
    method_card(
        SYSTEM,
        name="crossnet",
        title="CrossNet",
        group="Ref-SR",
        references="one",
        gan=False,
        year=2018,
        paper="Zheng et al., CrossNet: An End-to-End Reference-Based Super Resolution Network Using Cross-Scale "
        "Warping, ECCV 2018",
        description="Optical flow from image to reference moves features of the reference at four scales.",
        parameters=35_183_841,
        gmacs=347.6,
        verified="golden vectors",
        guesses=(
            "Details are added to a bicubic enlargement, in the authors' code to one by MDSR, whose weights are apart.",
            "Image and reference are filled with zeros to a common size, as in C²-Matching's evaluation.",
        ),
    ),
)
