"""LPIPS (Zhang et al., 2018), AlexNet variant v0.1, through the ``lpips`` package.

The package contains the five calibrated linear layers. The ImageNet AlexNet below them is torchvision's file, taken
from the folder of weights, the torch hub cache, or a file that the user names.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refsr_bench.core.cards import MetricCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image
from refsr_bench.formats import checkpoints
from refsr_bench.metrics._planes import inside
from refsr_bench.registry.known import ALEXNET
from refsr_bench.registry.places import fetching, weights_file

MIN_SIDE = 32
"""Pixels AlexNet's convolutions and poolings need in each direction."""

_GET = f"{fetching(ALEXNET)}, or name a local copy with --metric-weights lpips=FILE"
_HELP = f"LPIPS needs torchvision's ImageNet AlexNet: {_GET}."


def load(device: str, weights: Path | None) -> Callable[[Image, Image, int, bool], float]:
    """Return a ``compute(sr, hr, border, y_rounded)`` on ``device``.

    weights: an AlexNet state dict with torchvision's names (``features.*``; other entries are ignored); None
    takes the one on this machine. Nothing in the file is executed or downloaded. Raises BenchError when there is none,
    or when it is not AlexNet's.
    """
    model = build(_weights(weights), str(weights or ALEXNET.file)).to(device)

    def compute(sr: Image, hr: Image, border: int, y_rounded: bool) -> float:
        return distance(model, sr, hr, border)

    return compute


def build(alexnet: Mapping[str, Any], source: str) -> Any:
    """Return ``lpips.LPIPS`` in evaluation mode with the given AlexNet tensors below the package's linear layers.

    Raises BenchError naming ``source`` when a tensor is missing or has another shape.
    """
    import lpips
    import torch

    # Asking the package for ImageNet weights would make torchvision download them, so take a random trunk and fill it.
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        model = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    tensors = {}
    for name, tensor in model.net.state_dict().items():  # slice3.6.weight holds torchvision's features.6.weight
        key = "features." + name.split(".", 1)[1]
        found = alexnet.get(key)
        if getattr(found, "shape", None) != tensor.shape:
            what = f"has shape {tuple(found.shape)}" if hasattr(found, "shape") else "is missing"
            raise BenchError(f"{source} is not an AlexNet state dict: '{key}' {what}. {_HELP}")
        tensors[name] = found
    model.net.load_state_dict(tensors)
    return model.eval().requires_grad_(False)


def distance(model: Any, sr: Image, hr: Image, border: int) -> float:
    """Return LPIPS of two uint8 RGB images, without the same border as for the other metrics; 0 when identical.

    The network sees RGB in [-1, 1]. Raises BenchError when fewer than ``MIN_SIDE`` pixels remain on a side.
    """
    import torch

    whole = hr.shape
    sr, hr = inside(sr, hr, border)
    if min(hr.shape[:2]) < MIN_SIDE:
        raise BenchError(
            f"LPIPS needs at least {MIN_SIDE}x{MIN_SIDE} pixels after the border is left out; of "
            f"{whole[1]}x{whole[0]} a border of {border} leaves {hr.shape[1]}x{hr.shape[0]}."
        )
    device = next(model.parameters()).device

    def tensor(image: Image):
        chw = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
        return torch.from_numpy(chw)[None].to(device) / 127.5 - 1.0

    with torch.inference_mode():
        return float(model(tensor(sr), tensor(hr)))


def _weights(path: Path | None) -> Mapping[str, Any]:
    try:
        return checkpoints.read_weights(path or weights_file(ALEXNET.name))
    except BenchError as error:
        raise BenchError(f"{error} {_HELP}") from error


METRICS = (
    MetricCard(
        "lpips",
        "LPIPS",
        "lower",
        "",
        4,
        "Learned perceptual distance, AlexNet v0.1, RGB. Needs the ImageNet AlexNet file.",
        load,
        get=_GET,
        file=ALEXNET,
    ),
)
