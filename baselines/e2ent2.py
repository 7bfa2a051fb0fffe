"""E2ENT2 (Xie et al., ECCV 2020): SRNTT's matching and swapping with a feature encoder that is trained, too.

No code and no weights were published. The paper gives features trained end to end instead of VGG's, patches matched and
swapped in them, gradients through the swapped features, a residual over the enlarged LR image, and two losses. The rest
is guessed:

- the encoder has VGG19's layers up to relu3_1 and starts from ImageNet weights where there are some;
- there are three scales, with patches of 3, 6 and 12 pixels;
- the enlarged LR image is matched with references reduced and enlarged by Pillow's bicubic;
- several references form one bank of patches;
- the synthesis has 64 channels and 16 blocks per scale, as in SRNTT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn


def build(**options: Any) -> nn.Module:
    from baselines.nets.e2ent2 import E2ENT2

    return E2ENT2(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale in [0, 1] throughout. Nothing is padded: LR may have any size, references multiples of four."""
    from refsr_bench.learning.tensors import down_up

    return net(lr, lr_up, refs, [down_up(ref) for ref in refs])


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert nothing: nobody published weights, and ours carry their options."""
    return None


def start(net: nn.Module, vgg: Mapping[str, Tensor], extractor: Mapping[str, Tensor]) -> None:
    """Start the encoder as VGG19; it is trained further."""
    from refsr_bench.learning.vgg import from_torchvision

    net.encoder.load_state_dict(from_torchvision(vgg, "relu3_1"), strict=False)


SYSTEM = System(build, restore, convert, start, least=3, small={"channels": 32, "blocks": 8})

_COMMON = {
    "group": "Ref-SR",
    "references": "many",
    "year": 2020,
    "paper": "Xie et al., Feature Representation Matters: End-to-End Learning for Reference-Based Image "
    "Super-Resolution, ECCV 2020",
    "parameters": 5_967_491,
    "gmacs": 1043.2,
    "verified": "text alone",
    "guesses": (
        "The encoder has the layers of VGG19 up to relu3_1 and begins with its ImageNet weights.",
        "Features are swapped at three scales, in patches of 3, 6 and 12 pixels, as in SRNTT.",
        "The enlarged LR image is matched with references reduced and enlarged by Pillow's bicubic.",
        "The LR image is encoded by convolutions of its own at its own size, with 16 residual blocks; each scale of "
        "the synthesis has 16, of 64 channels, as in SRNTT.",
        "What the residual is added to is the LR image enlarged by Pillow's bicubic.",
        "Of several references the best match of each patch is used.",
        "The number of parameters of the authors' network is not known; the one given is of this one.",
    ),
}

METHODS = (
    method_card(
        SYSTEM,
        name="e2ent2-rec",
        title="E2ENT²-rec",
        gan=False,
        description="Matches and swaps patches in features trained together with the synthesis; reconstruction loss "
        "alone. No published code or weights.",
        **_COMMON,
    ),
    method_card(
        SYSTEM,
        name="e2ent2",
        title="E2ENT²",
        gan=True,
        description="The same network trained with an adversarial loss as well.",
        **_COMMON,
    ),
)
