"""C2-Matching's weights files: the authors' three, those of its descendants, and bundles of our older format.

The authors publish a restoration network and ``feature_extraction.pth``, the student's extractors; they read the
reference with torchvision's VGG19. AMSA, DATSR and MRefSR do the same, and their converters build on this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import parse_json
from refsr_bench.formats.keys import without_prefix
from refsr_bench.learning.imagenet import without_vgg19
from refsr_bench.learning.system import BRANCHES, Converted, State
from refsr_bench.learning.weights import Incomplete
from refsr_bench.registry.known import VGG19

if TYPE_CHECKING:
    from torch import Tensor, nn

BUNDLED = Path(__file__).parent / "weights" / "c2matching-nano-v2.safetensors"
BUNDLE = "refsr-bench c2matching 1"  # the format of our C2-Matching files before there was one for all systems
HOME = "https://github.com/yumingj/C2-Matching"
LAST = "conv3_1"  # VGG19's last convolution here, because relu3_1 is the deepest layer that is read
EXTRACTORS = "feature_extraction.pth"
PARTS = ("restoration", "extractor", "vgg")
PREFIXES = ("net_g.", "net_extractor.", "net_map.", *(f"{part}." for part in PARTS))  # in files with several parts
COMPANIONS = (WeightsFile(EXTRACTORS, HOME, "goes with any of the others", companion=True), VGG19)


# -- the authors' files --------------------------------------------------------------------------------------------


def parts(states: Sequence[State]) -> dict[str, dict[str, Tensor]]:
    """Sort the contents of several files into ``restoration`` (under the authors' keys), ``extractor`` and ``vgg``.

    The order of the files does not matter, and those of other models are left out. One file with a prefix for each part
    serves as well. A part that no file holds is absent.
    """
    from refsr_bench.learning.vgg import from_torchvision

    found: dict[str, dict[str, Tensor]] = {}
    for state in states:
        files = [without_prefix(state, prefix) for prefix in PREFIXES]
        for file in files if any(files) else [dict(state)]:
            if any(key.startswith("dyn_agg_restore.") for key in file):
                found["restoration"] = file
            elif f"{BRANCHES[0]}.model.conv1_1.weight" in file:
                found["extractor"] = file
            elif any(key.removeprefix("vgg.").startswith("vgg_net.conv1_1.") for key in file):
                found["vgg"] = {key.removeprefix("vgg."): value for key, value in file.items()}
            elif "features.10.weight" in file and len(file["features.0.weight"]) == 64:
                found["vgg"] = from_torchvision(file, LAST)
    return found


def whole(
    restoration: State, found: Mapping[str, State], title: str, layers: str = LAST
) -> dict[str, Tensor]:
    """Join the restoration network and the other two parts into one state dict.

    title: the method's, for errors. layers: the last convolution of VGG19 that is read. Raises Incomplete when a file
    was not given.
    """
    import torch

    from refsr_bench.learning.vgg import IMAGENET_MEAN, IMAGENET_STD

    needs = f"{title}'s restoration network needs"
    if "extractor" not in found:
        home = f"the authors' page, or C2-Matching's, {HOME}"
        message = f"{needs} {EXTRACTORS} beside it ({home}): give both files."
        raise Incomplete(message, EXTRACTORS, "the C2-Matching extractors")
    if "vgg" not in found:
        raise without_vgg19(f"{needs} {VGG19.file} beside it ({VGG19.home}): give both files.")
    state = {f"restoration.{key}": value for key, value in restoration.items()}
    state |= {f"extractor.{key}": value for key, value in found["extractor"].items()}
    state |= {f"vgg.{key}": value for key, value in found["vgg"].items() if not _deeper(key, layers)}
    for owner in ("vgg", *(f"extractor.{branch}" for branch in BRANCHES)):  # constants, which not every file has
        state.setdefault(f"{owner}.mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        state.setdefault(f"{owner}.std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
    return state


def _deeper(key: str, last: str) -> bool:
    """Tell whether a key of VGG19 belongs to a convolution behind ``last``. Names sort like the layers."""
    layer = re.match(r"vgg_net\.(conv\d_\d)\.", key)
    return layer is not None and layer[1] > last


def sizes(restoration: State) -> dict[str, Any]:
    """Read ``channels``, ``blocks`` and ``groups`` of a descendant of C2-Matching off its tensors.

    Raises KeyError or TypeError when they lack C2-Matching's content extractor or offset predictors.
    """

    def count(body: str) -> int:
        return len({m[1] for key in restoration if (m := re.match(rf"{re.escape(body)}\.(\d+)\.", key))})

    bodies = ("content_extractor.body", *(f"dyn_agg_restore.body_{s}" for s in ("small", "medium", "large")))
    return {
        "channels": len(restoration["content_extractor.conv_first.weight"]),
        "blocks": [count(body) for body in bodies],
        "groups": len(restoration["dyn_agg_restore.large_dyn_agg.conv_offset_mask.bias"]) // 27,
    }


def convert(states: Sequence[State]) -> Converted | None:
    """Convert the authors' files of C2-Matching, or one file with our parts, in which ``vgg`` is optional."""
    found = parts(states)
    restoration = found.get("restoration", {})
    own = {"content_extractor.conv_first.weight", "dyn_agg_restore.head_large.0.weight"}
    if not own <= restoration.keys() or "dyn_agg_restore.small_deform_conv.weight" in restoration:
        return None  # AMSA's network has a further convolution, the others have other heads
    if len(states) == 1 and "extractor" in found and "vgg" not in found:
        found["vgg"] = reader(found["extractor"])
    return _network(options_of(restoration), restoration, found)


def options_of(restoration: State) -> dict[str, Any]:
    """Read the options of C2-Matching's own network off its tensors, which do not show ``taps``."""
    return {**sizes(restoration), "small_reference": "dyn_agg_restore.small_dyn_agg.weight" in restoration}


def _network(options: dict[str, Any], restoration: State, found: Mapping[str, State]) -> Converted:
    last = LAST if options.get("small_reference", True) else "conv2_1"  # of VGG19, read at relu3_1 or relu2_1
    return options, whole(restoration, found, "C2-Matching", last)


def reader(extractor: State) -> dict[str, Tensor]:
    """Return branch 2 of the extractors under VGG19's names; it has VGG19's shape up to conv3_1."""
    branch = without_prefix(extractor, f"{BRANCHES[1]}.")
    return {re.sub(r"^model\.", "vgg_net.", key): value for key, value in branch.items()}


# -- bundles -------------------------------------------------------------------------------------------------------


def from_bundle(metadata: Mapping[str, str], state: State) -> Converted:
    """Convert a file of the format ``BUNDLE``: restoration network, extractors and reference features.

    Reference features are absent when they are branch 2 of the extractors. The metadata hold the network's options as
    JSON under ``network``. Raises BenchError when there is no restoration network.
    """
    found = parts([state])
    if "restoration" not in found:
        raise BenchError("holds extractors alone, no restoration network: it is for --teacher or --student.")
    found.setdefault("extractor", {})
    found.setdefault("vgg", reader(found["extractor"]))
    restoration = found["restoration"]
    options = parse_json(metadata["network"], "its network") if "network" in metadata else options_of(restoration)
    return _network(options, restoration, found)


# -- before a training ---------------------------------------------------------------------------------------------


def start(net: nn.Module, vgg: State, extractor: State) -> None:
    """Fill the frozen parts of a descendant of C2-Matching before its training.

    extractor: the student's state dict. vgg: torchvision's VGG19, for the reference features.
    """
    from refsr_bench.formats.checkpoints import load_strict
    from refsr_bench.learning.vgg import from_torchvision

    load_strict(net.extractor, extractor, "--student", "the C2-Matching extractors")
    net.vgg.load_state_dict({**net.vgg.state_dict(), **from_torchvision(vgg, LAST)})
