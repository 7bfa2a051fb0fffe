"""The files of C2-Matching's descendants: a restoration network, C2-Matching's extractors and torchvision's VGG19."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import BenchError
from refsr_bench.learning.keys import without_prefix

if TYPE_CHECKING:
    from torch import Tensor, nn

LAST = "conv3_1"  # of VGG19, whose relu3_1 is the deepest that is read
VGG19 = "vgg19-dcbb9e9d.pth"
HOMES = {
    "extractor": ("feature_extraction.pth", "the authors' page, or C2-Matching's, whose extractors these are"),
    "vgg": (VGG19, f"https://download.pytorch.org/models/{VGG19}"),
}
COMPANIONS = (
    WeightsFile("feature_extraction.pth", "https://github.com/yumingj/C2-Matching", "goes with any of the others"),
    WeightsFile(VGG19, "https://download.pytorch.org/models/", "VGG19, goes with any of the others"),
)


def parts(states: Sequence[Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """What several files hold, in any order, files of other models left out: state dicts of ``restoration`` (under the
    authors' keys), ``extractor`` and ``vgg``. One file with the prefixes net_g., net_extractor., net_map. does as well.
    """
    from refsr_bench.learning.vgg import from_torchvision

    found: dict[str, dict[str, Tensor]] = {}
    for state in states:
        files = [without_prefix(state, prefix) for prefix in ("net_g.", "net_extractor.", "net_map.")]
        for file in files if any(files) else [dict(state)]:
            if any(key.startswith("dyn_agg_restore.") for key in file):
                found["restoration"] = file
            elif "feature_extraction_image1.model.conv1_1.weight" in file:
                found["extractor"] = file
            elif f"vgg.vgg_net.{LAST}.weight" in file:
                found["vgg"] = without_prefix(file, "vgg.")
            elif "features.10.weight" in file and len(file["features.0.weight"]) == 64:
                found["vgg"] = from_torchvision(file, LAST)
    return found


def whole(
    restoration: Mapping[str, Tensor], found: Mapping[str, Mapping[str, Tensor]], title: str
) -> dict[str, Tensor]:
    """One state dict of the restoration network and the other two parts. Raises BenchError naming a file not given."""
    import torch

    from refsr_bench.learning.vgg import IMAGENET_MEAN, IMAGENET_STD

    state = {f"restoration.{key}": value for key, value in restoration.items()}
    for part, (file, home) in HOMES.items():
        if part not in found:
            raise BenchError(f"{title}'s restoration network needs {file} beside it ({home}): give both files.")
        state |= {f"{part}.{key}": value for key, value in found[part].items()}
    owners = ("vgg", "extractor.feature_extraction_image1", "extractor.feature_extraction_image2")
    for owner in owners:  # constants, which not every file has
        state[f"{owner}.mean"] = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
        state[f"{owner}.std"] = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    return state


def start(net: nn.Module, vgg: Mapping[str, Tensor], extractor: Mapping[str, Tensor]) -> None:
    """Before training: a trained ``ContrastiveExtractor``, and torchvision's VGG19 for the reference features."""
    from refsr_bench.learning.vgg import from_torchvision

    net.extractor.load_state_dict(dict(extractor))
    net.vgg.load_state_dict({**net.vgg.state_dict(), **from_torchvision(vgg, LAST)})


def sizes(restoration: Mapping[str, Tensor]) -> dict[str, Any]:
    """Options of a network with C2-Matching's content extractor and residual blocks, off the shapes of its weights."""
    from c2matching.bundle import config_of

    config = config_of(restoration)
    return {"channels": config.channels, "blocks": list(config.blocks), "groups": config.groups}
