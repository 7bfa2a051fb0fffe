"""SRNTT (Zhang et al., CVPR 2019): neural texture transfer, with any number of references.

There are two networks (``baselines.nets.srntt``). The authors' is written in TensorFlow, and its files are lists of
arrays without names. The other is srntt-pytorch's, against whose outputs ours was checked. Both need VGG19, which their
files do not hold, so torchvision's file is given along with them.

These points of the authors' network are guessed; none was checked against its outputs:

- the arrays in their files are in the order in which layers are built, those of a norm as beta, gamma, mean, variance;
- sub-pixel channels are in the order of TensorFlow's ``depth_to_space``;
- norms have epsilon 1e-5;
- torchvision's VGG19 replaces matconvnet's;
- references are reduced by Pillow's bicubic;
- large images are restored in one piece instead of tiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import BenchError
from refsr_bench.formats.keys import count, renamed
from refsr_bench.learning.imagenet import without_vgg19
from refsr_bench.learning.method import method_card
from refsr_bench.learning.system import System
from refsr_bench.registry.known import VGG19

if TYPE_CHECKING:
    from torch import Tensor, nn

State = Mapping[str, "Tensor"]

UPSCALE = "upscale.npz"

PYTORCH = (
    (r"content_extractor\.body\.(\d+)\.body\.0\.(\w+)", r"content.body.\1.conv1.\2"),
    (r"content_extractor\.body\.(\d+)\.body\.2\.(\w+)", r"content.body.\1.conv2.\2"),
    (r"content_extractor\.(head|tail)\.(.*)", r"content.\1.\2"),
    (r"texture_transfer\.body_(\w+)\.(\d+)\.body\.0\.(\w+)", r"transfer.\1.body.\2.conv1.\3"),
    (r"texture_transfer\.body_(\w+)\.(\d+)\.body\.2\.(\w+)", r"transfer.\1.body.\2.conv2.\3"),
    (r"texture_transfer\.(head|tail)_(small|medium|large)\.(.*)", r"transfer.\2.\1.\3"),
    (r"texture_transfer\.([ab])", r"\1"),
)
"""Rules that rename srntt-pytorch's keys to ours."""


def build(layout: str = "pytorch", **options: Any) -> nn.Module:
    """Build the network. layout: ``pytorch`` for srntt-pytorch's, ``tensorflow`` for the authors'."""
    from baselines.nets.srntt import SRNTT, OfficialSRNTT

    net = {"pytorch": SRNTT, "tensorflow": OfficialSRNTT}[layout](**options)
    net.layout = layout
    return net


