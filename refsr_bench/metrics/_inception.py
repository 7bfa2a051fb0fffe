"""Features of image crops by Inception-v3 as FID defines it: the network of 2015-12-05, ported by pytorch-fid.

The layers that differ from torchvision's come from ``piq``. Crops are enlarged to 299 pixels by torch's bilinear
resize, as pytorch-fid does; clean-fid resizes by Pillow's bicubic instead, which gives other values.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refsr_bench.core.types import Image
from refsr_bench.formats import checkpoints
from refsr_bench.registry.known import INCEPTION
from refsr_bench.registry.places import weights_file

if TYPE_CHECKING:
    from torch import nn

SIDE, STEP = 128, 64
"""The crop rule, in pixels: squares of SIDE at every STEP from the top left of the scored image without its border."""
WIDTH = 2048  # features of a crop
BATCH = 16  # crops at once; 299x299 pixels take 60 MB each inside the network
MOST_KEPT = 32_768  # crops whose features are kept for the next method, which has the same HR: 256 MB


class Features:
    """The network and what it found, kept so that HR, which all methods share, is looked at once."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()

    def of(self, image: Image) -> np.ndarray:
        """Return float32 (crops, WIDTH) of a uint8 RGB image; no rows for one that is smaller than a crop."""
        key = hashlib.sha256(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
        if key not in self._kept:
            self._kept[key] = self._computed(list(crops(image)))
        self._kept.move_to_end(key)
        while sum(map(len, self._kept.values())) > MOST_KEPT and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _computed(self, found: list[Image]) -> np.ndarray:
        import torch

        device = next(self.network.parameters()).device
        rows = [np.empty((0, WIDTH), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(found), BATCH):
                batch = np.stack(found[start : start + BATCH]).transpose(0, 3, 1, 2).astype(np.float32) / 255
                large = torch.nn.functional.interpolate(
                    torch.from_numpy(batch).to(device), (299, 299), mode="bilinear", align_corners=False
                )
                rows.append(self.network(2 * large - 1).flatten(1).cpu().numpy())
        return np.concatenate(rows)


def count(sizes: Iterable[tuple[int, int]]) -> int:
    """Return the number of crops of images of these (height, width)."""
    return sum(len(_starts(height)) * len(_starts(width)) for height, width in sizes)


def _starts(side: int) -> range:
    return range(0, side - SIDE + 1, STEP)


def crops(image: Image) -> Iterator[Image]:
    """Return the crops of an image, row by row."""
    for top in _starts(image.shape[0]):
        for left in _starts(image.shape[1]):
            yield image[top : top + SIDE, left : left + SIDE]


@cache
def features(device: str, weights: Path | None) -> Features:
    """Return the features' network on ``device``. weights: its file; None takes the one on this machine.

    Raises BenchError when the file cannot be had or holds another network.
    """
    path = weights or weights_file(INCEPTION.name)
    return Features(build(checkpoints.read_weights(path), str(path)).to(device))


def build(state: Mapping[str, Any], source: str) -> nn.Module:
    """Return the network up to its last pooling, in evaluation mode. Raises BenchError naming ``source``."""
    from piq.feature_extractors import fid_inception as fid
    from torch import nn
    from torchvision.models import inception_v3

    net = inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    net.Mixed_5b, net.Mixed_5c = fid.FIDInceptionA(192, pool_features=32), fid.FIDInceptionA(256, pool_features=64)
    net.Mixed_5d = fid.FIDInceptionA(288, pool_features=64)
    for name, channels in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        setattr(net, f"Mixed_{name}", fid.FIDInceptionC(768, channels_7x7=channels))
    net.Mixed_7b, net.Mixed_7c = fid.FIDInceptionE1(1280), fid.FIDInceptionE2(2048)
    # files of torch before 0.4.1 lack the counters of batches, which are not used here
    missing = {key: value for key, value in net.state_dict().items() if key.endswith("num_batches_tracked")}
    checkpoints.load_strict(net, {**missing, **state}, source, "the Inception-v3 of FID")
    names = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "", "Conv2d_3b_1x1", "Conv2d_4a_3x3", ""]
    names += [f"Mixed_{name}" for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")]
    layers = [getattr(net, name) if name else nn.MaxPool2d(kernel_size=3, stride=2) for name in names]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)).eval().requires_grad_(False)


def both(found: Features, pairs: Iterable[tuple[Image, Image]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of all SR and of all HR images, float64 (crops, WIDTH) each."""
    rows = [(found.of(sr), found.of(hr)) for sr, hr in pairs]
    first, second = zip(*rows, strict=True)
    return np.concatenate(first).astype(np.float64), np.concatenate(second).astype(np.float64)
