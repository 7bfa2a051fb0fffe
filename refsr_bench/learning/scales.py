"""The three resolutions at which Ref-SR networks read a reference, and the alignment of maps of unequal size."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Scale(NamedTuple):
    """A VGG19 layer of the reference, its channels, and its resolution relative to the LR image."""

    layer: str
    channels: int
    factor: int


SCALES = {  # the choice of SRNTT, which later networks kept
    "small": Scale("relu3_1", 256, 1),
    "medium": Scale("relu2_1", 128, 2),
    "large": Scale("relu1_1", 64, 4),
}


def at_grid(ref: Tensor, size: tuple[int, int], origin: tuple[int, int]) -> Tensor:
    """Cut a map (N, C, H, W) to ``size`` from ``origin`` (row, column).

    A map that is too short is padded with zeros at the bottom and right.
    """
    h, w = size
    if torch.compiler.is_exporting():  # one graph for all sizes cannot choose between cutting and filling
        return F.pad(ref, (0, w, 0, h)).narrow(-2, origin[0], h).narrow(-1, origin[1], w)
    cut = ref[..., origin[0] : origin[0] + h, origin[1] : origin[1] + w]
    return F.pad(cut, (0, w - cut.shape[-1], 0, h - cut.shape[-2]))