def restore(net: nn.Module, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
    """Upscale a batch; the authors' network works on [-1, 1], the other on [0, 1].

    Nothing is padded: LR images may have any size, references multiples of four.
    """
    from refsr_bench.learning.tensors import down, down_up

    if net.layout == "pytorch":
        return net(lr, lr_up, refs, [down_up(ref) for ref in refs])
    sr = net(2 * lr - 1, [2 * ref - 1 for ref in refs], [2 * down(ref) - 1 for ref in refs])
    return sr / 2 + 0.5


def convert(states: Sequence[State]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert srntt-pytorch's state dict or the authors' lists, each with torchvision's VGG19, or our own state.

    The authors' list of the texture transfer may hold the content extractor as well; the missing arrays come from
    their ``upscale.npz``. Raises BenchError when VGG19 or that file is missing.
    """
    vgg = next((named for state in states if (named := _vgg19(state))), None)
    nets = [state for state in states if not _vgg19(state)]
    converted = _from_lists(nets) if nets and all(map(_is_list, nets)) else _from_pytorch(nets[0]) if nets else None
    if converted is None:
        return None
    options, state = converted
    if "vgg.mean" not in state:
        if vgg is None:
            raise without_vgg19(
                f"SRNTT's weights go with VGG19's, which their file does not hold: give torchvision's {VGG19.file} as "
                f"a second file ({VGG19.home})."
            )
        state |= vgg
    return options, state


def _vgg19(state: State) -> dict[str, Tensor]:
    """Rename torchvision's or srntt-pytorch's VGG19 (``vgg19.features.*``) for ``net``; empty for other files."""
    from refsr_bench.learning.vgg import ImageNetNormalised, from_torchvision

    named = {key.removeprefix("vgg19."): value for key, value in state.items()}
    try:
        features = from_torchvision(named, "relu3_1") | ImageNetNormalised().state_dict()
    except KeyError:
        return {}
    return {f"vgg.{key}": value.clone() for key, value in features.items()}


def _from_pytorch(state: State) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    state = renamed(state, PYTORCH)
    if "content.head.0.weight" not in state or "transfer.small.head.0.weight" not in state:
        return None
    if "content.body.0.norm1.weight" in state:  # the authors' network under our keys, from an earlier import
        bodies = ("content.body", *(f"transfer.{scale}.body" for scale in ("small", "medium", "large")))
        blocks = [count(state, rf"{re.escape(body)}\.(\d+)\.conv1") for body in bodies]
        return {"layout": "tensorflow", "channels": len(state["content.head.0.weight"]), "blocks": blocks}, state
    options = {
        "layout": "pytorch",
        "channels": len(state["content.head.0.weight"]),
        "blocks": count(state, r"content\.body\.(\d+)\.conv1"),
        "weighted": "a" in state,
    }
    return options, state


# -- the authors' files --------------------------------------------------------------------------------------------


def _is_list(state: State) -> bool:
    """Tell whether the keys are 0, 1, 2, ...: arrays without names (``formats.tensorlayer_npz``)."""
    return len(state) > 0 and all(str(n) in state for n in range(len(state)))


def _from_lists(states: Sequence[State]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Convert lists of content extractor, its enlargement and texture transfer, in one or two files."""
    net = build("tensorflow")
    extractor = list(_listed(net.content.head, "content.head.")) + list(_listed(net.content.body, "content.body."))
    upscale, transfer = list(_listed(net.content.tail, "content.tail.")), list(_listed(net.transfer, "transfer."))
    layouts = (extractor + upscale, transfer, extractor + transfer, extractor + upscale + transfer)
    state: dict[str, Tensor] = {}
    for arrays in sorted(states, key=len):  # the texture transfer's file last: its extractor was trained further
        names = next((names for names in layouts if len(names) == len(arrays)), None)
        if names is None:
            return None
        state |= {name: _to_torch(name, arrays[str(n)]) for n, name in enumerate(names)}
    own = net.state_dict()
    if any(state[name].shape != own[name].shape for name in state):
        return None
    if any(name.endswith("running_var") and (value < 0).any() for name, value in state.items()):
        raise BenchError("This list of arrays has SRNTT's sizes, but variances below zero: its order is another one.")
    if not set(transfer) <= set(state):
        raise BenchError(f"This is the enlargement of SRNTT alone ({UPSCALE}): give it along with srntt.npz.")
    if not set(extractor + upscale) <= set(state):
        raise BenchError(
            f"This is the texture transfer of SRNTT without all of its enlargement: give {UPSCALE} as well."
        )
    state |= {name: value for name, value in own.items() if name.endswith("num_batches_tracked")}
    return {"layout": "tensorflow"}, state


def _listed(module: nn.Module, prefix: str) -> Iterator[str]:
    """List the names of a module's tensors in the order of TensorLayer's lists."""
    from torch import nn

    for name, part in module.named_modules(prefix=prefix.removesuffix(".")):
        if isinstance(part, nn.Conv2d):
            yield from (f"{name}.{kind}" for kind in ("weight", "bias")[: 1 + (part.bias is not None)])
        elif isinstance(part, nn.BatchNorm2d):
            yield from (f"{name}.{kind}" for kind in ("bias", "weight", "running_mean", "running_var"))


def _to_torch(name: str, array: Tensor) -> Tensor:
    """Rearrange one array from TensorFlow's order to PyTorch's.

    Kernels (height, width, in, out) become (out, in, height, width), and sub-pixel channels (dy, dx, c) become
    (c, dy, dx). Only convolutions before a sub-pixel shuffle have 256 outputs, which tells them apart.
    """
    if array.ndim == 4:
        array = array.permute(3, 2, 0, 1)
    if len(array) == 256 and name.endswith(("weight", "bias")):
        array = array.unflatten(0, (4, 64)).transpose(0, 1).flatten(0, 1)
    return array.contiguous()


# -- training and cards --------------------------------------------------------------------------------------------


def start(net: nn.Module, vgg: State, extractor: State) -> None:
    """Fill VGG19, which stays frozen."""
    from refsr_bench.learning.vgg import from_torchvision

    net.vgg.load_state_dict(from_torchvision(vgg, "relu3_1"), strict=False)


SYSTEM = System(build, restore, convert, start, least=3, small={"channels": 32, "blocks": 8})

_HOME = "https://github.com/ZZUTK/SRNTT"
_PYTORCH_HOME = "https://github.com/S-aiueo32/srntt-pytorch"
_COMMON = {
    "group": "Ref-SR",
    "references": "many",
    "year": 2019,
    "paper": "Zhang et al., Image Super-Resolution by Neural Texture Transfer, CVPR 2019",
    "parameters": 5_746_252,
    "gmacs": 1043.2,
    "verified": "unofficial code",
    "guesses": (
        "The authors' files list arrays without names; their order is taken to be that of the layers as they are "
        "built, norms as beta, gamma, mean, variance.",
        "Sub-pixel channels of the authors' files are taken to be in the order of TensorFlow's depth_to_space, "
        "(dy, dx, channel); not verified.",
        "The authors match features of matconvnet's VGG19; here it is torchvision's, as in srntt-pytorch.",
        "In the authors' network what a residual body is added to is the input of its scale, and norms have epsilon "
        "1e-5.",
        "References are reduced with Pillow's bicubic; the authors' tiles for large images are not imitated.",
        "Which of the authors' files belongs to SRNTT-rec is not said; srntt_init.npz, of the reconstruction loss "
        "alone, is taken for it.",
    ),
}

METHODS = (
    method_card(
        SYSTEM,
        name="srntt-rec",
        title="SRNTT-rec",
        gan=False,
        description="Swaps VGG features of matched reference patches in at three scales; reconstruction loss alone. "
        "Size and verification are those of srntt-pytorch's network; the authors' has 4.38 M parameters.",
        files=(
            WeightsFile("srntt_init.npz", _HOME, "TensorFlow, trained on CUFED5; with upscale.npz"),
            WeightsFile(UPSCALE, _HOME, "TensorFlow, enlarges what is matched", companion=True),
            VGG19,
        ),
        **_COMMON,
    ),
    method_card(
        SYSTEM,
        name="srntt",
        title="SRNTT",
        gan=True,
        description="The same network trained with perceptual, texture and adversarial losses.",
        files=(
            WeightsFile("srntt.npz", _HOME, "TensorFlow, trained on CUFED5; with upscale.npz"),
            WeightsFile(UPSCALE, _HOME, "TensorFlow, enlarges what is matched", companion=True),
            WeightsFile("*.pth", _PYTORCH_HOME, "the other network"),
            VGG19,
        ),
        **_COMMON,
    ),
)
