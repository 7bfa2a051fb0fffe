"""Networks with formula weights, and arrays made by the authors' code with the same weights."""

import copy
import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
from fill import value, values
from safetensors.torch import save_file
from torch import Tensor, nn

from c2matching.checkpoints import BUNDLE
from c2matching.method import SYSTEM
from c2matching.nets.model import C2Matching
from c2matching.nets.restoration import RestorationConfig
from refsr_bench.learning.vgg import VGG19Features, from_torchvision
from refsr_bench.learning.weights import read

VGG19_CONVOLUTIONS = {
    index: (width, before)
    for index, width, before in (
        (0, 64, 3),
        (2, 64, 64),
        (5, 128, 64),
        (7, 128, 128),
        (10, 256, 128),
        (12, 256, 256),
        (14, 256, 256),
        (16, 256, 256),
        (19, 512, 256),
        (21, 512, 512),
        (23, 512, 512),
        (25, 512, 512),
        (28, 512, 512),
        (30, 512, 512),
        (32, 512, 512),
        (34, 512, 512),
    )
}


def tensor(array) -> Tensor:
    return torch.from_numpy(np.array(array))


def image(array) -> Tensor:
    """Turn a uint8 array (N, 3, H, W) into the exact network input."""
    return tensor(array).float() / 255


def fill(module: nn.Module, prefix: str = "") -> nn.Module:
    """Give a module the weights that belong to its names (``prefix`` + state-dict key) and put it in eval mode."""
    module.load_state_dict({k: tensor(value(prefix + k, v.shape)) for k, v in module.state_dict().items()})
    return module.eval()


@cache
def vgg19_file(last: int = 35) -> dict[str, Tensor]:
    """Make the contents of torchvision's VGG19 file, up to a layer number, with formula weights."""
    shapes = {}
    for index, (width, before) in VGG19_CONVOLUTIONS.items():
        if index <= last:
            shapes |= {f"features.{index}.weight": (width, before, 3, 3), f"features.{index}.bias": (width,)}
    return {key: tensor(array) for key, array in values(shapes).items()}


def vgg19(*layers: str) -> VGG19Features:
    net = VGG19Features(layers)
    file = vgg19_file(28 if max(layers) > "relu3_1" else 10)
    net.load_state_dict({**net.state_dict(), **from_torchvision(file, max(layers))})
    return net.eval()


@cache
def _full_model() -> C2Matching:
    model = C2Matching()
    for part in (model.extractor, model.restoration):
        fill(part)
    model.vgg = vgg19(*model.vgg.layers)
    return model.eval().requires_grad_(False)


def full_model() -> C2Matching:
    """A fresh copy of the full model with formula weights."""
    return copy.deepcopy(_full_model())


def arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    return dict(np.load(folder / f"{name}.npz", allow_pickle=False))


def error(actual: Tensor | np.ndarray, expected: np.ndarray) -> float:
    """Largest absolute difference; shapes must be equal."""
    actual = actual.detach().numpy() if isinstance(actual, Tensor) else actual
    assert actual.shape == expected.shape
    return float(np.abs(actual.astype(np.float64) - expected).max())


def network_of(path: Path) -> C2Matching:
    """The network in a file of C2-Matching's weights."""
    return read(SYSTEM, "c2matching", [path]).net


def write_bundle(
    path: Path,
    parts: Mapping[str, Mapping[str, Tensor]],
    network: RestorationConfig | None = None,
    metadata: Mapping[str, str] | None = None,
    half: bool = False,
) -> None:
    """A file as earlier versions wrote C2-Matching's weights: state dicts by part, the network's sizes as JSON."""
    state = {f"{part}.{key}": value.contiguous() for part, own in parts.items() for key, value in own.items()}
    state = {key: value.half() for key, value in state.items()} if half else state
    sizes = {"network": json.dumps(dataclasses.asdict(network))} if network else {}
    save_file(state, path, {"format": BUNDLE, **sizes, **(metadata or {})})
