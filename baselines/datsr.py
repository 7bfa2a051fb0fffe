"""DATSR (Cao et al., ECCV 2022): deformable attention to the reference inside a U-net of Swin Transformer layers.

The network needs HR sides that are multiples of 32, and the authors cut the images they evaluate on to them. Here an LR
image of another size is extended to multiples of eight by its last row and column, and the SR image is cut back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from c2matching.checkpoints import COMPANIONS, parts, start, whole
from refsr_bench.core.cards import WeightsFile
from refsr_bench.formats.keys import count, renamed, without_prefix
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

TITLE = "DATSR"
MULTIPLE = 8  # the side of the attention windows, in LR pixels
OFFICIAL = (
    (r"((?:down|up)_\w+?)_(offset_conv\d|dyn_agg)\.(.+)", r"\1.\2.\3"),
    (r"(down|up)_head_(\w+)\.0\.(\w+)", r"\1_\2.head.\3"),
    (r"(down|up)_body_(\w+?)\.patch_embed\.norm\.(\w+)", r"\1_\2.body.norm_first.\3"),
    (r"(down|up)_body_(\w+?)\.(layers\.\d+)\.residual_group\.(.+)", r"\1_\2.body.\3.\4"),
    (r"(down|up)_body_(\w+?)\.(.+)", r"\1_\2.body.\3"),
    (r"down_tail_(\w+)\.(\w+)", r"shrink_\1.\2"),
    (r"up_tail_large\.(.+)", r"tail.\1"),
    (r"up_tail_(\w+)\.(.+)", r"grow_\1.\2"),
)
"""Rules that rename the keys of the authors' code, below ``dyn_agg_restore.``, to ours."""

# These follow from sizes alone, the mask from those of the training crops.
COMPUTED = ("relative_position_index", "attn_mask")


def build(**options: Any) -> nn.Module:
    from baselines.nets.datsr import DATSR

    return DATSR(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale a batch, as in ``System``; only the first reference is used.

    LR is extended to multiples of eight by its last row and column. Then all images are padded with zeros at the bottom
    and right to one size, as in the authors' evaluation.
    """
    from baselines.nets.family import one_size

    height, width = lr_up.shape[-2:]
    lr, lr_up, (ref,) = one_size(lr, lr_up, refs[:1], MULTIPLE)
    return net(lr, lr_up, ref)[..., :height, :width]


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert the authors' files: restoration network, C2-Matching's ``feature_extraction.pth``, torchvision's VGG19.

    The content extractor is left out, because the authors' network does not read its output.
    """
    found = parts(states)
    restoration = without_prefix(found.get("restoration", {}), "dyn_agg_restore.")
    if "unet_head.weight" not in restoration:
        return None
    restoration = renamed({k: v for k, v in restoration.items() if not k.endswith(COMPUTED)}, OFFICIAL)
    options = {
        "channels": len(restoration["unet_head.weight"]),
        "groups": count(restoration, r"up_small\.body\.layers\.(\d+)\."),
        "layers": count(restoration, r"up_small\.body\.layers\.0\.blocks\.(\d+)\."),
        "heads": restoration["up_small.body.layers.0.blocks.0.attn.relative_position_bias_table"].shape[1],
    }
    return options, whole(restoration, found, TITLE)


SYSTEM = System(
    *(build, restore, convert, start),
    least=3,
    small={"channels": 32, "groups": 1, "layers": 2, "heads": 4},
    needs_student=True,
)

_HOME = "https://github.com/caojiezhang/DATSR"
_TERMS = "trained on CUFED5; CC BY-NC 4.0"
_COMMON = {
    "group": "Ref-SR",
    "references": "one",
    "year": 2022,
    "paper": "Cao et al., Reference-based Image Super-Resolution with Deformable Attention Transformer, ECCV 2022",
    "parameters": 15_662_043,
    "gmacs": 2798.9,
    "verified": "golden vectors",
    "guesses": (
        "LR sides that are no multiples of eight are continued by the last row and column; the authors cut HR images "
        "to multiples of 32 instead, so their numbers are of smaller images.",
    ),
}

METHODS = (
    method_card(
        SYSTEM,
        name="datsr-rec",
        title="DATSR-rec",
        gan=False,
        description="A U-net of Swin layers with deformable attention to matched places of the reference; "
        "reconstruction loss alone. The authors' file has 2.4 M parameters more that their network does not use.",
        files=(WeightsFile("restoration_mse.pth", _HOME, _TERMS), *COMPANIONS),
        **_COMMON,
    ),
    method_card(
        SYSTEM,
        name="datsr",
        title="DATSR",
        gan=True,
        description="The same network trained with perceptual and adversarial losses.",
        files=(WeightsFile("restoration_gan.pth", _HOME, _TERMS), *COMPANIONS),
        **_COMMON,
    ),
)
