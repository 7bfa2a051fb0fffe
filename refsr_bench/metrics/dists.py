"""DISTS (Ding et al., 2020), structure and texture of VGG16's maps, through ``torchmetrics``.

The package contains the two weights of each map. The ImageNet VGG16 below them is torchvision's file, taken from the
folder of weights, the torch hub cache, or a file that the user names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refsr_bench.core.cards import MetricCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image
from refsr_bench.formats import checkpoints
from refsr_bench.metrics._planes import inside
from refsr_bench.registry.known import VGG16
from refsr_bench.registry.places import fetching, weights_file

if TYPE_CHECKING:
    from torch import Tensor, nn

_GET = f"{fetching(VGG16)}, or name a local copy with --metric-weights dists=FILE"
_HELP = f"DISTS needs torchvision's ImageNet VGG16: {_GET}."
# Layers of torchvision's VGG16 between two poolings, and the channels that the pooling in front of them has; the
# pooling takes the place of the layer before the first one.
_STAGES = ((0, 4, 0), (5, 9, 64), (10, 16, 128), (17, 23, 256), (24, 30, 512))


def load(device: str, weights: Path | None) -> Callable[[Image, Image, int, bool], float]:
    """Return a ``compute(sr, hr, border, y_rounded)`` on ``device``.

    weights: a VGG16 state dict with torchvision's names (``features.*``; other entries are ignored); None takes the
    one on this machine. Nothing in the file is executed or downloaded. Raises BenchError when there is none, or when
    it is not VGG16's.
    """
    try:
        vgg16 = checkpoints.read_weights(weights or weights_file(VGG16.name))
    except BenchError as error:
        raise BenchError(f"{error} {_HELP}") from error
    model = build(vgg16, str(weights or VGG16.file)).to(device)

    def compute(sr: Image, hr: Image, border: int, y_rounded: bool) -> float:
        return distance(model, sr, hr, border)

    return compute


def build(vgg16: Mapping[str, Any], source: str) -> nn.Module:
    """Return torchmetrics' network in evaluation mode with the given VGG16 tensors and the package's map weights.

    Raises BenchError naming ``source`` when a tensor is missing or has another shape.
    """
    import torch
    from torch import nn
    from torchmetrics.functional.image import dists
    from torchvision.models import vgg16 as architecture

    with torch.device("meta"):
        features = architecture(weights=None).features
    own = {f"features.{name}": tensor.shape for name, tensor in features.state_dict().items()}
    for key, shape in own.items():
        found = vgg16.get(key)
        if getattr(found, "shape", None) != shape:
            what = f"has shape {tuple(found.shape)}" if hasattr(found, "shape") else "is missing"
            raise BenchError(f"{source} is not a VGG16 state dict: '{key}' {what}. {_HELP}")
    features.load_state_dict({key.removeprefix("features."): vgg16[key].float() for key in own}, assign=True)
    for layer in features:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False

    class Network(dists.DISTSNetwork):
        """The package's network without its constructor, which would download VGG16 and unpickle a file."""

        def __init__(self) -> None:
            nn.Module.__init__(self)
            for number, (first, last, channels) in enumerate(_STAGES, 1):
                pooling = [dists.L2pooling(channels=channels)] if channels else []
                setattr(self, f"stage{number}", nn.Sequential(*pooling, *features[first:last]))
            self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, -1, 1, 1))
            self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, -1, 1, 1))
            self.chns = [3, 64, 128, 256, 512, 512]
            for name, tensor in _map_weights().items():
                self.register_buffer(name, tensor)

    return Network().eval().requires_grad_(False)


def _map_weights() -> dict[str, Tensor]:
    """Return alpha and beta of the authors, (1, 1475, 1, 1) each, from torchmetrics."""
    from torchmetrics.functional.image import dists

    return checkpoints.read_weights(Path(dists.__file__).with_name("dists_models") / "weights.pt")


def distance(model: nn.Module, sr: Image, hr: Image, border: int) -> float:
    """Return DISTS of two uint8 RGB images, without the same border as for the other metrics; 0 when identical.

    The images keep their size, as in torchmetrics and pyiqa; piq, and the authors' code when told to, first shrink
    them until the shorter side has 256 pixels. Raises BenchError when the sizes differ or nothing is left.
    """
    import torch

    sr, hr = inside(sr, hr, border)
    device = next(model.buffers()).device

    def tensor(image: Image) -> Tensor:
        chw = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
        return torch.from_numpy(chw)[None].to(device) / 255.0

    with torch.inference_mode():
        return float(model(tensor(sr), tensor(hr)))


METRICS = (
    MetricCard(
        "dists",
        "DISTS",
        "lower",
        "",
        4,
        "Structure and texture of VGG16's maps, RGB, images in their own size. Needs the ImageNet VGG16 file.",
        load,
        get=_GET,
        file=VGG16,
        package="torchmetrics",
    ),
)
