"""torchvision's VGG16 and VGG19 with ImageNet weights: the reading of their layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from refsr_bench.core.errors import BenchError
from refsr_bench.formats.checkpoints import read_weights
from refsr_bench.learning.weights import Incomplete
from refsr_bench.registry.known import VGG19
from refsr_bench.registry.places import weights_file

if TYPE_CHECKING:
    from torch import Tensor


def without_vgg19(message: str) -> Incomplete:
    """Make the error of a network that needs VGG19 when VGG19's weights were not given."""
    return Incomplete(message, "vgg19*.pth", "torchvision's VGG19", VGG19.name)


def vgg(name: str, path: Path | None, last: str, instead: str) -> dict[str, Tensor]:
    """Return the weights of "vgg16" or "vgg19" up to layer ``last``, under the names of ``vgg.vgg_layers``.

    path: torchvision's file; None takes the one that is on this machine. instead: the end of the error's advice, what a
    person without the file can do. Raises BenchError when there is none, or when it belongs to another network.
    """
    from refsr_bench.learning.vgg import from_torchvision

    try:
        found = path or weights_file(name)
    except BenchError as error:
        raise BenchError(f"{error} Or give --{name} FILE, or {instead}.") from None
    try:
        state = from_torchvision(read_weights(found), last)
    except KeyError as error:
        raise BenchError(f"{found} does not hold torchvision's {name.upper()}: it lacks {error}.") from None
    return {key.removeprefix("vgg_net."): value for key, value in state.items()}
