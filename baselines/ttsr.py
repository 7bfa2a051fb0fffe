"""TTSR (Yang et al., CVPR 2020): a texture transformer with hard and soft attention to one reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.formats.keys import count, renamed
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System

if TYPE_CHECKING:
    from torch import Tensor, nn

_END = r"(weight|bias)"
_LEVEL = {"1": 1, "2": 2, "3": 4}  # the authors number scales 1, 2, 3; here they are 1, 2, 4


def _rules() -> list[tuple[str, str]]:
    rules = [
        (rf"LTE\.slice\d\.{index}\.{_END}", rf"extractor.vgg_net.{name}.\1")
        for index, name in ((0, "conv1_1"), (2, "conv1_2"), (5, "conv2_1"), (7, "conv2_2"), (10, "conv3_1"))
    ]
    rules += [
        (rf"MainNet\.SFE\.conv_head\.{_END}", r"head.\1"),
        (r"MainNet\.SFE\.RBs\.(.*)", r"shallow.blocks.\1"),
        (r"MainNet\.SFE\.conv_tail\.(.*)", r"shallow.tail.\1"),
    ]
    for stage in "123":
        n = int(stage) - 1
        rules.append((rf"MainNet\.conv{stage}{stage}_head\.(.*)", rf"stages.{n}.fuse.\1"))
        for level, scale in _LEVEL.items():
            rules.append((rf"MainNet\.RB{stage}{level}\.(.*)", rf"stages.{n}.body.{scale}.blocks.\1"))
            rules.append((rf"MainNet\.conv{stage}{level}_tail\.(.*)", rf"stages.{n}.body.{scale}.tail.\1"))
    rules += [(rf"MainNet\.conv{n + 1}{n + 2}\.{_END}", rf"stages.{n}.enlarge.\1") for n in (0, 1)]
    for n, block in ((1, "ex12"), (2, "ex123")):
        rules += [
            (rf"MainNet\.{block}\.conv_merge{level}\.(.*)", rf"stages.{n}.integrate.merge.{scale}.\1")
            for level, scale in _LEVEL.items()
        ]
        rules += [
            (rf"MainNet\.{block}\.conv{a}{b}\.{_END}", rf"stages.{n}.integrate.path.{_LEVEL[a]}_{_LEVEL[b]}.0.\1")
            for a, b in ("12", "13", "21", "23", "32")
        ]
    rules += [(rf"MainNet\.ex123\.conv31_{k}\.{_END}", rf"stages.2.integrate.path.4_1.{2 * k - 2}.\1") for k in (1, 2)]
    rules += [(rf"MainNet\.merge_tail\.conv{level}3\.(.*)", rf"merge.path.{_LEVEL[level]}.\1") for level in "12"]
    rules += [
        (r"MainNet\.merge_tail\.conv_merge\.(.*)", r"merge.merge.\1"),
        (r"MainNet\.merge_tail\.conv_(tail\d)\.(.*)", r"merge.\1.\2"),
    ]
    return rules


def build(**options: Any) -> nn.Module:
    from baselines.nets.ttsr import TTSR

    return TTSR(**options)


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale in [-1, 1]. Nothing is padded: LR images may have any size, references multiples of four."""
    from refsr_bench.learning.tensors import down_up

    ref = refs[0]
    sr = net(*(2 * image - 1 for image in (lr, lr_up, ref, down_up(ref))))
    return sr / 2 + 0.5


def convert(states: Sequence[Mapping[str, Tensor]]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert the authors' keys (``MainNet.*``, ``LTE.*``, in training files a frozen ``LTE_copy.*``), or ours."""
    from refsr_bench.learning.vgg import ImageNetNormalised

    state = dict(states[0])
    if "MainNet.SFE.conv_head.weight" in state and "LTE.slice1.0.weight" in state:
        # sub_mean is the ImageNet normalisation as a frozen 1x1 convolution.
        state = {k: v for k, v in state.items() if not k.startswith(("LTE_copy.", "LTE.sub_mean."))}
        state = renamed(state, _rules())
        state |= {f"extractor.{k}": v.clone() for k, v in ImageNetNormalised().state_dict().items()}
    if "stages.2.integrate.path.4_1.2.weight" not in state or "head.weight" not in state:
        return None
    counts = (r"shallow\.blocks\.(\d+)\.", *(rf"stages\.{n}\.body\.1\.blocks\.(\d+)\." for n in range(3)))
    return {"channels": len(state["head.weight"]), "blocks": [count(state, pattern) for pattern in counts]}, state


def start(net: nn.Module, vgg: Mapping[str, Tensor], extractor: Mapping[str, Tensor]) -> None:
    """Start the texture extractor as VGG19; it is trained further."""
    from refsr_bench.learning.vgg import from_torchvision

    net.extractor.load_state_dict(from_torchvision(vgg, "relu3_1"), strict=False)


SYSTEM = System(build, restore, convert, start, small={"channels": 32, "blocks": [8, 8, 4, 2]})

_HOME = "https://github.com/researchmm/TTSR"
_COMMON = {
    "group": "Ref-SR",
    "references": "one",
    "year": 2020,
    "paper": "Yang et al., Learning Texture Transformer Network for Image Super-Resolution, CVPR 2020",
    "parameters": 6_729_603,
    "gmacs": 840.1,
    "verified": "golden vectors",
}

METHODS = (
    method_card(
        SYSTEM,
        name="ttsr-rec",
        title="TTSR-rec",
        gan=False,
        description="Patches of learned texture features, weighted by how well they match, at three scales; "
        "reconstruction loss alone. The paper stacks CUFED5's five references into one image.",
        files=(WeightsFile("TTSR-rec.pt", _HOME, "trained on CUFED5"),),
        **_COMMON,
    ),
    method_card(
        SYSTEM,
        name="ttsr",
        title="TTSR",
        gan=True,
        description="The same network trained with perceptual and adversarial losses.",
        files=(WeightsFile("TTSR.pt", _HOME, "trained on CUFED5"),),
        **_COMMON,
    ),
)
