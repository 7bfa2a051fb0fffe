"""AMSA (Xia et al., AAAI 2022): fast matching by propagation, and the reference at five sizes.

Matching begins with random correspondences. They come from a generator seeded by the pixels of the LR image, so the
same image always gives the same SR image. The order of the steps that improve them is ours, chosen on one pair of
images to agree with the authors' correspondences: it finds 94 % of them, exhaustive matching 89 %. The authors evaluate
on HR images cut to multiples of 32. Here an LR image of another size is extended to multiples of eight by its last row
and column, and the SR image is cut back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from c2matching.checkpoints import COMPANIONS, parts, sizes, start, whole
from refsr_bench.core.cards import WeightsFile
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

TITLE = "AMSA"
MULTIPLE = 8  # matching begins at 1/8 of the size
SHRINK = 0.8  # the ratio of the sides of one copy of the reference to those of the copy before


def build(**options: Any) -> nn.Module:
    from baselines.nets.amsa import AMSA

    return AMSA(**options)


def reduced(ref: Tensor) -> list[Tensor]:
    """Make four smaller copies of a reference, at 0.8, 0.64, ... of its sides, and return it with them.

    ref (N, 3, H, W) in [0, 1]. Pillow's bicubic makes each copy from the one before, in 8 bits; their sides are cut to
    multiples of four.
    """
    import torch

    from baselines.nets.amsa import SIZES
    from refsr_bench.learning.tensors import quantised, to_tensor
    from refsr_bench.pixels.crop import mod_crop
    from refsr_bench.pixels.resize import resize_pil_bicubic

    height, width = ref.shape[-2:]
    copies, images = [ref], [quantised(image) for image in ref.detach()]
    for n in range(1, SIZES):
        sides = int(height * SHRINK**n), int(width * SHRINK**n)
        images = [resize_pil_bicubic(image, *sides) for image in images]
        copies.append(torch.stack([to_tensor(mod_crop(image, 4)) for image in images]).to(ref))
    return copies


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale a batch, as in ``System``; only the first reference is used.

    LR is extended to multiples of eight by its last row and column. Then all images, the reduced references too, are
    padded with zeros at the bottom and right to one size, as in the authors' evaluation.
    """
    from baselines.nets.family import one_size

    height, width = lr_up.shape[-2:]
    return net(*one_size(lr, lr_up, reduced(refs[0]), MULTIPLE))[..., :height, :width]


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert the authors' restoration network, C2-Matching's ``feature_extraction.pth`` and torchvision's VGG19."""
    found = parts(states)
    restoration = found.get("restoration", {})
    if "dyn_agg_restore.small_deform_conv.weight" not in restoration:
        return None
    return sizes(restoration), whole(restoration, found, TITLE)


SYSTEM = System(
    *(build, restore, convert, start),
    least=3,
    small={"channels": 64, "blocks": [8, 8, 4, 2]},
    needs_student=True,
)

_HOME = "https://github.com/Zj-BinXia/AMSA"
_TERMS = "trained on CUFED5; its repository states no licence"
_COMMON = {
    "group": "Ref-SR",
    "references": "one",
    "year": 2022,
    "paper": "Xia et al., Coarse-to-Fine Embedded PatchMatch and Multi-Scale Dynamic Aggregation for Reference-based "
    "Super-Resolution, AAAI 2022",
    "parameters": 9_676_454,
    "gmacs": 5180.4,
    "verified": "golden vectors in part",
    "guesses": (
        "The golden vectors verify everything but the matching. The order of its steps is ours, chosen for agreement "
        "with the authors' correspondences on the pair of the golden vectors: from their random beginnings it finds "
        "94 % of them (exhaustive matching 89 %), and its scores are on average as high as theirs.",
        "Random beginnings come from a generator seeded by the LR image; the authors' are not seeded.",
        "LR sides that are no multiples of eight are continued by the last row and column; the authors cut HR images "
        "to multiples of 32 instead, so their numbers are of smaller images.",
    ),
}

METHODS = (
    method_card(
        SYSTEM,
        name="amsa-rec",
        title="AMSA-rec",
        gan=False,
        description="C2-Matching with fast coarse-to-fine matching and the reference at five sizes; reconstruction "
        "loss alone. As in the authors' evaluation all sizes look features up in the whole reference.",
        files=(WeightsFile("restoration_mse.pth", _HOME, _TERMS), *COMPANIONS),
        **_COMMON,
    ),
    method_card(
        SYSTEM,
        name="amsa",
        title="AMSA",
        gan=True,
        description="The same network trained with perceptual and adversarial losses.",
        files=(WeightsFile("restoration.pth", _HOME, _TERMS), *COMPANIONS),
        **_COMMON,
    ),
)
