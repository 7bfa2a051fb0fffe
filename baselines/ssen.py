"""SSEN (Shim, Park & Kweon, CVPR 2020): deformable convolutions that search the reference.

The authors published no code. These points are decided as in the one public implementation, by somebody else:

- the width (64) and the number of residual blocks (5 shared ones for features, 16 for restoration);
- the places of biases and activations;
- the skips of the offset estimator, which are added (its other variant, concatenation, is recognised in files).

Neither source says what to do with an image and a reference of unequal size. Both are padded with zeros at the bottom
and right, as in C²-Matching's evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.formats.keys import count, renamed
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import SCALE, System
from refsr_bench.pixels.crop import ceil_multiple

if TYPE_CHECKING:
    from torch import Tensor, nn

STAGE = r"SSEN_Network\.deformblock(\d)\."
ESTIMATOR = STAGE + r"offset_estimator\."
UNOFFICIAL = (
    (r"downsampling_network\.(.+)", r"ref_first.\1"),
    (r"lrfeature_scaler\.(.+)", r"lr_first.\1"),
    (r"feature_extractor\.(.+)", r"features.\1"),
    (ESTIMATOR + r"(down|up)block(\d)\.0\.(\w+)", r"align.\1.estimator.\2.\3.\4"),
    (ESTIMATOR + r"attentionblock(\d)\.W\.0\.(\w+)", r"align.\1.estimator.attention.\2.out.\3"),
    (ESTIMATOR + r"attentionblock(\d)\.W\.1\.(\w+)", r"align.\1.estimator.attention.\2.norm.\3"),
    (ESTIMATOR + r"attentionblock(\d)\.(\w+)(?:\.0)?\.(\w+)", r"align.\1.estimator.attention.\2.\3.\4"),
    (ESTIMATOR + r"channelscaling_block\.(\w+)", r"align.\1.estimator.out.\2"),
    (STAGE + r"offset_conv\.(\w+)", r"align.\1.offset.\2"),
    (STAGE + r"deformconv\.(\w+)", r"align.\1.\2"),
    (r"preprocessing_residual_block\.(.+)", r"join.\1"),
    (r"residual_blocks\.(.+)", r"body.\1"),
    (r"upscaling_4x\.(.+)", r"upsample.\1"),
    (r"outconv\.(.+)", r"conv_last.\1"),
)
"""Rules that rename the keys of https://github.com/Slime0519/CVPR_2020_SSEN to ours.

Stages and levels count from 1, as there.
"""


def build(**options: Any) -> nn.Module:
    from baselines.nets.ssen import SSEN

    return SSEN(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale image and reference, padded with zeros at the bottom and right to a common size.

    LR sides become multiples of 8, because the network halves them three times, and 16 at least.
    """
    from baselines.nets.ssen import LEAST, MULTIPLE
    from refsr_bench.learning.scales import at_grid

    [ref] = refs
    height, width = lr.shape[-2:]
    size = [
        ceil_multiple(max(of_lr, -(-of_ref // SCALE), LEAST), MULTIPLE)
        for of_lr, of_ref in zip(lr.shape[-2:], ref.shape[-2:], strict=True)
    ]
    ref = at_grid(ref, [SCALE * side for side in size], (0, 0))
    return net(at_grid(lr, size, (0, 0)), ref)[..., : SCALE * height, : SCALE * width]


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert a file of the unofficial implementation, of any width and depth, with added or concatenated skips."""
    state = states[0]
    if not {"SSEN_Network.deformblock1.deformconv.weight", "lrfeature_scaler.weight"} <= state.keys():
        return None
    channels = len(state["lrfeature_scaler.weight"])
    joined = len(state["SSEN_Network.deformblock1.offset_estimator.upblock1.0.weight"])
    skip = "concat" if joined > channels else "add"
    blocks = count(state, r"residual_blocks\.(\d+)")
    return {"channels": channels, "blocks": blocks, "skip": skip}, renamed(state, UNOFFICIAL)


SYSTEM = System(build, restore, convert)

GUESSES = (
    "Width, number of blocks, biases and skips are those of an implementation that is not the authors'.",
    "Image and reference are filled with zeros to a common size, as in C²-Matching's evaluation.",
)
FACTS = {
    "group": "Ref-SR",
    "references": "one",
    "year": 2020,
    "paper": "Shim et al., Robust Reference-Based Super-Resolution With Similarity-Aware Deformable Convolution, "
    "CVPR 2020",
    "parameters": 3_137_942,
    "gmacs": 85.2,
    "verified": "unofficial code",
    "guesses": GUESSES,
}

METHODS = (
    method_card(
        SYSTEM,
        name="ssen-rec",
        title="SSEN-rec",
        gan=False,
        description="Three deformable convolutions search the reference; reconstruction loss only.",
        **FACTS,
    ),
    method_card(
        SYSTEM,
        name="ssen",
        title="SSEN",
        gan=True,
        description="Three deformable convolutions search the reference; with perceptual and adversarial losses.",
        **FACTS,
    ),
)
