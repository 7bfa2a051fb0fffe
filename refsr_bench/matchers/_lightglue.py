"""LightGlue (Lindenberger et al., ICCV 2023), which matches the keypoints that another network found."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from refsr_bench.core.types import Image
from refsr_bench.matchers._keypoints import NOTHING, Found
from refsr_bench.matchers._networks import Needs, by_turns, tensor

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST = 2048  # keypoints of an image, as in LightGlue's evaluation; its attention grows with the square


class Networks(NamedTuple):
    """An extractor of keypoints, and the LightGlue that was trained with it.

    describe(pixels): takes an image (1, 3, H, W) RGB in [0, 1]; gives positions (1, n, 2), (x, y), and descriptors
    (1, n, 128).
    """

    describe: Callable[[Tensor], tuple[Tensor, Tensor]]
    glue: nn.Module


class Described(NamedTuple):
    """Keypoints of one image: positions (1, n, 2), (x, y), descriptors (1, n, 128), and its size (1, 2), (W, H)."""

    points: Tensor
    descriptors: Tensor
    size: Tensor


def glue(needs: Needs, path: Path, device: str) -> nn.Module:
    """Load the LightGlue whose weights lie at ``path``, made for descriptors of 128 numbers."""
    from refsr_bench.formats.checkpoints import load_strict, read_weights

    net = needs.imported().LightGlue(features=None, input_dim=128)
    # The files are older than the network's present names, and those for DISK hold numbers that nothing uses.
    state = {
        re.sub(r"^(self_attn|cross_attn)\.(\d+)", r"transformers.\2.\1", key): value
        for key, value in read_weights(path).items()
        if not re.fullmatch(r"log_assignment\.\d+\.r", key)
    }
    state["confidence_thresholds"] = net.confidence_thresholds
    load_strict(net, state, path, "LightGlue")
    return net.eval().requires_grad_(False).to(device)


def by_glue(networks: Networks, image: Image, ref: Image, device: str, enough: int) -> Found:
    """Match the keypoints of two images, uint8 H x W x 3 RGB, by LightGlue; see ``by_turns``."""
    import torch

    def describe(pixels: Image) -> Described:
        size = torch.tensor([pixels.shape[1::-1]], dtype=torch.float32, device=device)
        return Described(*networks.describe(tensor(pixels, device)), size)

    with torch.inference_mode():
        return by_turns(image, ref, describe, partial(matched, networks.glue), enough)


def matched(net: nn.Module, own: Described, there: Described) -> Found:
    """Match the keypoints of two images. LightGlue decides which have a partner."""
    if not own.points.shape[1] or not there.points.shape[1]:
        return NOTHING
    pair = [
        {"keypoints": each.points, "descriptors": each.descriptors, "image_size": each.size} for each in (own, there)
    ]
    index = net({"image0": pair[0], "image1": pair[1]})["matches"][0]
    points = own.points[0][index[:, 0]], there.points[0][index[:, 1]]
    return Found(*(each.float().cpu().numpy() for each in points))
