"""torchvision's VGG16 and VGG19 with ImageNet weights: their addresses, and the reading of their layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import BenchError
from refsr_bench.formats import checkpoints
from refsr_bench.learning.weights import Incomplete

if TYPE_CHECKING:
    from torch import Tensor

MODELS = "https://download.pytorch.org/models"
FILES = {"vgg16": "vgg16-397923af.pth", "vgg19": "vgg19-dcbb9e9d.pth"}
VGG19 = WeightsFile(FILES["vgg19"], f"{MODELS}/", "VGG19, goes with any of the others")


def without_vgg19(message: str) -> Incomplete:
    """Make the error of a network that needs VGG19 when VGG19's weights were not given."""
    return Incomplete(message, "vgg19*.pth", "torchvision's VGG19", VGG19.home + VGG19.file)


def vgg(name: str, path: Path | None, last: str, instead: str) -> dict[str, Tensor]:
    """Return the weights of "vgg16" or "vgg19" up to layer ``last``, under the names of ``vgg.vgg_layers``.

    path: torchvision's file; None downloads it. instead: the end of the error's advice, what a person without the file
    can do. Raises BenchError when the weights cannot be downloaded or belong to another network.
    """
    from refsr_bench.learning.vgg import from_torchvision

    try:
        found = path or checkpoints.fetch(f"{MODELS}/{FILES[name]}")
    except BenchError as error:
        raise BenchError(f"{error} Give a local copy with --{name} FILE, or {instead}.") from None
    try:
        state = from_torchvision(checkpoints.read_weights(found), last)
    except KeyError as error:
        raise BenchError(f"{found} does not hold torchvision's {name.upper()}: it lacks {error}.") from None
    return {key.removeprefix("vgg_net."): value for key, value in state.items()}
