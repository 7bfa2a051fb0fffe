"""SRCNN (Dong et al., TPAMI 2016): three convolutions on an image that bicubic interpolation has enlarged."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = (64, 32)


class SRCNN(nn.Module):
    """(N, channels, H, W) enlarged image in [0, 1] -> the same shape. There is no skip: it draws the whole image.

    With 1 channel it works on luma: kernels 9-5-5, the paper's final network, has 57,281 parameters, 9-1-5, the
    smallest one, 8,129. With 3 channels it works on RGB: 9-1-5 has 20,099. The paper trains without padding. At test
    time its authors repeat the border of the image and of every feature map, and so do networks on luma here. Those on
    RGB, which other people's code trained, have zeros around them.
    """

    def __init__(self, channels: int = 1, kernels: Sequence[int] = (9, 5, 5)) -> None:
        super().__init__()
        mode = "replicate" if channels == 1 else "zeros"
        widths = (channels, *FEATURES, channels)
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(a, b, kernel, padding=kernel // 2, padding_mode=mode)
            for a, b, kernel in zip(widths[:-1], widths[1:], kernels, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))  # patches to features
        x = F.relu(self.conv2(x))  # LR features to HR features
        return self.conv3(x)  # features to overlapping patches, averaged
