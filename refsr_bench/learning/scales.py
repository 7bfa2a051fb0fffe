"""The three resolutions at which networks of the field read a reference, and how their maps are brought together."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Scale(NamedTuple):
    """A VGG19 layer of the reference, its channels, and its resolution relative to the LR image."""

    layer: str
    channels: int
    factor: int


SCALES = {  # since SRNTT
    "small": Scale("relu3_1", 256, 1),
    "medium": Scale("relu2_1", 128, 2),
    "large": Scale("relu1_1", 64, 4),
}


def at_grid(ref: Tensor, size: tuple[int, int], origin: tuple[int, int]) -> Tensor:
    """Cut (or zero-pad at the bottom and right) a reference map (N, C, H, W) to the grid of ``size`` at ``origin``."""
    h, w = size
    cut = ref[..., origin[0] : origin[0] + h, origin[1] : origin[1] + w]
    return F.pad(cut, (0, w - cut.shape[-1], 0, h - cut.shape[-2]))
