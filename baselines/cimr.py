"""CIMR-SR (Yan et al., ECCV 2020): references from a pool, several matches per patch, aggregated by attention.

No code and no weights were published. The paper gives one pool of references for all images, chosen without regard to
their content; patches matched with it in feature space; and an attention over several matched features before a
reconstruction like SRNTT's. The rest is guessed:

- the pool is the references that a call is given;
- a patch has three matches, in three different references;
- VGG19's features, three scales and patches are those of SRNTT;
- the attention is a softmax over the matches, of two convolutions;
- the reconstruction has 64 channels and 16 blocks per scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn


def build(**options: Any) -> nn.Module:
    from baselines.nets.cimr import CIMR

    return CIMR(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale in [0, 1] throughout. Nothing is padded: LR may have any size, references multiples of four."""
    from refsr_bench.learning.tensors import down_up

    return net(lr, lr_up, refs, [down_up(ref) for ref in refs])


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert nothing: nobody published weights, and ours carry their options."""
    return None


def start(net: nn.Module, vgg: Mapping[str, Tensor], extractor: Mapping[str, Tensor]) -> None:
    """Fill VGG19, which stays frozen."""
    from refsr_bench.learning.vgg import from_torchvision

    net.vgg.load_state_dict(from_torchvision(vgg, "relu3_1"), strict=False)


SYSTEM = System(build, restore, convert, start, least=3, small={"channels": 32, "blocks": 8})

_COMMON = {
    "group": "Ref-SR",
    "references": "many",
    "year": 2020,
    "paper": "Yan et al., Towards Content-Independent Multi-Reference Super-Resolution: Adaptive Pattern Matching and "
    "Feature Aggregation, ECCV 2020",
    "parameters": 5_784_454,
    "gmacs": 1090.1,
    "verified": "text alone",
    "guesses": (
        "The references of a call are the pool; the authors have one for all images, whose content is not known.",
        "Every patch takes its features from three references, the most similar ones, one match in each.",
        "Features, layers, scales and patches are SRNTT's: VGG19, relu3_1 matched, 3, 6 and 12 pixels.",
        "The attention is a softmax over the matches of two convolutions of content, match and similarity, per scale.",
        "Reconstruction: 64 channels, 16 residual blocks per scale, added to the bilinear enlargement.",
        "The number of parameters of the authors' network is not known; the one given is of this one.",
    ),
}

METHODS = (
    method_card(
        SYSTEM,
        name="cimr-rec",
        title="CIMR-SR-rec",
        gan=False,
        description="Features of several matches from a pool of references, aggregated by attention; reconstruction "
        "loss alone. No published code or weights.",
        **_COMMON,
    ),
    method_card(
        SYSTEM,
        name="cimr",
        title="CIMR-SR",
        gan=True,
        description="The same network trained with an adversarial loss as well.",
        **_COMMON,
    ),
)
